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
        await MqCreateAsync("orders", "--kind", kind, "--replicas", replicas, "--group", "east");

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

    [TestCase("sync=quorum_dsk", "sync=quorum_dsk: quorum_dsk is not one of")]
    [TestCase("replicas=0", "replicas=0 is not a number from 1 to 9")]
    [TestCase("kind=MasterSlave", "kind=MasterSlave is not supported")]
    [TestCase("openwire-port=x", "openwire-port=x is not a number")]
    [TestCase("broker-name=a/b", "broker-name=a/b")]
    public async Task What_no_container_could_run_is_refused_and_changes_nothing(string property, string message)
    {
        foreach (var name in new[] { "orders", "bills" })
        {
            if (name == "orders")
            {
                await MqCreateAsync(name, "--property", "weight=7");
            }

            var run = await CommandRun.RunAsync("/", ["mq-create", name, "--property", property, "--assign-container", "c4", "--zookeeper", _registry.ConnectString]);

            Assert.That(run.Code, Is.EqualTo(64), run.Error);
            Assert.That(run.Error, Does.Contain($"error: {message}"));
        }

        Assert.That(await ReadAsync("orders", "weight", "replicas", "kind", "sync"), Is.EqualTo(new[] { "7", "3", "Replicated", null }));
        Assert.That(await new ProfileStore(_registry).ExistsAsync("1.0", "bills"), Is.False);
        Assert.That(await new ProfileStore(_registry).TryReadAssignmentAsync("c4"), Is.Empty);
    }

    [Test]
    public async Task Options_without_effect_are_kept_and_said()
    {
        var run = await MqCreateAsync("orders", "--networks", "east", "--minimumInstances", "2", "--port", "stomp=61613", "--port", "openwire=61700");
        Assert.That(run.Error, Is.EqualTo(
            "warning: --networks is kept in the profile; it has no effect in this version\n"
            + "warning: --minimumInstances is kept in the profile; it has no effect in this version\n"
            + "warning: --port stomp is kept in the profile; this version has no connector but openwire\n"));
        Assert.That(await ReadAsync("orders", "network", "minimumInstances", "stomp-port", "openwire-port"), Is.EqualTo(new[] { "east", "2", "61613", "61700" }));
    }

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
