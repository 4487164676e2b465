using System.Net;
using System.Net.Sockets;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Grpc.Server;
using Fabric.Tests.Grpc.Contracts;

namespace Fabric.Tests.Grpc;

/// <summary>Deadlines, cancellation and peers that die: how calls end before their end.</summary>
[Parallelizable]
internal sealed class EndingTests : EchoFixture
{
    private static readonly EchoRequest Endless = new() { Times = -1 };

    [Test]
    public async Task A_deadline_ends_the_call_on_both_sides()
    {
        var options = new GrpcCallOptions { Timeout = TimeSpan.FromMilliseconds(200) };
        var failure = Assert.ThrowsAsync<GrpcException>(() => Channel.UnaryAsync(EchoMethods.Say, Endless, options))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.DeadlineExceeded));
        var seen = await Echo.Cancelled.WaitAsync(Limit);
        Assert.That(seen.Timeout, Is.EqualTo(options.Timeout));
    }

    [Test]
    public async Task A_deadline_that_is_met_does_nothing()
    {
        var options = new GrpcCallOptions { Timeout = TimeSpan.FromSeconds(20) };
        var reply = await Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "in time" }, options);
        Assert.That((reply.Text, reply.Number), Is.EqualTo(("in time", 20_000)));
    }

    [Test]
    public async Task A_caller_that_cancels_gets_its_own_token_back_and_the_server_stops()
    {
        using var cancelling = new CancellationTokenSource();
        var call = Channel.UnaryAsync(EchoMethods.Say, Endless, cancellationToken: cancelling.Token);
        await using var probe = Channel.Duplex(EchoMethods.Talk);
        await probe.Requests.WriteAsync(new EchoRequest());
        Assert.That(await probe.Responses.MoveNextAsync(), Is.True, "the unary call, sent before, is at the server now");

        await cancelling.CancelAsync();
        var failure = Assert.CatchAsync<OperationCanceledException>(() => call)!;
        Assert.That(failure.CancellationToken, Is.EqualTo(cancelling.Token));
        Assert.That((await Echo.Cancelled.WaitAsync(Limit)).Path, Is.EqualTo(EchoMethods.Say.Path));
    }

    [Test]
    public async Task Disposing_of_a_call_cancels_it_at_the_server()
    {
        var call = Channel.ServerStreaming(EchoMethods.Repeat, Endless);
        Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        await call.DisposeAsync();
        await Echo.Cancelled.WaitAsync(Limit);
    }

    [Test]
    public async Task Disposing_of_a_duplex_call_cancels_it_at_the_server()
    {
        var call = Channel.Duplex(EchoMethods.Talk);
        await call.Requests.WriteAsync(new EchoRequest());
        Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        await call.DisposeAsync();
        await Echo.Cancelled.WaitAsync(Limit);
    }

    [Test]
    public async Task A_cancelled_read_ends_the_reading()
    {
        await using var call = Channel.Duplex(EchoMethods.Talk);
        await call.Requests.WriteAsync(new EchoRequest());
        Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        using var soon = new CancellationTokenSource();
        var reading = call.Responses.MoveNextAsync(soon.Token);
        await soon.CancelAsync();
        var failure = Assert.CatchAsync<OperationCanceledException>(async () => await reading)!;
        Assert.That(failure.CancellationToken, Is.EqualTo(soon.Token));
        Assert.CatchAsync<OperationCanceledException>(async () => await call.Responses.MoveNextAsync());
    }

    [Test]
    public async Task A_server_that_stops_makes_its_calls_unavailable()
    {
        await using var call = Channel.Duplex(EchoMethods.Talk);
        await call.Requests.WriteAsync(new EchoRequest());
        Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        var reading = call.Responses.MoveNextAsync();
        await Server.DisposeAsync().AsTask().WaitAsync(Limit);
        var failure = Assert.ThrowsAsync<GrpcException>(async () => await reading)!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unavailable), failure.ToString());
    }

    [Test]
    public async Task A_body_that_ignores_the_stop_is_cut()
    {
        var stubborn = new TaskCompletionSource();
        var service = new GrpcService().Unary(EchoMethods.Say, async (_, _) =>
        {
            await stubborn.Task;
            return new EchoReply();
        });
        var options = new GrpcServerOptions { StopLimit = TimeSpan.FromMilliseconds(100) };
        var server = GrpcServer.Start("127.0.0.1", 0, [service], options);
        using var channel = new GrpcChannel($"127.0.0.1:{server.Port}");
        var calling = channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        await Task.WhenAny(calling, Task.Delay(50));
        var stopping = server.DisposeAsync().AsTask();
        Assert.ThrowsAsync<GrpcException>(() => calling.WaitAsync(Limit));
        stubborn.SetResult();
        await stopping.WaitAsync(Limit);
    }

    [Test]
    public async Task A_connection_that_is_reset_breaks_its_calls()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var channel = new GrpcChannel($"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        await using var call = channel.Duplex(EchoMethods.Talk);
        var reading = call.Responses.MoveNextAsync();
        var socket = await listener.AcceptSocketAsync();
        await socket.ReceiveAsync(new byte[100]);
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
        var failure = Assert.ThrowsAsync<GrpcException>(async () => await reading.AsTask().WaitAsync(Limit))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unavailable), failure.ToString());
    }

    [Test]
    public async Task A_client_notices_a_server_that_answers_no_pings()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var options = new GrpcChannelOptions { KeepAlivePingDelay = TimeSpan.FromSeconds(1), KeepAlivePingTimeout = TimeSpan.FromSeconds(1) };
        using var channel = new GrpcChannel($"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", options);
        await using var call = channel.Duplex(EchoMethods.Talk);
        var reading = call.Responses.MoveNextAsync().AsTask();
        using var socket = await listener.AcceptSocketAsync();

        // SETTINGS, empty: the server side of a connection that then dies without a word.
        await socket.SendAsync(new byte[] { 0, 0, 0, 4, 0, 0, 0, 0, 0 });
        var failure = Assert.ThrowsAsync<GrpcException>(() => reading.WaitAsync(Limit))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unavailable), failure.ToString());
    }

    [Test]
    public async Task A_server_notices_a_client_that_answers_no_pings()
    {
        var options = new GrpcServerOptions { KeepAlivePingDelay = TimeSpan.FromSeconds(1), KeepAlivePingTimeout = TimeSpan.FromSeconds(1) };
        await using var server = GrpcServer.Start("127.0.0.1", 0, [Echo.Build()], options);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Port);
        var stream = client.GetStream();
        await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        await stream.WriteAsync(new byte[] { 0, 0, 0, 4, 0, 0, 0, 0, 0 });

        using var limit = new CancellationTokenSource(Limit);
        var buffer = new byte[1024];
        Assert.DoesNotThrowAsync(async () =>
        {
            try
            {
                while (await stream.ReadAsync(buffer, limit.Token) > 0)
                {
                    // Settings, pings and the goodbye of the server; the end is what counts.
                }
            }
            catch (IOException)
            {
                // Reset instead of closed: noticed all the same.
            }
        });
    }
}
