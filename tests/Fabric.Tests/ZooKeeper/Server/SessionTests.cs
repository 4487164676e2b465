using Fabric.Runtime;
using Fabric.Tests.Server;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Sessions;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>Sessions begin, move to another connection, survive the server, and end.</summary>
public sealed class SessionTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    [Test]
    public void A_session_never_expires_before_its_timeout_and_at_most_a_check_after()
    {
        var sessions = new SessionTable();
        var session = sessions.Open(1, timeout: 5000, []);
        SessionTable.Touch(session, now: 1000);
        for (var now = 1500; now < 6000; now += 500)
        {
            Assert.That(sessions.TakeExpired(now, interval: 500, tick: 2000), Is.Empty, $"{now}");
        }

        Assert.That(sessions.TakeExpired(6000, 500, 2000), Is.EqualTo(new[] { session }));
    }

    [Test]
    public void A_pause_of_the_process_moves_all_deadlines_instead_of_expiring_everybody()
    {
        var sessions = new SessionTable();
        var session = sessions.Open(1, timeout: 5000, []);
        SessionTable.Touch(session, now: 0);
        sessions.TakeExpired(500, interval: 500, tick: 2000);

        Assert.That(sessions.TakeExpired(60_500, 500, 2000), Is.Empty, "the pause itself");
        Assert.That(sessions.TakeExpired(61_000, 500, 2000), Is.Empty);
        Assert.That(session.Deadline, Is.EqualTo(5000 + 59_500));
        for (var now = 61_500; now < 64_500; now += 500)
        {
            Assert.That(sessions.TakeExpired(now, 500, 2000), Is.Empty, $"{now}");
        }

        Assert.That(sessions.TakeExpired(64_500, 500, 2000), Is.EqualTo(new[] { session }));
    }

    [Test]
    public void A_session_that_was_heard_right_after_a_pause_gets_no_more_than_its_timeout()
    {
        var sessions = new SessionTable();
        var session = sessions.Open(1, timeout: 5000, []);
        SessionTable.Touch(session, now: 0);
        sessions.TakeExpired(500, interval: 500, tick: 2000);
        SessionTable.Touch(session, now: 60_400); // what had waited in its socket
        Assert.That(sessions.TakeExpired(60_500, 500, 2000), Is.Empty);
        Assert.That(session.Deadline, Is.EqualTo(65_500));
    }

    [Test]
    public void Session_ids_rise_whatever_the_wall_clock_does()
    {
        var sessions = new SessionTable();
        var ids = new List<long>();
        foreach (var wallClock in new long[] { 1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_800_000_000_000, (1L << 40) + 5 })
        {
            ids.Add(sessions.Open(sessions.NextId(wallClock), 1, []).Id);
        }

        Assert.That(ids, Is.Ordered.Ascending.And.Unique);
        Assert.That(ids.Select(id => id >> 56), Is.All.EqualTo(1));
    }

    [TestCase(0, 4000)]
    [TestCase(-5, 4000)]
    [TestCase(3999, 4000)]
    [TestCase(4001, 4001)]
    [TestCase(40_000, 40_000)]
    [TestCase(86_400_000, 40_000)]
    public async Task The_timeout_is_granted_within_the_bounds(int asked, int granted)
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync(asked);

        Assert.That(client.Session!.TimeOut, Is.EqualTo(granted));
    }

    [Test]
    public async Task A_silent_client_loses_its_session_and_its_ephemerals_and_watchers_hear_it()
    {
        var time = new ManualTime();
        await using var server = await StartAsync(time);
        await using var lost = await server.OpenAsync(4000);
        await using var watcher = await server.OpenAsync(40_000);
        await lost.CreateAsync("/e", mode: CreateMode.Ephemeral);
        await watcher.ExistsAsync("/e", watch: true);

        var waited = await AdvanceUntilAsync(time, () => watcher.HasInput);

        Assert.That((await watcher.TakeEventsAsync(1)).Single(), Is.EqualTo(
            new WatcherEvent(WatchEventType.NodeDeleted, KeeperState.SyncConnected, "/e")));
        Assert.That(waited, Is.InRange(TimeSpan.FromSeconds(3.9), TimeSpan.FromSeconds(6)));
        Assert.That(await watcher.ExistsAsync("/e"), Is.Null);
        Assert.That(await lost.ReadFrameAsync(), Is.Null, "its connection is cut");
        await using var late = await RawClient.ReattachAsync(server.Port, lost.Session!);
        Assert.That(late.Session, Is.EqualTo(new ConnectResponse(0, 0, 0, late.Session!.Password, false)), "and it is told so");
    }

    [Test]
    public async Task Pings_keep_a_session()
    {
        var time = new ManualTime();
        await using var server = await StartAsync(time);
        await using var client = await server.OpenAsync(4000);

        for (var i = 0; i < 100; i++)
        {
            time.Advance(Step);
            await client.RequestAsync(OpCode.Ping);
        }

        await client.CreateAsync("/alive");
    }

    [Test]
    public async Task A_session_and_its_ephemerals_survive_a_restart_and_its_client_comes_back()
    {
        var disk = new MemoryDisk();
        await using var first = await StartAsync(new ManualTime(), disk);
        await using var client = await first.OpenAsync();
        await client.CreateAsync("/e", mode: CreateMode.Ephemeral);
        await first.DisposeAsync();

        await using var second = await StartAsync(new ManualTime(), disk);
        await using var again = await RawClient.ReattachAsync(second.Port, client.Session!, timeOut: 12_000);

        Assert.That(again.Session!.SessionId, Is.EqualTo(client.Session!.SessionId));
        Assert.That(again.Session.TimeOut, Is.EqualTo(12_000));
        Assert.That(again.Session.Password, Is.EqualTo(client.Session.Password));
        Assert.That((await again.ExistsAsync("/e"))!.Value.EphemeralOwner, Is.EqualTo(client.Session.SessionId));
    }

    [Test]
    public async Task A_session_nobody_returns_to_ends_its_full_timeout_after_the_restart()
    {
        var disk = new MemoryDisk();
        await using (var first = await StartAsync(new ManualTime(), disk))
        {
            await using var client = await first.OpenAsync(6000);
            await client.CreateAsync("/e", mode: CreateMode.Ephemeral);
        }

        var time = new ManualTime();
        await using var second = await StartAsync(time, disk);
        await using var watcher = await second.OpenAsync(40_000);
        Assert.That(await watcher.ExistsAsync("/e", watch: true), Is.Not.Null);

        Assert.That(await AdvanceUntilAsync(time, () => watcher.HasInput), Is.InRange(TimeSpan.FromSeconds(5.8), TimeSpan.FromSeconds(8)));
        Assert.That(await watcher.ExistsAsync("/e"), Is.Null);
    }

    [Test]
    public async Task A_wrong_password_is_answered_as_expired_and_leaves_the_owner_alone()
    {
        await using var server = await TestServer.StartAsync();
        await using var owner = await server.OpenAsync();

        await using var thief = await RawClient.ReattachAsync(server.Port, owner.Session! with { Password = new byte[16] });
        Assert.That(thief.Session!.TimeOut, Is.Zero);
        Assert.That(thief.Session.SessionId, Is.Zero);
        Assert.That(await thief.ReadFrameAsync(), Is.Null);

        await owner.CreateAsync("/still-here");
    }

    [Test]
    public async Task A_reattach_takes_the_session_from_the_connection_before_with_its_watches_and_identities()
    {
        await using var server = await TestServer.StartAsync();
        await using var old = await server.OpenAsync();
        await old.RequestAsync(OpCode.Auth, new AuthPacket(0, "digest", "bob:pw"u8.ToArray()));
        await old.CreateAsync("/w");
        await old.ExistsAsync("/w", watch: true);

        await using var fresh = await RawClient.ReattachAsync(server.Port, old.Session!);
        Assert.That(await old.ReadFrameAsync(), Is.Null, "the old connection is closed");

        await fresh.SetDataAsync("/w", [1]);
        Assert.That(await fresh.DrainEventsAsync(), Is.Empty, "watches belong to the connection");
        var who = (await fresh.RequestAsync(OpCode.WhoAmI)).Read<WhoAmIResponse>();
        Assert.That(who.Clients, Is.EqualTo(new[] { new ClientInfo("ip", "127.0.0.1") }));
    }

    [Test]
    public async Task A_lost_connection_loses_neither_session_nor_ephemerals()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/e", mode: CreateMode.Ephemeral);
        await client.DisposeAsync();

        await using var again = await RawClient.ReattachAsync(server.Port, client.Session!);
        Assert.That(await again.ExistsAsync("/e"), Is.Not.Null);
    }

    [Test]
    public async Task A_closed_session_is_over_and_what_was_sent_behind_the_close_is_ignored()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/e", mode: CreateMode.Ephemeral);
        await client.ExistsAsync("/e", watch: true);

        var close = await client.SendAsync(OpCode.CloseSession);
        await client.SendAsync(OpCode.Create, RawClientRequests.Create("/behind"));
        await client.ReadReplyAsync(close);
        Assert.That(client.Events.Select(e => e.Type), Is.EqualTo(new[] { WatchEventType.NodeDeleted }), "events come before the reply");
        Assert.That(await client.ReadFrameAsync(), Is.Null);

        await using var again = await RawClient.ReattachAsync(server.Port, client.Session!);
        Assert.That(again.Session!.TimeOut, Is.Zero);
        await using var other = await server.OpenAsync();
        Assert.That(await other.GetChildrenAsync("/"), Is.EqualTo(new[] { "zookeeper" }));
    }

    [Test]
    public async Task A_client_that_has_seen_more_than_the_server_gets_no_answer()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await RawClient.ConnectTcpAsync(server.Port);
        await client.SendFrameAsync(new ConnectRequest(0, 1L << 40, 10_000, 0, new byte[16], false));

        Assert.That(await client.ReadFrameAsync(), Is.Null);
    }

    [Test]
    public async Task A_client_of_3_3_without_the_read_only_byte_gets_none_back()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await RawClient.ConnectTcpAsync(server.Port);
        await client.SendFrameAsync(new ConnectRequest(0, 0, 10_000, 0, [], null));

        Assert.That(await client.ReadFrameAsync(), Has.Length.EqualTo(ConnectResponse.EncodedLengthMin));
    }

    [Test]
    public async Task A_stranger_that_says_nothing_is_cut_after_ten_seconds()
    {
        var time = new ManualTime();
        await using var server = await StartAsync(time);
        await using var stranger = await RawClient.ConnectTcpAsync(server.Port);
        await Wait.UntilAsync(async () => (await server.AskAsync("mntr")).Contains("connections\t2", StringComparison.Ordinal));

        var closed = stranger.ReadToEndAsync();
        Assert.That(await AdvanceUntilAsync(time, () => closed.IsCompleted), Is.GreaterThan(TimeSpan.FromSeconds(9.9)));
    }

    [Test]
    public async Task Empty_containers_and_outlived_ttl_znodes_are_removed_and_others_are_not()
    {
        var time = new ManualTime();
        await using var server = await StartAsync(time);
        await using var client = await server.OpenAsync(40_000);
        foreach (var path in new[] { "/used", "/unused", "/full" })
        {
            await client.RequestAsync(OpCode.CreateContainer, RawClientRequests.Create(path, mode: CreateMode.Container));
        }

        await client.CreateAsync("/used/child");
        await client.CreateAsync("/full/child");
        await client.DeleteAsync("/used/child");
        foreach (var (path, ttl) in new[] { ("/short", 1000L), ("/long", 3_600_000L), ("/parent", 1000L) })
        {
            await client.RequestAsync(OpCode.CreateTtl, new CreateTtlRequest(
                path, [], [.. WellKnownAcls.OpenUnsafe], (int)CreateMode.PersistentWithTtl, ttl));
        }

        await client.CreateAsync("/parent/child");
        await client.RequestAsync(OpCode.AddWatch, new AddWatchRequest("/", (int)AddWatchMode.PersistentRecursive));

        await AdvanceUntilAsync(time, () => client.Events.Count == 2, client);
        var events = await client.TakeEventsAsync(2);
        Assert.That(events.Select(e => $"{e.Type} {e.Path}"), Is.EquivalentTo(new[] { "NodeDeleted /used", "NodeDeleted /short" }));
        Assert.That(await client.GetChildrenAsync("/"), Is.EqualTo(new[] { "full", "long", "parent", "unused", "zookeeper" }));
    }

    private static Task<TestServer> StartAsync(ManualTime time, MemoryDisk? disk = null) => TestServer.StartAsync(
        options => options with { ContainerCheckInterval = TimeSpan.FromSeconds(5) },
        StoredState.DirectoryPath,
        FabricRuntime.System with { Time = time, Disk = disk ?? new MemoryDisk() });

    /// <summary>
    /// Moves the clock in small steps until the condition holds; between two steps the server's clock loop gets time to see
    /// the last one, as it would on a machine.
    /// </summary>
    /// <returns>How far the clock was moved.</returns>
    private static async Task<TimeSpan> AdvanceUntilAsync(ManualTime time, Func<bool> condition, RawClient? keptAlive = null)
    {
        var moved = TimeSpan.Zero;
        await Wait.UntilAsync(async () =>
        {
            if (condition())
            {
                return true;
            }

            time.Advance(Step);
            moved += Step;
            if (keptAlive is not null)
            {
                await keptAlive.RequestAsync(OpCode.Ping);
            }

            return false;
        });
        return moved;
    }
}
