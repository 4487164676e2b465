using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>A channel to a server that is played by hand.</summary>
internal abstract class RawClientFixture
{
    protected const int Window = 65_536;

    protected static readonly (string Name, string Value)[] Headers = [(":status", "200"), ("content-type", "application/grpc")];
    protected static readonly (string Name, string Value)[] Trailers = [("grpc-status", "0")];
    protected static readonly EchoReply Reply = new() { Text = "reply" };

    private RawListener? _listener;
    private GrpcChannel? _channel;

    protected RawListener Listener => _listener!;

    protected GrpcChannel Channel => _channel!;

    [SetUp]
    public void Start()
    {
        _listener = new RawListener();

        // Without pings: a call that hangs is not to be saved by them.
        _channel = Connect(new GrpcChannelOptions { StreamWindowBytes = Window, KeepAlivePingDelay = Timeout.InfiniteTimeSpan });
    }

    [TearDown]
    public void Stop()
    {
        _channel?.Dispose();
        _listener?.Dispose();
    }


    protected static async Task AnswerAsync(RawPeer peer, int stream)
    {
        await peer.SendHeadersAsync(stream, FrameFlags.None, Headers);
        await peer.SendMessageAsync(stream, Reply);
        await peer.SendHeadersAsync(stream, FrameFlags.EndStream, Trailers);
    }

    protected static async Task EndOfRequestAsync(RawPeer peer, int stream)
    {
        while (!peer.Seen.Exists(frame => frame.Stream == stream && frame.EndsStream))
        {
            Assert.That(await peer.ReadAsync(), Is.Not.Null);
        }
    }

    protected static void RequireFailure(Task task, params GrpcStatusCode[] codes)
    {
        var failure = Assert.ThrowsAsync<GrpcException>(() => task.WaitAsync(RawPeer.Limit))!;
        Assert.That(failure.Code, Is.AnyOf([.. codes.Cast<object>()]), failure.ToString());
    }

    protected static async Task RequireDataBytesAsync(RawPeer peer, int count)
    {
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(1), Is.EqualTo(count));
    }

    protected GrpcChannel Connect(GrpcChannelOptions options) => new($"127.0.0.1:{Listener.Port}", options);

    /// <summary>The channel's next call works, on the connection it had or on a new one.</summary>
    protected async Task RequireNextCallAsync(RawPeer? old, Task<RawPeer>? accepting = null)
    {
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "next" });
        accepting ??= Listener.AcceptAsync();
        var peer = old;
        var stream = old is null ? null : await FirstOfAsync(RequestAsync(old), accepting);
        if (stream is null)
        {
            peer = await accepting;
            stream = await RequestAsync(peer);
        }

        await AnswerAsync(peer!, stream!.Value);
        Assert.That((await calling.WaitAsync(RawPeer.Limit)).Text, Is.EqualTo("reply"));
        peer!.Dispose();

        static async Task<int?> FirstOfAsync(Task<int?> request, Task<RawPeer> accepting)
        {
            if (!accepting.IsFaulted)
            {
                await Task.WhenAny(request, accepting);
            }

            return request.IsCompleted || accepting.IsFaulted ? await request : null;
        }

        static async Task<int?> RequestAsync(RawPeer peer)
        {
            while (await peer.ReadAsync() is { } frame)
            {
                if (frame.Type == FrameType.Headers && (await peer.DecodeAsync(frame))[":path"] == EchoMethods.Say.Path)
                {
                    return frame.Stream;
                }
            }

            return null;
        }
    }
}
