using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Fabric.Runtime.Network;

/// <summary>The machine's TCP stack.</summary>
public sealed class SystemNetwork : INetwork
{
    private const int Backlog = 512;

    public async ValueTask<INetworkConnection> ConnectAsync(
        string host, int port, SslClientAuthenticationOptions? tls, CancellationToken cancellationToken)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }; // fails when the process has too many files open
            await socket.ConnectAsync(host, port, cancellationToken).ConfigureAwait(false);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (tls is not null)
            {
                var secured = new SslStream(stream);
                await secured.AuthenticateAsClientAsync(tls, cancellationToken).ConfigureAwait(false);
                stream = secured;
            }

            return new SystemConnection(socket, stream);
        }
        catch (SocketException exception)
        {
            socket?.Dispose();
            throw new IOException($"cannot connect to {host}:{port}: {exception.Message}", exception);
        }
        catch (AuthenticationException exception)
        {
            socket?.Dispose();
            throw new IOException($"TLS handshake with {host}:{port} failed: {exception.Message}", exception);
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
    }

    public INetworkListener Listen(string host, int port)
    {
        var any = host is "0.0.0.0" or "*" or "::" or "[::]";
        try
        {
            var address = any ? IPAddress.IPv6Any : Resolve(host);
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (any)
                {
                    socket.DualMode = true;
                }

                socket.Bind(new IPEndPoint(address, port));
                socket.Listen(Backlog);
                return new SystemListener(socket);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
        catch (SocketException exception)
        {
            throw new IOException($"cannot listen on {host}:{port}: {exception.Message}", exception);
        }
    }

    private static IPAddress Resolve(string host)
    {
        if (IPAddress.TryParse(host.Trim('[', ']'), out var literal))
        {
            return literal;
        }

        var addresses = Dns.GetHostAddresses(host);
        return Array.Find(addresses, address => address.AddressFamily == AddressFamily.InterNetwork) ?? addresses[0];
    }
}

internal sealed class SystemListener(Socket socket) : INetworkListener
{
    public int Port { get; } = ((IPEndPoint)socket.LocalEndPoint!).Port;

    public async ValueTask<INetworkConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var accepted = await socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
                accepted.NoDelay = true;
                return new SystemConnection(accepted, new NetworkStream(accepted, ownsSocket: true));
            }
            catch (SocketException exception) when (exception.SocketErrorCode
                is SocketError.ConnectionReset or SocketError.ConnectionAborted)
            {
                // The peer gave up before we accepted it; the listener itself is well.
            }
            catch (Exception exception) when (exception is ObjectDisposedException
                or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                throw new OperationCanceledException("the listener is closed", exception);
            }
            catch (SocketException exception)
            {
                throw new IOException($"a connection to port {Port} cannot be accepted: {exception.Message}", exception);
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }
}

internal sealed class SystemConnection : INetworkConnection
{
    private const int ReadBufferSize = 64 * 1024;
    private const int WriteBufferSize = 32 * 1024;

    private readonly Socket _socket;
    private readonly Stream _stream;

    public SystemConnection(Socket socket, Stream stream)
    {
        _socket = socket;
        _stream = stream;
        RemoteEndPoint = Format(socket.RemoteEndPoint);
        LocalEndPoint = Format(socket.LocalEndPoint);

        // A zero-byte read first: a connection that is idle holds no buffer.
        Input = PipeReader.Create(stream, new StreamPipeReaderOptions(
            bufferSize: ReadBufferSize, minimumReadSize: 4096, leaveOpen: true, useZeroByteReads: true));
        Output = PipeWriter.Create(stream, new StreamPipeWriterOptions(minimumBufferSize: WriteBufferSize, leaveOpen: true));
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    public string RemoteEndPoint { get; }

    public string LocalEndPoint { get; }

    public void Abort()
    {
        // Linger 0 resets the connection: no half-open peer waits for bytes that will never come.
        try
        {
            _socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Already closed; that is all Abort wants.
        }

        _socket.Dispose();
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private static string Format(EndPoint? endPoint)
    {
        if (endPoint is not IPEndPoint ip)
        {
            return "unknown";
        }

        return ip.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(ip.Address.MapToIPv4(), ip.Port).ToString() : ip.ToString();
    }
}
