using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>
/// Who watches what, by the client's paths (reference §2.6). The reader registers on replies and fires on events, so an event that
/// follows a reply finds its handler. Thread-safe.
/// </summary>
internal sealed class WatchTable
{
    /// <summary>Paths in one setWatches; a frame must stay below the server's limit of 1 MiB.</summary>
    private const int BatchBytesMax = 128 * 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<Kind, Dictionary<string, List<Action<WatchedEvent>>>> _tables = Enum.GetValues<Kind>()
        .ToDictionary(kind => kind, _ => new Dictionary<string, List<Action<WatchedEvent>>>(StringComparer.Ordinal));

    public enum Kind
    {
        Data,
        Exist,
        Child,
        Persistent,
        Recursive,
    }

    public void Add(Kind kind, string path, Action<WatchedEvent> handler)
    {
        lock (_gate)
        {
            var table = _tables[kind];
            if (!table.TryGetValue(path, out var handlers))
            {
                table[path] = handlers = [];
            }

            if (!handlers.Contains(handler))
            {
                handlers.Add(handler);
            }
        }
    }

    /// <summary>Takes one handler, or all, from the tables of a type.</summary>
    /// <returns>What was taken, with the event that tells of it, and whether other handlers are left in these tables.</returns>
    public (IReadOnlyList<(WatchEventType Event, IReadOnlyList<Action<WatchedEvent>> Handlers)> Removed, bool AnyLeft) Remove(
        string path, WatcherType type, Action<WatchedEvent>? handler)
    {
        (Kind Kind, WatchEventType Event)[] tables = type switch
        {
            WatcherType.Data => [(Kind.Data, WatchEventType.DataWatchRemoved), (Kind.Exist, WatchEventType.DataWatchRemoved)],
            WatcherType.Children => [(Kind.Child, WatchEventType.ChildWatchRemoved)],
            _ =>
            [
                (Kind.Data, WatchEventType.DataWatchRemoved),
                (Kind.Exist, WatchEventType.DataWatchRemoved),
                (Kind.Child, WatchEventType.ChildWatchRemoved),
                (Kind.Persistent, WatchEventType.PersistentWatchRemoved),
                (Kind.Recursive, WatchEventType.PersistentWatchRemoved),
            ],
        };
        var removed = new List<(WatchEventType, IReadOnlyList<Action<WatchedEvent>>)>();
        var anyLeft = false;
        lock (_gate)
        {
            foreach (var (kind, watched) in tables)
            {
                if (!_tables[kind].TryGetValue(path, out var handlers))
                {
                    continue;
                }

                List<Action<WatchedEvent>> taken = handler is null ? handlers : handlers.Contains(handler) ? [handler] : [];
                if (taken.Count > 0)
                {
                    removed.Add((watched, taken));
                }

                if (taken.Count == handlers.Count)
                {
                    _tables[kind].Remove(path);
                }
                else
                {
                    handlers.RemoveAll(taken.Contains);
                    anyLeft = true;
                }
            }
        }

        return (removed, anyLeft);
    }

    /// <summary>The handlers of an event; one-shot ones are forgotten.</summary>
    public IReadOnlyList<Action<WatchedEvent>> Take(WatchEventType type, string path)
    {
        var found = new List<Action<WatchedEvent>>();
        lock (_gate)
        {
            switch (type)
            {
                case WatchEventType.NodeCreated or WatchEventType.NodeDataChanged:
                    Move(Kind.Data, path, found);
                    Move(Kind.Exist, path, found);
                    break;
                case WatchEventType.NodeDeleted:
                    Move(Kind.Data, path, found);
                    Move(Kind.Child, path, found);
                    Move(Kind.Exist, path, found);
                    break;
                case WatchEventType.NodeChildrenChanged:
                    Move(Kind.Child, path, found);
                    break;
                default:
                    break;
            }

            Copy(Kind.Persistent, path, found);
            if (type != WatchEventType.NodeChildrenChanged)
            {
                for (var at = path; at.Length > 0; at = ZnodePath.ParentOf(at))
                {
                    Copy(Kind.Recursive, at, found);
                }
            }
        }

        return found;
    }

    /// <summary>Every handler once: for a change of the connection's state, which consumes nothing.</summary>
    public IReadOnlyList<Action<WatchedEvent>> All()
    {
        lock (_gate)
        {
            return [.. _tables.Values.SelectMany(table => table.Values).SelectMany(handlers => handlers).Distinct()];
        }
    }

    public void Clear()
    {
        lock (_gate)
        {
            foreach (var table in _tables.Values)
            {
                table.Clear();
            }
        }
    }

    /// <summary>The requests that arm all watches on a new connection.</summary>
    /// <param name="lastZxid">Highest zxid seen in a reply: what happened since fires at once.</param>
    /// <param name="toServer">Adds the chroot.</param>
    public IReadOnlyList<(OpCode Type, IJuteRecord Body)> Rearm(long lastZxid, Func<string, string> toServer)
    {
        var requests = new List<(OpCode, IJuteRecord)>();
        var batch = new Dictionary<Kind, List<string>>();
        var bytes = 0;
        lock (_gate)
        {
            foreach (var (kind, table) in _tables)
            {
                foreach (var path in table.Keys)
                {
                    if (!batch.TryGetValue(kind, out var paths))
                    {
                        batch[kind] = paths = [];
                    }

                    var server = toServer(path);
                    paths.Add(server);
                    bytes += server.Length + sizeof(int);
                    if (bytes > BatchBytesMax)
                    {
                        Close();
                    }
                }
            }
        }

        Close();
        return requests;

        void Close()
        {
            if (batch.Count == 0)
            {
                return;
            }

            var oneShot = new SetWatchesRequest(lastZxid, Of(Kind.Data), Of(Kind.Exist), Of(Kind.Child));
            requests.Add(batch.ContainsKey(Kind.Persistent) || batch.ContainsKey(Kind.Recursive)
                ? (OpCode.SetWatches2, new SetWatches2Request(oneShot, Of(Kind.Persistent), Of(Kind.Recursive)))
                : (OpCode.SetWatches, oneShot));
            batch = [];
            bytes = 0;
        }

        IReadOnlyCollection<string> Of(Kind kind) => batch.TryGetValue(kind, out var paths) ? paths : [];
    }

    private void Move(Kind kind, string path, List<Action<WatchedEvent>> found)
    {
        if (_tables[kind].Remove(path, out var handlers))
        {
            found.AddRange(handlers.Except(found));
        }
    }

    private void Copy(Kind kind, string path, List<Action<WatchedEvent>> found)
    {
        if (_tables[kind].TryGetValue(path, out var handlers))
        {
            found.AddRange(handlers.Except(found));
        }
    }
}
