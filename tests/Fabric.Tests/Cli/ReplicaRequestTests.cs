using Fabric.Registry;
using Fabric.Registry.Election;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;
using Fabric.Runtime;
using Fabric.Tests.ZooKeeper.Server;

namespace Fabric.Tests.Cli;

/// <summary><c>replica-add</c> with a registry and without a master: what becomes of its request.</summary>
[TestFixture, Parallelizable]
internal sealed class ReplicaRequestTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private string _data = null!;
    private TestServer _server = null!;
    private FabricRegistry _registry = null!;

    [SetUp]
    public async Task CreateFabricAsync()
    {
        _data = TestServer.NewDirectory();
        _server = await TestServer.StartAsync(directory: _data);
        _registry = await FabricRegistry.ConnectAsync(FabricRuntime.System, new RegistryOptions { ConnectString = Hosts });
        await new FabricCreation { Password = RegistryOptions.DefaultPassword }.CreateAsync(_registry);
        await new BrokerProfile { Name = "orders", Version = "1.0", Kind = BrokerProfile.Replicated }.WriteAsync(_registry);
        await new ContainerDirectory(_registry).TryCreateChildAsync("c1", "root", "1.0", ["orders"]);
        await new ContainerDirectory(_registry).TryCreateChildAsync("c2", "root", "1.0", []);
        await _registry.TryCreateAsync(
            ZnodePaths.BrokerReplicas("default", "orders"),
            ElectionJson.Write(new ReplicaSetRecord(Guid.NewGuid(), [new ReplicaMemberRecord(Guid.NewGuid(), "c1")])));
    }

    [TearDown]
    public async Task CloseAsync()
    {
        await _registry.DisposeAsync();
        await _server.DisposeAsync();
        Directory.Delete(_data, recursive: true);
    }

    [Test]
    public async Task Nothing_is_asked_for_when_the_container_cannot_be_told()
    {
        await _registry.PutAsync(ZnodePaths.ContainerFact("c3", "ip"), "node3"); // it runs, and nobody has created it

        var run = await AddAsync("c3", "60");

        Assert.That((run.Code, run.Error), Is.EqualTo((65, run.Error)));
        Assert.That(await ChangeAsync(), Is.Null);
    }

    [Test]
    public async Task A_request_that_is_refused_assigns_nothing()
    {
        var directory = new ReplicaSetDirectory(_registry, "default", "orders");
        var overview = await directory.TryReadAsync(CancellationToken.None);
        var other = await directory.TryRequestAsync(overview!, "c9", null, CancellationToken.None);

        var run = await AddAsync("c2", "60");

        Assert.That((run.Code, run.Error), Is.EqualTo((75, run.Error)));
        Assert.That((await ChangeAsync())!.Id, Is.EqualTo(other!.Id));
        Assert.That(await new ProfileStore(_registry).TryReadAssignmentAsync("c2"), Is.Empty);
    }

    [Test]
    public async Task The_registry_may_be_away_while_the_request_is_carried_out()
    {
        var run = AddAsync("c2", "60");
        await UntilAsync(async () => await ChangeAsync() is not null);
        await RestartServerAsync();
        await UntilAsync(() => _registry.TryDeleteAsync(ZnodePaths.BrokerChange("default", "orders")));

        Assert.That((await run.WaitAsync(Limit)).Code, Is.Zero);
    }

    [Test]
    public async Task A_request_is_taken_back_though_the_registry_was_away_at_the_time()
    {
        var run = AddAsync("c2", "1");
        await UntilAsync(async () => await ChangeAsync() is not null);
        await RestartServerAsync();

        var ended = await run.WaitAsync(Limit);
        Assert.That((ended.Code, ended.Error), Is.EqualTo((75, ended.Error)));
        Assert.That(ended.Error, Does.Contain("the request was taken back"));
        await UntilAsync(async () => await ChangeAsync() is null);
    }

    private string Hosts => $"127.0.0.1:{_server.Port}";

    private Task<CommandRun> AddAsync(string container, string timeout) =>
        CommandRun.RunAsync(_data, "replica-add", "orders", container, "--timeout", timeout, "--zookeeper", Hosts);

    private Task<ReplicaSetChangeRecord?> ChangeAsync() => new ReplicaSetDirectory(_registry, "default", "orders").TryReadChangeAsync(CancellationToken.None);

    /// <summary>For long enough that everybody notices, and that a second passes.</summary>
    private async Task RestartServerAsync()
    {
        await Task.Delay(TimeSpan.FromSeconds(0.3)); // until the command has heard that its request was made
        var port = _server.Port;
        await _server.DisposeAsync();
        await Task.Delay(TimeSpan.FromSeconds(2));
        _server = await TestServer.StartAsync(options => options with { Port = port }, _data);
    }

    /// <summary>Asks until the answer is yes; an unreachable registry gives none.</summary>
    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (true)
        {
            try
            {
                if (await condition())
                {
                    return;
                }
            }
            catch (RegistryUnavailableException)
            {
                // It comes back.
            }

            await Task.Delay(20, limit.Token);
        }
    }
}
