using System.Net.Security;
using System.Net.Sockets;
using Fabric.Runtime.Network;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Network;

/// <summary>The sockets of a process. The kernel's part (handshakes, resets) goes on while the process is paused.</summary>
internal sealed class SimulatedNetwork(Process process) : INetwork
{
    private const int FirstFreePort = 40_000;
    private static readonly TimeSpan[] SynRetries = [.. new[] { 1, 2, 4, 8 }.Select(seconds => TimeSpan.FromSeconds(seconds))];

    private readonly SortedDictionary<int, SimulatedListener> _listeners = [];
    private readonly List<SimulatedConnection> _connections = [];
    private int _nextPort = FirstFreePort + (process.Host.World.RandomFor($"ports {process.Host.Name}").Next(100) * 10);

    public ValueTask<INetworkConnection> ConnectAsync(
        string host, int port, SslClientAuthenticationOptions? tls, CancellationToken cancellationToken)
    {
        process.ThrowIfDead();
        if (tls is not null)
        {
            throw new NotSupportedException("the simulation has no TLS");
        }

        var target = process.World.Wires.Find(host) ?? throw new IOException($"cannot connect to {host}:{port}: no such host");
        var attempt = new Attempt(process, target, port);
        attempt.Send(0);
        return new ValueTask<INetworkConnection>(attempt.Done.Task.WaitAsync(cancellationToken));
    }

    public INetworkListener Listen(string host, int port)
    {
        process.ThrowIfDead();
        if (port == 0)
        {
            port = ++_nextPort;
        }

        if (_listeners.ContainsKey(port))
        {
            throw new IOException(
                $"cannot listen on {host}:{port}: Address already in use", new SocketException((int)SocketError.AddressAlreadyInUse));
        }

        return _listeners[port] = new SimulatedListener(this, port);
    }

    /// <summary>The process ended: its kernel tells the peers.</summary>
    public void CloseAll()
    {
        _listeners.Clear();
        foreach (var connection in _connections.ToArray())
        {
            connection.Abort();
        }

        _connections.Clear();
    }

    /// <summary>Breaks some connections, as a router that forgets them does; of a third of them only this end learns.</summary>
    public void BreakSome(Random random, double share)
    {
        foreach (var connection in _connections.ToArray())
        {
            if (random.NextDouble() >= share)
            {
                continue;
            }

            if (random.Next(3) == 0)
            {
                connection.BreakHere();
            }
            else
            {
                connection.Break();
            }
        }
    }

    /// <summary>Breaks all connections, and the other ends do not learn of it.</summary>
    public void ForgetAll()
    {
        foreach (var connection in _connections.ToArray())
        {
            connection.BreakHere();
        }
    }

    /// <summary>Whether the other end of a connection to an address has gone, and this one does not know yet.</summary>
    public bool IsForgottenBy(string endPoint) => _connections.Exists(connection => connection.RemoteEndPoint == endPoint && connection.IsForgotten);

    internal void Closed(SimulatedListener listener) => _listeners.Remove(listener.Port);

    internal void Closed(SimulatedConnection connection) => _connections.Remove(connection);

    /// <summary>A connection attempt arrives here.</summary>
    private SimulatedConnection? Accept(Process from, int fromPort, int port)
    {
        if (process.IsDead || !_listeners.TryGetValue(port, out var listener))
        {
            return null;
        }

        var (here, there) = SimulatedConnection.Pair(process, port, from, fromPort);
        _connections.Add(here);
        from.Network._connections.Add(there);
        listener.Offer(here);
        return there;
    }

    /// <summary>A handshake, as the kernels of both sides do it.</summary>
    private sealed class Attempt(Process from, Host to, int port)
    {
        private readonly int _fromPort = from.Network._nextPort += 1;

        public TaskCompletionSource<INetworkConnection> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Send(int attempt)
        {
            from.World.Wires.Between(from.Host, to).Carry(new PacketStream(), Arrive);
            if (attempt < SynRetries.Length)
            {
                from.World.After(SynRetries[attempt], from, () =>
                {
                    if (!Done.Task.IsCompleted && !to.IsUp)
                    {
                        Send(attempt + 1);
                    }
                });
            }
        }

        private void Arrive()
        {
            if (!to.IsUp || from.IsDead || Done.Task.IsCompleted)
            {
                return;
            }

            var back = from.World.Wires.Between(to, from.Host);
            if (to.Process?.Network.Accept(from, _fromPort, port) is { } connection)
            {
                back.Carry(new PacketStream(), () => OnAccepted(connection));
            }
            else
            {
                back.Carry(new PacketStream(), () => Done.TrySetException(new IOException(
                    $"cannot connect to {to.Address}:{port}: Connection refused", new SocketException((int)SocketError.ConnectionRefused))));
            }
        }

        private void OnAccepted(SimulatedConnection connection)
        {
            if (!from.IsDead && !Done.TrySetResult(connection))
            {
                connection.Abort();
            }
        }
    }
}

/// <summary>A bound port.</summary>
internal sealed class SimulatedListener(SimulatedNetwork network, int port) : INetworkListener
{
    private readonly Queue<SimulatedConnection> _waiting = new();
    private TaskCompletionSource? _arrival;
    private bool _isClosed;

    public int Port { get; } = port;

    public async ValueTask<INetworkConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_isClosed)
            {
                throw new OperationCanceledException("the listener is closed");
            }

            if (_waiting.TryDequeue(out var connection))
            {
                return connection;
            }

            _arrival = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await _arrival.Task.WaitAsync(cancellationToken);
        }
    }

    public ValueTask DisposeAsync()
    {
        _isClosed = true;
        network.Closed(this);
        while (_waiting.TryDequeue(out var connection))
        {
            connection.Abort();
        }

        _arrival?.TrySetResult();
        return ValueTask.CompletedTask;
    }

    internal void Offer(SimulatedConnection connection)
    {
        _waiting.Enqueue(connection);
        _arrival?.TrySetResult();
    }
}
