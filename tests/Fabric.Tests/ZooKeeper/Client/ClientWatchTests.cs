using System.Collections.Concurrent;
using Fabric.Tests.ZooKeeper.Server;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>Watches as the client keeps them.</summary>
internal sealed class ClientWatchTests : ClientFixture
{
    [Test]
    public async Task Handlers_run_in_the_order_of_the_events_and_neither_a_slow_nor_a_failing_one_stops_answers()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        using var release = new ManualResetEventSlim();
        var seen = new ConcurrentQueue<WatchEventType>();
        await WatchAsync(client, connection, "/a", watched =>
        {
            seen.Enqueue(watched.Type);
            if (watched.Type == WatchEventType.NodeCreated)
            {
                release.Wait(ScriptedServer.Deadline);
                throw new InvalidOperationException("a handler's fault");
            }
        });
        await connection.SendEventAsync(WatchEventType.NodeCreated, "/a");
        await connection.SendEventAsync(WatchEventType.NodeDataChanged, "/a");
        await connection.SendEventAsync(WatchEventType.NodeDeleted, "/a");
        var exists = client.ExistsAsync("/a");
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.NoNode);
        Assert.That(await exists.WaitAsync(ScriptedServer.Deadline), Is.Null, "the answer came although a handler waits");
        release.Set();
        await Wait.UntilAsync(() => seen.Count == 3);
        Assert.That(seen, Is.EqualTo(new[] { WatchEventType.NodeCreated, WatchEventType.NodeDataChanged, WatchEventType.NodeDeleted }));
    }

    [Test]
    public async Task An_event_of_a_kind_that_is_not_known_is_passed_on()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var seen = new ConcurrentQueue<WatchedEvent>();
        await WatchAsync(client, connection, "/a", seen.Enqueue);
        await connection.SendEventAsync((WatchEventType)42, "/a");
        await Wait.UntilAsync(() => seen.TryPeek(out var first) && first.Type == (WatchEventType)42);
    }

    [Test]
    public async Task All_kinds_are_armed_again_and_persistent_ones_are_told_to_read_again()
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var hints = new ConcurrentQueue<KeeperState>();
        await WatchAsync(client, first, "/p", watched => hints.Enqueue(watched.State));
        await WatchAsync(client, first, "/r", _ => { }, AddWatchMode.PersistentRecursive);
        var (data, exists, children) = (client.GetDataAsync("/d", _ => { }), client.ExistsAsync("/e", _ => { }), client.GetChildrenAsync("/c", _ => { }));
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok, new GetDataResponse(null, default));
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.NoNode);
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok, new GetChildren2Response([], default), zxid: 12);
        await Task.WhenAll(data, exists, children);
        first.Close();
        var second = await server.AcceptSessionAsync();
        var request = await second.ReadRequestAsync();
        Assert.That(request.Header, Is.EqualTo(new RequestHeader(SpecialXid.SetWatches, OpCode.SetWatches2)));
        var body = request.Read<SetWatches2Request>();
        Assert.That(body.OneShot.RelativeZxid, Is.EqualTo(12));
        Assert.That(
            (body.OneShot.DataWatches, body.OneShot.ExistWatches, body.OneShot.ChildWatches, body.PersistentWatches, body.PersistentRecursiveWatches),
            Is.EqualTo((new[] { "/d" }, new[] { "/e" }, new[] { "/c" }, new[] { "/p" }, new[] { "/r" })));
        await Wait.UntilAsync(() => hints.SequenceEqual([KeeperState.Disconnected, KeeperState.SyncConnected]));
    }

    [Test]
    public async Task Many_watches_are_armed_in_requests_that_a_server_takes()
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync();
        var paths = await WatchManyAsync(client, first);
        first.Close();
        var second = await server.AcceptSessionAsync();
        var armed = new List<string>();
        while (armed.Count < paths.Length)
        {
            var request = await second.ReadRequestAsync();
            Assert.That(request.Frame, Has.Length.LessThan(140_000));
            armed.AddRange(request.Read<SetWatchesRequest>().DataWatches);
        }

        Assert.That(armed, Is.EquivalentTo(paths));
    }

    [Test]
    public async Task What_was_missed_by_watches_that_were_not_armed_in_time_is_still_asked_for()
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync();
        await WatchManyAsync(client, first);
        first.Close();
        var second = await server.AcceptSessionAsync();
        await second.ReplyAsync(await second.ReadRequestAsync(), ZooKeeperError.Ok, zxid: 200);
        await second.ReadRequestAsync();
        second.Close(); // before it has answered for the others
        var third = await server.AcceptSessionAsync();
        Assert.That((await third.ReadRequestAsync()).Read<SetWatchesRequest>().RelativeZxid, Is.EqualTo(100));
    }

    [Test]
    public async Task A_server_that_does_not_arm_the_watches_is_left()
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync();
        await WatchAsync(client, first, "/a", _ => { });
        first.Close();
        var second = await server.AcceptSessionAsync();
        await second.ReplyAsync(await second.ReadRequestAsync(), ZooKeeperError.ThrottledOperation);
        var third = await server.AcceptSessionAsync();
        Assert.That((await third.ReadRequestAsync()).Header.Type, Is.EqualTo(OpCode.SetWatches2));
    }

    [Test]
    public async Task The_servers_watch_goes_with_the_last_handler()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var seen = new ConcurrentQueue<string>();
        Action<WatchedEvent> one = watched => seen.Enqueue($"one {watched.Type}");
        Action<WatchedEvent> two = watched => seen.Enqueue($"two {watched.Type}");
        await WatchAsync(client, connection, "/a", one);
        await WatchAsync(client, connection, "/a", two);
        await client.RemoveWatchesAsync("/a", WatcherType.Any, one); // nothing is sent
        await connection.SendEventAsync(WatchEventType.NodeDataChanged, "/a");
        await Wait.UntilAsync(() => seen.Count == 2);
        var removing = client.RemoveWatchesAsync("/a", WatcherType.Any);
        var request = await connection.ReadRequestAsync();
        Assert.That(request.Read<RemoveWatchesRequest>(), Is.EqualTo(new RemoveWatchesRequest("/a", (int)WatcherType.Any)));
        await connection.ReplyAsync(request, ZooKeeperError.NoWatcher);
        await removing;
        await Wait.UntilAsync(() => seen.Count == 3);
        Assert.That(seen, Is.EqualTo(new[] { "one PersistentWatchRemoved", "two NodeDataChanged", "two PersistentWatchRemoved" }));
        Assert.That(async () => await client.RemoveWatchesAsync("/a", WatcherType.Any), Fails(ZooKeeperError.NoWatcher));
    }

    [Test]
    public async Task A_watch_whose_caller_gave_up_is_known_nevertheless()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        using var cancel = new CancellationTokenSource();
        var seen = new ConcurrentQueue<WatchEventType>();
        var read = client.GetDataAsync("/a", watched => seen.Enqueue(watched.Type), cancel.Token);
        var request = await connection.ReadRequestAsync();
        await cancel.CancelAsync();
        Assert.That(async () => await read, Throws.InstanceOf<OperationCanceledException>());
        await connection.ReplyAsync(request, ZooKeeperError.Ok, new GetDataResponse(null, default));
        await connection.SendEventAsync(WatchEventType.NodeDataChanged, "/a");
        await Wait.UntilAsync(() => seen.Contains(WatchEventType.NodeDataChanged));
    }

    private static async Task WatchAsync(
        ZooKeeperClient client,
        ScriptedConnection connection,
        string path,
        Action<WatchedEvent> watcher,
        AddWatchMode mode = AddWatchMode.Persistent)
    {
        var added = client.AddWatchAsync(path, mode, watcher);
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new Int32Record(0));
        await added;
    }

    /// <summary>Reads with watches whose paths take more than one packet to arm; the server's answers are of zxid 100.</summary>
    /// <returns>The paths.</returns>
    private static async Task<string[]> WatchManyAsync(ZooKeeperClient client, ScriptedConnection server)
    {
        string[] paths = [.. Enumerable.Range(0, 600).Select(i => $"/{i:000}{new string('x', 496)}")];
        var reads = paths.Select(path => client.GetDataAsync(path, _ => { })).ToArray();
        foreach (var _ in paths)
        {
            await server.ReplyAsync(await server.ReadRequestAsync(), ZooKeeperError.Ok, new GetDataResponse(null, default), zxid: 100);
        }

        await Task.WhenAll(reads);
        return paths;
    }
}
