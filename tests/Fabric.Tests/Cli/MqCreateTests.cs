using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;
using Fabric.Runtime;
using Fabric.Tests.ZooKeeper.Server;

namespace Fabric.Tests.Cli;

[TestFixture]
internal sealed class MqCreateTests
{
    private TestServer _server = null!;
    private FabricRegistry _registry = null!;

    [SetUp]
    public async Task CreateFabricAsync()
    {
        _server = await TestServer.StartAsync();
        _registry = await FabricRegistry.ConnectAsync(FabricRuntime.System, new RegistryOptions { ConnectString = $"127.0.0.1:{_server.Port}" });
        await new FabricCreation { Password = RegistryOptions.DefaultPassword }.CreateAsync(_registry);
        await new ContainerDirectory(_registry).TryCreateChildAsync("c4", "root", "1.0", []);
    }

    [TearDown]
    public async Task CloseAsync()
    {
        await _registry.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task A_new_broker_gets_the_defaults()
    {
        await MqCreateAsync("orders");
        await MqCreateAsync("bills", "--assign-container", "c4");
        Assert.That(await ReadAsync("orders", "kind", "replicas"), Is.EqualTo(new[] { "Replicated", "3" }));
        Assert.That(await ReadAsync("bills", "kind", "replicas"), Is.EqualTo(new[] { "Replicated", "1" }));
    }

    [TestCase("Replicated", "5")]
    [TestCase("StandAlone", "1")]
    public async Task A_broker_that_exists_keeps_what_is_not_given(string kind, string replicas)
    {
        await MqCreateAsync("orders", "--kind", kind, "--replicas", "5", "--group", "east");

        var run = await MqCreateAsync("orders", "--assign-container", "c4", "--property", "weight=7");

        Assert.That(run.Error, Is.Empty);
        Assert.That(await ReadAsync("orders", "kind", "replicas", "group", "weight"), Is.EqualTo(new[] { kind, replicas, "east", "7" }));
        Assert.That(await new ProfileStore(_registry).TryReadAssignmentAsync("c4"), Is.EqualTo(new[] { "orders" }));
    }

    [Test]
    public async Task A_broker_that_exists_gets_what_is_given()
    {
        await MqCreateAsync("orders", "--replicas", "5");
        Assert.That((await MqCreateAsync("orders", "--replicas", "2")).Error, Does.StartWith("warning: of 2 replicas none may fail"));
        Assert.That(await ReadAsync("orders", "kind", "replicas"), Is.EqualTo(new[] { "Replicated", "2" }));
    }

    [TestCase("--replicas", "10")]
    [TestCase("--replicas", "0")]
    [TestCase("--assign-container", "a,b,c,d,e,f,g,h,i,j")]
    public async Task More_replicas_than_there_can_be_are_refused(string option, string value) =>
        Assert.That((await CommandRun.RunAsync("/", ["mq-create", "orders", option, value, "--zookeeper", _registry.ConnectString])).Code, Is.EqualTo(64));

    private async Task<CommandRun> MqCreateAsync(params string[] arguments)
    {
        var run = await CommandRun.RunAsync("/", ["mq-create", .. arguments, "--zookeeper", _registry.ConnectString]);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, run.Error)));
        return run;
    }

    private async Task<string?[]> ReadAsync(string broker, params string[] keys)
    {
        var properties = await new ProfileStore(_registry).TryReadPidAsync("1.0", broker, BrokerProfile.PidPrefix + broker);
        return [.. keys.Select(key => properties![key])];
    }
}
