using System.Runtime.InteropServices;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>Somebody who watches paths; a connection.</summary>
internal interface IWatcher
{
    /// <summary>Who it is; an event of a znode that none of them may read is not for it.</summary>
    IReadOnlyList<Id> Identities { get; }

    void Notify(WatchEventType type, string path);
}

/// <summary>
/// How a watcher watches a path. One-shot and persistent registrations are kept apart, unlike in Apache ZooKeeper 3.8,
/// where the later replaces the earlier (reference §3.6). Each has a data half and a child half, because removeWatches
/// can take one and leave the other.
/// </summary>
[Flags]
internal enum WatchKinds
{
    None = 0,
    OnceData = 1,
    OnceChildren = 2,
    PersistentData = 4,
    PersistentChildren = 8,
    RecursiveData = 16,
    RecursiveChildren = 32,

    Once = OnceData | OnceChildren,
    Persistent = PersistentData | PersistentChildren,
    Recursive = RecursiveData | RecursiveChildren,
    AllData = OnceData | PersistentData | RecursiveData,
    AllChildren = OnceChildren | PersistentChildren | RecursiveChildren,
}

/// <summary>All watches of all connections. Not thread-safe: it lives under the lock of the request executor.</summary>
internal sealed class WatchTable
{
    private readonly Dictionary<string, Dictionary<IWatcher, WatchKinds>> _byPath = [];
    private readonly Dictionary<IWatcher, HashSet<string>> _byWatcher = [];
    private readonly HashSet<IWatcher> _told = [];
    private int _recursiveCount;

    /// <summary>Number of pairs of watcher and path.</summary>
    public int Count { get; private set; }

    public int PathCount => _byPath.Count;

    public int WatcherCount => _byWatcher.Count;

    /// <summary>Paths that one watcher watches.</summary>
    public int CountOf(IWatcher watcher) => _byWatcher.TryGetValue(watcher, out var paths) ? paths.Count : 0;

    public bool Contains(IWatcher watcher, string path, WatchKinds anyOf) =>
        _byPath.TryGetValue(path, out var watchers) && watchers.TryGetValue(watcher, out var kinds) && (kinds & anyOf) != 0;

    public void Add(IWatcher watcher, string path, WatchKinds kinds)
    {
        var watchers = CollectionsMarshal.GetValueRefOrAddDefault(_byPath, path, out _) ??= [];
        ref var present = ref CollectionsMarshal.GetValueRefOrAddDefault(watchers, watcher, out var exists);
        if (!exists)
        {
            Count++;
            (CollectionsMarshal.GetValueRefOrAddDefault(_byWatcher, watcher, out _) ??= []).Add(path);
        }

        if ((kinds & WatchKinds.Recursive) != 0 && (present & WatchKinds.Recursive) == 0)
        {
            _recursiveCount++;
        }

        present |= kinds;
    }

    /// <summary>Takes kinds away from a registration.</summary>
    /// <returns>False when the watcher has none of them on this path.</returns>
    public bool Remove(IWatcher watcher, string path, WatchKinds kinds)
    {
        if (!Contains(watcher, path, kinds))
        {
            return false;
        }

        var watchers = _byPath[path];
        ref var present = ref CollectionsMarshal.GetValueRefOrNullRef(watchers, watcher);
        var left = present & ~kinds;
        if ((present & WatchKinds.Recursive) != 0 && (left & WatchKinds.Recursive) == 0)
        {
            _recursiveCount--;
        }

        present = left;
        if (left == WatchKinds.None)
        {
            Forget(watchers, watcher, path);
            if (_byWatcher.TryGetValue(watcher, out var paths) && paths.Remove(path) && paths.Count == 0)
            {
                _byWatcher.Remove(watcher);
            }
        }

        return true;
    }

    /// <summary>Drops every watch of a connection that ended.</summary>
    public void RemoveAll(IWatcher watcher)
    {
        if (!_byWatcher.Remove(watcher, out var paths))
        {
            return;
        }

        foreach (var path in paths)
        {
            var watchers = _byPath[path];
            if ((watchers[watcher] & WatchKinds.Recursive) != 0)
            {
                _recursiveCount--;
            }

            Forget(watchers, watcher, path);
        }
    }

    /// <summary>
    /// Tells everybody concerned, each at most once whatever it is registered for, and disarms one-shot watches. Whoever
    /// may not read the znode hears nothing.
    /// </summary>
    public void Fire(in ZnodeEvent znodeEvent)
    {
        _told.Clear();
        var (own, inherited) = KindsThatHear(znodeEvent.Type);
        Collect(znodeEvent.Path, own);
        if (_recursiveCount > 0 && inherited != WatchKinds.None)
        {
            for (var path = ZnodePath.ParentOf(znodeEvent.Path); path.Length > 0; path = ZnodePath.ParentOf(path))
            {
                Collect(path, inherited);
            }
        }

        foreach (var watcher in _told)
        {
            if (AccessControl.Allows(znodeEvent.Acl, AclPermissions.Read, watcher.Identities))
            {
                watcher.Notify(znodeEvent.Type, znodeEvent.Path);
            }
        }

        _told.Clear();
    }

    private static (WatchKinds Own, WatchKinds Inherited) KindsThatHear(WatchEventType type) => type switch
    {
        WatchEventType.NodeDeleted => (WatchKinds.AllData | WatchKinds.AllChildren, WatchKinds.Recursive),
        WatchEventType.NodeChildrenChanged => (WatchKinds.OnceChildren | WatchKinds.PersistentChildren, WatchKinds.None),
        _ => (WatchKinds.AllData, WatchKinds.RecursiveData),
    };

    private void Collect(string path, WatchKinds hearing)
    {
        if (!_byPath.TryGetValue(path, out var watchers))
        {
            return;
        }

        List<IWatcher>? disarmed = null;
        foreach (var (watcher, kinds) in watchers)
        {
            if ((kinds & hearing) == 0)
            {
                continue;
            }

            _told.Add(watcher);
            if ((kinds & hearing & WatchKinds.Once) != 0)
            {
                (disarmed ??= []).Add(watcher);
            }
        }

        foreach (var watcher in disarmed ?? [])
        {
            Remove(watcher, path, hearing & WatchKinds.Once);
        }
    }

    private void Forget(Dictionary<IWatcher, WatchKinds> watchers, IWatcher watcher, string path)
    {
        Count--;
        watchers.Remove(watcher);
        if (watchers.Count == 0)
        {
            _byPath.Remove(path);
        }
    }
}
