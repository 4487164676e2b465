using System.Text;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>A channel and servers that break RFC 9113, or only use what it lets them.</summary>
internal sealed class ClientRobustnessTests
{
    private const int Window = 65_536;

    private static readonly (string Name, string Value)[] Headers = [(":status", "200"), ("content-type", "application/grpc")];
    private static readonly (string Name, string Value)[] Trailers = [("grpc-status", "0")];
    private static readonly EchoReply Reply = new() { Text = "reply" };

    private RawListener _listener = null!;
    private GrpcChannel _channel = null!;

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
        _channel.Dispose();
        _listener.Dispose();
    }

    [Test]
    public async Task A_request_is_what_the_specification_wants()
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "hello" });
        using var peer = await _listener.AcceptAsync();
        var frame = await peer.NextAsync(FrameType.Headers);
        var headers = await peer.DecodeAsync(frame);
        Assert.That(frame.Stream, Is.EqualTo(1));
        Assert.That(
            (headers[":method"], headers[":scheme"], headers[":path"], headers[":authority"]),
            Is.EqualTo(("POST", "http", EchoMethods.Say.Path, $"127.0.0.1:{_listener.Port}")));
        Assert.That((headers["te"], headers["content-type"]), Is.EqualTo(("trailers", "application/grpc")));
        await EndOfRequestAsync(peer, 1);
        Assert.That(peer.Data(1), Is.EqualTo(RawPeer.Message(new EchoRequest { Text = "hello" })));
        await AnswerAsync(peer, 1);
        Assert.That((await calling.WaitAsync(RawPeer.Limit)).Text, Is.EqualTo("reply"));

        await peer.SendAsync(FrameType.Ping, FrameFlags.None, 0, 8, 7, 6, 5, 4, 3, 2, 1);
        Frame answer;
        do
        {
            answer = await peer.NextAsync(FrameType.Ping);
        }
        while (!answer.IsAck);

        Assert.That(answer.Payload, Is.EqualTo(new byte[] { 8, 7, 6, 5, 4, 3, 2, 1 }));
        Assert.That(peer.Seen.Count(seen => seen.Type == FrameType.Settings && seen.IsAck), Is.EqualTo(1));
        Assert.That(peer.PeerSettings[Setting.EnablePush], Is.Zero);
        Assert.That(peer.PeerSettings[Setting.InitialWindowSize], Is.EqualTo(Window));
    }

    [Test]
    public async Task A_server_without_SETTINGS_is_unavailable_after_the_limit_of_connecting()
    {
        using var channel = Connect(new GrpcChannelOptions
        {
            ConnectTimeout = TimeSpan.FromMilliseconds(500),
            KeepAlivePingDelay = Timeout.InfiniteTimeSpan,
        });
        var calling = channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await _listener.AcceptSilentAsync();
        RequireFailure(calling, GrpcStatusCode.Unavailable);
    }

    [TestCase("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")]
    [TestCase("HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n")]
    [TestCase("220 mail.example.org ESMTP\r\n")]
    public async Task A_server_of_another_protocol_is_unavailable(string greeting)
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using (var peer = await _listener.AcceptSilentAsync())
        {
            await peer.SendAsync(Encoding.ASCII.GetBytes(greeting));
            RequireFailure(calling, GrpcStatusCode.Unavailable, GrpcStatusCode.Internal);
        }

        await RequireNextCallAsync(null);
    }

    [Test]
    public async Task A_GOAWAY_below_a_call_makes_it_unavailable_and_the_next_uses_a_new_connection()
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        var accepting = _listener.AcceptAsync();
        await peer.SendAsync(Frame.EncodeGoAway(0, ErrorCode.NoError));
        RequireFailure(call.Responses.MoveNextAsync().AsTask(), GrpcStatusCode.Unavailable);
        await RequireNextCallAsync(null, accepting);
    }

    [Test]
    public async Task A_call_that_a_GOAWAY_lets_live_ends_well_and_the_next_uses_a_new_connection()
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        await peer.SendAsync(Frame.EncodeGoAway(int.MaxValue, ErrorCode.NoError));
        await peer.RoundTripAsync();
        await peer.SendAsync(Frame.EncodeGoAway(1, ErrorCode.NoError));
        await peer.RoundTripAsync();
        await RequireNextCallAsync(null);
        await AnswerAsync(peer, 1);
        Assert.That(await call.Responses.MoveNextAsync().AsTask().WaitAsync(RawPeer.Limit), Is.True);
        Assert.That(await call.Responses.MoveNextAsync().AsTask().WaitAsync(RawPeer.Limit), Is.False);
    }

    [Test]
    public async Task An_RST_STREAM_is_told_in_codes_of_gRPC(
        [Values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99)] int code, [Values] bool answered)
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        if (answered)
        {
            await peer.SendHeadersAsync(1, FrameFlags.None, Headers);
            await call.MetadataAsync().WaitAsync(RawPeer.Limit);
        }

        await peer.SendAsync(Frame.EncodeReset(1, (ErrorCode)code));
        var expected = code switch
        {
            0 or 7 => GrpcStatusCode.Unavailable,
            8 => GrpcStatusCode.Cancelled,
            11 => GrpcStatusCode.ResourceExhausted,
            12 => GrpcStatusCode.PermissionDenied,
            _ => GrpcStatusCode.Internal,
        };
        RequireFailure(call.Responses.MoveNextAsync().AsTask(), expected);
        await RequireNextCallAsync(peer);
    }

    [Test]
    public async Task A_response_that_is_whole_survives_the_RST_STREAM_without_an_error_that_follows()
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        await AnswerAsync(peer, 1);
        await peer.SendAsync(Frame.EncodeReset(1, ErrorCode.NoError));
        await peer.RoundTripAsync();
        Assert.That(await call.Responses.MoveNextAsync().AsTask().WaitAsync(RawPeer.Limit), Is.True);
        Assert.That(await call.Responses.MoveNextAsync().AsTask().WaitAsync(RawPeer.Limit), Is.False);
    }

    [Test]
    public async Task DATA_beyond_the_window_end_the_call([Values] bool connection)
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        await peer.SendHeadersAsync(1, FrameFlags.None, Headers);
        await peer.ExhaustAsync(1);
        await peer.SettleAsync();
        await peer.ExhaustAsync(1);
        await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, new byte[connection ? peer.PeerFrameBytesMax : 1]);
        await peer.QuietAsync();
        RequireFailure(
            ReadAllAsync(), GrpcStatusCode.Internal, GrpcStatusCode.Unavailable, GrpcStatusCode.ResourceExhausted);
        await call.DisposeAsync();
        while (!peer.Seen.Exists(frame => frame.Type is FrameType.RstStream or FrameType.GoAway) && await peer.ReadAsync() is not null)
        {
            // Until the verdict, or the end without one.
        }

        var verdict = peer.Seen.Find(frame => frame.Type is FrameType.RstStream or FrameType.GoAway);
        Assert.That(verdict?.Code ?? ErrorCode.FlowControlError, Is.EqualTo(ErrorCode.FlowControlError));
        await RequireNextCallAsync(peer);

        async Task ReadAllAsync()
        {
            while (await call.Responses.MoveNextAsync())
            {
                // Zeros are empty messages.
            }
        }
    }

    private static IEnumerable<TestCaseData> Unfit()
    {
        yield return Case("Trailers_without_a_status_are_unknown", GrpcStatusCode.Unknown, async peer =>
        {
            await peer.SendHeadersAsync(1, FrameFlags.None, Headers);
            await peer.SendMessageAsync(1, Reply);
            await peer.SendHeadersAsync(1, FrameFlags.EndStream, ("x", "y"));
        });
        yield return Case("A_response_that_ends_without_trailers_is_unknown", GrpcStatusCode.Unknown, async peer =>
        {
            await peer.SendHeadersAsync(1, FrameFlags.None, Headers);
            await peer.SendMessageAsync(1, Reply, FrameFlags.EndStream);
        });
        yield return Case(
            "A_response_without_a_content_type_is_unknown",
            GrpcStatusCode.Unknown,
            peer => peer.SendHeadersAsync(1, FrameFlags.None, (":status", "200")));
        yield return Case(
            "A_response_of_another_content_type_is_unknown",
            GrpcStatusCode.Unknown,
            peer => peer.SendHeadersAsync(1, FrameFlags.None, (":status", "200"), ("content-type", "text/html")));
        yield return Case(
            "A_status_that_is_no_number_is_unknown",
            GrpcStatusCode.Unknown,
            peer => peer.SendHeadersAsync(1, FrameFlags.EndStream, [.. Headers, ("grpc-status", "fine")]));
        yield return Http(400, GrpcStatusCode.Internal);
        yield return Http(401, GrpcStatusCode.Unauthenticated);
        yield return Http(403, GrpcStatusCode.PermissionDenied);
        yield return Http(404, GrpcStatusCode.Unimplemented);
        yield return Http(429, GrpcStatusCode.Unavailable);
        yield return Http(502, GrpcStatusCode.Unavailable);
        yield return Http(503, GrpcStatusCode.Unavailable);
        yield return Http(504, GrpcStatusCode.Unavailable);
        yield return Http(500, GrpcStatusCode.Unknown);
        yield return Http(302, GrpcStatusCode.Unknown);

        static TestCaseData Case(string name, GrpcStatusCode code, Func<RawPeer, Task> act) => new TestCaseData(act, code).SetName(name);

        static TestCaseData Http(int status, GrpcStatusCode code) => Case(
            $"A_response_of_HTTP_status_{status}_is_told_in_codes_of_gRPC",
            code,
            peer => peer.SendHeadersAsync(1, FrameFlags.EndStream, (":status", $"{status}"), ("content-type", "text/plain")));
    }

    [TestCaseSource(nameof(Unfit))]
    public async Task Unfit_response(Func<RawPeer, Task> act, GrpcStatusCode code)
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await _listener.AcceptAsync();
        await EndOfRequestAsync(peer, 1);
        await act(peer);
        RequireFailure(calling, code);
        await RequireNextCallAsync(peer);
    }

    private static IEnumerable<TestCaseData> Violations()
    {
        yield return Simple("A_frame_larger_than_the_largest_fails_the_call", FrameType.Data, 0, 1, new byte[(256 * 1024) + 1]);
        yield return Simple("DATA_on_stream_0_fail_the_call", FrameType.Data, 0, 0, [1]);
        yield return Simple("DATA_on_an_idle_stream_fail_the_call", FrameType.Data, 0, 101, [1]);
        yield return Simple("DATA_before_HEADERS_fail_the_call", FrameType.Data, 0, 1, [0, 0, 0, 0, 0]);
        yield return Simple("HEADERS_on_stream_0_fail_the_call", FrameType.Headers, FrameFlags.EndHeaders, 0, HeaderBlock.Encode(Headers));
        yield return Simple("HEADERS_on_an_idle_stream_fail_the_call", FrameType.Headers, FrameFlags.EndHeaders, 2, HeaderBlock.Encode(Headers));
        yield return Simple(
            "A_PUSH_PROMISE_fails_the_call",
            FrameType.PushPromise,
            FrameFlags.EndHeaders,
            1,
            [0, 0, 0, 2, .. HeaderBlock.Encode((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost"))]);
        yield return Simple("SETTINGS_of_wrong_length_fail_the_call", FrameType.Settings, 0, 0, new byte[5]);
        yield return Simple("SETTINGS_on_a_stream_fail_the_call", FrameType.Settings, 0, 1, []);
        yield return Simple("SETTINGS_that_acknowledge_with_a_payload_fail_the_call", FrameType.Settings, FrameFlags.Ack, 0, new byte[6]);
        yield return Case(
            "An_INITIAL_WINDOW_SIZE_of_2_GB_fails_the_call",
            peer => peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 0x8000_0000))));
        yield return Case(
            "A_MAX_FRAME_SIZE_below_the_least_fails_the_call", peer => peer.SendAsync(Frame.EncodeSettings((Setting.MaxFrameSize, 16_383))));
        yield return Case("An_ENABLE_PUSH_of_1_fails_the_call", peer => peer.SendAsync(Frame.EncodeSettings((Setting.EnablePush, 1))));
        yield return Simple("A_PING_of_7_bytes_fails_the_call", FrameType.Ping, 0, 0, new byte[7]);
        yield return Simple("A_PING_on_a_stream_fails_the_call", FrameType.Ping, 0, 1, new byte[8]);
        yield return Simple("An_RST_STREAM_of_wrong_length_fails_the_call", FrameType.RstStream, 0, 1, new byte[3]);
        yield return Simple("An_RST_STREAM_on_an_idle_stream_fails_the_call", FrameType.RstStream, 0, 101, Frame.Number(8));
        yield return Simple("A_WINDOW_UPDATE_of_0_fails_the_call", FrameType.WindowUpdate, 0, 0, new byte[4]);
        yield return Simple("A_WINDOW_UPDATE_of_0_on_a_stream_fails_its_call", FrameType.WindowUpdate, 0, 1, new byte[4]);
        yield return Simple("A_WINDOW_UPDATE_beyond_the_largest_window_fails_the_call", FrameType.WindowUpdate, 0, 0, Frame.Number(int.MaxValue));
        yield return Simple(
            "A_WINDOW_UPDATE_beyond_the_largest_window_of_a_stream_fails_its_call", FrameType.WindowUpdate, 0, 1, Frame.Number(int.MaxValue));
        yield return Simple("A_GOAWAY_on_a_stream_fails_the_call", FrameType.GoAway, 0, 1, new byte[8]);
        yield return Simple("A_CONTINUATION_without_HEADERS_fails_the_call", FrameType.Continuation, FrameFlags.EndHeaders, 1, []);
        yield return Case("HEADERS_interrupted_by_PING_fail_the_call", async peer =>
        {
            await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, HeaderBlock.Encode(Headers));
            await peer.SendAsync(FrameType.Ping, FrameFlags.None, 0, new byte[8]);
        });
        yield return Simple("Padding_longer_than_DATA_fails_the_call", FrameType.Data, FrameFlags.Padded, 1, [9, 0]);
        yield return Simple("Padding_longer_than_HEADERS_fails_the_call", FrameType.Headers, FrameFlags.Padded | FrameFlags.EndHeaders, 1, [9, 0]);
        yield return BadBlock("A_header_of_index_0_fails_the_call", [0x80]);
        yield return BadBlock("A_header_of_an_index_beyond_the_table_fails_the_call", HeaderBlock.EncodeInteger(0x80, 7, 100));
        yield return BadBlock("An_integer_that_overflows_fails_the_call", [.. Enumerable.Repeat<byte>(0xFF, 10), 0x0F]);
        yield return BadBlock("Bad_Huffman_padding_fails_the_call", [0x00, 0x01, (byte)'x', 0x81, 0x00]);
        yield return BadBlock("A_dynamic_table_larger_than_allowed_fails_the_call", HeaderBlock.EncodeInteger(0x20, 5, 1_000_000));
        yield return BadBlock("A_response_without_a_status_fails_the_call", HeaderBlock.Encode(("content-type", "application/grpc")));
        yield return BadBlock("A_response_with_an_empty_header_block_fails_the_call", []);
        yield return BadBlock("A_status_of_two_digits_fails_the_call", HeaderBlock.Encode((":status", "20"), Headers[1]));
        yield return BadBlock("A_status_after_a_header_fails_the_call", HeaderBlock.Encode(Headers[1], Headers[0]));
        yield return BadBlock("A_pseudo_header_of_requests_fails_the_call", HeaderBlock.Encode([(":path", "/"), .. Headers]));
        yield return Case(
            "A_header_bomb_fails_the_call",
            peer => peer.SendAsync(
                FrameType.Headers,
                FrameFlags.EndHeaders,
                1,
                [
                    .. HeaderBlock.Encode(Headers), .. HeaderBlock.EncodeIndexed("x-bomb", new string('b', 4000)),
                    .. Enumerable.Repeat((byte)0xBE, 10_000),
                ]));
        yield return Case("Endless_CONTINUATIONs_fail_the_call", async peer =>
        {
            await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, HeaderBlock.Encode(Headers));
            var part = Frame.Encode(
                FrameType.Continuation, FrameFlags.None, 1, HeaderBlock.Encode([.. Enumerable.Repeat(("x-more", new string('m', 1000)), 16)]));
            for (var number = 0; number < 2000 && await peer.TrySendAsync(part); number++)
            {
                // Until it is cut.
            }
        });

        static TestCaseData Case(string name, Func<RawPeer, Task> act) => new TestCaseData(act).SetName(name);

        static TestCaseData Simple(string name, FrameType type, FrameFlags flags, int stream, byte[] payload) =>
            Case(name, peer => peer.SendAsync(type, flags, stream, payload));

        static TestCaseData BadBlock(string name, byte[] block) =>
            Case(name, peer => peer.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, 1, [.. block]));
    }

    [TestCaseSource(nameof(Violations))]
    public async Task Violation(Func<RawPeer, Task> act)
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        await peer.RoundTripAsync();
        await act(peer);
        RequireFailure(
            call.Responses.MoveNextAsync().AsTask(),
            GrpcStatusCode.Unavailable,
            GrpcStatusCode.Internal,
            GrpcStatusCode.Unknown,
            GrpcStatusCode.ResourceExhausted);
        await RequireNextCallAsync(peer);
    }

    [Test]
    public async Task Informational_headers_before_a_response_are_skipped()
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await _listener.AcceptAsync();
        await EndOfRequestAsync(peer, 1);
        await peer.SendHeadersAsync(1, FrameFlags.None, (":status", "103"), ("link", "</style.css>"));
        await peer.SendHeadersAsync(1, FrameFlags.None, (":status", "100"));
        await AnswerAsync(peer, 1);
        Assert.That((await calling.WaitAsync(RawPeer.Limit)).Text, Is.EqualTo("reply"));
    }

    private static IEnumerable<TestCaseData> Unusual()
    {
        yield return Before(
            "Unknown_frames_are_ignored",
            peer => peer.SendAsync(FrameType.Unknown, (FrameFlags)255, 1, new byte[10]),
            peer => peer.SendAsync(FrameType.Unknown, FrameFlags.None, 0, new byte[10]));
        yield return Before("Unknown_settings_are_ignored", peer => peer.SendAsync(Frame.EncodeSettings((Setting.Unknown, 1))));
        yield return Before("PRIORITY_is_ignored", peer => peer.SendAsync(FrameType.Priority, FrameFlags.None, 1, 0, 0, 0, 0, 1));
        yield return Case(
            "Padding_of_HEADERS_is_taken_off",
            peer => peer.SendAsync(
                FrameType.Headers, FrameFlags.Padded | FrameFlags.EndHeaders, 1, [2, .. HeaderBlock.Encode(Headers), 0, 0]));
        yield return Case(
            "HEADERS_may_have_a_priority",
            peer => peer.SendAsync(
                FrameType.Headers, FrameFlags.Priority | FrameFlags.EndHeaders, 1, [0, 0, 0, 0, 1, .. HeaderBlock.Encode(Headers)]));
        yield return Case(
            "HEADERS_may_have_padding_and_a_priority",
            peer => peer.SendAsync(
                FrameType.Headers,
                FrameFlags.Padded | FrameFlags.Priority | FrameFlags.EndHeaders,
                1,
                [2, 0, 0, 0, 0, 1, .. HeaderBlock.Encode(Headers), 0, 0]));
        yield return Case("A_header_block_may_be_split_anywhere", async peer =>
        {
            await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, []);
            foreach (var value in HeaderBlock.Encode(Headers))
            {
                await peer.SendAsync(FrameType.Continuation, FrameFlags.None, 1, value);
            }

            await peer.SendAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, []);
        });
        yield return Case("Padding_of_DATA_is_taken_off_and_DATA_may_be_empty", async peer =>
        {
            await peer.SendHeadersAsync(1, FrameFlags.None, Headers);
            await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, []);
            await peer.SendAsync(FrameType.Data, FrameFlags.Padded, 1, [255, .. new byte[255]]);
        });

        static TestCaseData Case(string name, params Func<RawPeer, Task>[] acts) => new TestCaseData([acts]).SetName(name);

        static TestCaseData Before(string name, params Func<RawPeer, Task>[] acts) =>
            Case(name, [.. acts, peer => peer.SendHeadersAsync(1, FrameFlags.None, Headers)]);
    }

    [TestCaseSource(nameof(Unusual))]
    public async Task Unusual_response(Func<RawPeer, Task>[] acts)
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await _listener.AcceptAsync();
        await EndOfRequestAsync(peer, 1);
        foreach (var act in acts)
        {
            await act(peer);
        }

        await peer.SendMessageAsync(1, Reply);
        await peer.SendHeadersAsync(1, FrameFlags.EndStream, Trailers);
        Assert.That((await calling.WaitAsync(RawPeer.Limit)).Text, Is.EqualTo("reply"));
    }

    [Test]
    public async Task Frames_may_arrive_byte_by_byte()
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await _listener.AcceptSilentAsync();
        byte[] all =
        [
            .. Frame.EncodeSettings(), .. Frame.Encode(FrameType.Settings, FrameFlags.Ack, 0),
            .. Frame.Encode(FrameType.Ping, FrameFlags.None, 0, new byte[8]),
        ];
        await SendSlowlyAsync(all);
        await EndOfRequestAsync(peer, 1);
        await SendSlowlyAsync(
        [
            .. Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders, 1, HeaderBlock.Encode(Headers)),
            .. Frame.Encode(FrameType.Data, FrameFlags.None, 1, RawPeer.Message(Reply)),
            .. Frame.Encode(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, 1, HeaderBlock.Encode(Trailers)),
        ]);
        Assert.That((await calling.WaitAsync(RawPeer.Limit)).Text, Is.EqualTo("reply"));

        async Task SendSlowlyAsync(byte[] bytes)
        {
            foreach (var value in bytes)
            {
                await peer.SendAsync([value]);
                await Task.Yield();
            }
        }
    }

    [Test]
    public async Task Huffman_strings_and_the_dynamic_table_are_understood()
    {
        using var peer = await AnswerWithAsync(null, 1,
        [
            0x88, .. HeaderBlock.EncodeIndexed("content-type", "application/grpc"),
            0x40, 0x88, 0x25, 0xA8, 0x49, 0xE9, 0x5B, 0xA9, 0x7D, 0x7F, 0x89, 0x25, 0xA8, 0x49, 0xE9, 0x5B, 0xB8, 0xE8, 0xB4, 0xBF, // RFC 7541, C.4.3
        ]);
        await AnswerWithAsync(peer, 3, [0x88, 0xBF, 0xBE]);

        async Task<RawPeer> AnswerWithAsync(RawPeer? old, int stream, byte[] block)
        {
            await using var call = _channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest());
            var current = old ?? await _listener.AcceptAsync();
            await EndOfRequestAsync(current, stream);
            await current.SendAsync(FrameType.Headers, FrameFlags.EndHeaders, stream, block);
            var metadata = await call.MetadataAsync().WaitAsync(RawPeer.Limit);
            Assert.That(metadata.Single(entry => entry.Key == "custom-key").Text, Is.EqualTo("custom-value"));
            await current.SendHeadersAsync(stream, FrameFlags.EndStream, Trailers);
            Assert.That(await call.Responses.MoveNextAsync().AsTask().WaitAsync(RawPeer.Limit), Is.False);
            return current;
        }
    }

    [Test]
    public async Task A_call_over_the_limit_of_the_server_waits_for_its_turn()
    {
        await using var first = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync((Setting.MaxConcurrentStreams, 1));
        await peer.NextAsync(FrameType.Headers, 1);
        await peer.SettleAsync();
        using var cancelling = new CancellationTokenSource();
        var cancelled = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest(), cancellationToken: cancelling.Token);
        var second = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        await peer.SettleAsync();
        Assert.That(peer.Seen.Count(frame => frame.Type == FrameType.Headers), Is.EqualTo(1));
        await cancelling.CancelAsync();
        Assert.CatchAsync<OperationCanceledException>(() => cancelled.WaitAsync(RawPeer.Limit));

        await peer.SendHeadersAsync(1, FrameFlags.EndStream, [.. Headers, .. Trailers]);
        Assert.That(await first.Responses.MoveNextAsync().AsTask().WaitAsync(RawPeer.Limit), Is.False);
        await first.DisposeAsync();
        var stream = (await peer.NextAsync(FrameType.Headers)).Stream;
        await AnswerAsync(peer, stream);
        Assert.That((await second.WaitAsync(RawPeer.Limit)).Text, Is.EqualTo("reply"));
        await peer.SettleAsync();
        Assert.That(peer.Seen.Count(frame => frame.Type == FrameType.Headers), Is.EqualTo(2), "the cancelled call was never sent");
    }

    [Test]
    public async Task A_request_obeys_the_window_of_its_stream()
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync((Setting.InitialWindowSize, 10));
        await peer.NextAsync(FrameType.Headers, 1);
        await peer.SettleAsync();
        var request = new EchoRequest { Payload = ByteString.CopyFrom(new byte[1000]) };
        var writing = call.Requests.WriteAsync(request).AsTask();
        await RequireDataBytesAsync(peer, 10);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 1));
        await RequireDataBytesAsync(peer, 11);
        await peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 0)));
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 10));
        await RequireDataBytesAsync(peer, 11);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 4));
        await RequireDataBytesAsync(peer, 15);
        await peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 100)));
        await RequireDataBytesAsync(peer, 115);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 10_000));
        await writing.WaitAsync(RawPeer.Limit);
        await peer.SettleAsync();
        Assert.That(peer.Data(1), Is.EqualTo(RawPeer.Message(request)));
    }

    [Test]
    public async Task Requests_obey_the_window_of_the_connection_and_the_largest_frame()
    {
        await using var call = _channel.Duplex(EchoMethods.Talk);
        using var peer = await _listener.AcceptAsync((Setting.InitialWindowSize, int.MaxValue));
        await peer.NextAsync(FrameType.Headers, 1);
        await peer.SettleAsync();
        var request = new EchoRequest { Payload = ByteString.CopyFrom(new byte[200_000]) };
        var writing = call.Requests.WriteAsync(request).AsTask();
        await RequireDataBytesAsync(peer, 65_535);
        await peer.SendAsync(Frame.EncodeWindowUpdate(0, 1));
        await RequireDataBytesAsync(peer, 65_536);
        await peer.SendAsync(Frame.EncodeWindowUpdate(0, 1_000_000));
        await writing.WaitAsync(RawPeer.Limit);
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(1), Is.EqualTo(RawPeer.Message(request).Length));
        Assert.That(peer.Seen.Max(frame => frame.Payload.Length), Is.LessThanOrEqualTo(16_384));
    }

    [Test]
    public async Task A_response_that_is_read_is_given_back_to_the_windows()
    {
        const int Times = 40;
        await using var call = _channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest());
        using var peer = await _listener.AcceptAsync();
        await EndOfRequestAsync(peer, 1);
        var reading = Task.Run(async () =>
        {
            var count = 0;
            while (await call.Responses.MoveNextAsync())
            {
                count++;
            }

            return count;
        });
        await peer.SendHeadersAsync(1, FrameFlags.None, Headers);
        var message = RawPeer.Message(new EchoReply { Payload = ByteString.CopyFrom(new byte[10_000]) });
        for (var number = 0; number < Times; number++)
        {
            while (Math.Min(peer.StreamCredit(1), peer.ConnectionCredit) < message.Length)
            {
                Assert.That(await peer.ReadAsync(), Is.Not.Null);
            }

            await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, message);
        }

        await peer.SendHeadersAsync(1, FrameFlags.EndStream, Trailers);
        Assert.That(await reading.WaitAsync(RawPeer.Limit), Is.EqualTo(Times));
    }

    [Test]
    public async Task Headers_larger_than_a_frame_are_continued()
    {
        var metadata = new GrpcMetadata().Add("x-one", new string('v', 10_000)).Add("x-two", new string('v', 10_000));
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest(), new GrpcCallOptions { Metadata = metadata });
        using var peer = await _listener.AcceptAsync();
        var frame = await peer.NextAsync(FrameType.Headers);
        var headers = await peer.DecodeAsync(frame);
        Assert.That(peer.Seen.SkipWhile(seen => seen != frame).TakeWhile(seen => seen.Stream == 1).Any(
            seen => seen.Type == FrameType.Continuation), Is.True);
        Assert.That((headers["x-one"].Length, headers["x-two"].Length), Is.EqualTo((10_000, 10_000)));
        Assert.That(peer.Seen.Max(seen => seen.Payload.Length), Is.LessThanOrEqualTo(16_384));
        await AnswerAsync(peer, 1);
        await calling.WaitAsync(RawPeer.Limit);
    }

    [Test]
    public async Task A_cancelled_call_resets_its_stream_and_what_still_comes_is_ignored()
    {
        using var cancelling = new CancellationTokenSource();
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest(), cancellationToken: cancelling.Token);
        using var peer = await _listener.AcceptAsync();
        await EndOfRequestAsync(peer, 1);
        await cancelling.CancelAsync();
        Assert.CatchAsync<OperationCanceledException>(() => calling.WaitAsync(RawPeer.Limit));
        Assert.That((await peer.NextAsync(FrameType.RstStream, 1)).Code, Is.EqualTo(ErrorCode.Cancel));
        await AnswerAsync(peer, 1);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 10));
        await peer.SendAsync(Frame.EncodeReset(1, ErrorCode.Cancel));
        await peer.RoundTripAsync();
        await RequireNextCallAsync(peer, Task.FromException<RawPeer>(new AssertionException("the connection was to be kept")));
    }

    private static async Task AnswerAsync(RawPeer peer, int stream)
    {
        await peer.SendHeadersAsync(stream, FrameFlags.None, Headers);
        await peer.SendMessageAsync(stream, Reply);
        await peer.SendHeadersAsync(stream, FrameFlags.EndStream, Trailers);
    }

    private static async Task EndOfRequestAsync(RawPeer peer, int stream)
    {
        while (!peer.Seen.Exists(frame => frame.Stream == stream && frame.EndsStream))
        {
            Assert.That(await peer.ReadAsync(), Is.Not.Null);
        }
    }

    private static void RequireFailure(Task task, params GrpcStatusCode[] codes)
    {
        var failure = Assert.ThrowsAsync<GrpcException>(() => task.WaitAsync(RawPeer.Limit))!;
        Assert.That(failure.Code, Is.AnyOf([.. codes.Cast<object>()]), failure.ToString());
    }

    private static async Task RequireDataBytesAsync(RawPeer peer, int count)
    {
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(1), Is.EqualTo(count));
    }

    private GrpcChannel Connect(GrpcChannelOptions options) => new($"127.0.0.1:{_listener.Port}", options);

    /// <summary>The channel's next call works, on the connection it had or on a new one.</summary>
    private async Task RequireNextCallAsync(RawPeer? old, Task<RawPeer>? accepting = null)
    {
        var calling = _channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "next" });
        accepting ??= _listener.AcceptAsync();
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
