using Fabric.Broker;
using Fabric.Runtime;
using Fabric.Runtime.Network;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>
/// One OpenWire connector of a serving master: accepts clients, runs a reader and a writer for each, and looks after silent
/// ones. It lives as long as the mastership; <see cref="DisposeAsync"/> cuts every client without a word, which is what
/// makes failover clients send again to the next master.
/// </summary>
public sealed class OpenWireListener : IAsyncDisposable
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromMilliseconds(500);

    private readonly FabricRuntime _runtime;
    private readonly INetworkListener _listener;
    private readonly OpenWireServices _services;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<OpenWireConnection, Task> _connections = [];
    private readonly ITimer _checks;
    private readonly Task _accepting;

    private OpenWireListener(FabricRuntime runtime, INetworkListener listener, OpenWireServices services, ILogger logger)
    {
        (_runtime, _listener, _services, _logger) = (runtime, listener, services, logger);
        _accepting = runtime.Scheduler.Start($"OpenWire listener {listener.Port}", AcceptAsync);
        _checks = runtime.Time.CreateTimer(_ => CheckConnections(), null, CheckInterval, CheckInterval);
    }

    /// <summary>The port that is bound.</summary>
    public int Port => _listener.Port;

    /// <summary>Clients at present.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_gate)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Accepts from now on. The broker must be serving.</summary>
    /// <param name="runtime">Where it lives.</param>
    /// <param name="options">Of the connector.</param>
    /// <param name="broker">What clients speak to.</param>
    /// <param name="logger">Told about clients that are turned away.</param>
    /// <param name="listener">The bound port; taken over. Clients may be waiting at it.</param>
    public static OpenWireListener Start(
        FabricRuntime runtime, OpenWireOptions options, MessageBroker broker, ILogger logger, INetworkListener listener) =>
        new(runtime, listener, new OpenWireServices(runtime, options, broker, logger), logger);

    /// <summary>Closes the port; who is connected stays.</summary>
    public ValueTask StopAcceptingAsync() => _listener.DisposeAsync();

    /// <summary>Closes the port and every connection. Idempotent.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        await _listener.DisposeAsync();
        await _checks.DisposeAsync();
        await _accepting;
        Task[] running;
        lock (_gate)
        {
            foreach (var connection in _connections.Keys)
            {
                connection.Abort();
            }

            running = [.. _connections.Values];
        }

        await Task.WhenAll(running);
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            INetworkConnection network;
            try
            {
                network = await _listener.AcceptAsync(_stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (IOException exception)
            {
                // Out of descriptors, say. The clients that are connected are served on; the next one may succeed.
                _logger.LogWarning("{Reason}", exception.Message);
                await Task.Delay(CheckInterval, _runtime.Time);
                continue;
            }

            Take(network);
        }
    }

    private void Take(INetworkConnection network)
    {
        lock (_gate)
        {
            if (_connections.Count >= _services.Options.ConnectionsMax)
            {
                _logger.LogWarning(
                    "{Remote} is turned away: {Count} clients are connected, the limit", network.RemoteEndPoint, _connections.Count);
                network.Abort();
                return;
            }

            var connection = new OpenWireConnection(_services, network);
            _connections.Add(connection, Task.CompletedTask);
            _connections[connection] = _runtime.Scheduler.Start($"OpenWire {network.RemoteEndPoint}", () => RunAsync(connection));
        }
    }

    private async Task RunAsync(OpenWireConnection connection)
    {
        try
        {
            await connection.RunAsync();
        }
        finally
        {
            lock (_gate)
            {
                _connections.Remove(connection);
            }
        }
    }

    private void CheckConnections()
    {
        OpenWireConnection[] connections;
        lock (_gate)
        {
            connections = [.. _connections.Keys];
        }

        foreach (var connection in connections)
        {
            connection.Check();
        }
    }
}
