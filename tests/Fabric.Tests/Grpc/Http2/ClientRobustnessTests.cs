using System.Text;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>A channel and servers that break RFC 9113.</summary>
internal sealed class ClientRobustnessTests : RawClientFixture
{
    [Test]
    public async Task A_server_without_SETTINGS_is_unavailable_after_the_limit_of_connecting()
    {
        using var channel = Connect(new GrpcChannelOptions
        {
            ConnectTimeout = TimeSpan.FromMilliseconds(500),
            KeepAlivePingDelay = Timeout.InfiniteTimeSpan,
        });
        var calling = channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await Listener.AcceptSilentAsync();
        RequireFailure(calling, GrpcStatusCode.Unavailable);
    }

    [TestCase("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")]
    [TestCase("HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n")]
    [TestCase("220 mail.example.org ESMTP\r\n")]
    public async Task A_server_of_another_protocol_is_unavailable(string greeting)
    {
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using (var peer = await Listener.AcceptSilentAsync())
        {
            await peer.SendAsync(Encoding.ASCII.GetBytes(greeting));
            RequireFailure(calling, GrpcStatusCode.Unavailable, GrpcStatusCode.Internal);
        }

        await RequireNextCallAsync(null);
    }

    [Test]
    public async Task A_GOAWAY_below_a_call_makes_it_unavailable_and_the_next_uses_a_new_connection()
    {
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync();
        await peer.NextAsync(FrameType.Headers);
        var accepting = Listener.AcceptAsync();
        await peer.SendAsync(Frame.EncodeGoAway(0, ErrorCode.NoError));
        RequireFailure(call.Responses.MoveNextAsync().AsTask(), GrpcStatusCode.Unavailable);
        await RequireNextCallAsync(null, accepting);
    }

    [Test]
    public async Task A_call_that_a_GOAWAY_lets_live_ends_well_and_the_next_uses_a_new_connection()
    {
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync();
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
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync();
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
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync();
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
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync();
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
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await Listener.AcceptAsync();
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
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync();
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
}
