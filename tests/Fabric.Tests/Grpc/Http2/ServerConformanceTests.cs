using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>What RFC 9113 lets a client do, and what a server owes it.</summary>
internal sealed class ServerConformanceTests : RawServerFixture
{
    [Test]
    public async Task A_call_is_answered_with_headers_a_message_and_trailers()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await CallAsync(peer, 1, EchoMethods.Say, new EchoRequest { Text = "hello" });
        var headers = await peer.NextHeadersAsync(1);
        Assert.That((headers[":status"], headers["content-type"]), Is.EqualTo(("200", "application/grpc")));
        var trailers = await peer.NextHeadersAsync(1);
        Assert.That((trailers["grpc-status"], trailers["said"]), Is.EqualTo(("0", "yes")));
        Assert.That(peer.Data(1), Is.EqualTo(RawPeer.Message(new EchoReply { Text = "hello" })));
        Assert.That(peer.Seen[^1].EndsStream, Is.True);
    }

    [Test]
    public async Task Settings_announce_the_options()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SettleAsync();
        Assert.That(peer.PeerSettings[Setting.InitialWindowSize], Is.EqualTo(Window));
        Assert.That(peer.PeerSettings[Setting.MaxConcurrentStreams], Is.EqualTo(CallsMax));
        Assert.That(peer.ConnectionCredit, Is.EqualTo(2 * Window));
    }

    [Test]
    public async Task A_PING_is_answered_with_its_bytes()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendAsync(FrameType.Ping, FrameFlags.None, 0, 1, 2, 3, 4, 5, 6, 7, 255);
        var answer = await peer.NextAsync(FrameType.Ping);
        Assert.That((answer.IsAck, answer.Stream), Is.EqualTo((true, 0)));
        Assert.That(answer.Payload, Is.EqualTo(new byte[] { 1, 2, 3, 4, 5, 6, 7, 255 }));
    }

    [Test]
    public async Task An_answer_to_no_PING_is_ignored()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendAsync(FrameType.Ping, FrameFlags.Ack, 0, new byte[8]);
        await RequireCallAsync(peer, 1);
    }

    [Test]
    public async Task Every_SETTINGS_is_acknowledged()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendAsync([.. Frame.EncodeSettings(), .. Frame.EncodeSettings((Setting.InitialWindowSize, 70_000)), .. Frame.EncodeSettings()]);
        await peer.RoundTripAsync();
        Assert.That(peer.Seen.Count(frame => frame.Type == FrameType.Settings && frame.IsAck), Is.EqualTo(4));
    }

    [Test]
    public async Task Unknown_frames_settings_and_flags_are_ignored()
    {
        using var peer = await RawPeer.ConnectAsync(Port, (Setting.Unknown, 7));
        await peer.SendAsync(FrameType.Unknown, (FrameFlags)255, 0, new byte[100]);
        await peer.SendHeadersAsync(1, (FrameFlags)0x40, Request(EchoMethods.Say));
        await peer.SendAsync(FrameType.Unknown, FrameFlags.EndStream, 1, []);
        await peer.SendAsync(FrameType.Unknown, FrameFlags.None, 77, 1);
        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream | (FrameFlags)0x80);
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task A_reserved_bit_of_a_stream_id_is_ignored()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendHeadersAsync(1 | int.MinValue, FrameFlags.None, Request(EchoMethods.Say));
        await peer.SendMessageAsync(1 | int.MinValue, new EchoRequest(), FrameFlags.EndStream);
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task Padding_of_DATA_and_HEADERS_is_taken_off([Values(0, 1, 255)] int padding)
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var zeros = new byte[padding];
        byte[] block = [(byte)padding, .. HeaderBlock.Encode(Request(EchoMethods.Say)), .. zeros];
        await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.Padded, 1, block);
        byte[] message = [(byte)padding, .. RawPeer.Message(new EchoRequest { Text = "padded" }), .. zeros];
        await peer.SendAsync(FrameType.Data, FrameFlags.EndStream | FrameFlags.Padded, 1, message);
        await RequireOkAsync(peer, 1);
        Assert.That(peer.Data(1), Is.EqualTo(RawPeer.Message(new EchoReply { Text = "padded" })));
    }

    [Test]
    public async Task HEADERS_may_have_a_priority_and_PRIORITY_may_come_at_any_time()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendAsync(FrameType.Priority, FrameFlags.None, 9, 0, 0, 0, 3, 16);
        byte[] block = [3, 0, 0, 0, 0, 200, .. HeaderBlock.Encode(Request(EchoMethods.Say)), 0, 0, 0];
        await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.Priority | FrameFlags.Padded, 1, block);
        await peer.SendAsync(FrameType.Priority, FrameFlags.None, 1, 128, 0, 0, 0, 16);
        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream);
        await RequireOkAsync(peer, 1);
        await peer.SendAsync(FrameType.Priority, FrameFlags.None, 1, 128, 0, 0, 0, 16);
        await RequireCallAsync(peer, 11);
    }

    [Test]
    public async Task A_header_block_may_be_split_anywhere([Values(1, 2, 3, 50)] int partBytes)
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var parts = HeaderBlock.Encode(Request(EchoMethods.Say)).Chunk(partBytes).ToList();
        await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, parts[0]);
        await peer.SendAsync(FrameType.Continuation, FrameFlags.None, 1, []);
        foreach (var part in parts.Skip(1))
        {
            await peer.SendAsync(FrameType.Continuation, FrameFlags.None, 1, part);
        }

        await peer.SendAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, []);
        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream);
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task Frames_may_arrive_byte_by_byte()
    {
        using var peer = await RawPeer.ConnectSilentAsync(Port);
        byte[] all =
        [
            .. RawPeer.Preface, .. Frame.EncodeSettings((Setting.InitialWindowSize, 100_000)),
            .. Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders, 1, HeaderBlock.Encode(Request(EchoMethods.Say))),
            .. Frame.Encode(FrameType.Data, FrameFlags.EndStream, 1, RawPeer.Message(new EchoRequest { Text = "slow" })),
        ];
        for (var index = 0; index < all.Length; index++)
        {
            await peer.SendAsync([all[index]]);
            await Task.Yield();
        }

        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task A_message_may_be_split_anywhere_and_DATA_may_be_empty()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, EchoMethods.Say);
        foreach (var value in RawPeer.Message(new EchoRequest { Text = "bit by bit" }))
        {
            await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, []);
            await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, value);
        }

        await peer.SendAsync(FrameType.Data, FrameFlags.EndStream, 1, []);
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task A_request_may_end_with_trailers()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, EchoMethods.Say);
        await peer.SendMessageAsync(1, new EchoRequest());
        await peer.SendHeadersAsync(1, FrameFlags.EndStream, ("x-trailer", "y"));
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task Huffman_strings_and_the_dynamic_table_are_understood()
    {
        using var peer = await RawPeer.ConnectAsync(Port);

        // RFC 7541, C.4.1 and C.4.3, without their :method and :path: ":authority: www.example.com" and "custom-key: custom-value".
        byte[] authority = [0x41, 0x8C, 0xF1, 0xE3, 0xC2, 0xE5, 0xF2, 0x3A, 0x6B, 0xA0, 0xAB, 0x90, 0xF4, 0xFF];
        byte[] custom =
        [
            0x40, 0x88, 0x25, 0xA8, 0x49, 0xE9, 0x5B, 0xA9, 0x7D, 0x7F, 0x89, 0x25, 0xA8, 0x49, 0xE9, 0x5B, 0xB8, 0xE8, 0xB4, 0xBF,
        ];
        byte[] path = HeaderBlock.EncodeIndexed(":path", EchoMethods.Say.Path);
        byte[] type = HeaderBlock.EncodeIndexed("content-type", "application/grpc");
        byte[] echoed = HeaderBlock.EncodeIndexed("x-echoed", "from the table");
        byte[] first = [0x83, 0x86, .. authority, .. path, .. type, .. custom, .. echoed];
        await SendCallAsync(1, first);
        await SendCallAsync(3, [0x83, 0x86, 0xC2, 0xC1, 0xC0, 0xBF, 0xBE]);

        // A name from the table, with a value of its own, which never enters it.
        await SendCallAsync(5, [0x83, 0x86, 0xC2, 0xC1, 0xC0, 0x1F, 0x2F, 0x01, (byte)'z']);
        Assert.That((await peer.ResponseAsync(5))["x-echoed"], Is.EqualTo("z"));

        // The table emptied, made whole again, and filled anew.
        await SendCallAsync(7, [0x20, 0x3F, 0xE1, 0x1F, .. first]);
        await SendCallAsync(9, [0x83, 0x86, 0xC2, 0xC1, 0xC0, 0xBF, 0xBE]);

        async Task SendCallAsync(int stream, byte[] block)
        {
            await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, stream, block);
            await peer.SendMessageAsync(stream, new EchoRequest(), FrameFlags.EndStream);
            if (stream != 5)
            {
                var response = await peer.ResponseAsync(stream);
                Assert.That((response["grpc-status"], response["x-echoed"]), Is.EqualTo(("0", "from the table")));
            }
        }
    }

    [Test]
    public async Task The_dynamic_table_drops_its_oldest_entries()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var blocks = Enumerable.Range(0, 20).SelectMany(number => HeaderBlock.EncodeIndexed("x-fill", $"{number:d2}" + new string('f', 500)));
        byte[] block = [.. HeaderBlock.Encode(Request(EchoMethods.Say)), .. blocks];
        await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 1, block);
        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream);
        await RequireOkAsync(peer, 1);

        // Entries of 540 bytes, 7 of which fit 4,096: 62 to 68.
        byte[] last = [.. HeaderBlock.Encode(Request(EchoMethods.Say)), 0x80 | 68];
        await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 3, last);
        await peer.SendMessageAsync(3, new EchoRequest(), FrameFlags.EndStream);
        Assert.That((await peer.ResponseAsync(3))["x-fill"], Does.StartWith("13f"));
        await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 5, [.. HeaderBlock.Encode(Request(EchoMethods.Say)), 0x80 | 69]);
        while (await peer.ReadAsync() is not null)
        {
            // Until the end.
        }

        await RequireOthersUnharmedAsync();
    }

    [Test]
    public async Task A_client_without_a_dynamic_table_gets_none()
    {
        using var peer = await RawPeer.ConnectAsync(Port, (Setting.HeaderTableSize, 0));
        await RequireCallAsync(peer, 1);
        await RequireCallAsync(peer, 3);
        var literals = peer.Seen.Where(frame => frame.Type == FrameType.Headers).SelectMany(frame => new HeaderBlock().Decode(frame.Payload));
        Assert.That(literals.Count(header => header.Name == "grpc-status"), Is.EqualTo(2), "each block is understood without the others");
        var blocks = peer.Seen.Where(frame => frame.Type == FrameType.Headers).Select(frame => frame.Payload[0] == 0x20).ToArray();
        Assert.That(blocks.Index().Where(block => block.Item).Select(block => block.Index), Is.EqualTo(new[] { 0 }), "the first block acknowledges the smaller table");
    }

    [Test]
    public async Task WINDOW_UPDATE_and_RST_STREAM_for_a_closed_stream_are_ignored()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await RequireCallAsync(peer, 1);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 1000));
        await peer.SendAsync(Frame.EncodeReset(1, ErrorCode.Cancel));
        await peer.SendAsync(Frame.EncodeReset(1, ErrorCode.Cancel));
        await RequireCallAsync(peer, 3);
    }

    [Test]
    public async Task RST_STREAM_cancels_the_call()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1);
        await peer.SendMessageAsync(1, new EchoRequest());
        await peer.NextAsync(FrameType.Data, 1);
        await peer.SendAsync(Frame.EncodeReset(1, ErrorCode.Cancel));
        await Echo.Cancelled.WaitAsync(RawPeer.Limit);
        await peer.SettleAsync();
        Assert.That(peer.Seen.Exists(frame => frame.Type == FrameType.RstStream), Is.False, "a reset is not answered with one");
        await RequireCallAsync(peer, 3);
    }

    [Test]
    public async Task A_connection_that_ends_cancels_its_calls()
    {
        using (var peer = await RawPeer.ConnectAsync(Port))
        {
            await OpenAsync(peer, 1);
            await peer.SendMessageAsync(1, new EchoRequest());
            await peer.NextAsync(FrameType.Data, 1);
        }

        await Echo.Cancelled.WaitAsync(RawPeer.Limit);
    }

    [Test]
    public async Task A_client_that_goes_away_may_end_its_calls()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1);
        await peer.SendMessageAsync(1, new EchoRequest());
        await peer.NextAsync(FrameType.Data, 1);
        await peer.SendAsync(Frame.EncodeGoAway(0, ErrorCode.NoError));
        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream);
        var frame = await peer.NextAsync(FrameType.Headers, 1);
        Assert.That(((await peer.DecodeAsync(frame))["grpc-status"], frame.EndsStream), Is.EqualTo(("0", true)));
    }

    [Test]
    public async Task A_server_that_stops_says_so()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1);
        await peer.SendMessageAsync(1, new EchoRequest());
        await peer.NextAsync(FrameType.Data, 1);
        var stopping = StopAsync();
        Assert.That((await peer.NextAsync(FrameType.GoAway)).Code, Is.EqualTo(ErrorCode.NoError));
        while (await peer.ReadAsync() is not null)
        {
            // Until the end.
        }

        await stopping.WaitAsync(RawPeer.Limit);
    }
}
