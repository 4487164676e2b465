using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Fabric.Interop.Tests.ZooKeeper;

/// <summary>
/// Passes connections on to a port, and cuts them when a test wants to; it may swallow what comes back first. With a certificate it
/// speaks TLS to the clients.
/// </summary>
internal sealed class TcpRelay : IAsyncDisposable
{
    private int _target;
    private readonly X509Certificate2? _certificate;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<TcpClient> _sockets = [];
    private readonly Lock _gate = new();
    private readonly Task _accepting;

    public TcpRelay(int target, X509Certificate2? certificate = null)
    {
        (_target, _certificate) = (target, certificate);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Where new connections go from now on.</summary>
    public void Redirect(int target) => Volatile.Write(ref _target, target);

    /// <summary>While true nothing that the server says reaches the client.</summary>
    public volatile bool Swallow;

    /// <summary>While true no new connection gets through.</summary>
    public volatile bool Refuse;

    /// <summary>Whether a connection goes through.</summary>
    public bool IsInUse
    {
        get
        {
            lock (_gate)
            {
                return _sockets.Any(socket => socket.Connected);
            }
        }
    }

    public void Cut()
    {
        lock (_gate)
        {
            _sockets.ForEach(socket => socket.Dispose());
            _sockets.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        Cut();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        var pumps = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync();
                if (Refuse)
                {
                    client.Dispose();
                    continue;
                }

                var server = new TcpClient();
                lock (_gate)
                {
                    _sockets.AddRange([client, server]);
                }

                pumps.Add(PumpAsync(client, server));
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // Disposed while it waited for a connection, or between two of them: then it "is not listening".
            Cut();
            await Task.WhenAll(pumps);
        }
    }

    private async Task PumpAsync(TcpClient client, TcpClient server)
    {
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _target);
            await using var near = await OpenAsync(client);
            await using var far = server.GetStream();
            await Task.WhenAny(CopyAsync(near, far, () => false), CopyAsync(far, near, () => Swallow));
        }
        catch (Exception exception) when (exception
            is SocketException or IOException or ObjectDisposedException or InvalidOperationException
            or System.Security.Authentication.AuthenticationException)
        {
            // Cut by the test, or by either side, or no TLS client: both ends go.
        }

        client.Dispose();
        server.Dispose();
    }

    private async Task<Stream> OpenAsync(TcpClient client)
    {
        if (_certificate is null)
        {
            return client.GetStream();
        }

        var stream = new SslStream(client.GetStream());
        await stream.AuthenticateAsServerAsync(_certificate);
        return stream;
    }

    private static async Task CopyAsync(Stream from, Stream to, Func<bool> swallow)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            for (int count; (count = await from.ReadAsync(buffer)) > 0;)
            {
                if (!swallow())
                {
                    await to.WriteAsync(buffer.AsMemory(0, count));
                }
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // As above.
        }
    }
}
