using Fabric.Grpc;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>What a server may send and must take, to the byte: windows, frames, calls at a time.</summary>
[Parallelizable]
internal sealed class ServerWindowTests : RawServerFixture
{
    private static readonly EchoRequest Endless = new() { Times = -1, Payload = Bytes(1000) };

    [Test]
    public async Task A_response_obeys_the_window_of_its_stream()
    {
        using var peer = await RawPeer.ConnectAsync(Port, (Setting.InitialWindowSize, 10));
        await CallAsync(peer, 1, EchoMethods.Repeat, new EchoRequest { Times = 3, Payload = Bytes(1000) });
        await RequireDataBytesAsync(peer, 1, 10);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 1));
        await RequireDataBytesAsync(peer, 1, 11);
        await peer.SendAsync([.. Frame.EncodeWindowUpdate(1, 3), .. Frame.EncodeWindowUpdate(1, 4)]);
        await RequireDataBytesAsync(peer, 1, 18);
        await peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 1000)));
        await RequireDataBytesAsync(peer, 1, 1008);
        await RequireCallAsync(peer, 3);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 10_000));
        await RequireOkAsync(peer, 1);
        Assert.That(peer.Data(1), Is.EqualTo(Enumerable.Range(0, 3).SelectMany(
            number => RawPeer.Message(new EchoReply { Number = number, Payload = Bytes(1000) }))));
    }

    [Test]
    public async Task Responses_obey_the_window_of_the_connection()
    {
        using var peer = await RawPeer.ConnectAsync(Port, (Setting.InitialWindowSize, int.MaxValue));
        await CallAsync(peer, 1, EchoMethods.Repeat, Endless);
        await CallAsync(peer, 3, EchoMethods.Repeat, Endless);
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(1) + peer.DataBytes(3), Is.EqualTo(65_535));
        await peer.SendAsync(Frame.EncodeWindowUpdate(0, 1));
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(1) + peer.DataBytes(3), Is.EqualTo(65_536));
        await peer.SendAsync(Frame.EncodeWindowUpdate(0, 100_000));
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(1) + peer.DataBytes(3), Is.EqualTo(165_536));
        await CallAsync(peer, 5, EchoMethods.Say, new EchoRequest { FailWith = 5 });
        Assert.That((await peer.ResponseAsync(5))["grpc-status"], Is.EqualTo("5"), "headers need no window");
    }

    [Test]
    public async Task A_window_below_zero_must_first_be_filled()
    {
        using var peer = await RawPeer.ConnectAsync(Port, (Setting.InitialWindowSize, 100));
        await CallAsync(peer, 1, EchoMethods.Repeat, Endless);
        await RequireDataBytesAsync(peer, 1, 100);
        await peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 10)));
        await RequireDataBytesAsync(peer, 1, 100);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 80));
        await RequireDataBytesAsync(peer, 1, 100);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 10));
        await RequireDataBytesAsync(peer, 1, 100);
        await peer.SendAsync(Frame.EncodeWindowUpdate(1, 5));
        await RequireDataBytesAsync(peer, 1, 105);
        await peer.SendAsync(Frame.EncodeSettings((Setting.InitialWindowSize, 30)));
        await RequireDataBytesAsync(peer, 1, 125);
    }

    [Test]
    public async Task The_largest_windows_are_accepted()
    {
        using var peer = await RawPeer.ConnectAsync(Port, (Setting.InitialWindowSize, int.MaxValue));
        await peer.SendAsync(Frame.EncodeWindowUpdate(0, int.MaxValue - 65_535));
        await RequireCallAsync(peer, 1);
    }

    [Test]
    public async Task A_response_obeys_the_largest_frame([Values(0u, 16_384u, 100_000u, 16_777_215u)] uint announced)
    {
        (Setting, uint)[] settings = announced == 0 ? [] : [(Setting.MaxFrameSize, announced)];
        using var peer = await RawPeer.ConnectAsync(Port, [.. settings, (Setting.InitialWindowSize, int.MaxValue)]);
        await peer.SendAsync(Frame.EncodeWindowUpdate(0, 10_000_000));
        await CallAsync(peer, 1, EchoMethods.Repeat, new EchoRequest { Times = 50, Payload = Bytes(60_000) });
        await RequireOkAsync(peer, 1);
        Assert.That(peer.DataBytes(1), Is.GreaterThan(50 * 60_000));
        Assert.That(peer.Seen.Max(frame => frame.Payload.Length), Is.LessThanOrEqualTo(Math.Max(announced, 16_384)));
    }

    [Test]
    public async Task Headers_larger_than_a_frame_are_continued()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        var value = new string('v', 10_000);
        var block = HeaderBlock.Encode([.. Request(EchoMethods.Say), ("x-one", value), ("x-two", value)]);
        await peer.SendAsync(FrameType.Headers, FrameFlags.None, 1, block[..15_000]);
        await peer.SendAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, block[15_000..]);
        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream);
        var first = await peer.NextAsync(FrameType.Headers, 1);
        var headers = await peer.DecodeAsync(first);
        Assert.That(peer.Seen.SkipWhile(frame => frame != first).TakeWhile(frame => frame.Stream == 1).Any(
            frame => frame.Type == FrameType.Continuation), Is.True);
        Assert.That((headers["x-one"], headers["x-two"]), Is.EqualTo((value, value)));
        Assert.That(peer.Seen.Max(frame => frame.Payload.Length), Is.LessThanOrEqualTo(16_384));
    }

    [Test]
    public async Task Calls_over_the_limit_are_refused()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        for (var stream = 1; stream <= (2 * CallsMax) + 1; stream += 2)
        {
            await OpenAsync(peer, stream);
        }

        const int Refused = (2 * CallsMax) + 1;
        Assert.That((await peer.NextAsync(FrameType.RstStream)) is { Stream: Refused, Code: ErrorCode.RefusedStream }, Is.True);
        await peer.SendAsync(FrameType.Data, FrameFlags.EndStream, Refused, []);
        for (var stream = 1; stream < Refused; stream += 2)
        {
            await peer.SendMessageAsync(stream, new EchoRequest(), FrameFlags.EndStream);
        }

        await peer.SettleAsync();
        Assert.That(peer.Seen.Count(frame => frame.Type == FrameType.Headers && frame.EndsStream), Is.EqualTo(CallsMax));
        await RequireCallAsync(peer, Refused + 2);
    }

    [Test]
    public async Task Calls_that_were_given_up_make_room_while_their_bodies_run_on()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        for (var call = 0; call < CallsMax; call++)
        {
            await OpenAsync(peer, (2 * call) + 1, Stubborn);
        }

        await peer.SettleAsync();
        for (var call = 0; call < CallsMax; call++)
        {
            await peer.SendAsync(Frame.EncodeReset((2 * call) + 1, ErrorCode.Cancel));
        }

        await RequireCallAsync(peer, (2 * CallsMax) + 1);
        Assert.That(RunningMost, Is.EqualTo(CallsMax));
    }

    [Test]
    public async Task Padding_is_given_back_to_the_windows()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, EchoMethods.Collect);
        for (var sent = 0; sent < 4 * Window; sent += 256)
        {
            await AwaitCreditAsync(peer, 1, 256);
            await peer.SendAsync(FrameType.Data, FrameFlags.Padded, 1, [255, .. new byte[255]]);
        }

        await peer.SendMessageAsync(1, new EchoRequest(), FrameFlags.EndStream);
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task A_request_that_is_read_is_given_back_to_the_windows()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        await OpenAsync(peer, 1, EchoMethods.Collect);
        var message = RawPeer.Message(new EchoRequest { Payload = Bytes(10_000) });
        for (var number = 0; number < 50; number++)
        {
            await AwaitCreditAsync(peer, 1, message.Length);
            await peer.SendAsync(FrameType.Data, FrameFlags.None, 1, message);
        }

        await peer.SendAsync(FrameType.Data, FrameFlags.EndStream, 1, []);
        await RequireOkAsync(peer, 1);
    }

    [Test]
    public async Task What_a_cancelled_call_has_not_read_is_given_back_to_the_connection()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        for (var stream = 1; stream < 20; stream += 2)
        {
            await OpenAsync(peer, stream, Deaf);
            for (var sent = 0; sent < 40_000; sent += 10_000)
            {
                await AwaitCreditAsync(peer, stream, 10_000);
                await peer.SendAsync(FrameType.Data, FrameFlags.None, stream, new byte[10_000]);
            }

            await peer.SendAsync(Frame.EncodeReset(stream, ErrorCode.Cancel));
            await peer.RoundTripAsync();
        }

        await peer.SettleAsync();
        await RequireCallAsync(peer, 101);
    }

    [Test]
    public async Task What_a_cancelled_call_has_not_read_is_given_back_at_once()
    {
        const int piece = 8192;
        using var peer = await RawPeer.ConnectAsync(Port);
        foreach (var stream in (int[])[1, 3])
        {
            await OpenAsync(peer, stream, Deaf);
            for (var sent = 0; sent < Window; sent += piece)
            {
                await peer.SendAsync(FrameType.Data, FrameFlags.None, stream, new byte[piece]);
            }
        }

        await peer.SettleAsync();
        Assert.That(peer.ConnectionCredit, Is.LessThan(piece));
        await peer.SendAsync(Frame.EncodeReset(1, ErrorCode.Cancel));
        while (peer.ConnectionCredit < piece)
        {
            Assert.That(await peer.ReadAsync(), Is.Not.Null);
        }
    }

    [Test]
    public async Task What_an_ended_call_has_not_read_is_given_back_to_the_connection()
    {
        using var peer = await RawPeer.ConnectAsync(Port);
        for (var stream = 1; stream < 20; stream += 2)
        {
            await OpenAsync(peer, stream, EchoMethods.Define("Missing", GrpcMethodType.ClientStreaming));
            for (var sent = 0; sent < 40_000; sent += 10_000)
            {
                await AwaitCreditAsync(peer, stream, 10_000);
                await peer.SendAsync(FrameType.Data, FrameFlags.None, stream, new byte[10_000]);
            }

            await peer.SendAsync(FrameType.Data, FrameFlags.EndStream, stream, []);
            await peer.RoundTripAsync();
        }

        await peer.SettleAsync();
        await RequireCallAsync(peer, 101);
    }

    private static async Task RequireDataBytesAsync(RawPeer peer, int stream, int count)
    {
        await peer.SettleAsync();
        Assert.That(peer.DataBytes(stream), Is.EqualTo(count));
    }

    /// <summary>Waits for WINDOW_UPDATEs, if they are needed.</summary>
    private static async Task AwaitCreditAsync(RawPeer peer, int stream, int count)
    {
        while (Math.Min(peer.StreamCredit(stream), peer.ConnectionCredit) < count)
        {
            Assert.That(await peer.ReadAsync(), Is.Not.Null);
        }
    }

    private static ByteString Bytes(int count) => ByteString.CopyFrom([.. Enumerable.Range(0, count).Select(index => (byte)(index * 7))]);
}
