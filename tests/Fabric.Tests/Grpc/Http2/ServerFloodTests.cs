namespace Fabric.Tests.Grpc.Http2;

/// <summary>Clients that want to wear a server out: what they cost is bounded, and others do not notice.</summary>
internal sealed class ServerFloodTests : RawServerFixture
{
    private const int Count = 100_000;
    private const int BodiesMax = 200; // not CallsMax: a body may still be about to end when its stream has
    private const long BytesMax = 64 * 1024 * 1024;
    private const FrameFlags Whole = FrameFlags.EndHeaders | FrameFlags.EndStream;

    private static IEnumerable<TestCaseData> Floods()
    {
        yield return Case("A_flood_of_PINGs_is_bounded", Frame.Encode(FrameType.Ping, 0, 0, new byte[8]));
        yield return Case("A_flood_of_SETTINGS_is_bounded", Frame.EncodeSettings());
        yield return Case("A_flood_of_settings_that_move_windows_is_bounded",
            [.. Frame.EncodeSettings((Setting.InitialWindowSize, 1)), .. Frame.EncodeSettings((Setting.InitialWindowSize, 100_000))]);
        yield return Case("A_flood_of_empty_DATA_is_bounded", Frame.Encode(FrameType.Data, 0, 1));
        yield return Case("A_flood_of_PRIORITY_is_bounded", Frame.Encode(FrameType.Priority, 0, 1, 0, 0, 0, 0, 1));
        yield return Case("A_flood_of_PRIORITY_on_idle_streams_is_bounded",
            [.. Enumerable.Range(0, 10).SelectMany(number => Frame.Encode(FrameType.Priority, 0, 1001 + (2 * number), 0, 0, 0, 0, 1))]);
        yield return Case("A_flood_of_WINDOW_UPDATEs_is_bounded", Frame.EncodeWindowUpdate(1, 1));
        yield return Case("A_flood_of_unknown_frames_is_bounded", Frame.Encode(FrameType.Unknown, 0, 0, new byte[100]));
        yield return Case("A_flood_of_RST_STREAM_is_bounded", Frame.EncodeReset(1, ErrorCode.Cancel));

        static TestCaseData Case(string name, byte[] frame) => new TestCaseData(frame).SetName(name);
    }

    [TestCaseSource(nameof(Floods))]
    public async Task Flood(byte[] frame)
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, Deaf);
        await peer.SettleAsync();
        byte[] thousand = [.. Enumerable.Repeat(frame, 1000).SelectMany(bytes => bytes)];
        await RequireBoundedAsync(peer, Count / 1000, _ => thousand);
    }

    [Test]
    public async Task Endless_CONTINUATIONs_end_the_connection_or_the_stream()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, HeaderBlock.Encode(Request(EchoMethods.Say)));
        var block = HeaderBlock.Encode([.. Enumerable.Repeat(("x-more", new string('m', 1000)), 16)]);
        var part = Frame.Encode(FrameType.Continuation, FrameFlags.None, 1, block);
        await RequireBoundedAsync(peer, 2000, _ => part);
        await peer.TrySendAsync(Frame.Encode(FrameType.Continuation, FrameFlags.EndHeaders, 1));
        Assert.That(await RefusedAsync(peer, 1), Is.True);
    }

    [Test]
    public async Task Endless_empty_CONTINUATIONs_are_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, HeaderBlock.Encode(Request(EchoMethods.Say)));
        var part = Frame.Encode(FrameType.Continuation, FrameFlags.None, 1);
        byte[] thousand = [.. Enumerable.Repeat(part, 1000).SelectMany(bytes => bytes)];
        await RequireBoundedAsync(peer, Count / 1000, _ => thousand);
    }

    [Test]
    public async Task One_header_in_endless_CONTINUATIONs_is_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        byte[] begin = [.. HeaderBlock.Encode(Request(EchoMethods.Say)), 0x00, 0x01, (byte)'x', .. HeaderBlock.EncodeInteger(0, 7, 100_000_000)];
        await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, begin);
        var part = Frame.Encode(FrameType.Continuation, FrameFlags.None, 1, [.. Enumerable.Repeat((byte)'v', 16_000)]);
        await RequireBoundedAsync(peer, 6000, _ => part);
    }

    [Test]
    public async Task Calls_that_are_reset_at_once_are_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var block = HeaderBlock.Encode(Request(EchoMethods.Say));
        await RequireBoundedAsync(peer, Count / 1000, number => Resets(number, block));
    }

    [Test]
    public async Task Bodies_of_calls_that_are_reset_at_once_are_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var block = HeaderBlock.Encode(Request(Stubborn));
        await RequireBoundedAsync(peer, Count / 1000, number => Resets(number, block));
        Assert.That(RunningMost, Is.InRange(1, BodiesMax));
    }

    [Test]
    public async Task Calls_that_make_the_server_reset_them_are_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var block = HeaderBlock.Encode(Request(Stubborn));
        await RequireBoundedAsync(peer, Count / 1000, number =>
        [
            .. Streams(number).SelectMany(stream => (byte[])
            [
                .. Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders, stream, block), .. Frame.EncodeWindowUpdate(stream, 0),
            ]),
        ]);
        Assert.That(RunningMost, Is.InRange(1, BodiesMax));
    }

    [Test]
    public async Task Calls_far_over_the_limit_are_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var block = HeaderBlock.Encode(Request(Stubborn));
        await RequireBoundedAsync(peer, Count / 1000, number =>
            [.. Streams(number).SelectMany(stream => Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders, stream, block))]);
        Assert.That(RunningMost, Is.InRange(1, BodiesMax));
    }

    [Test]
    public async Task Answers_that_nobody_reads_are_bounded()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var rest = HeaderBlock.Encode([.. Request(EchoMethods.Say).Where(field => field.Name != ":path")]);
        byte[] known = [0xBE, .. rest]; // the newest entry of the table: the path of the first call
        await peer.SendAsync(FrameType.Headers, Whole, 1, [.. HeaderBlock.EncodeIndexed(":path", "/" + new string('%', 4000)), .. rest]);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var stream = 3; stream < Count / 2 && await peer.TrySendAsync(Ten(stream)); stream += 20)
        {
            await Task.Delay(1); // not faster than calls are answered: those beyond the limit are refused, and refusals are counted
            Assert.That(GC.GetTotalMemory(forceFullCollection: false) - before, Is.LessThan(2 * BytesMax));
        }

        await RequireOthersUnharmedAsync();

        byte[] Ten(int first) => [.. Enumerable.Range(0, 10).SelectMany(index => Frame.Encode(FrameType.Headers, Whole, first + (2 * index), known))];
    }

    [Test]
    public async Task A_header_bomb_is_refused()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        byte[] block =
        [
            .. HeaderBlock.Encode(Request(EchoMethods.Say)),
            .. HeaderBlock.EncodeIndexed("x-bomb", new string('b', 4000)),
            .. Enumerable.Repeat((byte)0xBE, 10_000),
        ];
        await RequireBoundedAsync(peer, 1, _ => Frame.Encode(FrameType.Headers, Whole, 1, block));
        Assert.That(await RefusedAsync(peer, 1), Is.True);
    }

    [Test]
    public async Task Many_connections_that_say_nothing_leave_others_alone()
    {
        var peers = new List<RawPeer>();
        try
        {
            for (var number = 0; number < 200; number++)
            {
                peers.Add(await RawPeer.ConnectSilentAsync(Port));
            }

            await RequireOthersUnharmedAsync();
        }
        finally
        {
            peers.ForEach(peer => peer.Dispose());
        }
    }

    private static IEnumerable<int> Streams(int number) => Enumerable.Range(number * 1000, 1000).Select(index => 1 + (2 * index));

    private static byte[] Resets(int number, byte[] block) =>
    [
        .. Streams(number).SelectMany(stream => (byte[])
        [
            .. Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders, stream, block), .. Frame.EncodeReset(stream, ErrorCode.Cancel),
        ]),
    ];

    /// <summary>Whether the call was answered otherwise than well.</summary>
    private static async Task<bool> RefusedAsync(RawPeer peer, int stream)
    {
        while (await peer.ReadAsync() is { } frame)
        {
            if (frame.Stream == stream && frame.Type == FrameType.RstStream)
            {
                return true;
            }

            if (frame.Stream == stream && frame.Type == FrameType.Headers)
            {
                return (await peer.DecodeAsync(frame))[":status"] != "200";
            }
        }

        return true;
    }

    /// <summary>Sends without reading until all is sent or the server takes no more; meanwhile and afterwards others are served.</summary>
    private async Task RequireBoundedAsync(RawPeer peer, int count, Func<int, byte[]> part)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var number = 0; number < count && await peer.TrySendAsync(part(number)); number++)
        {
            if (number == count / 2)
            {
                await RequireOthersUnharmedAsync();
            }
        }

        await RequireOthersUnharmedAsync();
        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(BytesMax));
    }
}
