using System.IO.Pipelines;
using System.Net.Security;

namespace Fabric.Runtime.Network;

/// <summary>TCP connections as pipes. Thread-safe.</summary>
public interface INetwork
{
    /// <summary>Connects to a TCP server; with <paramref name="tls"/> the pipes carry the plain text of a TLS session.</summary>
    /// <exception cref="IOException">Refused, unreachable, unknown host or failed handshake; the message says which.</exception>
    ValueTask<INetworkConnection> ConnectAsync(
        string host, int port, SslClientAuthenticationOptions? tls, CancellationToken cancellationToken);

    /// <summary>Listens on an address: a literal IP, a host name, or <c>0.0.0.0</c>, which binds IPv4 and IPv6.</summary>
    /// <param name="host">Address to bind.</param>
    /// <param name="port">0 to 65535; 0 lets the system choose.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message says which.</exception>
    INetworkListener Listen(string host, int port);
}

/// <summary>A bound server socket. Disposing it ends a pending accept with <see cref="OperationCanceledException"/>.</summary>
public interface INetworkListener : IAsyncDisposable
{
    /// <summary>The port that is bound.</summary>
    int Port { get; }

    /// <summary>Waits for the next connection.</summary>
    /// <exception cref="IOException">The system cannot give it to us, for want of descriptors, say. The listener is well: try again after a pause.</exception>
    /// <exception cref="OperationCanceledException">The token, or the listener is disposed of.</exception>
    ValueTask<INetworkConnection> AcceptAsync(CancellationToken cancellationToken);
}

/// <summary>
/// One connection. One task reads <see cref="IDuplexPipe.Input"/>, one writes <see cref="IDuplexPipe.Output"/>.
/// A broken connection makes both fail with <see cref="IOException"/>. Disposing sends what was flushed and closes.
/// </summary>
public interface INetworkConnection : IDuplexPipe, IAsyncDisposable
{
    /// <summary>The peer's address as <c>host:port</c>.</summary>
    string RemoteEndPoint { get; }

    /// <summary>Our address as <c>host:port</c>.</summary>
    string LocalEndPoint { get; }

    /// <summary>Closes at once from any thread; pending reads and writes fail.</summary>
    void Abort();
}
