using System.Net.Sockets;
using Fabric.Grpc.Http2;
using Fabric.Runtime.Network;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Grpc.Server;

/// <summary>A gRPC server on HTTP/2 in clear text. Thread-safe.</summary>
public sealed class GrpcServer : IAsyncDisposable
{
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly INetworkListener _listener;
    private readonly GrpcServerOptions _options;
    private readonly CallDispatcher _dispatcher;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping;
    private readonly Lock _gate = new();
    private readonly Dictionary<Http2ServerConnection, Task> _connections = [];
    private readonly Task _accepting;
    private int _disposed;

    private GrpcServer(
        INetworkListener listener,
        IReadOnlyDictionary<string, Func<ServerCallTransport, GrpcServerOptions, Task>> bodies,
        GrpcServerOptions options,
        ILogger logger)
    {
        (_listener, _options, _logger, _stopping) = (listener, options, logger, new CancellationTokenSource());
        _dispatcher = new CallDispatcher(bodies, options, logger, _stopping.Token);
        _accepting = options.Runtime.Scheduler.Start($"gRPC listener {Port}", AcceptAsync);
    }

    /// <summary>The port that is bound.</summary>
    public int Port => _listener.Port;

    /// <summary>Starts to answer.</summary>
    /// <param name="host">An IP address, a host name, or <c>0.0.0.0</c>, which binds IPv4 and IPv6.</param>
    /// <param name="port">0 to 65535; 0 lets the system choose.</param>
    /// <param name="services">What is answered.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    /// <param name="logger">Hears of bodies that fail and of callers that break the protocol.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message says which.</exception>
    public static GrpcServer Start(
        string host, int port, IReadOnlyList<GrpcService> services, GrpcServerOptions? options = null, ILogger? logger = null)
    {
        options ??= new GrpcServerOptions();
        var bodies = services.SelectMany(service => service.Bodies).ToDictionary(StringComparer.Ordinal);
        return new GrpcServer(Listen(options.Runtime.Network, host, port), bodies, options, logger ?? NullLogger.Instance);
    }

    /// <summary>
    /// Stops listening, cancels the running calls (their callers see <see cref="GrpcStatusCode.Unavailable"/>) and cuts the connections that
    /// have not ended within <see cref="GrpcServerOptions.StopLimit"/>. A body that does not heed its token is not waited for.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _listener.DisposeAsync();
        await _accepting;
        KeyValuePair<Http2ServerConnection, Task>[] connections;
        lock (_gate)
        {
            connections = [.. _connections];
        }

        foreach (var (connection, _) in connections)
        {
            connection.Stop();
        }

        await _stopping.CancelAsync();
        using var limit = new CancellationTokenSource(_options.StopLimit, _options.Runtime.Time);
        var ended = Task.WhenAll(connections.Select(entry => entry.Value));
        try
        {
            await ended.WaitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            foreach (var (connection, _) in connections)
            {
                connection.Abort(new IOException("the server has stopped"));
            }

            await ended;
        }
    }

    private static INetworkListener Listen(INetwork network, string host, int port)
    {
        try
        {
            return network.Listen(host, port);
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
        {
            throw new IOException($"cannot listen on {host}:{port}: the port is in use", exception);
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                if (await TryAcceptAsync() is { } network && !TryServe(network))
                {
                    network.Abort();
                    await network.DisposeAsync();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The listener was closed.
        }
        catch (Exception exception)
        {
            _logger.LogError(exception, "Port {Port} takes no further calls", Port);
        }
    }

    private async Task<INetworkConnection?> TryAcceptAsync()
    {
        try
        {
            return await _listener.AcceptAsync(CancellationToken.None);
        }
        catch (IOException exception)
        {
            // Out of descriptors, say; the next one may succeed.
            _logger.LogWarning("{Reason}", exception.Message);
            await Task.Delay(AcceptPause, _options.Runtime.Time, CancellationToken.None);
            return null;
        }
    }

    private bool TryServe(INetworkConnection network)
    {
        lock (_gate)
        {
            if (_connections.Count >= _options.ConnectionsMax)
            {
                return false;
            }

            var connection = new Http2ServerConnection(
                network,
                new Http2Options
                {
                    Runtime = _options.Runtime,
                    RunsInline = _options.RunsInline,
                    StreamWindowBytes = _options.StreamWindowBytes,
                    ConnectionWindowBytes = _options.ConnectionWindowBytes,
                    KeepAlivePingDelay = _options.KeepAlivePingDelay,
                    KeepAlivePingTimeout = _options.KeepAlivePingTimeout,
                },
                _options.CallsPerConnectionMax,
                stream => _dispatcher.DispatchAsync(stream, network.RemoteEndPoint));
            _connections.Add(
                connection, _options.Runtime.Scheduler.Start($"gRPC connection {network.RemoteEndPoint}", () => RunAsync(connection)));
            return true;
        }
    }

    private async Task RunAsync(Http2ServerConnection connection)
    {
        var end = await connection.RunAsync();
        if (end is Http2ConnectionException violation)
        {
            _logger.LogWarning("{Peer} breaks the protocol ({Error}): {Reason}", connection.Peer, violation.Error, violation.Message);
        }
        else if (end is not (IOException or OperationCanceledException or ObjectDisposedException))
        {
            _logger.LogError(end, "The connection of {Peer} failed", connection.Peer); // a defect of ours, and not a socket that broke
        }

        lock (_gate)
        {
            _connections.Remove(connection);
        }
    }
}
