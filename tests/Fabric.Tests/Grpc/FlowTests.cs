using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Grpc.Server;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Tests.Grpc;

/// <summary>Sizes: limits of messages, windows smaller than a message, peers that do not read.</summary>
[Parallelizable]
internal sealed class FlowTests : EchoFixture
{
    private const int Window = 65_536;
    private const int LimitBytes = 1024 * 1024;

    protected override GrpcServerOptions ServerOptions => new()
    {
        MessageBytesMax = LimitBytes,
        StreamWindowBytes = Window,
        ConnectionWindowBytes = 2 * Window,
    };

    protected override GrpcChannelOptions ChannelOptions => new() { MessageBytesMax = LimitBytes, StreamWindowBytes = Window };

    [Test]
    public async Task A_message_larger_than_the_windows_goes_both_ways()
    {
        var payload = Random(LimitBytes - 100);
        await using var call = Channel.Duplex(EchoMethods.Talk);
        for (var round = 0; round < 5; round++)
        {
            await call.Requests.WriteAsync(new EchoRequest { Payload = payload });
            Assert.That(await call.Responses.MoveNextAsync(), Is.True);
            Assert.That(call.Responses.Current.Payload, Is.EqualTo(payload));
        }
    }

    [Test]
    public void A_request_over_the_limit_is_refused()
    {
        var failure = Assert.ThrowsAsync<GrpcException>(
            () => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Payload = Random(LimitBytes) }))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.ResourceExhausted));
        Assert.DoesNotThrowAsync(() => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest()), "the connection is unharmed");
    }

    [Test]
    public async Task A_response_over_the_limit_is_refused()
    {
        using var channel = new GrpcChannel($"127.0.0.1:{Server.Port}", new GrpcChannelOptions { MessageBytesMax = 1000 });
        await using var call = channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest { Times = -1, Payload = Random(2000) });
        var failure = Assert.ThrowsAsync<GrpcException>(async () => await call.Responses.MoveNextAsync())!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.ResourceExhausted));
        await call.DisposeAsync();
        await Echo.Cancelled.WaitAsync(Limit);
    }

    [Test]
    public async Task A_client_that_does_not_read_stops_the_server_and_loses_nothing()
    {
        const int Times = 2000;
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest { Times = Times, Payload = Random(8 * 1024) });
        Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        var stopped = await SettledAsync(() => Echo.Written);
        Assert.That(stopped, Is.InRange(1, Times / 2), "windows and buffers hold some, not most, of 16 MB");

        var read = 1;
        while (await call.Responses.MoveNextAsync())
        {
            Assert.That(call.Responses.Current.Number, Is.EqualTo(read++));
        }

        Assert.That(read, Is.EqualTo(Times));
    }

    [Test]
    public async Task A_client_at_the_limit_of_calls_is_never_refused()
    {
        await using var server = GrpcServer.Start("127.0.0.1", 0, [Echo.Build()], new GrpcServerOptions { CallsPerConnectionMax = 1 });
        using var channel = new GrpcChannel($"127.0.0.1:{server.Port}");
        for (var number = 0; number < 5000; number++)
        {
            await channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        }
    }

    [Test]
    public async Task A_server_that_does_not_read_stops_the_client()
    {
        var open = new TaskCompletionSource();
        var service = new GrpcService().ClientStreaming(EchoMethods.Collect, async (requests, _) =>
        {
            await open.Task;
            var count = 0;
            while (await requests.MoveNextAsync())
            {
                count++;
            }

            return new EchoReply { Number = count };
        });
        await using var server = GrpcServer.Start("127.0.0.1", 0, [service], ServerOptions);
        using var channel = new GrpcChannel($"127.0.0.1:{server.Port}");
        await using var call = channel.ClientStreaming(EchoMethods.Collect);
        var written = 0;
        var writing = Task.Run(async () =>
        {
            for (var number = 0; number < 2000; number++)
            {
                await call.Requests.WriteAsync(new EchoRequest { Payload = Random(8 * 1024) });
                Interlocked.Increment(ref written);
            }
        });

        Assert.That(await SettledAsync(() => Volatile.Read(ref written)), Is.InRange(1, 1000));
        open.SetResult();
        await writing.WaitAsync(Limit);
        Assert.That((await call.FinishAsync()).Number, Is.EqualTo(2000));
    }

    [Test]
    public async Task A_stream_that_does_not_move_leaves_the_others_alone()
    {
        await using var stuck = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest { Times = -1, Payload = Random(8 * 1024) });
        Assert.That(await stuck.Responses.MoveNextAsync(), Is.True);
        await SettledAsync(() => Echo.Written);
        var payload = Random(500_000);
        var reply = await Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Payload = payload }).WaitAsync(Limit);
        Assert.That(reply.Payload, Is.EqualTo(payload));
    }

    private static ByteString Random(int count)
    {
        var bytes = new byte[count];
        new Random(7).NextBytes(bytes);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    /// <summary>The value once it has not changed for a while.</summary>
    private static async Task<int> SettledAsync(Func<int> value)
    {
        for (var last = -1; ;)
        {
            await Task.Delay(300);
            var now = value();
            if (now == last && now > 0)
            {
                return now;
            }

            last = now;
        }
    }
}
