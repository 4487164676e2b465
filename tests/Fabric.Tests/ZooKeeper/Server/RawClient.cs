using System.Buffers.Binary;
using System.Net.Sockets;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>A reply or an event as it came; <see cref="Body"/> is what follows the header.</summary>
internal sealed record RawReply(int Xid, long Zxid, ZooKeeperError Error, byte[] Body)
{
    public T Read<T>()
        where T : IJuteRecord<T>
    {
        var reader = new JuteReader(Body);
        return T.Read(ref reader);
    }
}

/// <summary>
/// Speaks the protocol over a plain socket, with no logic of a client: what is sent is what the test says. Events that come
/// before a reply are kept in <see cref="Events"/> in their order.
/// </summary>
internal sealed class RawClient : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    private readonly TcpClient _tcp;
    private readonly NetworkStream _stream;
    private int _xid;

    private RawClient(TcpClient tcp) => (_tcp, _stream) = (tcp, tcp.GetStream());

    public ConnectResponse? Session { get; private set; }

    public List<WatcherEvent> Events { get; } = [];

    /// <summary>Whether bytes have come that were not read yet.</summary>
    public bool HasInput => _stream.DataAvailable;

    public static async Task<RawClient> ConnectTcpAsync(int port)
    {
        var tcp = new TcpClient { NoDelay = true };
        await tcp.ConnectAsync("127.0.0.1", port);
        return new RawClient(tcp);
    }

    /// <summary>Connects and opens a new session.</summary>
    public static async Task<RawClient> OpenAsync(int port, int timeOut = 30_000)
    {
        var client = await ConnectTcpAsync(port);
        await client.HandshakeAsync(new ConnectRequest(0, 0, timeOut, 0, new byte[16], false));
        Assert.That(client.Session!.TimeOut, Is.GreaterThan(0));
        return client;
    }

    /// <summary>Connects for a session that exists.</summary>
    public static async Task<RawClient> ReattachAsync(int port, ConnectResponse session, int timeOut = 30_000, long lastZxid = 0)
    {
        var client = await ConnectTcpAsync(port);
        await client.HandshakeAsync(new ConnectRequest(0, lastZxid, timeOut, session.SessionId, session.Password, false));
        return client;
    }

    public async Task<ConnectResponse> HandshakeAsync(ConnectRequest request)
    {
        await SendFrameAsync(request);
        var frame = await ReadFrameAsync() ?? throw new IOException("closed");
        return Session = ReadConnect(frame);
    }

    public static ConnectResponse ReadConnect(byte[] frame)
    {
        var reader = new JuteReader(frame);
        return ConnectResponse.Read(ref reader);
    }

    /// <summary>Sends a request with the next number and waits for its reply.</summary>
    public async Task<RawReply> RequestAsync(OpCode type, IJuteRecord? body = null)
    {
        var xid = await SendAsync(type, body);
        return await ReadReplyAsync(xid);
    }

    /// <summary>Sends a request without waiting.</summary>
    public async Task<int> SendAsync(OpCode type, IJuteRecord? body = null)
    {
        var xid = type switch
        {
            OpCode.Ping => SpecialXid.Ping,
            OpCode.Auth => SpecialXid.Auth,
            _ => ++_xid,
        };
        var header = new RequestHeader(xid, type);
        await (body is null ? SendFrameAsync(header) : SendFrameAsync(header, body));
        return xid;
    }

    public async Task<RawReply> ReadReplyAsync(int xid)
    {
        while (true)
        {
            var reply = await ReadAnyAsync() ?? throw new IOException("closed before the reply");
            if (reply.Xid == SpecialXid.Notification)
            {
                Events.Add(reply.Read<WatcherEvent>());
                continue;
            }

            Assert.That(reply.Xid, Is.EqualTo(xid));
            return reply;
        }
    }

    /// <summary>Waits until so many events have come, and takes them.</summary>
    public async Task<WatcherEvent[]> TakeEventsAsync(int count)
    {
        while (Events.Count < count)
        {
            var reply = await ReadAnyAsync() ?? throw new IOException("closed before the event");
            Assert.That(reply.Xid, Is.EqualTo(SpecialXid.Notification));
            Events.Add(reply.Read<WatcherEvent>());
        }

        var taken = Events.ToArray();
        Events.Clear();
        return taken;
    }

    /// <summary>Takes whatever events were sent so far: a ping comes back behind all of them.</summary>
    public async Task<WatcherEvent[]> DrainEventsAsync()
    {
        await RequestAsync(OpCode.Ping);
        var taken = Events.ToArray();
        Events.Clear();
        return taken;
    }

    public Task SendFrameAsync(params IJuteRecord[] records)
    {
        using var buffer = new JuteBuffer();
        JuteFrame.Append(buffer, records);
        return SendBytesAsync(buffer.Written.ToArray());
    }

    /// <summary>Sends to a server that may hang up meanwhile.</summary>
    public async Task TrySendBytesAsync(byte[] bytes)
    {
        try
        {
            await SendBytesAsync(bytes);
        }
        catch (IOException)
        {
            // What comes back, or does not, is the test's concern.
        }
    }

    public async Task SendBytesAsync(byte[] bytes)
    {
        using var timeout = new CancellationTokenSource(Deadline);
        await _stream.WriteAsync(bytes, timeout.Token);
    }

    /// <summary>The next frame without its length; null when the server has closed the connection.</summary>
    public async Task<byte[]?> ReadFrameAsync()
    {
        var header = new byte[sizeof(int)];
        if (!await FillAsync(header))
        {
            return null;
        }

        var frame = new byte[BinaryPrimitives.ReadInt32BigEndian(header)];
        return await FillAsync(frame) ? frame : null;
    }

    /// <summary>Everything until the server closes the connection.</summary>
    public async Task<byte[]> ReadToEndAsync()
    {
        using var timeout = new CancellationTokenSource(Deadline);
        var all = new MemoryStream();
        try
        {
            await _stream.CopyToAsync(all, timeout.Token);
        }
        catch (IOException)
        {
            // A reset is an end too.
        }

        return all.ToArray();
    }

    public ValueTask DisposeAsync()
    {
        _tcp.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<RawReply?> ReadAnyAsync()
    {
        var frame = await ReadFrameAsync();
        if (frame is null)
        {
            return null;
        }

        var reader = new JuteReader(frame);
        var header = ReplyHeader.Read(ref reader);
        return new RawReply(header.Xid, header.Zxid, header.Error, frame[^reader.Remaining..]);
    }

    private async Task<bool> FillAsync(byte[] buffer)
    {
        using var timeout = new CancellationTokenSource(Deadline);
        try
        {
            await _stream.ReadExactlyAsync(buffer, timeout.Token);
            return true;
        }
        catch (Exception exception) when (exception is EndOfStreamException or IOException)
        {
            return false;
        }
    }
}
