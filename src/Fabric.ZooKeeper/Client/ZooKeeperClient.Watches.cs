using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>Watches apart from the reads that set them.</summary>
public sealed partial class ZooKeeperClient
{
    /// <summary>
    /// Watches a znode, or it and all below, until the watch is removed; the znode need not exist. Needs a server of 3.6 or later.
    /// After a re-connection the watch is in place again, but what happened meanwhile is not reported: the handler hears
    /// <see cref="KeeperState.SyncConnected"/> and reads again.
    /// </summary>
    /// <remarks>
    /// Servers before 3.9 keep one watch per session and path, the last one set: a read with a watch, or the other mode, on the same
    /// path takes events away from this one. Use one kind of watch per path.
    /// </remarks>
    public Task AddWatchAsync(string path, AddWatchMode mode, Action<WatchedEvent> watcher, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(OpCode.AddWatch, new AddWatchRequest(_servers.ToServer(path), (int)mode), path, Read, cancellationToken);

        bool Read(ZooKeeperError error, ref JuteReader reader)
        {
            ThrowUnlessOk(error, path);
            Watch(mode == AddWatchMode.Persistent ? WatchTable.Kind.Persistent : WatchTable.Kind.Recursive, path, watcher);
            return true;
        }
    }

    /// <summary>
    /// Removes watches of a type from a path: one handler's, or all. From the call on they hear of nothing more, but, at the end, of
    /// the removal. The server's watch goes with the last handler. Not to be mixed with calls that set a watch on the same path.
    /// </summary>
    /// <param name="path">The znode.</param>
    /// <param name="type">Data and Children remove one-shot watches, Any persistent ones too.</param>
    /// <param name="watcher">The handler; null for all.</param>
    /// <param name="cancellationToken">Ends the waiting for the server.</param>
    /// <exception cref="ZooKeeperException">There is no such watch (NoWatcher).</exception>
    public async Task RemoveWatchesAsync(
        string path, WatcherType type, Action<WatchedEvent>? watcher = null, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        var (removed, anyLeft) = _watches.Remove(path, type, watcher);
        if (removed.Count == 0)
        {
            throw new ZooKeeperException(ZooKeeperError.NoWatcher, path);
        }

        if (!anyLeft)
        {
            await RemoveFromServerAsync(path, type, cancellationToken);
        }

        foreach (var (happened, handlers) in removed)
        {
            _events.Writer.TryWrite((new WatchedEvent(happened, State, path), handlers));
        }
    }

    private async Task RemoveFromServerAsync(string path, WatcherType type, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(
                OpCode.RemoveWatches, new RemoveWatchesRequest(_servers.ToServer(path), (int)type), path, ReadNothing(path), cancellationToken);
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NoWatcher or ZooKeeperError.ConnectionLoss)
        {
            // It has just fired, or its connection is gone and it with it: there is none any more, which is what was asked for.
        }
    }

    private void Watch(WatchTable.Kind kind, string path, Action<WatchedEvent>? watcher)
    {
        if (watcher is not null)
        {
            _watches.Add(kind, path, watcher);
        }
    }
}
