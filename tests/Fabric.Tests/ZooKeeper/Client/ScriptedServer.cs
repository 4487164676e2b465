using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>A server that does what the test says, frame by frame.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<ScriptedConnection> _connections = [];

    public ScriptedServer() => _listener.Start();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Whether a client has connected that was not accepted yet.</summary>
    public bool IsCalled => _listener.Pending();

    public async Task<ScriptedConnection> AcceptAsync()
    {
        using var limit = new CancellationTokenSource(Deadline);
        var connection = new ScriptedConnection(await _listener.AcceptTcpClientAsync(limit.Token));
        _connections.Add(connection);
        return connection;
    }

    /// <summary>Accepts a client and grants it a session.</summary>
    public async Task<ScriptedConnection> AcceptSessionAsync(int timeOut = 10_000, long sessionId = 1)
    {
        var connection = await AcceptAsync();
        connection.Request = await connection.ReadAsync<ConnectRequest>();
        await connection.SendAsync(new ConnectResponse(0, timeOut, sessionId, Convert.FromHexString("00112233445566778899aabbccddeeff"), false));
        return connection;
    }

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        _connections.ForEach(connection => connection.Close());
        return ValueTask.CompletedTask;
    }
}

/// <summary>A request as it came; <see cref="Frame"/> is all of it, with its length.</summary>
internal sealed record ScriptedRequest(RequestHeader Header, byte[] Frame)
{
    private const int HeadersLength = 12;

    public T Read<T>()
        where T : IJuteRecord<T>
    {
        var reader = new JuteReader(Frame.AsSpan(HeadersLength));
        return T.Read(ref reader);
    }
}

internal sealed class ScriptedConnection(TcpClient tcp)
{
    private readonly NetworkStream _stream = tcp.GetStream();

    /// <summary>What the client connected with.</summary>
    public ConnectRequest Request { get; set; } = null!;

    public void Close() => tcp.Dispose();

    /// <summary>A frame with its length; null at the end of the connection.</summary>
    public async Task<byte[]?> ReadFrameAsync()
    {
        using var limit = new CancellationTokenSource(ScriptedServer.Deadline);
        var length = new byte[JuteFrame.HeaderLength];
        try
        {
            await _stream.ReadExactlyAsync(length, limit.Token);
            var frame = new byte[length.Length + BinaryPrimitives.ReadInt32BigEndian(length)];
            length.CopyTo(frame, 0);
            await _stream.ReadExactlyAsync(frame.AsMemory(length.Length), limit.Token);
            return frame;
        }
        catch (IOException)
        {
            return null; // ended or reset by the client
        }
    }

    public async Task<T> ReadAsync<T>()
        where T : IJuteRecord<T>
    {
        var frame = await ReadFrameAsync() ?? throw new IOException("the client has closed the connection");
        var reader = new JuteReader(frame.AsSpan(JuteFrame.HeaderLength));
        return T.Read(ref reader);
    }

    /// <summary>The next request that is no ping; pings are answered.</summary>
    public async Task<ScriptedRequest> ReadRequestAsync()
    {
        while (true)
        {
            var request = await ReadAnyRequestAsync();
            if (request.Header.Type != OpCode.Ping)
            {
                return request;
            }

            await ReplyAsync(request, ZooKeeperError.Ok);
        }
    }

    public async Task<ScriptedRequest> ReadAnyRequestAsync()
    {
        var frame = await ReadFrameAsync() ?? throw new IOException("the client has closed the connection");
        var reader = new JuteReader(frame.AsSpan(JuteFrame.HeaderLength));
        return new ScriptedRequest(RequestHeader.Read(ref reader), frame);
    }

    public Task ReplyAsync(ScriptedRequest request, ZooKeeperError error, IJuteRecord? body = null, long zxid = 1) => body is null
        ? SendAsync(new ReplyHeader(request.Header.Xid, zxid, error))
        : SendAsync(new ReplyHeader(request.Header.Xid, zxid, error), body);

    public Task SendEventAsync(WatchEventType type, string path) =>
        SendAsync(new ReplyHeader(SpecialXid.Notification, -1, ZooKeeperError.Ok), new WatcherEvent(type, KeeperState.SyncConnected, path));

    public Task SendAsync(params ReadOnlySpan<IJuteRecord> records)
    {
        using var buffer = new JuteBuffer();
        JuteFrame.Append(buffer, records);
        return SendBytesAsync(buffer.Written.ToArray());
    }

    public async Task SendBytesAsync(byte[] bytes) => await _stream.WriteAsync(bytes);
}
