using System.Collections.Concurrent;
using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Runtime;
using Fabric.Tests.Cli;
using Fabric.Tests.ZooKeeper.Server;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.Registry;

[TestFixture]
internal sealed class ContainerDirectoryTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private TestServer _server = null!;
    private FabricRegistry _registry = null!;
    private ContainerDirectory _directory = null!;

    [SetUp]
    public async Task CreateFabricAsync()
    {
        _server = await TestServer.StartAsync();
        _registry = await FabricRegistry.ConnectAsync(FabricRuntime.System, new RegistryOptions { ConnectString = $"127.0.0.1:{_server.Port}" });
        await new FabricCreation { Password = RegistryOptions.DefaultPassword }.CreateAsync(_registry);
        _directory = new ContainerDirectory(_registry);
    }

    [TearDown]
    public async Task CloseAsync()
    {
        await _registry.DisposeAsync();
        await _server.DisposeAsync();
    }

    [TestCase("")]
    [TestCase("rubbish")]
    [TestCase("""{"parent":"root","state":"asleep"}""")]
    [TestCase("""{"parent":null,"state":7}""")]
    public async Task A_wish_that_makes_no_sense_hides_no_other(string text)
    {
        await _registry.PutAsync(ZnodePaths.ContainerWish("bad"), text);
        await _registry.PutAsync(ZnodePaths.ContainerVersion("bad"), "1.0");
        await _directory.TryCreateChildAsync("good", "root", "1.0", []);
        using var seen = new BlockingCollection<IReadOnlyList<ContainerWish>>();

        await using (ContainerDirectory.WatchWishes(_registry, "root", seen.Add))
        {
            Assert.That(seen.TryTake(out var wishes, Limit), Is.True);
            Assert.That(wishes!.Select(wish => (wish.Name, wish.State)), Is.EqualTo(new[] { ("good", ContainerWishState.Running) }));
        }

        Assert.That(
            (await _directory.ListAsync()).Select(container => (container.Name, container.Wish)),
            Is.EqualTo(new (string, ContainerWishState?)[] { ("bad", null), ("good", ContainerWishState.Running), ("root", null) }));
    }

    [Test]
    public async Task A_container_is_created_whole_or_not_at_all()
    {
        await _registry.PutAsync(ZnodePaths.ContainerProfiles("1.0", "c1"), "left");
        Assert.That(await _directory.TryCreateChildAsync("c1", "root", "1.0", ["karaf"]), Is.False);
        Assert.That(await _directory.TryGetAsync("c1"), Is.Null);
        await _registry.PutAsync(ZnodePaths.ContainerFact("c2", "ip"), "node2"); // it runs, and nobody has created it

        Assert.That(await _directory.TryCreateChildAsync("c2", "root", "1.0", ["karaf"]), Is.True);

        var created = (await _directory.TryGetAsync("c2"))!;
        Assert.That(
            (created.Version, created.Parent, created.Wish, created.Host), Is.EqualTo(("1.0", "root", (ContainerWishState?)ContainerWishState.Running, "node2")));
        Assert.That(created.Profiles, Is.EqualTo(new[] { "karaf" }));
    }

    [Test]
    public async Task The_name_of_a_deleted_container_is_free_when_its_directory_is_removed()
    {
        await _directory.TryCreateChildAsync("c1", "root", "1.0", []);
        await _directory.DeleteAsync("c1", "root");

        Assert.That(await _directory.TryCreateChildAsync("c1", "root", "1.0", []), Is.False);
        var run = await CommandRun.RunAsync("/", "container-create", "c1", "--parent", "root", "--zookeeper", _registry.ConnectString);
        Assert.That((run.Code, run.Error), Is.EqualTo((75, run.Error)));
        Assert.That(run.Error, Does.Contain("the directory of the deleted container c1 has not been removed yet"));

        await _directory.ForgetWishAsync("c1", await VersionOfWishAsync("c1"));
        Assert.That(await _directory.TryCreateChildAsync("c1", "root", "1.0", []), Is.True);
    }

    [Test]
    public async Task A_deletion_that_is_interrupted_leaves_a_container_that_can_be_deleted()
    {
        await _directory.TryCreateChildAsync("c1", "root", "1.0", []);
        var undeletable = new Acl(AclPermissions.Read | AclPermissions.Create, new Id("world", "anyone"));
        foreach (var path in new[] { ZnodePaths.ContainerFact("c1", "zone"), ZnodePaths.ContainerFact("c1", "zone/rack") })
        {
            await _registry.MultiAsync([Fabric.ZooKeeper.Client.MultiOperation.Create(path, Array.Empty<byte>(), [undeletable], CreateMode.Persistent)], CancellationToken.None);
        }

        Assert.That(async () => await _directory.DeleteAsync("c1", "root"), Throws.Exception);

        Assert.That((await _directory.TryGetAsync("c1"))?.Parent, Is.EqualTo("root"), "else it counts as a root, and nobody can delete it");
    }

    [Test]
    public async Task A_deleted_container_leaves_nothing_but_what_is_wanted_of_its_directory()
    {
        await _directory.TryCreateChildAsync("c1", "root", "1.0", ["karaf"]);
        await _registry.PutAsync(ZnodePaths.ContainerFact("c1", "ip"), "node2");
        await _directory.DeleteAsync("c1", "root");
        Assert.That(await _directory.TryGetAsync("c1"), Is.Null);
        Assert.That(await _directory.IsBeingDeletedAsync("c1"), Is.True);
    }

    [Test]
    public async Task A_wish_that_came_after_the_one_that_was_carried_out_is_not_forgotten()
    {
        await _directory.WishAsync("c1", "root", ContainerWishState.Deleted);
        var served = await VersionOfWishAsync("c1");
        await _directory.WishAsync("c1", "root", ContainerWishState.Running);

        await _directory.ForgetWishAsync("c1", served);

        Assert.That(await VersionOfWishAsync("c1"), Is.GreaterThan(served));
    }

    private async Task<long> VersionOfWishAsync(string container) => (await _registry.ExistsAsync(ZnodePaths.ContainerWish(container)))!.Value.Mzxid;
}
