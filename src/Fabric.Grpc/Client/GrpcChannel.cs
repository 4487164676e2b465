using System.Buffers;
using Fabric.Grpc.Http2;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc.Client;

/// <summary>
/// Calls the services of one server, all over one HTTP/2 connection in clear text, which is made when it is needed and made anew
/// after it broke. Calls that run when it breaks fail with <see cref="GrpcStatusCode.Unavailable"/>; none is repeated. Thread-safe.
/// </summary>
public sealed class GrpcChannel : IDisposable
{
    /// <summary>Room for many calls that nobody reads from, so that they do not hold up the others.</summary>
    private const int ConnectionWindowBytes = 64 * 1024 * 1024;

    private readonly GrpcChannelOptions _options;
    private readonly Uri _address;
    private readonly Lock _gate = new();
    private Task<Http2ClientConnection>? _connecting;
    private bool _isDisposed;

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

        _address = uri;
    }

    internal string Authority => _address.Authority;

    internal TimeProvider Time => _options.Runtime.Time;

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
        await using var call = Start(method, Frame(method.RequestMarshaller, request), options, cancellationToken);
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
        return Start(method, Frame(method.RequestMarshaller, request), options, cancellationToken);
    }

    /// <summary>
    /// Opens a call; the caller writes the requests, calls <see cref="GrpcCall{TRequest,TResponse}.FinishAsync"/> and disposes of the call.
    /// </summary>
    public GrpcCall<TRequest, TResponse> ClientStreaming<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions? options = null, CancellationToken cancellationToken = default)
    {
        method.Require(GrpcMethodType.ClientStreaming);
        return Start(method, single: null, options, cancellationToken);
    }

    /// <summary>Opens a call; the caller writes and reads in any order, from one task each, and disposes of the call.</summary>
    public GrpcCall<TRequest, TResponse> Duplex<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, GrpcCallOptions? options = null, CancellationToken cancellationToken = default)
    {
        method.Require(GrpcMethodType.DuplexStreaming);
        return Start(method, single: null, options, cancellationToken);
    }

    /// <summary>Closes the connection; calls that still run fail.</summary>
    public void Dispose()
    {
        Task<Http2ClientConnection>? connecting;
        lock (_gate)
        {
            _isDisposed = true;
            connecting = _connecting;
        }

        // One that is still coming up closes itself: see ConnectAsync.
        if (connecting is { IsCompletedSuccessfully: true })
        {
            connecting.Result.Close(Closed());
        }
    }

    /// <summary>Opens a stream, in the connection that there is or in a new one.</summary>
    /// <exception cref="IOException">There is no connection, and none can be made.</exception>
    internal async Task<Http2Stream> OpenAsync(IReadOnlyList<HeaderField> request, CancellationToken cancellationToken)
    {
        Task<Http2ClientConnection> connecting;
        lock (_gate)
        {
            if (_isDisposed)
            {
                throw Closed();
            }

            if (_connecting is null or { IsFaulted: true } or { IsCompletedSuccessfully: true, Result.IsUsable: false })
            {
                _connecting = ConnectAsync();
            }

            connecting = _connecting;
        }

        var connection = await connecting.WaitAsync(cancellationToken).ConfigureAwait(false);
        return await connection.OpenAsync(request, cancellationToken).ConfigureAwait(false);
    }

    private IOException Closed() => new($"the channel to {Authority} is closed");

    /// <summary>Nobody's token ends it: several calls may wait for the same connection.</summary>
    private async Task<Http2ClientConnection> ConnectAsync()
    {
        var runtime = _options.Runtime;
        using var limit = new CancellationTokenSource(_options.ConnectTimeout, runtime.Time);
        Http2ClientConnection? connection = null;
        try
        {
            var network = await runtime.Network
                .ConnectAsync(_address.IdnHost, _address.Port, tls: null, limit.Token).ConfigureAwait(false);
            connection = new Http2ClientConnection(network, new Http2Options
            {
                Runtime = runtime,
                RunsInline = _options.RunsInline,
                StreamWindowBytes = _options.StreamWindowBytes,
                ConnectionWindowBytes = Math.Max(ConnectionWindowBytes, _options.StreamWindowBytes),
                KeepAlivePingDelay = _options.KeepAlivePingDelay,
                KeepAlivePingTimeout = _options.KeepAlivePingTimeout,
            });
            _ = runtime.Scheduler.Start($"reader of {Authority}", connection.RunAsync);
            await connection.Ready.WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException exception)
        {
            var silent = new IOException($"no answer in {_options.ConnectTimeout.TotalSeconds:0.###} s", exception);
            connection?.Abort(silent);
            throw silent;
        }

        lock (_gate)
        {
            if (_isDisposed)
            {
                connection.Close(Closed());
            }
        }

        return connection;
    }

    private GrpcCall<TRequest, TResponse> Start<TRequest, TResponse>(
        GrpcMethod<TRequest, TResponse> method, ReadOnlyMemory<byte>? single, GrpcCallOptions? options, CancellationToken cancellationToken)
    {
        options ??= GrpcCallOptions.None;
        var headers = new List<HeaderField>
        {
            new(":method", "POST"),
            new(":scheme", "http"),
            new(":path", method.Path),
            new(":authority", Authority),
            new("content-type", WireNames.ContentType),
            new("te", "trailers"),
            new(WireNames.AcceptEncoding, WireNames.Identity),
        };
        if (options.Timeout is { } timeout)
        {
            headers.Add(new HeaderField(WireNames.Timeout, TimeoutText.Encode(timeout)));
        }

        headers.AddRange((options.Metadata ?? []).Select(entry => new HeaderField(entry.Key, entry.WireValue)));
        var transport = new ClientCallTransport(this, headers, single, options.Timeout, cancellationToken);
        return new GrpcCall<TRequest, TResponse>(transport, method, _options.MessageBytesMax);
    }

    private static ReadOnlyMemory<byte> Frame<T>(GrpcMarshaller<T> marshaller, T message)
    {
        var frame = new ArrayBufferWriter<byte>();
        MessageFrame.Write(marshaller, message, frame);
        return frame.WrittenMemory;
    }
}
