using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>Which event goes to which handlers, and what is left of them (reference §2.6).</summary>
internal sealed class ClientWatchTableTests
{
    [TestCase(WatchEventType.NodeCreated, "data exist persistent recursive root", "child persistent recursive root")]
    [TestCase(WatchEventType.NodeDataChanged, "data exist persistent recursive root", "child persistent recursive root")]
    [TestCase(WatchEventType.NodeDeleted, "data child exist persistent recursive root", "persistent recursive root")]
    [TestCase(WatchEventType.NodeChildrenChanged, "child persistent", "data exist persistent recursive root")]
    public void An_event_goes_to_the_handlers_it_is_for_and_uses_one_shot_ones_up(WatchEventType type, string told, string left)
    {
        var table = new WatchTable();
        var calls = new List<string>();
        Add(table, calls, WatchTable.Kind.Data, "/a/b", "data");
        Add(table, calls, WatchTable.Kind.Exist, "/a/b", "exist");
        Add(table, calls, WatchTable.Kind.Child, "/a/b", "child");
        Add(table, calls, WatchTable.Kind.Persistent, "/a/b", "persistent");
        Add(table, calls, WatchTable.Kind.Persistent, "/a", "persistent of the parent");
        Add(table, calls, WatchTable.Kind.Recursive, "/a", "recursive");
        Add(table, calls, WatchTable.Kind.Recursive, "/", "root");
        Add(table, calls, WatchTable.Kind.Recursive, "/a/b/c", "recursive of a child");
        Tell(table.Take(type, "/a/b"));
        Assert.That(string.Join(' ', calls), Is.EqualTo(told));
        calls.Clear();
        Tell(table.All());
        Assert.That(calls, Is.EquivalentTo(left.Split(' ').Concat(["persistent of the parent", "recursive of a child"])));
    }

    [Test]
    public void A_handler_hears_of_an_event_once_however_often_it_is_registered()
    {
        var table = new WatchTable();
        var calls = 0;
        Action<WatchedEvent> handler = _ => calls++;
        table.Add(WatchTable.Kind.Data, "/a", handler);
        table.Add(WatchTable.Kind.Data, "/a", handler);
        table.Add(WatchTable.Kind.Recursive, "/", handler);
        Tell(table.Take(WatchEventType.NodeDeleted, "/a"));
        Assert.That(calls, Is.EqualTo(1));
    }

    [Test]
    public void Handlers_are_removed_by_type()
    {
        var table = new WatchTable();
        var calls = new List<string>();
        var data = Add(table, calls, WatchTable.Kind.Data, "/a", "data");
        Add(table, calls, WatchTable.Kind.Data, "/a", "data 2");
        Add(table, calls, WatchTable.Kind.Child, "/a", "child");
        Add(table, calls, WatchTable.Kind.Recursive, "/a", "recursive");
        Assert.That(Removed(table.Remove("/a", WatcherType.Children, data)), Is.EqualTo(("", true)));
        Assert.That(Removed(table.Remove("/a", WatcherType.Data, data)), Is.EqualTo(("DataWatchRemoved 1", true)));
        Assert.That(Removed(table.Remove("/a", WatcherType.Data, null)), Is.EqualTo(("DataWatchRemoved 1", false)));
        Assert.That(Removed(table.Remove("/a", WatcherType.Data, null)), Is.EqualTo(("", false)));
        Assert.That(Removed(table.Remove("/a", WatcherType.Any, null)), Is.EqualTo(("ChildWatchRemoved 1, PersistentWatchRemoved 1", false)));
        Assert.That(table.All(), Is.Empty);
        Assert.That(table.Rearm(1, path => path), Is.Empty);
    }

    private static (string Removed, bool AnyLeft) Removed(
        (IReadOnlyList<(WatchEventType Event, IReadOnlyList<Action<WatchedEvent>> Handlers)> Removed, bool AnyLeft) result) =>
        (string.Join(", ", result.Removed.Select(removed => $"{removed.Event} {removed.Handlers.Count}")), result.AnyLeft);

    private static Action<WatchedEvent> Add(WatchTable table, List<string> calls, WatchTable.Kind kind, string path, string name)
    {
        Action<WatchedEvent> handler = _ => calls.Add(name);
        table.Add(kind, path, handler);
        return handler;
    }

    private static void Tell(IReadOnlyList<Action<WatchedEvent>> handlers)
    {
        foreach (var handler in handlers)
        {
            handler(new WatchedEvent(WatchEventType.None, KeeperState.SyncConnected, null));
        }
    }
}
