using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Fabric.Cluster.Tests.Links;

/// <summary>
/// The wires between the nodes of a test: relays on loopback through which every connection between two nodes goes, and which can hold the bytes of
/// each direction back. Held bytes are not lost: they arrive when the wire is whole again, as after a partition that TCP outlives. Needs no
/// rights that a user does not have.
/// </summary>
internal sealed class Wires : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(string From, string To), Gate> _gates = [];
    private readonly ConcurrentDictionary<Task, bool> _tasks = [];
    private readonly List<TcpListener> _listeners = [];
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Holds back what one node says to another, from now on.</summary>
    public void Cut(string from, string to) => GateOf(from, to).Close();

    public void Heal(string from, string to) => GateOf(from, to).Open();

    public void HealAll()
    {
        foreach (var gate in _gates.Values)
        {
            gate.Open();
        }
    }

    /// <summary>Relays connections to a node.</summary>
    /// <param name="at">Where they come in; port 0 for any.</param>
    /// <param name="to">Where they go.</param>
    /// <param name="name">The node that is connected to.</param>
    /// <param name="nameOf">Says who connects, by the address and port it connects from and the one it connects to; whom it cannot name is turned away.</param>
    /// <returns>Where they come in.</returns>
    public IPEndPoint Relay(IPEndPoint at, IPEndPoint to, string name, Func<IPEndPoint, IPEndPoint, string?> nameOf)
    {
        var listener = new TcpListener(at);
        listener.Start();
        lock (_listeners)
        {
            _listeners.Add(listener);
        }

        Track(Task.Run(() => AcceptAsync(listener, to, name, nameOf)));
        return (IPEndPoint)listener.LocalEndpoint;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        HealAll();
        lock (_listeners)
        {
            _listeners.ForEach(listener => listener.Stop());
        }

        await Task.WhenAll(_tasks.Keys);
        _stop.Dispose();
    }

    private Gate GateOf(string from, string to) => _gates.GetOrAdd((from, to), _ => new Gate());

    private void Track(Task task)
    {
        _tasks[task] = true;
        task.ContinueWith(done => _tasks.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task AcceptAsync(TcpListener listener, IPEndPoint to, string name, Func<IPEndPoint, IPEndPoint, string?> nameOf)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await listener.AcceptTcpClientAsync(_stop.Token);
                Track(Task.Run(() => RelayAsync(client, to, name, nameOf)));
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task RelayAsync(TcpClient client, IPEndPoint to, string name, Func<IPEndPoint, IPEndPoint, string?> nameOf)
    {
        using var near = client;
        using var far = new TcpClient();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        try
        {
            if (nameOf((IPEndPoint)near.Client.RemoteEndPoint!, (IPEndPoint)near.Client.LocalEndPoint!) is not { } from)
            {
                return; // gone already; and nobody gets around a wire by having no name
            }

            await GateOf(from, name).WaitAsync(ended.Token); // a connection that is being made does not get through either
            await far.ConnectAsync(to, ended.Token);
            near.NoDelay = far.NoDelay = true;
            await Task.WhenAll(
                PumpAsync(near.GetStream(), far.GetStream(), GateOf(from, name), ended),
                PumpAsync(far.GetStream(), near.GetStream(), GateOf(name, from), ended));
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or IOException or InvalidOperationException)
        {
            // Nobody listens there, or the one who asked has gone: both ends see a broken connection.
        }
    }

    /// <summary>Copies one direction; its end, also one that is cut off, ends the connection for both.</summary>
    private static async Task PumpAsync(NetworkStream from, NetworkStream to, Gate gate, CancellationTokenSource ended)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReadAsync(buffer, ended.Token) is > 0 and var count)
            {
                await gate.WaitAsync(ended.Token);
                await to.WriteAsync(buffer.AsMemory(0, count), ended.Token);
            }
        }
        finally
        {
            if (!ended.IsCancellationRequested)
            {
                await gate.WaitAsync(ended.Token); // the end of a connection is news too, and waits as bytes do
                await ended.CancelAsync();
            }
        }
    }

    /// <summary>Open or closed; opened again when the wires are disposed of.</summary>
    private sealed class Gate
    {
        private volatile TaskCompletionSource? _closed;

        public void Close() => Interlocked.CompareExchange(ref _closed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), null);

        public void Open() => Interlocked.Exchange(ref _closed, null)?.TrySetResult();

        public Task WaitAsync(CancellationToken cancellationToken) => _closed?.Task.WaitAsync(cancellationToken) ?? Task.CompletedTask;
    }
}
