using System.Diagnostics;
using System.Globalization;
using Fabric.Grpc;
using Fabric.Grpc.Client;
using Fabric.Tests.Grpc;
using Fabric.Tests.Grpc.Contracts;
using Google.Protobuf;

namespace Fabric.Interop.Tests.Grpc;

/// <summary>Our client calls a server on the stock <c>@grpc/grpc-js</c>.</summary>
internal sealed class GrpcJsServerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private Process? _node;
    private GrpcChannel? _channel;

    private GrpcChannel Channel => _channel!;

    [SetUp]
    public async Task StartAsync()
    {
        _node = await NodePrograms.StartAsync("server.js", NodePrograms.Proto);
        var line = await _node.StandardOutput.ReadLineAsync().WaitAsync(Limit);
        _channel = new GrpcChannel($"127.0.0.1:{int.Parse(line!, CultureInfo.InvariantCulture)}");
    }

    [TearDown]
    public async Task StopAsync()
    {
        _channel?.Dispose();
        if (_node is null)
        {
            return;
        }

        _node.StandardInput.Close();
        await _node.WaitForExitAsync().WaitAsync(Limit);
        _node.Dispose();
    }

    [Test]
    public async Task It_answers_a_unary_call_with_a_large_message()
    {
        var payload = ByteString.CopyFrom(Enumerable.Range(0, 3_000_000).Select(value => (byte)(value * 7)).ToArray());
        var reply = await Channel.UnaryAsync(
            EchoMethods.Say, new EchoRequest { Text = "grüß dich", Payload = payload }, new GrpcCallOptions { Timeout = TimeSpan.FromSeconds(50) });
        Assert.That((reply.Text, reply.Payload), Is.EqualTo(("grüß dich", payload)));
        Assert.That(reply.Number, Is.InRange(30, 50), "the deadline, as the server sees it");
    }

    [Test]
    public async Task It_answers_streamed_requests()
    {
        await using var call = Channel.ClientStreaming(EchoMethods.Collect);
        for (var number = 0; number < 1000; number++)
        {
            await call.Requests.WriteAsync(new EchoRequest { Text = $"{number}" });
        }

        var reply = await call.FinishAsync();
        Assert.That(reply.Text, Is.EqualTo(string.Join(',', Enumerable.Range(0, 1000))));
    }

    [Test]
    public async Task It_streams_responses_to_a_slow_reader()
    {
        var request = new EchoRequest { Times = 2000, Payload = ByteString.CopyFrom(new byte[10_000]) };
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, request);
        var next = 0;
        await foreach (var reply in call.Responses.ReadAllAsync())
        {
            Assert.That((reply.Number, reply.Payload.Length), Is.EqualTo((next++, 10_000)));
            if (next % 100 == 0)
            {
                await Task.Delay(1);
            }
        }

        Assert.That(next, Is.EqualTo(2000));
    }

    [Test]
    public async Task It_talks_both_ways()
    {
        await using var call = Channel.Duplex(EchoMethods.Talk);
        for (var number = 0; number < 200; number++)
        {
            await call.Requests.WriteAsync(new EchoRequest { Text = $"t{number}" });
            Assert.That(await call.Responses.MoveNextAsync(), Is.True);
            Assert.That(call.Responses.Current, Is.EqualTo(new EchoReply { Text = $"t{number}", Number = number }));
        }

        call.CompleteRequests();
        Assert.That(await call.Responses.MoveNextAsync(), Is.False);
    }

    [Test]
    public async Task Metadata_and_trailers_come_back()
    {
        var method = EchoMethods.Define("Say", GrpcMethodType.DuplexStreaming); // the same bytes; shows metadata and trailers
        var metadata = new GrpcMetadata().Add("x-text", "hello").Add("x-raw-bin", new byte[] { 0, 1, 255 });
        await using var call = Channel.Duplex(method, new GrpcCallOptions { Metadata = metadata });
        await call.Requests.WriteAsync(new EchoRequest { Text = "x" });
        call.CompleteRequests();
        var initial = await call.MetadataAsync();
        Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        Assert.That(await call.Responses.MoveNextAsync(), Is.False);
        Assert.That(initial.GetText("x-text"), Is.EqualTo("hello"));
        Assert.That(initial.GetBytes("x-raw-bin")?.ToArray(), Is.EqualTo(new byte[] { 0, 1, 255 }));
        Assert.That(call.Trailers.GetText("said"), Is.EqualTo("yes"));
    }

    [TestCase(0)]
    [TestCase(3)]
    public async Task An_error_comes_with_its_text_and_trailers(int repliesBefore)
    {
        var request = new EchoRequest { Text = "100 % кончено", FailWith = (int)GrpcStatusCode.OutOfRange, Times = repliesBefore };
        await using var call = Channel.ServerStreaming(EchoMethods.Repeat, request);
        for (var number = 0; number < repliesBefore; number++)
        {
            Assert.That(await call.Responses.MoveNextAsync(), Is.True);
        }

        var failure = Assert.ThrowsAsync<GrpcException>(async () => await call.Responses.MoveNextAsync())!;
        Assert.That(failure.Status, Is.EqualTo(new GrpcStatus(GrpcStatusCode.OutOfRange, request.Text)));
        Assert.That(failure.Trailers.GetText("reason"), Is.EqualTo("asked for"));
        Assert.That(failure.Trailers.GetBytes("reason-bin")?.ToArray(), Is.EqualTo(new byte[] { 0, 255 }));
    }

    [Test]
    public void An_unknown_method_is_unimplemented()
    {
        var failure = Assert.ThrowsAsync<GrpcException>(
            () => Channel.UnaryAsync(EchoMethods.Define("Sing", GrpcMethodType.Unary), new EchoRequest()))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.Unimplemented));
    }

    [Test]
    public void A_message_over_its_limit_is_refused()
    {
        var request = new EchoRequest { Payload = ByteString.CopyFrom(new byte[5 << 20]) };
        var failure = Assert.ThrowsAsync<GrpcException>(() => Channel.UnaryAsync(EchoMethods.Say, request))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.ResourceExhausted));
    }

    [Test]
    public async Task Deadlines_and_cancellation_reach_it()
    {
        var options = new GrpcCallOptions { Timeout = TimeSpan.FromMilliseconds(200) };
        var failure = Assert.ThrowsAsync<GrpcException>(() => Channel.UnaryAsync(EchoMethods.Say, new EchoRequest { Times = -1 }, options))!;
        Assert.That(failure.Code, Is.EqualTo(GrpcStatusCode.DeadlineExceeded));
        Assert.That(await NextLineAsync(), Is.EqualTo("cancelled Say"));

        var endless = Channel.ServerStreaming(EchoMethods.Repeat, new EchoRequest { Times = -1 });
        Assert.That(await endless.Responses.MoveNextAsync(), Is.True);
        await endless.DisposeAsync();
        Assert.That(await NextLineAsync(), Is.EqualTo("cancelled Repeat"));

        var talking = Channel.Duplex(EchoMethods.Talk);
        await talking.Requests.WriteAsync(new EchoRequest());
        Assert.That(await talking.Responses.MoveNextAsync(), Is.True);
        await talking.DisposeAsync();
        Assert.That(await NextLineAsync(), Is.EqualTo("cancelled Talk"));
    }

    private Task<string?> NextLineAsync() => _node!.StandardOutput.ReadLineAsync().WaitAsync(Limit);
}
