using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server.Requests;

/// <summary>Requests about watches (reference §2.6, §3.6).</summary>
internal sealed partial class RequestExecutor
{
    private bool TryWatch(in Request request, string path, WatchKinds kinds)
    {
        var connection = request.Connection;
        if (_watches.CountOf(connection) >= _options.WatchesPerConnectionMax
            && !_watches.Contains(connection, path, WatchKinds.AllData | WatchKinds.AllChildren))
        {
            return false;
        }

        _watches.Add(connection, path, kinds);
        return true;
    }

    private Answer AddWatch(in Request request, AddWatchRequest wanted)
    {
        WatchKinds? kinds = (AddWatchMode)wanted.Mode switch
        {
            AddWatchMode.Persistent => WatchKinds.Persistent,
            AddWatchMode.PersistentRecursive => WatchKinds.Recursive,
            _ => null,
        };
        if (kinds is null)
        {
            return ZooKeeperError.MarshallingError;
        }

        return TryWatch(request, wanted.Path, kinds.Value)
            ? Answer.Of(new Int32Record((int)ZooKeeperError.Ok))
            : ZooKeeperError.ThrottledOperation;
    }

    private Answer CheckWatches(in Request request, RemoveWatchesRequest wanted)
    {
        if (!TryGetKinds(wanted, out var kinds))
        {
            return ZooKeeperError.MarshallingError;
        }

        return _watches.Contains(request.Connection, wanted.Path, kinds) ? Answer.Done : ZooKeeperError.NoWatcher;
    }

    private Answer RemoveWatches(in Request request, RemoveWatchesRequest wanted)
    {
        if (!TryGetKinds(wanted, out var kinds))
        {
            return ZooKeeperError.MarshallingError;
        }

        return _watches.Remove(request.Connection, wanted.Path, kinds) ? Answer.Done : ZooKeeperError.NoWatcher;
    }

    private static bool TryGetKinds(RemoveWatchesRequest wanted, out WatchKinds kinds)
    {
        kinds = (WatcherType)wanted.Type switch
        {
            WatcherType.Children => WatchKinds.AllChildren,
            WatcherType.Data => WatchKinds.AllData,
            WatcherType.Any => WatchKinds.AllData | WatchKinds.AllChildren,
            _ => WatchKinds.None,
        };
        return kinds != WatchKinds.None;
    }

    /// <summary>
    /// Arms the watches of a client that came back; a one-shot watch whose event was missed fires at once instead. In the
    /// order data, exist, child, and before the answer.
    /// </summary>
    private Answer SetWatches(in Request request, SetWatches2Request wanted)
    {
        var since = wanted.OneShot.RelativeZxid;
        var isWithinLimit = true;
        foreach (var path in wanted.OneShot.DataWatches)
        {
            isWithinLimit &= Rearm(request, path, WatchKinds.OnceData, _state.Tree.Find(path) switch
            {
                null => WatchEventType.NodeDeleted,
                var znode when znode.Mzxid > since => WatchEventType.NodeDataChanged,
                _ => WatchEventType.None,
            });
        }

        foreach (var path in wanted.OneShot.ExistWatches)
        {
            var missed = _state.Tree.Find(path) is null ? WatchEventType.None : WatchEventType.NodeCreated;
            isWithinLimit &= Rearm(request, path, WatchKinds.OnceData, missed);
        }

        foreach (var path in wanted.OneShot.ChildWatches)
        {
            isWithinLimit &= Rearm(request, path, WatchKinds.OnceChildren, _state.Tree.Find(path) switch
            {
                null => WatchEventType.NodeDeleted,
                var znode when znode.Pzxid > since => WatchEventType.NodeChildrenChanged,
                _ => WatchEventType.None,
            });
        }

        foreach (var path in wanted.PersistentWatches)
        {
            isWithinLimit &= TryWatch(request, path, WatchKinds.Persistent);
        }

        foreach (var path in wanted.PersistentRecursiveWatches)
        {
            isWithinLimit &= TryWatch(request, path, WatchKinds.Recursive);
        }

        return isWithinLimit ? Answer.Done : ZooKeeperError.ThrottledOperation;
    }

    private bool Rearm(in Request request, string path, WatchKinds kinds, WatchEventType missed)
    {
        if (missed == WatchEventType.None)
        {
            return TryWatch(request, path, kinds);
        }

        request.Connection.Notify(missed, path);
        return true;
    }
}
