using Fabric.Interop.Tests.ZooKeeper;
using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Registry.Election;
using Fabric.Registry.Membership;

namespace Fabric.Interop.Tests.Registry;

[TestFixture]
internal sealed class ApacheMembershipTests : MembershipTests
{
    protected override IZooKeeperHost CreateHost() => new ApacheZooKeeper();
}

[TestFixture]
internal sealed class EmbeddedMembershipTests : MembershipTests
{
    protected override IZooKeeperHost CreateHost() => new EmbeddedZooKeeper();
}

/// <summary>Where clients look for brokers, and what they find there while brokers come, go and lose their sessions.</summary>
internal abstract class MembershipTests : RegistryFixture
{
    private const string Group = "default";
    private const string Broker = "tolerant";
    private const string Url = "tcp://node1:61616";

    [Test]
    public async Task A_member_appears_in_both_dialects_as_a_slave_and_disappears()
    {
        var member = await JoinAsync(Observer, "broker1");
        await EventuallyAsync(async () => (await MembersAsync(ZnodePaths.AmqGroup(Group))).Count == 1, "a member in amq");

        Assert.Multiple(async () =>
        {
            Assert.That(await TextsAsync(ZnodePaths.FuseMqGroup(Group)), Is.EqualTo(new[] { """{"id":"tolerant","services":[],"agent":"broker1"}""" }));
            Assert.That((await MembersAsync(ZnodePaths.AmqGroup(Group)))[0].Uuid, Is.Not.Null);
        });
        await member.DisposeAsync();
        Assert.That(await MembersAsync(ZnodePaths.FuseMqGroup(Group)), Is.Empty);
        Assert.That(await MembersAsync(ZnodePaths.AmqGroup(Group)), Is.Empty);
    }

    [Test]
    public async Task A_dialect_can_be_switched_off()
    {
        var member = Keep(new GroupMember(Observer, Options("broker1") with { Amq = MemberDialect.Off, FuseMq = MemberDialect.V61 }));
        member.Join();
        await member.PublishAsync([Url], null, CancellationToken.None);

        Assert.That(await TextsAsync(ZnodePaths.FuseMqGroup(Group)), Is.EqualTo(
            new[] { """{"id":"tolerant","container":"broker1","services":["tcp://node1:61616"]}""" }));
        Assert.That(await Observer.ExistsAsync(ZnodePaths.AmqGroup(Group)), Is.Null);
    }

    [Test]
    public async Task The_master_owns_the_lowest_sequence_of_its_id()
    {
        await JoinAsync(await ConnectAsync(), "broker1");
        await JoinAsync(await ConnectAsync(), "broker2");
        var master = await JoinAsync(await ConnectAsync(), "broker3");
        await ClaimAsync(1);

        await master.PublishAsync([Url], 1, CancellationToken.None);

        foreach (var directory in new[] { ZnodePaths.FuseMqGroup(Group), ZnodePaths.AmqGroup(Group) })
        {
            await EventuallyAsync(async () => (await MembersAsync(directory)).Count == 3, "the slaves made their znodes anew");
            var members = await MembersAsync(directory);
            Assert.That(members[0], Has.Property("Container").EqualTo("broker3").And.Property("Services").EqualTo(new[] { Url }));
            Assert.That(members.Skip(1).Select(member => member.Container), Is.EquivalentTo(new[] { "broker1", "broker2" }));
        }
    }

    [Test]
    public async Task Other_brokers_of_the_group_are_left_alone()
    {
        var other = Keep(new GroupMember(await ConnectAsync(), Options("broker1") with { Broker = "other" }));
        other.Join();
        await other.PublishAsync(["tcp://node2:1"], null, CancellationToken.None);
        var before = await Observer.TryGetChildrenAsync(ZnodePaths.FuseMqGroup(Group));
        var master = await JoinAsync(await ConnectAsync(), "broker1");

        await master.PublishAsync([Url], null, CancellationToken.None);

        Assert.That((await Observer.TryGetChildrenAsync(ZnodePaths.FuseMqGroup(Group)))!, Is.SupersetOf(before!));
    }

    [Test]
    public async Task A_deposed_master_changes_nothing()
    {
        var old = await JoinAsync(await ConnectAsync(), "broker1");
        var successor = await JoinAsync(await ConnectAsync(), "broker2");
        await ClaimAsync(1);
        await ClaimAsync(2);
        await successor.PublishAsync([Url], 2, CancellationToken.None);

        Assert.That(
            () => old.PublishAsync(["tcp://node0:1"], 1, CancellationToken.None),
            Throws.TypeOf<RegistryFencedException>().With.Property("CurrentEpoch").EqualTo(2));

        await EventuallyAsync(async () => (await MembersAsync(ZnodePaths.FuseMqGroup(Group))).Count == 2, "the old one is a slave again");
        var members = await MembersAsync(ZnodePaths.FuseMqGroup(Group));
        Assert.That(members.Select(member => (member.Container, member.Services.Count)), Is.EqualTo(new[] { ("broker2", 1), ("broker1", 0) }));
    }

    [Test]
    public async Task What_a_crashed_master_left_goes_when_its_successor_publishes()
    {
        var (crashed, relay) = await ConnectThroughRelayAsync();
        var old = await JoinAsync(crashed, "broker1");
        await ClaimAsync(1);
        await old.PublishAsync([Url], 1, CancellationToken.None);
        relay.Refuse = true;
        relay.Cut();
        var successor = await JoinAsync(await ConnectAsync(), "broker2");
        await ClaimAsync(2);

        await successor.PublishAsync(["tcp://node2:61617"], 2, CancellationToken.None);

        Assert.That(await new GroupDiscovery(Observer, Group).UsingAsync(discovery => discovery.RefreshAsync(CancellationToken.None)),
            Is.EqualTo(new[] { "tcp://node2:61617" }));
        var clusters = await ClusterList.ReadAsync(Observer, "fusemq/default");
        Assert.That(clusters.Single().Brokers.Single().MasterContainers, Is.EqualTo(new[] { "broker2" }));
        relay.Refuse = false;
    }

    [Test]
    public async Task Services_are_published_again_in_a_new_session()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        await ClaimAsync(1);
        var master = await JoinAsync(registry, "broker1");
        await master.PublishAsync([Url], 1, CancellationToken.None);
        await JoinAsync(await ConnectAsync(), "broker2");

        await ExpireAsync(registry, relay);

        await EventuallyAsync(
            async () => (await MembersAsync(ZnodePaths.AmqGroup(Group))) is [{ Container: "broker1", Services: [Url] }, { Container: "broker2" }],
            "the master is first again");
        Assert.That(await MembersAsync(ZnodePaths.FuseMqGroup(Group)), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_create_whose_answer_is_lost_leaves_one_member()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        relay.Swallow = true;
        var member = Keep(new GroupMember(registry, Options("broker1")));
        member.Join();
        await EventuallyAsync(async () => (await MembersAsync(ZnodePaths.FuseMqGroup(Group))).Count == 1 || !registry.Session.IsConnected, "the create arrives");
        relay.Cut();
        relay.Swallow = false;

        await EventuallyAsync(() => registry.Session.IsConnected, "the connection is back");
        await member.PublishAsync([Url], null, CancellationToken.None);

        Assert.That(await MembersAsync(ZnodePaths.FuseMqGroup(Group)), Has.Count.EqualTo(1));
        Assert.That(await MembersAsync(ZnodePaths.AmqGroup(Group)), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task What_an_earlier_process_of_the_container_left_is_removed()
    {
        var (crashed, relay) = await ConnectThroughRelayAsync();
        await (await JoinAsync(crashed, "broker1")).PublishAsync([Url], null, CancellationToken.None);
        relay.Refuse = true;
        relay.Cut();

        await JoinAsync(await ConnectAsync(), "broker1");

        await EventuallyAsync(
            async () => (await MembersAsync(ZnodePaths.FuseMqGroup(Group))) is [{ Services: [] }], "one member, without services");
        relay.Refuse = false;
    }

    [Test]
    public async Task While_the_registry_is_away_a_publish_fails_and_is_made_up_for()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        var member = await JoinAsync(registry, "broker1");
        relay.Refuse = true;
        relay.Cut();
        await EventuallyAsync(() => !registry.Session.IsConnected, "the loss is noticed");

        Assert.That(() => member.PublishAsync([Url], null, CancellationToken.None), Throws.TypeOf<RegistryUnavailableException>());

        relay.Refuse = false;
        await EventuallyAsync(async () => (await MembersAsync(ZnodePaths.FuseMqGroup(Group))) is [{ Services: [Url] }], "the services are published");
    }

    private static MemberOptions Options(string container) =>
        new() { Group = Group, Broker = Broker, Container = container, Uuid = Guid.NewGuid() };

    private async Task<GroupMember> JoinAsync(FabricRegistry registry, string container)
    {
        var member = Keep(new GroupMember(registry, Options(container)));
        member.Join();
        await EventuallyAsync(
            async () => (await MembersAsync(ZnodePaths.AmqGroup(Group))).Any(other => other.Container == container && other.Id == Broker), "joined");
        return member;
    }

    private async Task ClaimAsync(long epoch) =>
        await Observer.PutAsync(ZnodePaths.BrokerEpoch(Group, Broker), System.Text.Encoding.UTF8.GetString(
            ElectionJson.Write(new EpochClaim(epoch, Guid.NewGuid(), "c", DateTimeOffset.UnixEpoch))));

    private async Task<IReadOnlyList<MemberRecord>> MembersAsync(string directory) =>
        [.. (await SequentialZnodes.ListAsync(Observer, directory, CancellationToken.None))
            .Select(znode => MemberRecord.TryDecode(znode.Content.Data)!)];

    private async Task<IReadOnlyList<string>> TextsAsync(string directory) =>
        [.. (await SequentialZnodes.ListAsync(Observer, directory, CancellationToken.None)).Select(znode => znode.Content.Text)];
}

internal static class Using
{
    /// <summary>Uses an object and disposes it.</summary>
    public static async Task<TResult> UsingAsync<T, TResult>(this T disposable, Func<T, Task<TResult>> use)
        where T : IAsyncDisposable
    {
        await using (disposable)
        {
            return await use(disposable);
        }
    }
}
