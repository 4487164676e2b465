using Fabric.Grpc.Wire;

namespace Fabric.Grpc.Client;

/// <summary>
/// Calls the services of one server, all over one HTTP/2 connection in clear text, which is made when it is needed and made anew
/// after it broke. Calls that run when it breaks fail with <see cref="GrpcStatusCode.Unavailable"/>; none is repeated. Thread-safe.
/// </summary>
public sealed class GrpcChannel : IDisposable
{
    private readonly GrpcChannelOptions _options;
    private readonly HttpMessageInvoker _http;

    /// <param name="address">The server as <c>host:port</c>.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    /// <exception cref="FormatException">The address is none.</exception>
    public GrpcChannel(string address, GrpcChannelOptions? options = null)
    {
        _options = options ?? new GrpcChannelOptions();
        if (!Uri.TryCreate($"http://{address}/", UriKind.Absolute, out var uri) || uri.PathAndQuery != "/" || uri.UserInfo.Length > 0)
        {
            throw new FormatException($"'{address}' is no host:port");
        }

        Address = uri;
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = _options.ConnectTimeout,
            InitialHttp2StreamWindowSize = _options.StreamWindowBytes,
            KeepAlivePingDelay = _options.KeepAlivePingDelay,
            KeepAlivePingTimeout = _options.KeepAlivePingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        });
    }

    internal Uri Address { get; }

    /// <summary>Sends one request and waits for the one response.</summary>
    /// <exception cref="GrpcException">The call ended otherwise.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<TResponse> UnaryAsync<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method,
        TRequest request,
        GrpcCallOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        method.Require(GrpcMethodType.Unary);
        await using var call = Start(method, new SingleRequestContent<TRequest>(method.RequestMarshaller, request), options, cancellationToken);
        return await call.Responses.ReadSingleAsync(cancellationToken);
    }

    /// <summary>Sends one request; the caller reads the responses and disposes of the call.</summary>
    public GrpcCall<TRequest, TResponse> ServerStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method,
        TRequest request,
        GrpcCallOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        method.Require(GrpcMethodType.ServerStreaming);
        return Start(method, new SingleRequestContent<TRequest>(method.RequestMarshaller, request), options, cancellationToken);
    }

    /// <summary>
    /// Opens a call; the caller writes the requests, calls <see cref="GrpcCall{TRequest,TResponse}.FinishAsync"/> and disposes of the call.
    /// </summary>
    public GrpcCall<TRequest, TResponse> ClientStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions? options = null, CancellationToken cancellationToken = default)
    {
        method.Require(GrpcMethodType.ClientStreaming);
        return Start(method, new StreamedRequestContent(), options, cancellationToken);
    }

    /// <summary>Opens a call; the caller writes and reads in any order, from one task each, and disposes of the call.</summary>
    public GrpcCall<TRequest, TResponse> Duplex<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions? options = null, CancellationToken cancellationToken = default)
    {
        method.Require(GrpcMethodType.DuplexStreaming);
        return Start(method, new StreamedRequestContent(), options, cancellationToken);
    }

    /// <summary>Closes the connection; calls that still run fail.</summary>
    public void Dispose() => _http.Dispose();

    private GrpcCall<TRequest, TResponse> Start<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, HttpContent content, GrpcCallOptions? options, CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Address, method.Path))
        {
            Version = System.Net.HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact, // prior knowledge: no upgrade is negotiated in clear text
            Content = content,
        };
        content.Headers.TryAddWithoutValidation("content-type", WireNames.ContentType);
        request.Headers.TryAddWithoutValidation("te", "trailers");
        request.Headers.TryAddWithoutValidation(WireNames.AcceptEncoding, WireNames.Identity);
        options ??= GrpcCallOptions.None;
        if (options.Timeout is { } timeout)
        {
            request.Headers.TryAddWithoutValidation(WireNames.Timeout, TimeoutText.Encode(timeout));
        }

        foreach (var entry in options.Metadata ?? [])
        {
            request.Headers.TryAddWithoutValidation(entry.Key, entry.WireValue);
        }

        var pipes = new ClientCallPipes(_http, request, options.Timeout, _options.Time, cancellationToken);
        return new GrpcCall<TRequest, TResponse>(pipes, method, _options.MessageBytesMax);
    }
}
