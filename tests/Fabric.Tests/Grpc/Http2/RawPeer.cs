using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Google.Protobuf;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>
/// One end of an HTTP/2 connection, played by hand, frame by frame. What it reads it also remembers; SETTINGS and PING it acknowledges
/// unless told not to. It counts what flow control allows it to send, and obeys nothing.
/// </summary>
internal sealed class RawPeer : IDisposable
{
    /// <summary>Far beyond what anything here takes; only a hang reaches it.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public static readonly byte[] Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

    private const int DefaultWindow = 65_535;
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(250);

    private readonly Socket _socket;
    private readonly CancellationTokenSource _life = new(2 * Limit);
    private readonly HeaderBlock _decoder = new();
    private readonly Dictionary<Frame, Dictionary<string, string>> _headers = new(ReferenceEqualityComparer.Instance);
    private readonly List<byte> _block = [];
    private Frame? _blockStart;
    private readonly Dictionary<int, long> _granted = [];
    private readonly Dictionary<int, long> _sent = [];
    private byte[] _buffer = new byte[64 * 1024];
    private int _buffered;
    private long _pings;

    private RawPeer(Socket socket)
    {
        _socket = socket;
        _socket.NoDelay = true;
    }

    /// <summary>All frames that have been read.</summary>
    public List<Frame> Seen { get; } = [];

    public bool Acknowledges { get; set; } = true;

    public Dictionary<Setting, uint> PeerSettings { get; } = [];

    public int PeerFrameBytesMax => (int)PeerSettings.GetValueOrDefault(Setting.MaxFrameSize, 16_384u);

    /// <summary>Bytes of DATA that the connection as a whole still allows.</summary>
    public long ConnectionCredit => DefaultWindow + _granted.GetValueOrDefault(0) - _sent.GetValueOrDefault(0);

    /// <summary>A client that has not said a word yet.</summary>
    public static async Task<RawPeer> ConnectSilentAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port).WaitAsync(Limit);
        return new RawPeer(socket);
    }

    /// <summary>A client whose settings the server has acknowledged.</summary>
    public static async Task<RawPeer> ConnectAsync(int port, params (Setting Name, uint Value)[] settings)
    {
        var peer = await ConnectSilentAsync(port);
        await peer.SendAsync([.. Preface, .. Frame.EncodeSettings(settings)]);
        while (!peer.Seen.Exists(frame => frame.IsAck) || !peer.Seen.Exists(frame => frame.Type == FrameType.Settings && !frame.IsAck))
        {
            await peer.RequireAsync("SETTINGS");
        }

        return peer;
    }

    /// <summary>A server that has taken a client's preface and settings, and has sent nothing.</summary>
    public static async Task<RawPeer> ForAcceptedAsync(Socket socket)
    {
        var peer = new RawPeer(socket) { Acknowledges = false };
        while (peer._buffered < Preface.Length && await peer.FillAsync(Limit))
        {
            // Until the preface is there.
        }

        Assert.That(peer.Take(Preface.Length), Is.EqualTo(Preface), "the client's preface");
        Assert.That((await peer.RequireAsync("SETTINGS")).Type, Is.EqualTo(FrameType.Settings), "the client's first frame");
        return peer;
    }

    /// <summary>Bytes of DATA that a stream's own window still allows.</summary>
    public long StreamCredit(int stream) =>
        PeerSettings.GetValueOrDefault(Setting.InitialWindowSize, (uint)DefaultWindow)
        + _granted.GetValueOrDefault(stream)
        - _sent.GetValueOrDefault(stream);

    /// <summary>Sends; that the other side has ended the connection, the next read will say.</summary>
    public async Task SendAsync(byte[] bytes)
    {
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            for (var rest = bytes.AsMemory(); !rest.IsEmpty;)
            {
                rest = rest[await _socket.SendAsync(rest, limit.Token)..];
            }
        }
        catch (SocketException)
        {
            // It has been cut.
        }
    }

    public async Task SendAsync(FrameType type, FrameFlags flags, int stream, params byte[] payload)
    {
        if (type == FrameType.Data)
        {
            _sent[stream] = _sent.GetValueOrDefault(stream) + payload.Length;
            _sent[0] = _sent.GetValueOrDefault(0) + payload.Length;
        }

        await SendAsync(Frame.Encode(type, flags, stream, payload));
    }

    /// <summary>Sends as long as the other side takes it.</summary>
    /// <returns>False when it has closed the connection or has taken nothing for two seconds.</returns>
    public async Task<bool> TrySendAsync(byte[] bytes)
    {
        try
        {
            using var limit = new CancellationTokenSource();
            for (var rest = bytes.AsMemory(); !rest.IsEmpty;)
            {
                limit.CancelAfter(TimeSpan.FromSeconds(2));
                rest = rest[await _socket.SendAsync(rest, limit.Token)..];
            }

            return true;
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    public Task SendHeadersAsync(int stream, FrameFlags flags, params (string Name, string Value)[] headers) =>
        SendAsync(FrameType.Headers, flags | FrameFlags.EndHeaders, stream, HeaderBlock.Encode(headers));

    /// <summary>Sends a message in as many frames as it needs; the flags go with the last.</summary>
    public async Task SendMessageAsync(int stream, IMessage message, FrameFlags flags = FrameFlags.None)
    {
        var parts = Message(message).Chunk(PeerFrameBytesMax).ToList();
        for (var index = 0; index < parts.Count; index++)
        {
            await SendAsync(FrameType.Data, index == parts.Count - 1 ? flags : FrameFlags.None, stream, parts[index]);
        }
    }

    /// <summary>Zeros to the end of the windows of the stream and the connection.</summary>
    public async Task ExhaustAsync(int stream)
    {
        for (var credit = Credit(); credit > 0; credit = Credit())
        {
            await SendAsync(FrameType.Data, FrameFlags.None, stream, new byte[Math.Min(credit, PeerFrameBytesMax)]);
        }

        long Credit() => Math.Min(StreamCredit(stream), ConnectionCredit);
    }

    /// <returns>Null when the other side has ended the connection.</returns>
    /// <exception cref="TimeoutException">Nothing came.</exception>
    public async Task<Frame?> ReadAsync(TimeSpan? limit = null)
    {
        if (!await HaveAsync(Frame.HeaderBytes, limit ?? Limit))
        {
            return null;
        }

        var length = (_buffer[0] << 16) | (_buffer[1] << 8) | _buffer[2];
        if (!await HaveAsync(Frame.HeaderBytes + length, limit ?? Limit))
        {
            return null;
        }

        var bytes = Take(Frame.HeaderBytes + length);
        var frame = new Frame(
            (FrameType)bytes[3],
            (FrameFlags)bytes[4],
            BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(5)) & int.MaxValue,
            bytes[Frame.HeaderBytes..]);
        Seen.Add(frame);
        await ReactAsync(frame);
        return frame;
    }

    /// <summary>The next frame of a type; those before it are only remembered.</summary>
    public async Task<Frame> NextAsync(FrameType type, int? stream = null)
    {
        while (true)
        {
            var frame = await RequireAsync($"{type} on {stream}");
            if (frame.Type == type && frame.Stream == (stream ?? frame.Stream))
            {
                return frame;
            }
        }
    }

    public async Task<Dictionary<string, string>> NextHeadersAsync(int? stream = null) =>
        await DecodeAsync(await NextAsync(FrameType.Headers, stream));

    /// <summary>The headers that a HEADERS frame and its CONTINUATIONs bring.</summary>
    public async Task<Dictionary<string, string>> DecodeAsync(Frame start)
    {
        Dictionary<string, string>? headers;
        while (!_headers.TryGetValue(start, out headers))
        {
            await RequireAsync("the rest of the headers");
        }

        return headers;
    }

    /// <summary>The headers and trailers of a response, from its beginning, read or not, to its end.</summary>
    public async Task<Dictionary<string, string>> ResponseAsync(int stream)
    {
        var all = new Dictionary<string, string>();
        for (var index = 0; ; index++)
        {
            var frame = index < Seen.Count ? Seen[index] : await RequireAsync($"the response on {stream}");
            Assert.That(
                frame.Type == FrameType.GoAway || (frame.Type == FrameType.RstStream && frame.Stream == stream), Is.False, frame.ToString());
            if (frame.Stream != stream)
            {
                continue;
            }

            if (frame.Type == FrameType.Headers)
            {
                foreach (var (name, value) in await DecodeAsync(frame))
                {
                    all[name] = value;
                }
            }

            if (frame.EndsStream)
            {
                return all;
            }
        }
    }

    /// <summary>Sends a PING and waits for its answer: everything sent before has been seen.</summary>
    public async Task RoundTripAsync()
    {
        var opaque = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(opaque, ++_pings);
        await SendAsync(FrameType.Ping, FrameFlags.None, 0, opaque);
        Frame answer;
        do
        {
            answer = await NextAsync(FrameType.Ping);
        }
        while (!answer.IsAck || !answer.Payload.AsSpan().SequenceEqual(opaque));
    }

    /// <summary>Reads until nothing more comes, now that all that was sent has been seen.</summary>
    public async Task SettleAsync()
    {
        await RoundTripAsync();
        await QuietAsync();
    }

    /// <summary>Reads until nothing more comes.</summary>
    public async Task QuietAsync()
    {
        try
        {
            while (await ReadAsync(Silence) is not null)
            {
                // On.
            }
        }
        catch (TimeoutException)
        {
            // Quiet.
        }
    }

    /// <summary>Reads what comes, to the end of the connection, whether in frames or not.</summary>
    public async Task EndAsync()
    {
        while (await FillAsync(Limit))
        {
            _buffered = 0;
        }
    }

    /// <summary>Bytes of DATA that have come in a stream.</summary>
    public int DataBytes(int stream) => Seen.Where(frame => frame.Type == FrameType.Data && frame.Stream == stream).Sum(frame => frame.Payload.Length);

    public byte[] Data(int stream) =>
        [.. Seen.Where(frame => frame.Type == FrameType.Data && frame.Stream == stream).SelectMany(frame => frame.Payload)];

    public void Dispose()
    {
        _socket.Dispose();
        _life.Dispose();
    }

    public static byte[] Message(IMessage message)
    {
        var bytes = message.ToByteArray();
        return [0, .. Frame.Number(bytes.Length), .. bytes];
    }

    private async Task<Frame> RequireAsync(string what) =>
        await ReadAsync() ?? throw new AssertionException($"the connection ended before {what}, after {string.Join("; ", Seen.TakeLast(5))}");

    private void Gather(Frame frame)
    {
        if (frame.Type == FrameType.Headers)
        {
            Assert.That(frame.Flags & (FrameFlags.Padded | FrameFlags.Priority), Is.EqualTo(FrameFlags.None));
            _blockStart = frame;
        }

        _block.AddRange(frame.Payload);
        if (frame.Flags.HasFlag(FrameFlags.EndHeaders))
        {
            // All blocks are decoded, asked for or not: the dynamic table depends on them.
            _headers[_blockStart!] = _decoder.Decode(_block.ToArray())
                .GroupBy(header => header.Name).ToDictionary(group => group.Key, group => group.First().Value);
            _block.Clear();
        }
    }

    private async Task ReactAsync(Frame frame)
    {
        if (frame.Type is FrameType.Headers or FrameType.Continuation)
        {
            Gather(frame);
        }

        if (frame.Type == FrameType.WindowUpdate && frame.Payload.Length == 4)
        {
            _granted[frame.Stream] = _granted.GetValueOrDefault(frame.Stream) + BinaryPrimitives.ReadInt32BigEndian(frame.Payload);
        }

        if (frame.IsAck || frame.Type is not (FrameType.Settings or FrameType.Ping))
        {
            return;
        }

        if (frame.Type == FrameType.Settings)
        {
            foreach (var (name, value) in frame.Settings)
            {
                PeerSettings[name] = value;
            }
        }

        if (Acknowledges)
        {
            await TrySendAsync(Frame.Encode(frame.Type, FrameFlags.Ack, 0, frame.Type == FrameType.Ping ? frame.Payload : []));
        }
    }

    private async Task<bool> HaveAsync(int count, TimeSpan limit)
    {
        while (_buffered < count)
        {
            if (!await FillAsync(limit))
            {
                return false;
            }
        }

        return true;
    }

    private async Task<bool> FillAsync(TimeSpan limit)
    {
        if (_buffered == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        try
        {
            // Pings, to which no test listens, must not make it wait forever for something else.
            using var cancelling = CancellationTokenSource.CreateLinkedTokenSource(_life.Token);
            cancelling.CancelAfter(limit);
            var count = await _socket.ReceiveAsync(_buffer.AsMemory(_buffered), cancelling.Token);
            _buffered += count;
            return count > 0;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return false;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"nothing came for {limit}, after {string.Join("; ", Seen.TakeLast(5))}");
        }
    }

    private byte[] Take(int count)
    {
        Assert.That(_buffered, Is.GreaterThanOrEqualTo(count), "the connection ended too early");
        var taken = _buffer[..count];
        _buffer.AsSpan(count, _buffered - count).CopyTo(_buffer);
        _buffered -= count;
        return taken;
    }
}

/// <summary>Plays a server, for clients under test.</summary>
internal sealed class RawListener : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public RawListener() => _listener.Start();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async Task<Socket> AcceptSocketAsync() => await _listener.AcceptSocketAsync().WaitAsync(RawPeer.Limit);

    /// <summary>A connection on which the server has said nothing, and acknowledges nothing.</summary>
    public async Task<RawPeer> AcceptSilentAsync() => await RawPeer.ForAcceptedAsync(await AcceptSocketAsync());

    /// <summary>A connection on which the server has sent its settings and acknowledged the client's.</summary>
    public async Task<RawPeer> AcceptAsync(params (Setting Name, uint Value)[] settings)
    {
        var peer = await AcceptSilentAsync();
        await peer.SendAsync([.. Frame.EncodeSettings(settings), .. Frame.Encode(FrameType.Settings, FrameFlags.Ack, 0)]);
        peer.Acknowledges = true;
        return peer;
    }

    public void Dispose() => _listener.Dispose();
}
