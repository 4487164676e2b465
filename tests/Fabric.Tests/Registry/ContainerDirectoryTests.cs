using System.Collections.Concurrent;
using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Runtime;
using Fabric.Tests.ZooKeeper.Server;

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
