using System.Globalization;
using Fabric.Grpc.Http2;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc.Client;

/// <summary>One call on the client: request, response, deadline and status.</summary>
internal sealed class ClientCallTransport : CallTransport, IAsyncDisposable
{
    private readonly GrpcChannel _channel;
    private readonly IReadOnlyList<HeaderField> _request;
    private readonly ReadOnlyMemory<byte>? _single;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource? _deadline;
    private readonly CancellationTokenSource _call;
    private Task<Http2Stream>? _opening;
    private Task<Http2Stream>? _answering;
    private CancellationTokenRegistration _cancelling;
    private GrpcMetadata? _metadata;
    private bool _ended;
    private int _completed;
    private int _disposed;

    /// <param name="channel">Where the call goes.</param>
    /// <param name="request">Headers.</param>
    /// <param name="single">The only message, framed; null when messages are written one by one.</param>
    /// <param name="timeout">Null for none.</param>
    /// <param name="caller">Cancels the call.</param>
    public ClientCallTransport(
        GrpcChannel channel, IReadOnlyList<HeaderField> request, ReadOnlyMemory<byte>? single, TimeSpan? timeout, CancellationToken caller)
    {
        (_channel, _request, _single, _caller) = (channel, request, single, caller);
        _deadline = timeout is { } limit && limit < TimeSpan.FromDays(40)
            ? new CancellationTokenSource(limit > TimeSpan.Zero ? limit : TimeSpan.Zero, channel.Time)
            : null;
        _call = CancellationTokenSource.CreateLinkedTokenSource(caller, _deadline?.Token ?? CancellationToken.None);
        Token = _call.Token;
    }

    public override CancellationToken Token { get; }

    public GrpcMetadata Trailers { get; private set; } = new();

    public void Start()
    {
        _opening = OpenAsync();
        _answering = AnswerAsync();
        _ = _answering.ContinueWith(static task => task.Exception, TaskContinuationOptions.OnlyOnFaulted); // seen, whoever else looks
    }

    public async Task<GrpcMetadata> MetadataAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(Token, cancellationToken);
            await _answering!.WaitAsync(either.Token);
            return _metadata!;
        }
        catch (Exception exception)
        {
            throw Explain(exception, cancellationToken);
        }
    }

    public void CompleteRequests()
    {
        if (_single is null && Interlocked.Exchange(ref _completed, 1) == 0)
        {
            _ = CompleteAsync();
        }
    }

    public override async ValueTask<Http2Stream> OpenOutputAsync(CancellationToken cancellationToken) =>
        _single is not null
            ? throw new InvalidOperationException("the request of this call has been sent with its opening")
            : await _opening!.WaitAsync(cancellationToken);

    public override async ValueTask<Http2Stream> OpenInputAsync(CancellationToken cancellationToken) =>
        await _answering!.WaitAsync(cancellationToken);

    public override void OnInputEnded()
    {
        _ended = true;
        var stream = _opening!.Result;
        var headers = stream.Headers.Result;
        var block = ToStatus(headers) is null ? stream.Trailers : headers;
        Trailers = ToMetadata(block);
        var status = ToStatus(block)
            ?? new GrpcStatus(GrpcStatusCode.Unknown, "the server ended the call without a status");
        if (status.Code != GrpcStatusCode.Ok)
        {
            throw new GrpcException(status, Trailers);
        }
    }

    public override Exception Explain(Exception exception, CancellationToken cancellationToken) => exception switch
    {
        GrpcException => exception,
        OperationCanceledException when cancellationToken.IsCancellationRequested =>
            new OperationCanceledException("the operation was cancelled", exception, cancellationToken),
        _ when _caller.IsCancellationRequested && exception is OperationCanceledException or IOException =>
            new OperationCanceledException("the call was cancelled", exception, _caller),
        _ when _deadline is { IsCancellationRequested: true } =>
            new GrpcException(GrpcStatusCode.DeadlineExceeded, "the deadline has passed", exception),
        OperationCanceledException or ObjectDisposedException or IOException when Volatile.Read(ref _disposed) != 0 =>
            new GrpcException(GrpcStatusCode.Cancelled, "the call is closed", exception),
        IOException => new GrpcException(
            StatusMapping.FromFailure(exception), $"{_channel.Authority}: {exception.GetBaseException().Message}", exception),
        _ => exception,
    };

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (!_ended)
        {
            await _call.CancelAsync();
        }

        try
        {
            var stream = await _opening!;
            stream.Reset(Http2Error.Cancel); // nothing, when both sides have ended
            await stream.Input.CompleteAsync();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // Whoever read has seen it.
        }

        await _cancelling.DisposeAsync();
        _call.Dispose();
        _deadline?.Dispose();
    }

    private async Task<Http2Stream> OpenAsync()
    {
        var stream = await _channel.OpenAsync(_request, Token).ConfigureAwait(false);
        _cancelling = Token.UnsafeRegister(static state => ((Http2Stream)state!).Reset(Http2Error.Cancel), stream);
        if (_single is { } message)
        {
            _ = SendSingleAsync(stream, message);
        }

        return stream;
    }

    private async Task SendSingleAsync(Http2Stream stream, ReadOnlyMemory<byte> message)
    {
        try
        {
            await stream.WriteAsync(message, Token).ConfigureAwait(false);
            stream.End();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // Whoever reads the answer sees why.
        }
    }

    private async Task CompleteAsync()
    {
        try
        {
            (await _opening!.ConfigureAwait(false)).End();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // Whoever reads the answer sees why.
        }
    }

    private async Task<Http2Stream> AnswerAsync()
    {
        var stream = await _opening!.ConfigureAwait(false);
        Check(await stream.Headers.ConfigureAwait(false));
        return stream;
    }

    private void Check(IReadOnlyList<HeaderField> headers)
    {
        var status = ToStatus(headers);
        var http = Find(headers, ":status");
        if (status is null && http != "200")
        {
            throw new GrpcException(StatusMapping.FromHttp(http), $"the server answered with HTTP status {http}");
        }

        if (status is null && !WireNames.IsGrpc(Find(headers, "content-type")))
        {
            throw new GrpcException(GrpcStatusCode.Unknown, "the answer is not gRPC");
        }

        if (Find(headers, WireNames.Encoding) is { } encoding and not WireNames.Identity)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"the answer is in the encoding {encoding}, which was not offered");
        }

        // A trailers-only answer has its metadata in the place of trailers.
        _metadata = status is null ? ToMetadata(headers) : new GrpcMetadata();
        if (status is { Code: not GrpcStatusCode.Ok } failed)
        {
            Trailers = ToMetadata(headers);
            throw new GrpcException(failed, Trailers);
        }
    }

    private static string? Find(IReadOnlyList<HeaderField> headers, string name) =>
        headers.FirstOrDefault(field => field.Name == name).Value;

    private static GrpcMetadata ToMetadata(IReadOnlyList<HeaderField> headers)
    {
        var metadata = new GrpcMetadata();
        foreach (var (name, value) in headers)
        {
            metadata.AddFromWire(name, value);
        }

        return metadata;
    }

    private static GrpcStatus? ToStatus(IReadOnlyList<HeaderField> headers)
    {
        if (Find(headers, WireNames.Status) is not { } text)
        {
            return null;
        }

        var message = PercentText.Decode(Find(headers, WireNames.Message) ?? string.Empty);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var code)
            && code <= (int)GrpcStatusCode.Unauthenticated
                ? new GrpcStatus((GrpcStatusCode)code, message)
                : new GrpcStatus(GrpcStatusCode.Unknown, $"the server's status '{text}' is none; it says: {message}");
    }
}
