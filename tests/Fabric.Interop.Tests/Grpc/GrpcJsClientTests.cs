using System.Text.Json;
using Fabric.Grpc.Server;
using Fabric.Tests.Grpc;

namespace Fabric.Interop.Tests.Grpc;

/// <summary>The stock client <c>@grpc/grpc-js</c> calls our server in every way, once; the tests look at what it got.</summary>
internal sealed class GrpcJsClientTests
{
    private readonly EchoService _echo = new();
    private JsonDocument? _results;

    [OneTimeSetUp]
    public async Task CallAsync()
    {
        await using var server = GrpcServer.Start("127.0.0.1", 0, [_echo.Build()]);
        using var node = await NodePrograms.StartAsync("client.js", $"127.0.0.1:{server.Port}", NodePrograms.Proto);
        node.StandardInput.Close();
        _results = JsonDocument.Parse(await NodePrograms.OutputAsync(node, TimeSpan.FromMinutes(2)));
    }

    [OneTimeTearDown]
    public void DisposeOfResults() => _results?.Dispose();

    [TestCase("say", """{"said":["yes"],"echoed":["hello"],"echoedRaw":["0001ff"],"text":"grüß dich","size":1048576}""")]
    [TestCase("collect", """{"text":"a,b,c","number":3}""")]
    [TestCase("repeat", """{"count":500,"ordered":true}""")]
    [TestCase("talk", """{"replies":["0:one","1:two","2:three"]}""")]
    [TestCase("status", """{"code":9,"details":"100 % кончено","reason":"asked for","raw":"00ff"}""")]
    [TestCase("statusAfterReplies", """{"code":10,"details":"enough","reason":"asked for","raw":"00ff","count":3}""")]
    [TestCase("defect", """{"code":2,"details":"the service failed"}""")]
    [TestCase("deadline", """{"code":4}""")]
    [TestCase("cancelled", """{"code":1}""")]
    [TestCase("oversize", """{"code":8}""")]
    [TestCase("unknown", """{"code":12,"details":"there is no method /fabric.test.Echo/Sing"}""")]
    [TestCase("after", """{"text":"still there"}""")]
    public void A_stock_client_gets(string call, string expected)
    {
        var got = _results!.RootElement.GetProperty(call);
        using var wanted = JsonDocument.Parse(expected);
        foreach (var property in wanted.RootElement.EnumerateObject())
        {
            Assert.That(
                got.TryGetProperty(property.Name, out var value) && JsonElement.DeepEquals(value, property.Value),
                Is.True,
                $"{property.Name} is not {property.Value} in {got}");
        }
    }

    [Test]
    public async Task A_call_that_a_stock_client_gave_up_was_cancelled_here() =>
        Assert.That((await _echo.Cancelled.WaitAsync(TimeSpan.FromSeconds(30))).CancellationToken.IsCancellationRequested, Is.True);

    [Test]
    public async Task The_deadline_of_a_stock_client_was_known_here()
    {
        var call = await _echo.Cancelled.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.That(call.Timeout, Is.GreaterThan(TimeSpan.Zero).And.LessThanOrEqualTo(TimeSpan.FromMilliseconds(200)));
    }
}
