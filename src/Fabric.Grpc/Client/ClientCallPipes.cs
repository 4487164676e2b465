using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc.Client;

/// <summary>One call on the client: request, response, deadline and status.</summary>
internal sealed class ClientCallPipes : CallPipes, IAsyncDisposable
{
    private const int ReadBufferBytes = 64 * 1024;

    private readonly HttpMessageInvoker _http;
    private readonly HttpRequestMessage _request;
    private readonly StreamedRequestContent? _requests;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource? _deadline;
    private readonly CancellationTokenSource _call;
    private Task<HttpResponseMessage>? _sending;
    private PipeReader? _input;
    private GrpcMetadata? _metadata;
    private bool _ended;
    private int _disposed;

    public ClientCallPipes(
        HttpMessageInvoker http, HttpRequestMessage request, TimeSpan? timeout, TimeProvider time, CancellationToken caller)
    {
        (_http, _request, _caller) = (http, request, caller);
        _requests = request.Content as StreamedRequestContent;
        _deadline = timeout is { } limit && limit < TimeSpan.FromDays(40)
            ? new CancellationTokenSource(limit > TimeSpan.Zero ? limit : TimeSpan.Zero, time)
            : null;
        _call = CancellationTokenSource.CreateLinkedTokenSource(caller, _deadline?.Token ?? CancellationToken.None);
        Token = _call.Token;
    }

    public override CancellationToken Token { get; }

    public GrpcMetadata Trailers { get; private set; } = new();

    public void Start() => _sending = SendAsync();

    public async Task<GrpcMetadata> MetadataAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(Token, cancellationToken);
            await _sending!.WaitAsync(either.Token);
            return _metadata!;
        }
        catch (Exception exception)
        {
            throw Explain(exception, cancellationToken);
        }
    }

    public void CompleteRequests() => _requests?.Complete();

    public override async ValueTask<PipeWriter> OpenOutputAsync(CancellationToken cancellationToken) =>
        _requests is null
            ? throw new InvalidOperationException("the request of this call has been sent with its opening")
            : await _requests.Opened.WaitAsync(cancellationToken);

    public override async ValueTask<PipeReader> OpenInputAsync(CancellationToken cancellationToken)
    {
        var response = await _sending!.WaitAsync(cancellationToken);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        _input = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: ReadBufferBytes, minimumReadSize: 1024));
        return _input;
    }

    public override void OnInputEnded()
    {
        _ended = true;
        var response = _sending!.Result;
        var block = response.Headers.Contains(WireNames.Status) ? response.Headers : response.TrailingHeaders;
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
        OperationCanceledException when _caller.IsCancellationRequested =>
            new OperationCanceledException("the call was cancelled", exception, _caller),
        _ when _deadline is { IsCancellationRequested: true } =>
            new GrpcException(GrpcStatusCode.DeadlineExceeded, "the deadline has passed", exception),
        OperationCanceledException or ObjectDisposedException when Volatile.Read(ref _disposed) != 0 =>
            new GrpcException(GrpcStatusCode.Cancelled, "the call is closed", exception),
        OperationCanceledException or ObjectDisposedException => // by nobody here: HttpClient says so of a connection that breaks while it opens a stream
            new GrpcException(GrpcStatusCode.Unavailable, $"{_request.RequestUri!.Authority}: the connection is closed", exception),
        HttpRequestException or IOException =>
            new GrpcException(StatusMapping.FromFailure(exception), Describe(exception), exception),
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
            // Before the requests are completed: the response that is closed early resets the stream, which the server takes for what it
            // is; a half-close would be the good end of the requests.
            var response = await _sending!;
            _input?.Complete();
            response.Dispose();
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or GrpcException)
        {
            // Whoever read has seen it.
        }

        _requests?.Release();
        _request.Dispose();
        _call.Dispose();
        _deadline?.Dispose();
    }

    private async Task<HttpResponseMessage> SendAsync()
    {
        try
        {
            var response = await _http.SendAsync(_request, Token);
            try
            {
                Check(response);
                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }
        catch (Exception exception)
        {
            _requests?.Fail(exception);
            _requests?.Complete();
            throw;
        }
    }

    private void Check(HttpResponseMessage response)
    {
        var status = ToStatus(response.Headers);
        if (status is null && response.StatusCode != HttpStatusCode.OK)
        {
            throw new GrpcException(
                StatusMapping.FromHttp(response.StatusCode), $"the server answered with HTTP status {(int)response.StatusCode}");
        }

        if (status is null && !WireNames.IsGrpc(response.Content.Headers.ContentType?.MediaType))
        {
            throw new GrpcException(GrpcStatusCode.Unknown, "the answer is not gRPC");
        }

        if (response.Headers.TryGetValues(WireNames.Encoding, out var encodings)
            && encodings.First() is var encoding and not WireNames.Identity)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"the answer is in the encoding {encoding}, which was not offered");
        }

        // A trailers-only answer has its metadata in the place of trailers.
        _metadata = status is null ? ToMetadata(response.Headers) : new GrpcMetadata();
        if (status is { Code: not GrpcStatusCode.Ok } failed)
        {
            Trailers = ToMetadata(response.Headers);
            throw new GrpcException(failed, Trailers);
        }
    }

    private static GrpcMetadata ToMetadata(HttpHeaders headers)
    {
        var metadata = new GrpcMetadata();
        foreach (var (key, values) in headers.NonValidated)
        {
            foreach (var value in values)
            {
                metadata.AddFromWire(key, value);
            }
        }

        return metadata;
    }

    private static GrpcStatus? ToStatus(HttpHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues(WireNames.Status, out var codes))
        {
            return null;
        }

        var message = headers.NonValidated.TryGetValues(WireNames.Message, out var texts) ? PercentText.Decode(texts.First()) : string.Empty;
        return int.TryParse(codes.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var code)
            && code <= (int)GrpcStatusCode.Unauthenticated
                ? new GrpcStatus((GrpcStatusCode)code, message)
                : new GrpcStatus(GrpcStatusCode.Unknown, $"the server's status '{codes.First()}' is none; it says: {message}");
    }

    private string Describe(Exception exception)
    {
        var root = exception.GetBaseException();
        return $"{_request.RequestUri!.Authority}: {root.Message}";
    }
}
