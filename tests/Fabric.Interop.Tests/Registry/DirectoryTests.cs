using System.Collections.Concurrent;
using Fabric.Interop.Tests.ZooKeeper;
using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;
using Fabric.Runtime;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Interop.Tests.Registry;

[TestFixture]
internal sealed class ApacheDirectoryTests : DirectoryTests
{
    protected override IZooKeeperHost CreateHost() => new ApacheZooKeeper();
}

[TestFixture]
internal sealed class EmbeddedDirectoryTests : DirectoryTests
{
    protected override IZooKeeperHost CreateHost() => new EmbeddedZooKeeper();
}

/// <summary>A fabric's content: who may read it, containers, profiles, users, and what clients discover.</summary>
internal abstract class DirectoryTests : RegistryFixture
{
    [Test]
    public async Task Everything_below_fabric_belongs_to_the_holders_of_the_password()
    {
        await using var presence = new ContainerPresence(
            Observer, new ContainerRegistration { Name = "c1", Host = "node1", ProcessId = 1 });
        await presence.RegisteredAsync(CancellationToken.None);

        foreach (var path in new[] { ZnodePaths.Fabric, ZnodePaths.EnsemblePassword, ZnodePaths.ContainerAlive("c1") })
        {
            Assert.That((await Observer.GetAclAsync(path)).Select(acl => (acl.Id.Scheme, acl.Id.Value, acl.Permissions)), Is.EquivalentTo(new[]
            {
                ("digest", "fabric:tT2fHiwGnb7Qra3bBV8inVewfPY=", AclPermissions.All),
                ("world", "anyone", AclPermissions.None),
            }), path);
        }
    }

    [Test]
    public void A_wrong_password_is_told_at_once() => Assert.That(
        () => FabricRegistry.ConnectAsync(FabricRuntime.System, OptionsFor(Host.Port, "wrong")),
        Throws.TypeOf<RegistryPasswordException>().With.Message.Contains("refuses the password"));

    [Test]
    public void A_registry_that_does_not_answer_is_told_after_the_limit() => Assert.That(
        () => FabricRegistry.ConnectAsync(
            FabricRuntime.System, OptionsFor(Ports.FindFree()) with { ConnectTimeout = TimeSpan.FromMilliseconds(500) }),
        Throws.TypeOf<RegistryUnavailableException>().With.Message.Contains("no registry answers"));

    [Test]
    public async Task Creating_a_fabric_twice_changes_nothing()
    {
        var before = await DumpAsync();

        await new FabricCreation { Password = "other", Root = "other", Users = UserList.Empty }.CreateAsync(Observer);

        var after = await DumpAsync();
        Assert.That(before.Keys, Is.SubsetOf(after.Keys));
        Assert.That(before.Where(znode => after[znode.Key] != znode.Value), Is.Empty);
        Assert.That(before[ZnodePaths.EnsembleUrl], Is.EqualTo("${zk:root/ip}:2181"));
    }

    [Test]
    public async Task A_container_is_listed_with_what_it_told_and_is_dead_after_its_end()
    {
        var directory = new ContainerDirectory(Observer);
        Assert.That(await directory.TryCreateChildAsync("broker1", "root", "1.0", ["mq-base", "karaf"]), Is.True);
        Assert.That(await directory.TryCreateChildAsync("broker1", "root", "1.0", ["other"]), Is.False);
        var presence = Keep(new ContainerPresence(Observer, new ContainerRegistration
        {
            Name = "broker1", Parent = "root", Host = "node1", ProcessId = 4711,
            Facts = new Dictionary<string, string> { ["http"] = "http://${zk:broker1/ip}:8161" },
        }));
        presence.SetProvision("success");
        await presence.RegisteredAsync(CancellationToken.None);

        var info = (await directory.TryGetAsync("broker1"))!;
        Assert.Multiple(() =>
        {
            Assert.That((info.Parent, info.Version, info.IsAlive, info.Provision, info.ProcessId, info.Host, info.Wish),
                Is.EqualTo(("root", "1.0", true, "success", (int?)4711, "node1", (ContainerWishState?)ContainerWishState.Running)));
            Assert.That(info.Profiles, Is.EqualTo(new[] { "mq-base", "karaf" }));
            Assert.That(info.Facts["http"], Is.EqualTo("http://${zk:broker1/ip}:8161"));
        });
        await presence.DisposeAsync();
        info = (await directory.TryGetAsync("broker1"))!;
        Assert.That((info.IsAlive, info.ProcessId), Is.EqualTo((false, (int?)null)));
        await directory.DeleteAsync("broker1", "root");
        Assert.That(await directory.TryGetAsync("broker1"), Is.Null);
        Assert.That((await directory.ListAsync()).Select(container => container.Name), Is.EqualTo(new[] { "root" }));
    }

    [Test]
    public async Task A_container_takes_its_name_over_from_its_earlier_process_and_registers_again_in_a_new_session()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        var registration = new ContainerRegistration { Name = "c1", Host = "node1", ProcessId = 1 };
        var presence = Keep(new ContainerPresence(registry, registration));
        await presence.RegisteredAsync(CancellationToken.None);
        var first = registry.Session.Id;
        await ExpireAsync(registry, relay);
        await EventuallyAsync(async () => await OwnerAsync() == registry.Session.Id, "it registered again");
        Assert.That(registry.Session.Id, Is.Not.EqualTo(first));

        relay.Refuse = true;
        relay.Cut();
        var successor = await ConnectAsync();
        await Keep(new ContainerPresence(successor, registration with { ProcessId = 2 })).RegisteredAsync(CancellationToken.None);

        Assert.That(await OwnerAsync(), Is.EqualTo(successor.Session.Id));
        relay.Refuse = false;

        async Task<long?> OwnerAsync() => (await Observer.ExistsAsync(ZnodePaths.ContainerAlive("c1")))?.EphemeralOwner;
    }

    [Test]
    public async Task Wishes_reach_the_root_and_every_request_counts()
    {
        var seen = new ConcurrentQueue<IReadOnlyList<ContainerWish>>();
        Keep(ContainerDirectory.WatchWishes(await ConnectAsync(), "root", seen.Enqueue));
        await EventuallyAsync(() => seen.Count == 1, "the empty list");
        var directory = new ContainerDirectory(Observer);

        await directory.TryCreateChildAsync("c1", "root", "1.0", []);
        await directory.TryCreateChildAsync("foreign", "other-root", "1.0", []);
        await EventuallyAsync(() => seen.Last() is [{ Name: "c1", State: ContainerWishState.Running }], "the start");
        var version = seen.Last()[0].Version;
        await directory.WishAsync("c1", "root", ContainerWishState.Running);
        await EventuallyAsync(() => seen.Last() is [{ State: ContainerWishState.Running }] last && last[0].Version > version, "the second start");
        await directory.WishAsync("c1", "root", ContainerWishState.Stopped);
        await EventuallyAsync(() => seen.Last() is [{ State: ContainerWishState.Stopped }], "the stop");
        await directory.DeleteAsync("c1", "root");
        await EventuallyAsync(() => seen.Last() is [{ State: ContainerWishState.Deleted }], "the deletion");
        await directory.ForgetWishAsync("c1", seen.Last()[0].Version);
        await EventuallyAsync(() => seen.Last() is [], "nothing is left");
    }

    [Test]
    public async Task A_brokers_profile_has_the_keys_of_its_template_and_reaches_the_container()
    {
        await new ContainerDirectory(Observer).TryCreateChildAsync("c1", "root", "1.0", ["tolerant"]);
        var seen = new ConcurrentQueue<ContainerConfiguration>();
        Keep(ContainerConfiguration.Watch(await ConnectAsync(), "c1", seen.Enqueue));
        await EventuallyAsync(() => !seen.IsEmpty, "a configuration");
        const string Pid = BrokerProfile.PidPrefix + "tolerant";
        Assert.That(seen.Last().Pids, Does.Not.ContainKey(Pid));

        var profile = await new BrokerProfile { Name = "tolerant", Version = "1.0", Kind = BrokerProfile.Replicated, Replicas = 5 }.WriteAsync(Observer);

        Assert.That(profile, Is.EqualTo("tolerant"));
        var text = (await Observer.TryGetTextAsync(ZnodePaths.ProfileFile("1.0", "tolerant", $"{Pid}.properties")))!.Split('\n');
        Assert.That(text[0], Does.Match("^#\\w+ \\w+ \\d\\d \\d\\d:\\d\\d:\\d\\d UTC \\d{4}$"));
        Assert.That(text.Skip(1).Where(line => line.Length > 0), Is.EquivalentTo(new[]
        {
            "connectors=openwire", "broker-name=tolerant", "group=default", "standby.pool=default", "kind=Replicated", "replicas=5",
            "config=zk\\:/fabric/configs/versions/1.0/profiles/mq-base/broker.xml", "data=${runtime.data}tolerant",
        }));
        await EventuallyAsync(() => seen.Last().Pids.TryGetValue(Pid, out var values) && values["replicas"] == "5", "it arrived");

        await new BrokerProfile { Name = "tolerant", Version = "1.0", Group = "east" }.WriteAsync(Observer);
        await EventuallyAsync(() => seen.Last().Pids[Pid] is var values && values["group"] == "east" && values["replicas"] == "5", "the change arrived");
    }

    [Test]
    public async Task A_broker_called_like_a_stock_profile_gets_a_profile_of_its_own() => Assert.That(
        await new BrokerProfile { Name = "default", Version = "1.0", Kind = BrokerProfile.Replicated }.WriteAsync(Observer), Is.EqualTo("mq-broker-default.default"));

    [Test]
    public async Task A_profile_without_parent_or_version_is_refused()
    {
        Assert.That(() => new BrokerProfile { Name = "b", Version = "7.7" }.WriteAsync(Observer), Throws.TypeOf<RegistryContentException>());
        Assert.That(() => new BrokerProfile { Name = "b", Version = "1.0", ParentProfile = "nobody" }.WriteAsync(Observer),
            Throws.TypeOf<RegistryContentException>());
        Assert.That(await Observer.ExistsAsync(ZnodePaths.Profile("1.0", "b")), Is.Null);
        await Task.CompletedTask;
    }

    [Test]
    public async Task Profiles_overlay_their_parents_and_references_are_expanded()
    {
        var store = new ProfileStore(Observer);
        await store.TryCreateAsync("1.0", "parent", new ProfileAttributes(["default"], IsAbstract: true));
        await store.WritePidAsync("1.0", "parent", "pid", new PropertiesFile { ["a"] = "1", ["b"] = "2", ["url"] = "${zk:root/parent}x" });
        await store.TryCreateAsync("1.0", "child", new ProfileAttributes(["parent"]));
        await store.WritePidAsync("1.0", "child", "pid", new PropertiesFile { ["a"] = "3", ["b"] = "#deleted#" });
        await new ContainerDirectory(Observer).TryCreateChildAsync("c1", "root", "1.0", ["child"]);

        var configuration = await ContainerConfiguration.ReadAsync(Observer, "c1");

        Assert.That(configuration.Pids["pid"], Is.EqualTo(new Dictionary<string, string> { ["a"] = "3", ["url"] = "x" }));
        Assert.That(configuration.Pids["org.fusesource.fabric.zookeeper"]["zookeeper.password"], Is.EqualTo(Password));
        Assert.That(await store.TryAssignAsync("c1", "karaf"), Is.True);
        Assert.That(await store.TryAssignAsync("c1", "karaf"), Is.False);
        Assert.That((await ContainerConfiguration.ReadAsync(Observer, "c1")).Profiles, Is.EqualTo(new[] { "child", "karaf" }));
        Assert.That((await ContainerConfiguration.ReadAsync(Observer, "nobody")).Version, Is.Null);
    }

    [Test]
    public async Task Users_are_told_when_they_change()
    {
        UserList? users = null;
        Keep(UserList.Watch(await ConnectAsync(), list => users = list));
        await EventuallyAsync(() => users is not null, "the empty list");

        await UserList.Empty.With("admin", "admin", "admin").WriteAsync(Observer);

        await EventuallyAsync(() => users!.Verify("admin", "admin") is not null, "the user");
    }

    [Test]
    public async Task Clients_keep_their_brokers_over_an_outage_and_hear_of_changes_after_it()
    {
        var lists = new ConcurrentQueue<IReadOnlyList<string>>();
        var discovery = Keep(new GroupDiscovery(await ConnectAsync(), "default", lists.Enqueue));
        Assert.That(await discovery.RefreshAsync(CancellationToken.None), Is.Empty);
        var member = Keep(new GroupMember(
            await ConnectAsync(), new MemberOptions { Group = "default", Broker = "b", Container = "c1", Uuid = Guid.NewGuid() }));
        member.Join();
        await member.PublishAsync(["tcp://node1:1", "mqtt://node1:2"], null, CancellationToken.None);
        await EventuallyAsync(() => discovery.Services is ["tcp://node1:1"], "the broker");

        await Host.StopAsync();
        await EventuallyAsync(() => !Observer.Session.IsConnected, "the outage");
        await Host.StartAsync();
        await EventuallyAsync(() => Observer.Session.IsConnected, "its end");
        await EventuallyAsync(async () =>
        {
            try
            {
                await member.PublishAsync(["tcp://node1:3"], null, CancellationToken.None);
                return true;
            }
            catch (RegistryUnavailableException)
            {
                return false;
            }
        }, "the broker is connected again");

        await EventuallyAsync(() => discovery.Services is ["tcp://node1:3"], "the change");
        // The group's two directories are read one after the other: between them a client may hear of both addresses, but never of none.
        Assert.That(
            lists.Select(list => string.Join(',', list)).Where(list => list is not ("tcp://node1:1,tcp://node1:3" or "tcp://node1:3,tcp://node1:1")),
            Is.EqualTo(new[] { "", "tcp://node1:1", "tcp://node1:3" }));
    }

    [Test]
    public async Task The_first_member_of_each_id_counts_and_addresses_are_followed()
    {
        var discovery = Keep(new GroupDiscovery(await ConnectAsync(), "east"));
        await Observer.PutAsync(ZnodePaths.ContainerFact("c1", "ip"), "node1");
        await AddAsync(ZnodePaths.FuseMqGroup("east"), """{"id":"a","services":["tcp://${zk:c1/ip}:1"],"agent":"c1"}""");
        await AddAsync(ZnodePaths.FuseMqGroup("east"), """{"id":"a","services":["tcp://node9:9"],"agent":"c9"}""");
        await AddAsync(ZnodePaths.FuseMqGroup("east"), "rubbish");
        await AddAsync(ZnodePaths.AmqGroup("east"), """{"id":"b","container":"c2","ready":false,"services":["tcp://node8:8"]}""");
        await AddAsync(ZnodePaths.AmqGroup("east"), """{"id":"b","container":"c2","ready":true,"services":["ssl://node2:2"]}""");
        await EventuallyAsync(() => discovery.Services is ["tcp://node1:1", "ssl://node2:2"], "both brokers");

        await Observer.PutAsync(ZnodePaths.ContainerFact("c1", "ip"), "node7");

        await EventuallyAsync(() => discovery.Services is ["tcp://node7:1", "ssl://node2:2"], "the new address");
    }

    [Test]
    public async Task Clusters_are_listed_with_stats_first_and_each_broker_once()
    {
        var member = Keep(new GroupMember(
            await ConnectAsync(), new MemberOptions { Group = "default", Broker = "b", Container = "c1", Uuid = Guid.NewGuid() }));
        member.Join();
        await member.PublishAsync(["tcp://node1:1"], null, CancellationToken.None);
        await AddAsync(ZnodePaths.AmqGroup("west"), """{"id":"w","container":"c2","ready":true,"services":[]}""");

        var all = await ClusterList.ReadAsync(Observer);

        Assert.That(all.Select(cluster => cluster.Name), Is.EqualTo(new[] { "stats/default", "amq/default", "amq/west", "fusemq/default" }));
        Assert.That(ClusterList.WithoutMirrors(all).Select(cluster => cluster.Name), Is.EqualTo(new[] { "stats/default", "amq/west", "fusemq/default" }));
        Assert.That((await ClusterList.ReadAsync(Observer, "fusemq")).Select(cluster => cluster.Name), Is.EqualTo(new[] { "default" }));
        Assert.That((await ClusterList.ReadAsync(Observer, "/fabric/registry/clusters/fusemq/default")).Select(cluster => cluster.Name),
            Is.EqualTo(new[] { "." }));
        Assert.That(await ClusterList.ReadAsync(Observer, "nothing"), Is.Empty);
    }

    private Task AddAsync(string directory, string json) =>
        SequentialZnodes.CreateAsync(Observer, directory, System.Text.Encoding.UTF8.GetBytes(json), CancellationToken.None);

    private async Task<Dictionary<string, string>> DumpAsync()
    {
        var znodes = new Dictionary<string, string>();
        await AddAsync(ZnodePaths.Fabric);
        return znodes;

        async Task AddAsync(string path)
        {
            znodes[path] = await Observer.TryGetTextAsync(path) ?? "";
            foreach (var child in await Observer.TryGetChildrenAsync(path) ?? [])
            {
                await AddAsync($"{path}/{child}");
            }
        }
    }
}
