using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>What the recorded scripts do not reach: halves of watches, several registrations at once, and that nothing is left behind.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class WatchTableTests
{
    private static readonly Acl[] Open = [.. WellKnownAcls.OpenUnsafe];

    private readonly WatchTable _watches = new();
    private readonly Watcher _watcher = new();

    [Test]
    public void A_watcher_registered_in_every_way_hears_an_event_once()
    {
        _watches.Add(_watcher, "/a/b", WatchKinds.Once | WatchKinds.Persistent | WatchKinds.Recursive);
        _watches.Add(_watcher, "/a", WatchKinds.Recursive);
        _watches.Add(_watcher, "/", WatchKinds.Recursive);

        Fire(WatchEventType.NodeDeleted, "/a/b");

        Assert.That(_watcher.Heard, Is.EqualTo(new[] { "NodeDeleted /a/b" }));
    }

    [Test]
    public void Taking_the_child_half_of_a_persistent_watch_leaves_its_data_half()
    {
        _watches.Add(_watcher, "/a", WatchKinds.Persistent);
        Assert.That(_watches.Remove(_watcher, "/a", WatchKinds.AllChildren), Is.True);
        Assert.That(_watches.Remove(_watcher, "/a", WatchKinds.AllChildren), Is.False);

        Fire(WatchEventType.NodeChildrenChanged, "/a");
        Fire(WatchEventType.NodeDataChanged, "/a");

        Assert.That(_watcher.Heard, Is.EqualTo(new[] { "NodeDataChanged /a" }));
    }

    [Test]
    public void Taking_the_data_half_of_a_persistent_watch_leaves_its_child_half()
    {
        _watches.Add(_watcher, "/a", WatchKinds.Persistent);
        _watches.Remove(_watcher, "/a", WatchKinds.AllData);

        Fire(WatchEventType.NodeChildrenChanged, "/a");
        Fire(WatchEventType.NodeDataChanged, "/a");

        Assert.That(_watcher.Heard, Is.EqualTo(new[] { "NodeChildrenChanged /a" }));
    }

    [Test]
    public void A_one_shot_watch_whose_znode_may_not_be_read_is_spent_in_silence()
    {
        _watches.Add(_watcher, "/a", WatchKinds.OnceData);

        _watches.Fire(new ZnodeEvent(WatchEventType.NodeDataChanged, "/a", [new Acl(AclPermissions.All, new Id("digest", "bob:x"))]));
        Fire(WatchEventType.NodeDataChanged, "/a");

        Assert.That(_watcher.Heard, Is.Empty);
        Assert.That(_watches.Count, Is.Zero);
    }

    [Test]
    public void A_recursive_watch_hears_only_what_is_below_its_path()
    {
        _watches.Add(_watcher, "/a", WatchKinds.Recursive);

        Fire(WatchEventType.NodeCreated, "/ab");
        Fire(WatchEventType.NodeCreated, "/a/b/c");
        Fire(WatchEventType.NodeChildrenChanged, "/a");

        Assert.That(_watcher.Heard, Is.EqualTo(new[] { "NodeCreated /a/b/c" }));
    }

    [Test]
    public void Nothing_is_left_of_a_watcher_that_is_removed_or_fired([Values] bool fired)
    {
        var other = new Watcher();
        for (var i = 0; i < 10; i++)
        {
            _watches.Add(_watcher, $"/{i}", fired ? WatchKinds.Once : WatchKinds.Once | WatchKinds.Recursive);
            _watches.Add(other, $"/{i}", WatchKinds.Persistent);
        }

        for (var i = 0; i < 10 && fired; i++)
        {
            Fire(WatchEventType.NodeDeleted, $"/{i}");
        }

        _watches.RemoveAll(other);
        if (!fired)
        {
            _watches.RemoveAll(_watcher);
        }

        Assert.That((_watches.Count, _watches.PathCount, _watches.WatcherCount), Is.EqualTo((0, 0, 0)));
        Assert.That(_watches.CountOf(_watcher), Is.Zero);
    }

    private void Fire(WatchEventType type, string path) => _watches.Fire(new ZnodeEvent(type, path, Open));

    private sealed class Watcher : IWatcher
    {
        public List<string> Heard { get; } = [];

        public IReadOnlyList<Id> Identities => [];

        public void Notify(WatchEventType type, string path) => Heard.Add($"{type} {path}");
    }
}
