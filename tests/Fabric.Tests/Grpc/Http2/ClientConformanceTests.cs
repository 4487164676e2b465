using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>A channel and servers that use what RFC 9113 lets them.</summary>
[Parallelizable]
internal sealed class ClientConformanceTests : RawClientFixture
{
    [Test]
    public async Task A_request_is_what_the_specification_wants()
    {
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "hello" });
        using var peer = await Listener.AcceptAsync();
        var frame = await peer.NextAsync(FrameType.Headers);
        var headers = await peer.DecodeAsync(frame);
        Assert.That(frame.Stream, Is.EqualTo(1));
        Assert.That(
            (headers[":method"], headers[":scheme"], headers[":path"], headers[":authority"]),
            Is.EqualTo(("POST", "http", EchoMethods.Say.Path, $"127.0.0.1:{Listener.Port}")));
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
    public async Task Informational_headers_before_a_response_are_skipped()
    {
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await Listener.AcceptAsync();
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
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await Listener.AcceptAsync();
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
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        using var peer = await Listener.AcceptSilentAsync();
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
            await using var call = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest());
            var current = old ?? await Listener.AcceptAsync();
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
        await using var first = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync((Setting.MaxConcurrentStreams, 1));
        await peer.NextAsync(FrameType.Headers, 1);
        await peer.SettleAsync();
        using var cancelling = new CancellationTokenSource();
        var cancelled = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest(), cancellationToken: cancelling.Token);
        var second = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
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
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync((Setting.InitialWindowSize, 10));
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
        await using var call = Channel.Duplex(EchoMethods.Talk);
        using var peer = await Listener.AcceptAsync((Setting.InitialWindowSize, int.MaxValue));
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
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest());
        using var peer = await Listener.AcceptAsync();
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
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest(), new GrpcCallOptions { Metadata = metadata });
        using var peer = await Listener.AcceptAsync();
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
        var calling = Channel.UnaryAsync(EchoMethods.Say, new EchoRequest(), cancellationToken: cancelling.Token);
        using var peer = await Listener.AcceptAsync();
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
}
