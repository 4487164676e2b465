using System.Net.Sockets;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Grpc.Server;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Tests.Grpc;

internal sealed class CallTests : EchoFixture
{
    [Test]
    public async Task A_unary_call_brings_its_response_back()
    {
        var payload = ByteString.CopyFrom(Enumerable.Range(0, 100_000).Select(value => (byte)value).ToArray());
        var reply = await Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "grüß dich", Payload = payload });
        Assert.That(reply, Is.EqualTo(new EchoReply { Text = "grüß dich", Payload = payload }));
    }

    [Test]
    public async Task A_streamed_request_gets_one_response()
    {
        await using var call = Channel.ClientStreaming(EchoMethods.Collect);
        foreach (var text in new[] { "a", "b", "c" })
        {
            await call.Requests.WriteAsync(new EchoRequest { Text = text });
        }

        Assert.That(await call.FinishAsync(), Is.EqualTo(new EchoReply { Text = "a,b,c", Number = 3 }));
    }

    [Test]
    public async Task An_empty_stream_of_requests_gets_its_response()
    {
        await using var call = Channel.ClientStreaming(EchoMethods.Collect);
        Assert.That((await call.FinishAsync()).Number, Is.Zero);
    }

    [Test]
    public async Task A_request_gets_a_stream_of_responses()
    {
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest { Text = "x", Times = 1000 });
        var numbers = new List<int>();
        await foreach (var reply in call.Responses.ReadAllAsync())
        {
            numbers.Add(reply.Number);
        }

        Assert.That(numbers, Is.EqualTo(Enumerable.Range(0, 1000)));
        Assert.That(await call.Responses.MoveNextAsync(), Is.False, "reading on after the end");
    }

    [Test]
    public async Task Both_sides_of_a_duplex_call_talk_in_turn()
    {
        await using var call = Channel.Duplex(EchoMethods.Talk);
        for (var number = 0; number < 100; number++)
        {
            await call.Requests.WriteAsync(new EchoRequest { Text = $"t{number}" });
            Assert.That(await call.Responses.MoveNextAsync(), Is.True);
            Assert.That(call.Responses.Current, Is.EqualTo(new EchoReply { Text = $"t{number}", Number = number }));
        }

        call.CompleteRequests();
        Assert.That(await call.Responses.MoveNextAsync(), Is.False);
    }

    [Test]
    public async Task Many_calls_run_at_a_time_in_one_connection()
    {
        var calls = Enumerable.Range(0, 300).Select(async caller =>
        {
            await using var call = Channel.Duplex(EchoMethods.Talk);
            for (var number = 0; number < 20; number++)
            {
                await call.Requests.WriteAsync(new EchoRequest { Text = $"{caller}/{number}" });
                Assert.That(await call.Responses.MoveNextAsync(), Is.True);
                Assert.That(call.Responses.Current.Text, Is.EqualTo($"{caller}/{number}"));
            }

            call.CompleteRequests();
            Assert.That(await call.Responses.MoveNextAsync(), Is.False);
        });
        await Task.WhenAll(calls).WaitAsync(Limit);
    }

    [Test]
    public async Task Metadata_goes_both_ways_as_text_and_as_bytes()
    {
        var sent = new GrpcMetadata().Add("x-text", "one").Add("X-Text", "two").Add("x-raw-bin", new byte[] { 1, 0, 255 });
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest(), new GrpcCallOptions { Metadata = sent });
        Assert.That(await call.Responses.MoveNextAsync(), Is.False);

        var method = EchoMethods.Define("Meta", GrpcMethodType.DuplexStreaming);
        var service = new GrpcService().Duplex(method, async (requests, replies, context) =>
        {
            var back = new GrpcMetadata().Add("texts", string.Join('|', context.Metadata.Where(e => e.Key == "x-text").Select(e => e.Text)));
            await context.StartAsync(back.Add("raw-bin", context.Metadata.GetBytes("x-raw-bin")!.Value));
            context.Trailers.Add("end", "well").Add("end-bin", new byte[] { 7 });
            await requests.MoveNextAsync();
        });
        await using var server = GrpcServer.Start("localhost", 0, [service]);
        using var channel = new GrpcChannel($"localhost:{server.Port}");
        await using var talk = channel.Duplex(method, new GrpcCallOptions { Metadata = sent });

        var started = await talk.MetadataAsync().WaitAsync(Limit);
        talk.CompleteRequests();
        Assert.That(await talk.Responses.MoveNextAsync(), Is.False);
        Assert.That(started.GetText("texts")?.Replace(", ", "|", StringComparison.Ordinal), Is.EqualTo("one|two"));
        Assert.That(started.GetBytes("raw-bin")?.ToArray(), Is.EqualTo(new byte[] { 1, 0, 255 }));
        Assert.That(talk.Trailers.GetText("end"), Is.EqualTo("well"));
        Assert.That(talk.Trailers.GetBytes("end-bin")?.ToArray(), Is.EqualTo(new byte[] { 7 }));
    }

    [TestCase(0)]
    [TestCase(3)]
    public async Task A_status_arrives_with_its_text_and_trailers(int repliesBefore)
    {
        var request = new EchoRequest { Text = "100 % кончено\n", FailWith = (int)GrpcStatusCode.FailedPrecondition, Times = repliesBefore };
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, request);
        for (var number = 0; number < repliesBefore; number++)
        {
            Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        }

        var failure = Assert.ThrowsAsync<GrpcException>(async () => await call.Responses.MoveNextAsync())!;
        Assert.That(failure.Status, Is.EqualTo(new GrpcStatus(GrpcStatusCode.FailedPrecondition, request.Text)));
        Assert.That(failure.Trailers.GetText("reason"), Is.EqualTo("asked for"));
        Assert.That(failure.Trailers.GetBytes("reason-bin")?.ToArray(), Is.EqualTo(new byte[] { 0, 255 }));
        Assert.That(
            Assert.ThrowsAsync<GrpcException>(async () => await call.Responses.MoveNextAsync())!.Code,
            Is.EqualTo(GrpcStatusCode.FailedPrecondition),
            "reading on after the end");
    }

    [Test]
    public void Every_status_code_arrives_as_it_was_sent([Values] GrpcStatusCode code)
    {
        if (code == GrpcStatusCode.Ok)
        {
            Assert.DoesNotThrowAsync(() => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest()));
            return;
        }

        var failure = Assert.ThrowsAsync<GrpcException>(
            () => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { FailWith = (int)code }))!;
        Assert.That(failure.Code, Is.EqualTo(code));
    }

    [Test]
    public async Task A_server_that_ends_early_stops_the_writer_too()
    {
        await using var call = Channel.ClientStreaming(EchoMethods.Collect);
        await call.Requests.WriteAsync(new EchoRequest { FailWith = (int)GrpcStatusCode.Aborted, Text = "enough" });
        var failure = Assert.ThrowsAsync<GrpcException>(() => call.FinishAsync())!;
        Assert.That(failure.Status, Is.EqualTo(new GrpcStatus(GrpcStatusCode.Aborted, "enough")));
    }

    [Test]
    public void A_defect_in_a_service_does_not_leak_its_text()
    {
        var failure = Assert.ThrowsAsync<GrpcException>(
            () => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { FailWith = -1, Text = "the password is x" }))!;
        Assert.That(failure.Status, Is.EqualTo(new GrpcStatus(GrpcStatusCode.Unknown, "the service failed")));
    }

    [Test]
    public void An_unknown_method_is_unimplemented()
    {
        var method = EchoMethods.Define("Sing", GrpcMethodType.Unary);
        var failure = Assert.ThrowsAsync<GrpcException>(() => Channel.UnaryAsync(method, new EchoRequest()))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unimplemented));
        Assert.That(failure.Status.Detail, Does.Contain("/fabric.test.Echo/Sing"));
    }

    [Test]
    public void Nobody_at_the_address_is_unavailable_and_says_so_by_its_cause()
    {
        var port = FreePort();
        using var channel = new GrpcChannel($"127.0.0.1:{port}");
        var failure = Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(EchoMethods.Say, new EchoRequest()))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unavailable));
        Assert.That(failure.GetBaseException(), Is.InstanceOf<SocketException>());
        Assert.That(((SocketException)failure.GetBaseException()).SocketErrorCode, Is.EqualTo(SocketError.ConnectionRefused));
        Assert.That(failure.Message, Does.Contain($"127.0.0.1:{port}"));
    }

    [Test]
    public async Task Writing_to_nobody_fails_too()
    {
        using var channel = new GrpcChannel($"127.0.0.1:{FreePort()}");
        await using var call = channel.Duplex(EchoMethods.Talk);
        var failure = Assert.ThrowsAsync<GrpcException>(async () => await call.Requests.WriteAsync(new EchoRequest()))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unavailable));
    }

    [Test]
    public async Task A_channel_reaches_a_server_that_was_restarted()
    {
        await Channel.UnaryAsync(EchoMethods.Say, new EchoRequest());
        var port = Server.Port;
        await Server.DisposeAsync();
        Assert.ThrowsAsync<GrpcException>(() => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest()));
        await using var again = GrpcServer.Start("127.0.0.1", port, [new EchoService().Build()]);
        var reply = await Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Text = "back" });
        Assert.That(reply.Text, Is.EqualTo("back"));
    }

    [Test]
    public void A_port_in_use_is_said_in_one_line()
    {
        var failure = Assert.Throws<IOException>(() => GrpcServer.Start("127.0.0.1", Server.Port, [new EchoService().Build()]))!;
        Assert.That(failure.Message, Is.EqualTo($"cannot listen on 127.0.0.1:{Server.Port}: the port is in use"));
    }

    [Test]
    public void A_method_is_called_by_its_own_type_only()
    {
        Assert.Throws<ArgumentException>(() => Channel.Duplex(EchoMethods.Say));
        Assert.Throws<ArgumentException>(() => new GrpcService().Unary(EchoMethods.Talk, (_, _) => Task.FromResult(new EchoReply())));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }
}
