using System.IO.Pipelines;
using Fabric.Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Fabric.Grpc.Server;

/// <summary>One call on the server: its token, its ends of the HTTP/2 stream, and its good or bad end.</summary>
internal sealed class ServerCallPipes : CallPipes, IDisposable
{
    private readonly HttpContext _http;
    private readonly CancellationToken _serverStopping;
    private readonly CancellationTokenSource? _deadline;
    private readonly CancellationTokenSource _call;

    public ServerCallPipes(HttpContext http, TimeSpan? timeout, TimeProvider time, CancellationToken serverStopping)
    {
        (_http, _serverStopping) = (http, serverStopping);
        _deadline = timeout is { } limit && limit < TimeSpan.FromDays(40) ? new CancellationTokenSource(limit, time) : null;
        _call = CancellationTokenSource.CreateLinkedTokenSource(
            http.RequestAborted, serverStopping, _deadline?.Token ?? CancellationToken.None);
        Token = _call.Token;

        var metadata = new GrpcMetadata();
        foreach (var (key, values) in http.Request.Headers)
        {
            foreach (var value in values)
            {
                metadata.AddFromWire(key, value ?? string.Empty);
            }
        }

        Call = new GrpcServerCall(StartAsync, Token)
        {
            Path = http.Request.Path.Value ?? string.Empty,
            Peer = $"{http.Connection.RemoteIpAddress}:{http.Connection.RemotePort}",
            Metadata = metadata,
            Timeout = timeout,
        };
    }

    public GrpcServerCall Call { get; }

    public override CancellationToken Token { get; }

    /// <summary>The status of a body that gave up because <see cref="Token"/> was cancelled.</summary>
    public GrpcStatus CancellationStatus =>
        _deadline is { IsCancellationRequested: true } ? new GrpcStatus(GrpcStatusCode.DeadlineExceeded, "the deadline has passed")
        : _serverStopping.IsCancellationRequested ? new GrpcStatus(GrpcStatusCode.Unavailable, "the server is stopping")
        : new GrpcStatus(GrpcStatusCode.Cancelled, "the call was cancelled");

    public override ValueTask<PipeReader> OpenInputAsync(CancellationToken cancellationToken) => new(_http.Request.BodyReader);

    public override async ValueTask<PipeWriter> OpenOutputAsync(CancellationToken cancellationToken)
    {
        if (!_http.Response.HasStarted)
        {
            await _http.Response.StartAsync(cancellationToken);
        }

        return _http.Response.BodyWriter;
    }

    public override void OnInputEnded()
    {
        // A half-closed request is the normal end of what a client has to say.
    }

    public override Exception Explain(Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && !Token.IsCancellationRequested && cancellationToken.IsCancellationRequested)
        {
            return new OperationCanceledException("the operation was cancelled", exception, cancellationToken);
        }

        if (exception is not (IOException or OperationCanceledException or ObjectDisposedException))
        {
            return exception;
        }

        // The stream may be seen to end before Kestrel says that the request is aborted; the body must not see one without the other.
        _call.Cancel();
        return new OperationCanceledException("the call is over", exception, Token);
    }

    public void Dispose()
    {
        _call.Dispose();
        _deadline?.Dispose();
    }

    private async Task StartAsync(GrpcMetadata metadata)
    {
        if (_http.Response.HasStarted)
        {
            throw new InvalidOperationException("the response has started");
        }

        foreach (var entry in metadata)
        {
            _http.Response.Headers.Append(entry.Key, entry.WireValue);
        }

        await _http.Response.StartAsync(Token);
        await _http.Response.BodyWriter.FlushAsync(Token); // starting alone keeps them in a buffer
    }
}
