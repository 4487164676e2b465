using System.Collections.Concurrent;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using MultiOperation = Fabric.ZooKeeper.Client.MultiOperation;

namespace Fabric.Interop.Tests.ZooKeeper;

/// <summary>Watches: when they fire, in which order, and what becomes of them when the connection breaks.</summary>
internal abstract partial class ZooKeeperClientTests
{
    [Test]
    public async Task A_one_shot_watch_fires_once()
    {
        var client = await ConnectAsync();
        var path = await client.CreateAsync($"{_base}/w", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        var events = new BlockingCollection<WatchedEvent>();
        await client.GetDataAsync(path, events.Add);
        await client.GetChildrenAsync(path, events.Add);
        await client.SetDataAsync(path, "1"u8.ToArray());
        await client.SetDataAsync(path, "2"u8.ToArray());
        await client.CreateAsync($"{path}/child", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        await client.SyncAsync(path);
        Assert.That(
            (Take(events).Type, Take(events).Type), Is.EqualTo((WatchEventType.NodeDataChanged, WatchEventType.NodeChildrenChanged)));
        Assert.That(events, Is.Empty);
    }

    [Test]
    public async Task A_recursive_watch_stays_until_removed()
    {
        var client = await ConnectAsync();
        var events = new BlockingCollection<WatchedEvent>();
        await client.AddWatchAsync(_base, AddWatchMode.PersistentRecursive, events.Add);
        var path = await client.CreateAsync($"{_base}/x", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        await client.SetDataAsync(path, "1"u8.ToArray());
        await client.SetDataAsync(path, "2"u8.ToArray());
        await client.DeleteAsync(path);
        WatchEventType[] seen = [Take(events).Type, Take(events).Type, Take(events).Type, Take(events).Type];
        Assert.That(seen, Is.EqualTo(new[]
        {
            WatchEventType.NodeCreated, WatchEventType.NodeDataChanged, WatchEventType.NodeDataChanged, WatchEventType.NodeDeleted,
        }));
        await client.RemoveWatchesAsync(_base, WatcherType.Any, events.Add);
        Assert.That(Take(events).Type, Is.EqualTo(WatchEventType.PersistentWatchRemoved));
        await client.CreateAsync($"{_base}/y", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        await client.SyncAsync(_base);
        Assert.That(events, Is.Empty);
        Assert.That(async () => await client.RemoveWatchesAsync(_base, WatcherType.Any, events.Add), Fails(ZooKeeperError.NoWatcher));
    }

    [Test]
    public async Task A_change_missed_while_disconnected_fires_the_watch()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}", timeout: TimeSpan.FromSeconds(4));
        var changed = new BlockingCollection<WatchedEvent>();
        await client.GetDataAsync(_base, watched => AddChange(changed, watched));
        var other = await ConnectAsync();
        relay.Swallow = true;
        await other.SetDataAsync(_base, "missed"u8.ToArray());
        relay.Cut();
        relay.Swallow = false;
        Assert.That(Take(changed).Type, Is.EqualTo(WatchEventType.NodeDataChanged));
    }

    /// <summary>One-shot watches report what they have missed, each kind what it is for.</summary>
    [TestCase("data", "set", WatchEventType.NodeDataChanged)]
    [TestCase("data", "delete", WatchEventType.NodeDeleted)]
    [TestCase("children", "create", WatchEventType.NodeChildrenChanged)]
    [TestCase("children", "delete", WatchEventType.NodeDeleted)]
    [TestCase("existence", "set", WatchEventType.NodeDataChanged)]
    [TestCase("absence", "create", WatchEventType.NodeCreated)]
    public async Task What_was_missed_while_disconnected_fires(string kind, string change, WatchEventType expected)
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}", timeout: TimeSpan.FromSeconds(4));
        var other = await ConnectAsync();
        var path = await other.CreateAsync($"{_base}/w", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        var events = new BlockingCollection<WatchedEvent>();
        var watched = kind == "absence" ? $"{path}/absent" : path;
        await WatchAsync(client, kind, watched, happened => AddChange(events, happened));
        relay.Swallow = true;
        await (change switch
        {
            "set" => other.SetDataAsync(path, "missed"u8.ToArray()),
            "create" => other.CreateAsync($"{path}/absent", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent),
            _ => other.DeleteAsync(path),
        });
        relay.Cut();
        relay.Swallow = false;
        var told = Take(events);
        Assert.That((told.Type, told.Path), Is.EqualTo((expected, watched)));
    }

    [TestCase("data", WatchEventType.NodeDataChanged)]
    [TestCase("children", WatchEventType.NodeChildrenChanged)]
    [TestCase("existence", WatchEventType.NodeDataChanged)]
    [TestCase("absence", WatchEventType.NodeCreated)]
    [TestCase("persistent", WatchEventType.NodeDataChanged)]
    [TestCase("recursive", WatchEventType.NodeDataChanged)]
    public async Task Every_kind_of_watch_is_in_place_again_on_a_new_connection(string kind, WatchEventType expected)
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}", timeout: TimeSpan.FromSeconds(4));
        var other = await ConnectAsync();
        var path = await other.CreateAsync($"{_base}/w", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        var events = new BlockingCollection<WatchedEvent>();
        var watched = kind == "absence" ? $"{path}/absent" : path;
        await WatchAsync(client, kind, watched, happened => AddChange(events, happened));
        var states = StateList.FromLossOn(client);
        relay.Cut();
        Assert.That((Take(states), Take(states)), Is.EqualTo((KeeperState.Disconnected, KeeperState.SyncConnected)));
        await client.SyncAsync(path); // behind the re-registration
        await other.SetDataAsync(path, "1"u8.ToArray());
        await other.CreateAsync($"{path}/absent", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        var told = Take(events);
        Assert.That((told.Type, told.Path), Is.EqualTo((expected, watched)));
    }

    [Test]
    public async Task A_persistent_watch_is_told_to_read_again_and_then_sees_what_it_missed()
    {
        await using var relay = new TcpRelay(_host.Port);
        var client = await ConnectAsync(connectString: $"127.0.0.1:{relay.Port}", timeout: TimeSpan.FromSeconds(4));
        var other = await ConnectAsync();
        var hints = new BlockingCollection<WatchedEvent>();
        await client.AddWatchAsync(_base, AddWatchMode.Persistent, hints.Add);
        relay.Swallow = true;
        await other.SetDataAsync(_base, "missed"u8.ToArray());
        relay.Cut();
        relay.Swallow = false;
        Assert.That((Take(hints).State, Take(hints).State), Is.EqualTo((KeeperState.Disconnected, KeeperState.SyncConnected)));
        Assert.That((await RetryAsync(() => client.GetDataAsync(_base))).Data, Is.EqualTo("missed"u8.ToArray()));
    }

    [Test]
    public async Task Events_of_one_transaction_come_in_its_order()
    {
        var client = await ConnectAsync();
        var events = new BlockingCollection<WatchedEvent>();
        await client.AddWatchAsync(_base, AddWatchMode.PersistentRecursive, events.Add);
        await client.MultiAsync(
        [
            MultiOperation.Create($"{_base}/a", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent),
            MultiOperation.Create($"{_base}/a/b", default, WellKnownAcls.OpenUnsafe, CreateMode.Persistent),
            MultiOperation.SetData($"{_base}/a", "1"u8.ToArray()),
            MultiOperation.Delete($"{_base}/a/b"),
            MultiOperation.Delete($"{_base}/a"),
        ]);
        Assert.That(
            Enumerable.Range(0, 5).Select(_ => Take(events)).Select(happened => $"{happened.Type} {happened.Path![_base.Length..]}"),
            Is.EqualTo(new[] { "NodeCreated /a", "NodeCreated /a/b", "NodeDataChanged /a", "NodeDeleted /a/b", "NodeDeleted /a" }));
    }

    private static Task WatchAsync(ZooKeeperClient client, string kind, string path, Action<WatchedEvent> watcher) => kind switch
    {
        "data" => client.GetDataAsync(path, watcher),
        "children" => client.GetChildrenAsync(path, watcher),
        "persistent" => client.AddWatchAsync(path, AddWatchMode.Persistent, watcher),
        "recursive" => client.AddWatchAsync(path, AddWatchMode.PersistentRecursive, watcher),
        _ => client.ExistsAsync(path, watcher),
    };
}
