using System.Collections.Concurrent;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Interop.Tests.ZooKeeper;

/// <summary>Connections that break, servers that fall silent or start again, sessions that end.</summary>
internal abstract partial class ZooKeeperClientTests
{
    [Test]
    public async Task A_cut_connection_keeps_session_ephemerals_watches_and_identities()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        await client.AddAuthAsync("digest", "fabric:admin"u8.ToArray());
        await client.CreateAsync($"{_base}/e", default, WellKnownAcls.CreatorAll, CreateMode.Ephemeral);
        var changed = new BlockingCollection<WatchedEvent>();
        var recursive = new BlockingCollection<WatchedEvent>();
        await client.GetChildrenAsync(_base, watched => AddChange(changed, watched));
        await client.AddWatchAsync($"{_base}/e", AddWatchMode.PersistentRecursive, watched => AddChange(recursive, watched));
        var session = client.SessionId;
        var states = StateList.FromLossOn(client);
        relay.Cut();
        Assert.That((Take(states), Take(states)), Is.EqualTo((KeeperState.Disconnected, KeeperState.SyncConnected)));
        Assert.That(client.SessionId, Is.EqualTo(session));
        var other = await ConnectAsync();
        await other.AddAuthAsync("digest", "fabric:admin"u8.ToArray());
        await other.CreateAsync($"{_base}/new", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        await other.SetDataAsync($"{_base}/e", "1"u8.ToArray());
        Assert.That(Take(changed).Type, Is.EqualTo(WatchEventType.NodeChildrenChanged));
        Assert.That(Take(recursive).Type, Is.EqualTo(WatchEventType.NodeDataChanged));
        Assert.That((await client.GetDataAsync($"{_base}/e")).Data, Is.EqualTo("1"u8.ToArray()));
    }

    [Test]
    public async Task A_request_under_way_fails_with_connection_loss_and_a_later_one_waits()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        relay.Swallow = true;
        var lost = client.CreateAsync($"{_base}/lost", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        var other = await ConnectAsync();
        while (await other.ExistsAsync($"{_base}/lost") is null)
        {
            await Task.Delay(10);
        }

        relay.Cut();
        relay.Swallow = false;
        Assert.That(async () => await lost.WaitAsync(Limit), Fails(ZooKeeperError.ConnectionLoss));
        Assert.That(await client.ExistsAsync($"{_base}/lost").WaitAsync(Limit), Is.Not.Null);
    }

    [Test]
    public async Task A_protected_create_is_made_once_when_its_answer_is_lost()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        relay.Swallow = true;
        var create = client.CreateProtectedAsync($"{_base}/p-", default, WellKnownAcls.OpenUnsafe, CreateMode.EphemeralSequential);
        var other = await ConnectAsync();
        while ((await other.GetChildrenAsync(_base)).Children.Count == 0)
        {
            await Task.Delay(10);
        }

        relay.Cut();
        relay.Swallow = false;
        var path = await create.WaitAsync(Limit);
        Assert.That((await other.GetChildrenAsync(_base)).Children, Is.EqualTo(new[] { path[(_base.Length + 1)..] }));
    }

    [Test]
    public async Task A_session_that_was_away_too_long_is_over()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        var path = await client.CreateAsync($"{_base}/e", default, WellKnownAcls.OpenUnsafe, CreateMode.Ephemeral);
        var other = await ConnectAsync();
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await other.ExistsAsync(path, watched => gone.TrySetResult());
        var expired = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        client.StateChanged += state =>
        {
            if (state == KeeperState.Expired)
            {
                expired.TrySetResult();
            }
        };
        relay.Refuse = true;
        relay.Cut();
        await gone.Task.WaitAsync(Limit);
        Assert.That(expired.Task.IsCompleted, Is.False, "only a server can say that a session has expired");
        relay.Refuse = false;
        await expired.Task.WaitAsync(Limit);
        Assert.That(async () => await client.ExistsAsync(_base), Fails(ZooKeeperError.SessionExpired));
    }

    [Test]
    public async Task A_session_is_given_up_when_its_server_was_set_back_to_less_than_the_client_has_seen()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        await client.CreateAsync($"{_base}/seen", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        await using var wiped = CreateHost();
        await wiped.StartAsync();
        var states = StateList.FromLossOn(client);
        relay.Redirect(wiped.Port);
        relay.Cut();
        Assert.That((Take(states), Take(states)), Is.EqualTo((KeeperState.Disconnected, KeeperState.Expired)));
        var next = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}");
        Assert.That(await next.ExistsAsync(_base), Is.Null);
    }

    [Test]
    public async Task A_client_of_several_hosts_goes_to_one_that_is_there()
    {
        var dead = Ports.FindFree();
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{dead},127.0.0.1:{relay.Port},127.0.0.1:{_host.Port}");
        for (var i = 0; i < 3; i++)
        {
            relay.Cut();
            Assert.That(await RetryAsync(() => client.ExistsAsync(_base)), Is.Not.Null);
        }
    }

    [Test, Order(1000)]
    public async Task A_restarted_server_finds_the_session_again()
    {
        var client = await ConnectAsync(timeout: TimeSpan.FromSeconds(4));
        await client.CreateAsync($"{_base}/e", default, WellKnownAcls.OpenUnsafe, CreateMode.Ephemeral);
        var session = client.SessionId;
        await _host.StopAsync();
        await _host.StartAsync();
        Assert.That(await RetryAsync(() => client.ExistsAsync($"{_base}/e")), Is.Not.Null);
        Assert.That(client.SessionId, Is.EqualTo(session));
    }

    [Test, Order(1001)]
    public async Task A_restarted_server_has_the_watches_again_and_gets_what_has_waited()
    {
        var client = await ConnectAsync(timeout: TimeSpan.FromSeconds(4));
        var events = new BlockingCollection<WatchedEvent>();
        await client.GetDataAsync(_base, happened => AddChange(events, happened));
        var states = StateList.FromLossOn(client);
        await _host.StopAsync();
        Assert.That(Take(states), Is.EqualTo(KeeperState.Disconnected));
        var waiting = client.SetDataAsync(_base, "waited"u8.ToArray());
        await _host.StartAsync();
        Assert.That((await waiting.WaitAsync(Limit)).Version, Is.EqualTo(1));
        Assert.That(Take(events).Type, Is.EqualTo(WatchEventType.NodeDataChanged));
    }

    [Test]
    public async Task A_server_that_falls_silent_is_left_for_another_with_the_same_session()
    {
        await using var one = new TcpRelay(_host.Port);
        await using var other = new TcpRelay(_host.Port);
        var client = await ConnectAsync($"127.0.0.1:{one.Port},127.0.0.1:{other.Port}", TimeSpan.FromSeconds(4));
        await client.CreateAsync($"{_base}/e", default, WellKnownAcls.OpenUnsafe, CreateMode.Ephemeral);
        var (session, states) = (client.SessionId, StateList.FromLossOn(client));
        var silent = one.IsInUse ? one : other;
        silent.Swallow = true;
        var lost = client.ExistsAsync(_base);
        Assert.That((Take(states), Take(states)), Is.EqualTo((KeeperState.Disconnected, KeeperState.SyncConnected)));
        Assert.That(async () => await lost, Fails(ZooKeeperError.ConnectionLoss));
        Assert.That(await client.ExistsAsync($"{_base}/e"), Is.Not.Null);
        Assert.That((client.SessionId, silent == one ? other.IsInUse : one.IsInUse), Is.EqualTo((session, true)));
    }

    [Test]
    public async Task Writes_over_breaking_connections_happen_once_or_are_reported_lost()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}", timeout: TimeSpan.FromSeconds(4));
        var (done, lost) = (0, 0);
        for (var round = 0; round < 10; round++)
        {
            var writes = Enumerable.Range(0, 20).Select(i => client.SetDataAsync(_base, BitConverter.GetBytes(i))).ToArray();
            await Task.WhenAny(writes); // so that some are done
            relay.Cut();
            foreach (var write in writes)
            {
                try
                {
                    await write.WaitAsync(Limit);
                    done++;
                }
                catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.ConnectionLoss)
                {
                    lost++;
                }
            }
        }

        var version = (await RetryAsync(() => client.GetDataAsync(_base))).Stat.Version;
        Assert.That(done, Is.Positive);
        Assert.That(done + lost, Is.EqualTo(200));
        Assert.That(version, Is.InRange(done, done + lost));
    }

    [Test]
    public async Task A_protected_create_that_was_given_up_leaves_nothing()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}", timeout: TimeSpan.FromSeconds(4));
        var other = await ConnectAsync();
        relay.Swallow = true;
        using var cancel = new CancellationTokenSource();
        var create = client.CreateProtectedAsync($"{_base}/p-", default, WellKnownAcls.OpenUnsafe, CreateMode.PersistentSequential, cancel.Token);
        while ((await other.GetChildrenAsync(_base)).Children.Count == 0)
        {
            await Task.Delay(10);
        }

        await cancel.CancelAsync();
        Assert.That(async () => await create, Throws.InstanceOf<OperationCanceledException>());
        relay.Cut();
        relay.Swallow = false;
        using var limit = new CancellationTokenSource(Limit);
        while ((await other.GetChildrenAsync(_base, limit.Token)).Children.Count > 0)
        {
            await Task.Delay(10, limit.Token);
        }
    }
}
