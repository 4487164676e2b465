using System.Runtime.InteropServices;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>
/// All znodes by path. It applies changes that were checked before (<see cref="WriteRules"/>) and knows neither clients nor
/// permissions. Not thread-safe: it lives under the lock of <see cref="Requests.RequestExecutor"/>.
/// </summary>
internal sealed class ZnodeTree
{
    public const string SystemPath = "/zookeeper";
    public const string QuotaPath = "/zookeeper/quota";
    public const string ConfigPath = "/zookeeper/config";

    /// <summary>What a znode costs beside its path and data, roughly, in bytes.</summary>
    private const int OverheadPerZnode = 200;

    private static readonly Acl[] OpenAcl = [.. WellKnownAcls.OpenUnsafe];
    private static readonly Acl[] ReadAcl = [.. WellKnownAcls.ReadUnsafe];

    private readonly Dictionary<string, Znode> _znodes = [];
    private readonly Dictionary<long, HashSet<string>> _ephemerals = [];
    private readonly HashSet<string> _reapable = [];

    /// <summary>Number of znodes, the four that always exist included.</summary>
    public int Count => _znodes.Count;

    /// <summary>Bytes of memory that all znodes take, roughly.</summary>
    public long DataBytes { get; private set; }

    public int EphemeralCount => _ephemerals.Values.Sum(paths => paths.Count);

    /// <summary>Paths of containers and TTL znodes.</summary>
    public IReadOnlyCollection<string> Reapable => _reapable;

    /// <summary>Every znode with its path, unordered.</summary>
    public IReadOnlyCollection<KeyValuePair<string, Znode>> All => _znodes;

    /// <summary>A tree with the znodes that every server has from the start, all zeros in their Stat (reference §3.1).</summary>
    public static ZnodeTree CreateInitial()
    {
        var tree = new ZnodeTree();
        tree.Load(ZnodePath.Root, new Znode { Acl = OpenAcl, Data = [] });
        tree.Load(SystemPath, new Znode { Acl = OpenAcl, Data = [] });
        tree.Load(QuotaPath, new Znode { Acl = OpenAcl, Data = [] });
        tree.Load(ConfigPath, new Znode { Acl = ReadAcl, Aversion = -1, Data = [] });
        tree.LinkLoaded();
        return tree;
    }

    /// <summary>The znode at a path; the empty path is another name of the root (reference §1.15).</summary>
    public Znode? Find(string path) => _znodes.GetValueOrDefault(path.Length == 0 ? ZnodePath.Root : path);

    /// <summary>Paths of the ephemerals of a session, unordered.</summary>
    public IReadOnlyCollection<string> EphemeralsOf(long sessionId) =>
        _ephemerals.TryGetValue(sessionId, out var paths) ? paths : [];

    /// <summary>Sessions that own ephemerals.</summary>
    public IReadOnlyCollection<long> EphemeralOwners => _ephemerals.Keys;

    /// <summary>Number of all znodes below a path.</summary>
    public int CountDescendants(string path)
    {
        var total = 0;
        var open = new Stack<string>();
        open.Push(path.Length == 0 ? ZnodePath.Root : path);
        while (open.TryPop(out var current))
        {
            foreach (var child in Find(current)?.Children ?? [])
            {
                total++;
                open.Push(ChildPath(current, child));
            }
        }

        return total;
    }

    public void Create(TreeChange.Create change, Transaction transaction)
    {
        var parentPath = ZnodePath.ParentOf(change.Path);
        var parent = Find(parentPath)!;
        var previousPzxid = parent.Pzxid;
        var znode = new Znode
        {
            Data = change.Data,
            Acl = Share(change.Acl, parent.Acl),
            Czxid = transaction.Zxid,
            Mzxid = transaction.Zxid,
            Pzxid = transaction.Zxid,
            Ctime = transaction.Time,
            Mtime = transaction.Time,
            Owner = change.Owner,
        };
        Add(change.Path, znode, parent);
        parent.Creates = unchecked(parent.Creates + 1);
        parent.Pzxid = transaction.Zxid;
        transaction.Events.Add(new ZnodeEvent(WatchEventType.NodeCreated, change.Path, znode.Acl));
        transaction.Events.Add(new ZnodeEvent(WatchEventType.NodeChildrenChanged, parentPath, parent.Acl));
        transaction.OnUndo(() =>
        {
            Remove(change.Path, znode, parent);
            parent.Creates = unchecked(parent.Creates - 1);
            parent.Pzxid = previousPzxid;
        });
    }

    public void Delete(string path, Transaction transaction)
    {
        var parentPath = ZnodePath.ParentOf(path);
        var znode = Find(path)!;
        var parent = Find(parentPath)!;
        var previousPzxid = parent.Pzxid;
        Remove(path, znode, parent);
        parent.Pzxid = transaction.Zxid;
        transaction.Events.Add(new ZnodeEvent(WatchEventType.NodeDeleted, path, znode.Acl));
        transaction.Events.Add(new ZnodeEvent(WatchEventType.NodeChildrenChanged, parentPath, parent.Acl));
        transaction.OnUndo(() =>
        {
            Add(path, znode, parent);
            parent.Pzxid = previousPzxid;
        });
    }

    public void SetData(TreeChange.SetData change, Transaction transaction)
    {
        var znode = Find(change.Path)!;
        var (data, mzxid, mtime, version) = (znode.Data, znode.Mzxid, znode.Mtime, znode.Version);
        DataBytes += (change.Data?.Length ?? 0) - (data?.Length ?? 0);
        znode.Data = change.Data;
        znode.Mzxid = transaction.Zxid;
        znode.Mtime = transaction.Time;
        znode.Version = change.Version;
        transaction.Events.Add(new ZnodeEvent(WatchEventType.NodeDataChanged, change.Path, znode.Acl));
        transaction.OnUndo(() =>
        {
            DataBytes += (data?.Length ?? 0) - (change.Data?.Length ?? 0);
            (znode.Data, znode.Mzxid, znode.Mtime, znode.Version) = (data, mzxid, mtime, version);
        });
    }

    public void SetAcl(TreeChange.SetAcl change)
    {
        var znode = Find(change.Path)!;
        znode.Acl = Share(change.Acl, OpenAcl);
        znode.Aversion = change.Aversion;
    }

    /// <summary>Deletes what a session owns, in ordinal order so that every replay does the same.</summary>
    public void DeleteEphemerals(long sessionId, Transaction transaction)
    {
        var paths = EphemeralsOf(sessionId).ToArray();
        Array.Sort(paths, StringComparer.Ordinal);
        foreach (var path in paths)
        {
            Delete(path, transaction);
        }
    }

    /// <summary>Takes a znode from a snapshot; parents may come after their children. <see cref="LinkLoaded"/> ends the load.</summary>
    public void Load(string path, Znode znode)
    {
        znode.Acl = Share(znode.Acl, OpenAcl);
        _znodes.Add(path, znode);
        Index(path, znode);
    }

    /// <summary>Makes every loaded znode a child of its parent.</summary>
    /// <exception cref="KeyNotFoundException">A parent is missing.</exception>
    public void LinkLoaded()
    {
        foreach (var path in _znodes.Keys)
        {
            if (path != ZnodePath.Root)
            {
                (_znodes[ZnodePath.ParentOf(path)].Children ??= []).Add(ZnodePath.NameOf(path));
            }
        }
    }

    private static string ChildPath(string parent, string name) =>
        parent == ZnodePath.Root ? $"/{name}" : $"{parent}/{name}";

    private static long Cost(string path, Znode znode) => OverheadPerZnode + (3L * path.Length) + (znode.Data?.Length ?? 0);

    /// <summary>Most ACLs equal that of the parent or are the open one: keep one array for all of them.</summary>
    private static Acl[] Share(Acl[] acl, Acl[] likely)
    {
        if (acl.AsSpan().SequenceEqual(likely))
        {
            return likely;
        }

        return acl.AsSpan().SequenceEqual(OpenAcl) ? OpenAcl : acl;
    }

    private void Add(string path, Znode znode, Znode parent)
    {
        _znodes.Add(path, znode);
        (parent.Children ??= []).Add(ZnodePath.NameOf(path));
        Index(path, znode);
    }

    private void Remove(string path, Znode znode, Znode parent)
    {
        _znodes.Remove(path);
        parent.Children!.Remove(ZnodePath.NameOf(path));
        DataBytes -= Cost(path, znode);
        _reapable.Remove(path);
        if (znode.Owner.IsEphemeral && _ephemerals.TryGetValue(znode.Owner.SessionId, out var paths))
        {
            paths.Remove(path);
            if (paths.Count == 0)
            {
                _ephemerals.Remove(znode.Owner.SessionId);
            }
        }
    }

    private void Index(string path, Znode znode)
    {
        DataBytes += Cost(path, znode);
        if (znode.Owner.IsEphemeral)
        {
            (CollectionsMarshal.GetValueRefOrAddDefault(_ephemerals, znode.Owner.SessionId, out _) ??= []).Add(path);
        }
        else if (znode.Owner.IsContainer || znode.Owner.IsTtl)
        {
            _reapable.Add(path);
        }
    }
}
