using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>Clients that break RFC 9113: they lose their connection or their call, and nobody else does.</summary>
internal sealed class ServerRobustnessTests : RawServerFixture
{
    private const FrameFlags Whole = FrameFlags.EndHeaders | FrameFlags.EndStream;

    private static IEnumerable<TestCaseData> BadBeginnings()
    {
        yield return Case("A_preface_that_is_wrong_ends_the_connection", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"u8.ToArray());
        yield return Case("An_HTTP_1_request_ends_the_connection", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
        yield return Case(
            "A_first_frame_other_than_SETTINGS_ends_the_connection",
            [.. RawPeer.Preface, .. Frame.Encode(FrameType.Ping, FrameFlags.None, 0, new byte[8])]);
        yield return Case(
            "A_first_frame_that_acknowledges_SETTINGS_ends_the_connection_or_is_ignored",
            [.. RawPeer.Preface, .. Frame.Encode(FrameType.Settings, FrameFlags.Ack, 0), .. Frame.Encode(FrameType.Ping, FrameFlags.None, 1, new byte[8])]);
        for (var seed = 1; seed <= 4; seed++)
        {
            var bytes = new byte[100_000];
            new Random(seed).NextBytes(bytes);
            yield return Case($"Random_bytes_end_the_connection_{seed}", bytes);
            yield return Case($"Random_bytes_after_the_preface_end_the_connection_{seed}", [.. RawPeer.Preface, .. bytes]);
        }

        static TestCaseData Case(string name, byte[] bytes) => new TestCaseData(bytes).SetName(name);
    }

    [TestCaseSource(nameof(BadBeginnings))]
    public async Task Bad_beginning(byte[] bytes)
    {
        using var peer = await RawPeer.ConnectSilentAsync(Port);
        await peer.TrySendAsync(bytes);
        await peer.EndAsync();
        await RequireOthersUnharmedAsync();
    }

    [Test]
    public async Task A_client_that_ends_inside_a_frame_harms_nobody([Values(5, 24, 30, 33, 40, 100)] int count)
    {
        byte[] all =
        [
            .. RawPeer.Preface, .. Frame.EncodeSettings(),
            .. Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders, 1, HeaderBlock.Encode(Request(EchoMethods.Talk))),
        ];
        using (var peer = await RawPeer.ConnectSilentAsync(Port))
        {
            await peer.SendAsync(all[..count]);
        }

        await RequireOthersUnharmedAsync();
    }

    [Test]
    public async Task Random_frames_harm_nobody([Range(1, 20)] int seed)
    {
        var random = new Random(seed);
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1);
        for (var count = 0; count < 200; count++)
        {
            var payload = new byte[random.Next(4) == 0 ? random.Next(300) : new[] { 0, 4, 5, 6, 8, 12 }[random.Next(6)]];
            random.NextBytes(payload);
            var frame = Frame.Encode((FrameType)random.Next(11), (FrameFlags)random.Next(256), random.Next(6), payload);
            if (!await peer.TrySendAsync(frame))
            {
                break;
            }
        }

        await RequireOthersUnharmedAsync();
    }

    private static IEnumerable<TestCaseData> ConnectionErrors()
    {
        var empty = Array.Empty<byte>();
        yield return Case(
            "HEADERS_larger_than_the_largest_frame_end_the_connection",
            peer => peer.SendAsync(FrameType.Headers, Whole, 3, new byte[peer.PeerFrameBytesMax + 1]),
            ErrorCode.FrameSizeError);
        yield return Case(
            "SETTINGS_larger_than_the_largest_frame_end_the_connection",
            peer => peer.SendAsync(FrameType.Settings, FrameFlags.None, 0, new byte[(peer.PeerFrameBytesMax / 6 * 6) + 6]),
            ErrorCode.FrameSizeError);
        yield return Case(
            "A_frame_header_that_announces_16_MB_ends_the_connection",
            peer => peer.SendAsync(new byte[] { 255, 255, 255, (byte)FrameType.Settings, 0, 0, 0, 0, 0 }),
            ErrorCode.FrameSizeError);

        yield return Simple("DATA_on_stream_0_end_the_connection", FrameType.Data, FrameFlags.None, 0, [1], ErrorCode.ProtocolError);
        yield return Simple(
            "HEADERS_on_stream_0_end_the_connection",
            FrameType.Headers, Whole, 0, HeaderBlock.Encode(Request(EchoMethods.Talk)), ErrorCode.ProtocolError);
        yield return Simple(
            "HEADERS_on_an_even_stream_end_the_connection",
            FrameType.Headers, Whole, 2, HeaderBlock.Encode(Request(EchoMethods.Talk)), ErrorCode.ProtocolError);
        yield return Case(
            "A_stream_id_that_goes_backwards_ends_the_connection",
            async peer =>
            {
                await OpenAsync(peer, 7);
                await OpenAsync(peer, 5);
            },
            ErrorCode.ProtocolError,
            ErrorCode.StreamClosed);
        yield return Case(
            "A_stream_id_that_is_used_again_ends_the_connection",
            async peer =>
            {
                await RequireCallAsync(peer, 3);
                await OpenAsync(peer, 3);
            },
            ErrorCode.StreamClosed,
            ErrorCode.ProtocolError);
        yield return Simple("DATA_on_an_idle_stream_end_the_connection", FrameType.Data, FrameFlags.None, 3, [1], ErrorCode.ProtocolError);
        yield return Simple(
            "DATA_on_an_idle_even_stream_end_the_connection", FrameType.Data, FrameFlags.None, 2, [1], ErrorCode.ProtocolError);

        yield return Simple(
            "A_WINDOW_UPDATE_of_0_on_the_connection_ends_it", FrameType.WindowUpdate, 0, 0, new byte[4], ErrorCode.ProtocolError);
        yield return Simple(
            "A_WINDOW_UPDATE_beyond_the_largest_window_of_the_connection_ends_it",
            FrameType.WindowUpdate, 0, 0, Frame.Number(int.MaxValue), ErrorCode.FlowControlError);
        yield return Simple(
            "A_WINDOW_UPDATE_of_wrong_length_ends_the_connection",
            FrameType.WindowUpdate, 0, 1, [0, 0, 1], ErrorCode.FrameSizeError);
        yield return Simple(
            "A_WINDOW_UPDATE_on_an_idle_stream_ends_the_connection",
            FrameType.WindowUpdate, 0, 3, Frame.Number(1), ErrorCode.ProtocolError);
        yield return Case(
            "An_INITIAL_WINDOW_SIZE_that_takes_a_window_beyond_the_largest_ends_the_connection",
            async peer =>
            {
                await peer.SendAsync(Frame.EncodeWindowUpdate(1, int.MaxValue - 65_535));
                await peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 65_536)));
            },
            ErrorCode.FlowControlError);

        yield return Simple("SETTINGS_of_wrong_length_end_the_connection", FrameType.Settings, 0, 0, new byte[5], ErrorCode.FrameSizeError);
        yield return Simple(
            "SETTINGS_that_acknowledge_with_a_payload_end_the_connection",
            FrameType.Settings, FrameFlags.Ack, 0, new byte[6], ErrorCode.FrameSizeError);
        yield return Simple("SETTINGS_on_a_stream_end_the_connection", FrameType.Settings, 0, 1, empty, ErrorCode.ProtocolError);
        yield return BadSetting(
            "An_INITIAL_WINDOW_SIZE_of_2_GB_ends_the_connection", Setting.InitialWindowSize, 0x8000_0000, ErrorCode.FlowControlError);
        yield return BadSetting(
            "A_MAX_FRAME_SIZE_below_the_least_ends_the_connection", Setting.MaxFrameSize, 16_383, ErrorCode.ProtocolError);
        yield return BadSetting(
            "A_MAX_FRAME_SIZE_above_the_most_ends_the_connection", Setting.MaxFrameSize, 16_777_216, ErrorCode.ProtocolError);
        yield return BadSetting("An_ENABLE_PUSH_of_2_ends_the_connection", Setting.EnablePush, 2, ErrorCode.ProtocolError);

        yield return Simple("A_PING_of_7_bytes_ends_the_connection", FrameType.Ping, 0, 0, new byte[7], ErrorCode.FrameSizeError);
        yield return Simple("A_PING_of_9_bytes_ends_the_connection", FrameType.Ping, 0, 0, new byte[9], ErrorCode.FrameSizeError);
        yield return Simple("A_PING_on_a_stream_ends_the_connection", FrameType.Ping, 0, 1, new byte[8], ErrorCode.ProtocolError);
        yield return Simple(
            "An_RST_STREAM_on_an_idle_stream_ends_the_connection", FrameType.RstStream, 0, 3, Frame.Number(8), ErrorCode.ProtocolError);
        yield return Simple(
            "An_RST_STREAM_on_stream_0_ends_the_connection", FrameType.RstStream, 0, 0, Frame.Number(8), ErrorCode.ProtocolError);
        yield return Simple(
            "An_RST_STREAM_of_wrong_length_ends_the_connection", FrameType.RstStream, 0, 1, new byte[3], ErrorCode.FrameSizeError);
        yield return Simple("A_PRIORITY_on_stream_0_ends_the_connection", FrameType.Priority, 0, 0, new byte[5], ErrorCode.ProtocolError);
        yield return Simple(
            "A_PUSH_PROMISE_from_a_client_ends_the_connection",
            FrameType.PushPromise,
            FrameFlags.EndHeaders,
            1,
            [0, 0, 0, 2, .. HeaderBlock.Encode(Request(EchoMethods.Talk))],
            ErrorCode.ProtocolError);
        yield return Simple(
            "A_GOAWAY_on_a_stream_ends_the_connection", FrameType.GoAway, 0, 1, new byte[8], ErrorCode.ProtocolError);
        yield return Simple(
            "A_GOAWAY_of_wrong_length_ends_the_connection", FrameType.GoAway, 0, 0, new byte[7], ErrorCode.FrameSizeError);

        yield return Simple(
            "A_CONTINUATION_without_HEADERS_ends_the_connection",
            FrameType.Continuation, FrameFlags.EndHeaders, 1, empty, ErrorCode.ProtocolError);
        yield return Interrupted("HEADERS_interrupted_by_PING_end_the_connection", Frame.Encode(FrameType.Ping, 0, 0, new byte[8]));
        yield return Interrupted("HEADERS_interrupted_by_an_unknown_frame_end_the_connection", Frame.Encode(FrameType.Unknown, 0, 0));
        yield return Interrupted("HEADERS_interrupted_by_DATA_end_the_connection", Frame.Encode(FrameType.Data, 0, 1, 1));
        yield return Interrupted("HEADERS_interrupted_by_WINDOW_UPDATE_end_the_connection", Frame.EncodeWindowUpdate(0, 1));
        yield return Interrupted("HEADERS_interrupted_by_RST_STREAM_end_the_connection", Frame.EncodeReset(3, ErrorCode.Cancel));
        yield return Interrupted(
            "HEADERS_interrupted_by_HEADERS_end_the_connection",
            Frame.Encode(FrameType.Headers, Whole, 5, HeaderBlock.Encode(Request(EchoMethods.Talk))));
        yield return Interrupted(
            "HEADERS_continued_on_another_stream_end_the_connection",
            Frame.Encode(FrameType.Continuation, FrameFlags.EndHeaders, 5));

        yield return Simple(
            "Padding_longer_than_DATA_ends_the_connection", FrameType.Data, FrameFlags.Padded, 1, [9, 0, 0], ErrorCode.ProtocolError);
        yield return Simple(
            "Padding_longer_than_HEADERS_ends_the_connection",
            FrameType.Headers, FrameFlags.Padded | Whole, 3, [9, 0, 0], ErrorCode.ProtocolError);
        yield return Simple(
            "Padded_DATA_without_a_byte_end_the_connection",
            FrameType.Data, FrameFlags.Padded, 1, empty, ErrorCode.FrameSizeError, ErrorCode.ProtocolError);
        yield return Simple(
            "Prioritized_HEADERS_of_4_bytes_end_the_connection",
            FrameType.Headers, FrameFlags.Priority | Whole, 3, new byte[4], ErrorCode.FrameSizeError, ErrorCode.ProtocolError);

        yield return BadBlock("A_header_of_index_0_ends_the_connection", [0x80]);
        yield return BadBlock("A_header_of_an_index_beyond_the_table_ends_the_connection", HeaderBlock.EncodeInteger(0x80, 7, 62));
        yield return BadBlock("A_header_of_an_index_far_beyond_the_table_ends_the_connection", HeaderBlock.EncodeInteger(0x80, 7, 1_000_000));
        yield return BadBlock("A_header_name_of_an_index_beyond_the_table_ends_the_connection", [0x7F, 0x00, 0x01, (byte)'x']);
        yield return BadBlock("An_integer_that_overflows_ends_the_connection", [0xFF, .. Enumerable.Repeat<byte>(0xFF, 9), 0x0F]);
        yield return BadBlock("An_integer_of_endless_zeros_ends_the_connection", [0xFF, .. Enumerable.Repeat<byte>(0x80, 100), 0x00]);
        yield return BadBlock("An_integer_that_is_cut_ends_the_connection", [0xFF, 0x80]);
        yield return BadBlock("A_string_longer_than_its_block_ends_the_connection", [0x00, 0x05, (byte)'x']);
        yield return BadBlock("A_string_of_2_GB_ends_the_connection", [0x00, 0x7F, 0x80, 0xFF, 0xFF, 0xFF, 0x07, (byte)'x']);
        yield return BadBlock("A_header_without_its_value_ends_the_connection", [0x00, 0x01, (byte)'x']);
        yield return BadBlock("Huffman_padding_of_zeros_ends_the_connection", [0x00, 0x01, (byte)'x', 0x81, 0x00]);
        yield return BadBlock("Huffman_padding_of_more_than_7_bits_ends_the_connection", [0x00, 0x01, (byte)'x', 0x82, 0x07, 0xFF]);
        yield return BadBlock("The_end_symbol_in_a_Huffman_string_ends_the_connection", [0x00, 0x01, (byte)'x', 0x84, 255, 255, 255, 255]);
        yield return BadBlock("A_table_larger_than_allowed_ends_the_connection", HeaderBlock.EncodeInteger(0x20, 5, 4097));
        yield return Case(
            "A_change_of_the_table_after_a_header_ends_the_connection",
            peer => peer.SendAsync(FrameType.Headers, Whole, 3, [.. HeaderBlock.Encode(Request(EchoMethods.Talk)), 0x20]),
            ErrorCode.CompressionError);
        yield return Case(
            "An_entry_that_has_left_the_table_ends_the_connection",
            async peer =>
            {
                byte[] block = [.. HeaderBlock.Encode(Request(EchoMethods.Talk)), .. HeaderBlock.EncodeIndexed("x", "y")];
                await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 3, block);
                await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 5, 0x20, 0x3F, 0xE1, 0x1F, 0xBE);
            },
            ErrorCode.CompressionError);
        yield return Case(
            "A_bad_header_block_on_a_stream_that_is_refused_ends_the_connection",
            async peer =>
            {
                for (var stream = 3; stream < 2 * CallsMax; stream += 2)
                {
                    await OpenAsync(peer, stream);
                }

                await peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 101, HeaderBlock.EncodeInteger(0x80, 7, 1000));
            },
            ErrorCode.CompressionError);

        static TestCaseData Case(string name, Func<RawPeer, Task> act, params ErrorCode[] codes) =>
            new TestCaseData(act, codes).SetName(name);

        static TestCaseData Simple(string name, FrameType type, FrameFlags flags, int stream, byte[] payload, params ErrorCode[] codes) =>
            Case(name, peer => peer.SendAsync(type, flags, stream, payload), codes);

        static TestCaseData BadSetting(string name, Setting setting, uint value, ErrorCode code) =>
            Case(name, peer => peer.SendAsync(Frame.EncodeSettings((setting, value))), code);

        static TestCaseData BadBlock(string name, byte[] bytes) => Case(
            name, peer => peer.SendAsync(FrameType.Headers, Whole, 3, [.. bytes]), ErrorCode.CompressionError);

        static TestCaseData Interrupted(string name, byte[] frame) => Case(
            name,
            async peer =>
            {
                await peer.SendAsync(FrameType.Headers, FrameFlags.None, 3, HeaderBlock.Encode(Request(EchoMethods.Talk)));
                await peer.SendAsync(frame);
            },
            ErrorCode.ProtocolError);
    }

    [TestCaseSource(nameof(ConnectionErrors))]
    public async Task Connection_error(Func<RawPeer, Task> act, ErrorCode[] codes)
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1);
        await act(peer);
        await RequireEndAsync(peer, codes);
        Assert.That(peer.Seen.Exists(frame => frame.Type == FrameType.RstStream), Is.False, "an error of the connection is none of a stream");
        await RequireOthersUnharmedAsync();
    }

    private static IEnumerable<TestCaseData> StreamErrors()
    {
        yield return Case(
            "DATA_larger_than_the_largest_frame_end_their_call",
            peer => peer.SendAsync(FrameType.Data, FrameFlags.None, 1, new byte[peer.PeerFrameBytesMax + 1]),
            ErrorCode.FrameSizeError);
        yield return Case(
            "DATA_after_the_end_of_a_stream_end_its_call",
            async peer =>
            {
                await peer.SendMessageAsync(1, new EchoRequest { Times = -1 }, FrameFlags.EndStream);
                await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, 1);
            },
            ErrorCode.StreamClosed);
        yield return Case(
            "HEADERS_after_the_end_of_a_stream_end_its_call",
            async peer =>
            {
                await peer.SendMessageAsync(1, new EchoRequest { Times = -1 }, FrameFlags.EndStream);
                await peer.SendHeadersAsync(1, FrameFlags.EndStream, ("x", "y"));
            },
            ErrorCode.StreamClosed);
        yield return Case(
            "A_WINDOW_UPDATE_of_0_on_a_stream_ends_its_call",
            peer => peer.SendAsync(Frame.EncodeWindowUpdate(1, 0)),
            ErrorCode.ProtocolError);
        yield return Case(
            "A_WINDOW_UPDATE_beyond_the_largest_window_of_a_stream_ends_its_call",
            peer => peer.SendAsync(Frame.EncodeWindowUpdate(1, int.MaxValue)),
            ErrorCode.FlowControlError);
        yield return Case(
            "A_PRIORITY_of_wrong_length_ends_the_call",
            peer => peer.SendAsync(FrameType.Priority, FrameFlags.None, 1, new byte[4]),
            ErrorCode.FrameSizeError);
        yield return Case(
            "Trailers_with_a_pseudo_header_end_the_call",
            peer => peer.SendHeadersAsync(1, FrameFlags.EndStream, (":path", "/")),
            ErrorCode.ProtocolError);
        yield return Case(
            "Trailers_that_do_not_end_the_stream_end_the_call",
            peer => peer.SendHeadersAsync(1, FrameFlags.None, ("x", "y")),
            ErrorCode.ProtocolError);

        static TestCaseData Case(string name, Func<RawPeer, Task> act, ErrorCode code) => new TestCaseData(act, code).SetName(name);
    }

    [TestCaseSource(nameof(StreamErrors))]
    public async Task Stream_error(Func<RawPeer, Task> act, ErrorCode code)
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, EchoMethods.Say);
        await act(peer);
        await RequireStreamEndAsync(peer, 1, code);
        await RequireOthersUnharmedAsync();
    }

    private static IEnumerable<TestCaseData> MalformedRequests()
    {
        yield return With("A_header_name_in_upper_case_is_refused", ("X-Upper", "y"));
        yield return With("A_header_without_a_name_is_refused", ("", "y"));
        yield return With("A_header_name_with_a_space_is_refused", ("x y", "z"));
        yield return With("A_header_name_with_a_colon_is_refused", ("x:y", "z"));
        yield return With("A_header_value_with_a_line_feed_is_refused", ("x", "y\nz"));
        yield return With("A_header_value_with_a_carriage_return_is_refused", ("x", "y\rz"));
        yield return With("A_header_value_with_a_zero_is_refused", ("x", "y\0z"));
        yield return With("A_connection_header_is_refused", ("connection", "keep-alive"));
        yield return With("A_transfer_encoding_is_refused", ("transfer-encoding", "chunked"));
        yield return With("A_te_other_than_trailers_is_refused", ("te", "gzip"));
        yield return With("A_pseudo_header_after_a_normal_one_is_refused", (":authority", "localhost"));
        yield return Of("An_unknown_pseudo_header_is_refused", [(":protocols", "x"), .. Request(EchoMethods.Say)]);
        yield return Of("A_pseudo_header_of_responses_is_refused", [(":status", "200"), .. Request(EchoMethods.Say)]);
        yield return Of("A_path_twice_is_refused", [(":path", "/"), .. Request(EchoMethods.Say)]);
        yield return Without("A_request_without_a_path_is_refused", ":path");
        yield return Without("A_request_without_a_method_is_refused", ":method");
        yield return Without("A_request_without_a_scheme_is_refused", ":scheme");
        yield return Of(
            "A_request_with_an_empty_path_is_refused",
            [.. Request(EchoMethods.Say).Select(header => header.Name == ":path" ? (header.Name, "") : header)]);
        yield return Of("A_request_without_headers_is_refused", []);

        static TestCaseData With(string name, (string Name, string Value) header) => Of(name, [.. Request(EchoMethods.Say), header]);

        static TestCaseData Without(string name, string header) =>
            Of(name, [.. Request(EchoMethods.Say).Where(candidate => candidate.Name != header)]);

        static TestCaseData Of(string name, (string Name, string Value)[] headers) => new TestCaseData([headers]).SetName(name);
    }

    /// <remarks>RFC 9113, section 8.1.1: a stream error; a response that says so may come before it.</remarks>
    [TestCaseSource(nameof(MalformedRequests))]
    public async Task Malformed_request((string Name, string Value)[] headers)
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await peer.SendHeadersAsync(1, FrameFlags.EndStream, headers);
        await RequireStreamEndAsync(peer, 1, ErrorCode.ProtocolError);
        await RequireOthersUnharmedAsync();
    }

    [Test]
    public async Task More_DATA_than_the_window_of_a_stream_ends_its_call()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, Deaf);
        await peer.ExhaustAsync(1);
        await peer.SettleAsync();
        await peer.ExhaustAsync(1);
        Assert.That((peer.StreamCredit(1), peer.ConnectionCredit > 0), Is.EqualTo((0L, true)), "the body reads nothing");
        await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, 1);
        await RequireStreamEndAsync(peer, 1, ErrorCode.FlowControlError);
        await RequireOthersUnharmedAsync();
    }

    [Test]
    public async Task More_DATA_than_the_window_of_the_connection_ends_it()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        for (var stream = 1; stream < 2 * CallsMax && peer.ConnectionCredit > 0; stream += 2)
        {
            await OpenAsync(peer, stream, Deaf);
            await peer.ExhaustAsync(stream);
            await peer.SettleAsync();
        }

        if (peer.ConnectionCredit == 0)
        {
            await OpenAsync(peer, 99, Deaf);
            await peer.SendAsync(FrameType.Data, FrameFlags.None, 99, 1);
            await RequireEndAsync(peer, ErrorCode.FlowControlError);
        }

        await RequireOthersUnharmedAsync();
    }

    /// <summary>GOAWAY with one of the codes, or nothing but the end.</summary>
    private static async Task RequireEndAsync(RawPeer peer, params ErrorCode[] codes)
    {
        while (await peer.ReadAsync() is not null)
        {
            // Until the end.
        }

        if (peer.Seen.FindLast(frame => frame.Type == FrameType.GoAway) is { } goAway)
        {
            Assert.That(goAway.Code, Is.AnyOf([.. codes.Cast<object>()]));
        }
    }

    /// <summary>A reset with the code, or an HTTP status that refuses, or the end of the connection, which a stream error may become.</summary>
    private static async Task RequireStreamEndAsync(RawPeer peer, int stream, ErrorCode code)
    {
        while (await peer.ReadAsync() is { } frame)
        {
            if (frame.Type == FrameType.RstStream && frame.Stream == stream)
            {
                Assert.That(frame.Code, Is.EqualTo(code));
                await RequireCallAsync(peer, stream + 2);
                return;
            }

            if (frame.Type == FrameType.Headers && frame.Stream == stream)
            {
                Assert.That((await peer.DecodeAsync(frame))[":status"], Does.StartWith("4"));
                return;
            }
        }

        await RequireEndAsync(peer, code);
    }
}
