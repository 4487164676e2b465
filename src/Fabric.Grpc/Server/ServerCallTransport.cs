using System.Globalization;
using Fabric.Grpc.Http2;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc.Server;

/// <summary>One call on the server: its token, its stream, and its good or bad end.</summary>
internal sealed class ServerCallTransport : CallTransport, IDisposable
{
    private readonly Http2Stream _stream;
    private readonly CancellationToken _serverStopping;
    private readonly CancellationTokenSource? _deadline;
    private readonly CancellationTokenSource _aborted = new();
    private readonly CancellationTokenSource _call;
    private bool _hasStarted;

    public ServerCallTransport(
        Http2Stream stream, string path, string peer, GrpcMetadata metadata, TimeSpan? timeout, TimeProvider time, CancellationToken serverStopping)
    {
        (_stream, _serverStopping) = (stream, serverStopping);
        _deadline = timeout is { } limit && limit < TimeSpan.FromDays(40) ? new CancellationTokenSource(limit, time) : null;
        _call = CancellationTokenSource.CreateLinkedTokenSource(
            _aborted.Token, serverStopping, _deadline?.Token ?? CancellationToken.None);
        Token = _call.Token;
        Call = new GrpcServerCall(StartAsync, Token)
        {
            Path = path,
            Peer = peer,
            Metadata = metadata,
            Timeout = timeout,
        };
        stream.OnAborted(() => _ = _aborted.CancelAsync());
    }

    public GrpcServerCall Call { get; }

    public override CancellationToken Token { get; }

    /// <summary>The status of a body that gave up because <see cref="Token"/> was cancelled.</summary>
    public GrpcStatus CancellationStatus =>
        _deadline is { IsCancellationRequested: true } ? new GrpcStatus(GrpcStatusCode.DeadlineExceeded, "the deadline has passed")
        : _serverStopping.IsCancellationRequested ? new GrpcStatus(GrpcStatusCode.Unavailable, "the server is stopping")
        : new GrpcStatus(GrpcStatusCode.Cancelled, "the call was cancelled");

    public override ValueTask<Http2Stream> OpenInputAsync(CancellationToken cancellationToken) => new(_stream);

    public override ValueTask<Http2Stream> OpenOutputAsync(CancellationToken cancellationToken)
    {
        if (!_hasStarted)
        {
            Start([], flush: false); // they go with the first message
        }

        return new ValueTask<Http2Stream>(_stream);
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

        if (exception is not (IOException or OperationCanceledException))
        {
            return exception;
        }

        _call.Cancel(); // the body must not see the end of the stream without that of the call
        return new OperationCanceledException("the call is over", exception, Token);
    }

    /// <summary>Sends the status, which ends the call. Does nothing when the caller is gone.</summary>
    public void End(GrpcStatus status, GrpcMetadata trailers)
    {
        var fields = _hasStarted ? [] : ResponseHeaders.Begin();
        ResponseHeaders.AddStatus(fields, status);
        ResponseHeaders.Add(fields, trailers);
        _stream.WriteHeaders(fields, isLast: true);
    }

    public void Dispose()
    {
        // Not _aborted, which the connection may be cancelling just now; it holds nothing.
        _call.Dispose();
        _deadline?.Dispose();
    }

    private Task StartAsync(GrpcMetadata metadata)
    {
        if (_hasStarted)
        {
            throw new InvalidOperationException("the response has started");
        }

        Start(metadata, flush: true);
        return Task.CompletedTask;
    }

    private void Start(GrpcMetadata metadata, bool flush)
    {
        _hasStarted = true;
        var fields = ResponseHeaders.Begin();
        ResponseHeaders.Add(fields, metadata);
        _stream.WriteHeaders(fields, isLast: false, flush);
    }
}

/// <summary>The headers of responses.</summary>
internal static class ResponseHeaders
{
    public static List<HeaderField> Begin() => [new(":status", "200"), new("content-type", WireNames.ContentType)];

    public static void AddStatus(List<HeaderField> fields, GrpcStatus status)
    {
        fields.Add(new HeaderField(WireNames.Status, ((int)status.Code).ToString(CultureInfo.InvariantCulture)));
        if (!string.IsNullOrEmpty(status.Detail))
        {
            fields.Add(new HeaderField(WireNames.Message, PercentText.Encode(status.Detail)));
        }
    }

    public static void Add(List<HeaderField> fields, GrpcMetadata metadata) =>
        fields.AddRange(metadata.Select(entry => new HeaderField(entry.Key, entry.WireValue)));
}
