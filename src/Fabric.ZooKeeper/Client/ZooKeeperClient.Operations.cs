using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>The operations. All fail with <see cref="ZooKeeperException"/>; its <c>Error</c> says why, its <c>Path</c> where.</summary>
public sealed partial class ZooKeeperClient
{
    /// <summary>Adds an identity to this and every later connection of the session; adding the same one again does nothing.</summary>
    /// <param name="scheme"><c>digest</c>, for example.</param>
    /// <param name="auth">Of <c>digest</c>: <c>user:password</c>, in clear on the wire. A wrong password is no error: it is another identity.</param>
    /// <param name="cancellationToken">Ends the waiting, not the identity.</param>
    /// <exception cref="ZooKeeperException">The server refuses (AuthFailed): that is the end of this client.</exception>
    public async Task AddAuthAsync(string scheme, ReadOnlyMemory<byte> auth, CancellationToken cancellationToken = default)
    {
        Identity? identity;
        lock (_gate)
        {
            ThrowIfOver(null);
            identity = _identities.Find(known => known.Scheme == scheme && auth.Span.SequenceEqual(known.Secret));
            if (identity is null)
            {
                identity = new Identity(scheme, auth.ToArray(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                _identities.Add(identity);
                _attachment?.Send(identity);
            }
        }

        await identity.Added.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Creates a znode.</summary>
    /// <returns>Its path; with a number at the end for the sequential modes.</returns>
    /// <exception cref="ArgumentException">The path is not valid, the mode needs a time to live, or the data are too large.</exception>
    public Task<string> CreateAsync(
        string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, CancellationToken cancellationToken = default) =>
        CreateZnodeAsync(path, data, acl, mode, null, cancellationToken);

    /// <summary>Creates a znode that the server deletes when it is childless and unchanged for a time.</summary>
    /// <param name="path">The znode.</param>
    /// <param name="data">Its data.</param>
    /// <param name="acl">Who may do what with it.</param>
    /// <param name="mode">One of the modes with a time to live.</param>
    /// <param name="timeToLive">1 ms to 2^40 ms.</param>
    /// <param name="cancellationToken">Ends the waiting; the znode may be created nevertheless.</param>
    /// <exception cref="ArgumentException">The path is not valid, the mode has no time to live, or the data are too large.</exception>
    public Task<string> CreateAsync(
        string path,
        ReadOnlyMemory<byte> data,
        IReadOnlyCollection<Acl> acl,
        CreateMode mode,
        TimeSpan timeToLive,
        CancellationToken cancellationToken = default) =>
        CreateZnodeAsync(path, data, acl, mode, timeToLive, cancellationToken);

    /// <returns>The znode's facts; null when there is none.</returns>
    public Task<Stat?> ExistsAsync(string path, CancellationToken cancellationToken = default) =>
        ExistsAsync(path, null, cancellationToken);

    /// <summary>The same, and a one-shot watch for the creation, deletion or change of data.</summary>
    public Task<Stat?> ExistsAsync(string path, Action<WatchedEvent>? watcher, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(OpCode.Exists, new PathWatchRequest(_servers.ToServer(path), watcher is not null), path, Read, cancellationToken);

        Stat? Read(ZooKeeperError error, ref JuteReader reader)
        {
            if (error == ZooKeeperError.NoNode)
            {
                Watch(WatchTable.Kind.Exist, path, watcher);
                return null;
            }

            ThrowUnlessOk(error, path);
            Watch(WatchTable.Kind.Data, path, watcher);
            return Stat.Read(ref reader);
        }
    }

    public Task<DataResult> GetDataAsync(string path, CancellationToken cancellationToken = default) =>
        GetDataAsync(path, null, cancellationToken);

    /// <summary>The same, and a one-shot watch for the deletion or change of data.</summary>
    public Task<DataResult> GetDataAsync(string path, Action<WatchedEvent>? watcher, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(OpCode.GetData, new PathWatchRequest(_servers.ToServer(path), watcher is not null), path, Read, cancellationToken);

        DataResult Read(ZooKeeperError error, ref JuteReader reader)
        {
            ThrowUnlessOk(error, path);
            var response = GetDataResponse.Read(ref reader);
            Watch(WatchTable.Kind.Data, path, watcher);
            return new DataResult(response.Data ?? [], response.Stat);
        }
    }

    public Task<ChildrenResult> GetChildrenAsync(string path, CancellationToken cancellationToken = default) =>
        GetChildrenAsync(path, null, cancellationToken);

    /// <summary>The same, and a one-shot watch for the deletion of the znode or a change of its list of children.</summary>
    public Task<ChildrenResult> GetChildrenAsync(
        string path, Action<WatchedEvent>? watcher, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(
            OpCode.GetChildren2, new PathWatchRequest(_servers.ToServer(path), watcher is not null), path, Read, cancellationToken);

        ChildrenResult Read(ZooKeeperError error, ref JuteReader reader)
        {
            ThrowUnlessOk(error, path);
            var response = GetChildren2Response.Read(ref reader);
            Watch(WatchTable.Kind.Child, path, watcher);
            return new ChildrenResult([.. response.Children], response.Stat);
        }
    }

    /// <param name="path">The znode.</param>
    /// <param name="data">Its new data.</param>
    /// <param name="version">Expected version of its data; -1 for any.</param>
    /// <param name="cancellationToken">Ends the waiting; the change may happen nevertheless.</param>
    public Task<Stat> SetDataAsync(
        string path, ReadOnlyMemory<byte> data, int version = -1, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(
            OpCode.SetData, new SetDataRequest(_servers.ToServer(path), data.ToArray(), version), path, ReadStat(path), cancellationToken);
    }

    /// <param name="path">The znode; it must have no children.</param>
    /// <param name="version">Expected version of its data; -1 for any.</param>
    /// <param name="cancellationToken">Ends the waiting; the deletion may happen nevertheless.</param>
    public Task DeleteAsync(string path, int version = -1, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(
            OpCode.Delete, new PathVersionRequest(_servers.ToServerForDelete(path), version), path, ReadNothing(path), cancellationToken);
    }

    public Task<AclResult> GetAclAsync(string path, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(OpCode.GetAcl, new PathRecord(_servers.ToServer(path)), path, Read, cancellationToken);

        AclResult Read(ZooKeeperError error, ref JuteReader reader)
        {
            ThrowUnlessOk(error, path);
            var response = GetAclResponse.Read(ref reader);
            return new AclResult(response.Acl ?? [], response.Stat);
        }
    }

    /// <param name="path">The znode.</param>
    /// <param name="acl">Its new access control list.</param>
    /// <param name="aclVersion">Expected version of the list; -1 for any.</param>
    /// <param name="cancellationToken">Ends the waiting; the change may happen nevertheless.</param>
    public Task<Stat> SetAclAsync(
        string path, IReadOnlyCollection<Acl> acl, int aclVersion = -1, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(
            OpCode.SetAcl, new SetAclRequest(_servers.ToServer(path), [.. acl], aclVersion), path, ReadStat(path), cancellationToken);
    }

    /// <summary>Makes later reads of this client see everything that was written anywhere before.</summary>
    public Task SyncAsync(string path, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        return SendAsync(OpCode.Sync, new PathRecord(_servers.ToServer(path)), path, ReadNothing(path), cancellationToken);
    }

    private Task<string> CreateZnodeAsync(
        string path,
        ReadOnlyMemory<byte> data,
        IReadOnlyCollection<Acl> acl,
        CreateMode mode,
        TimeSpan? timeToLive,
        CancellationToken cancellationToken)
    {
        CreateBody.Validate(path, mode, timeToLive);
        var body = CreateBody.Of(_servers.ToServer(path), data, acl, mode, timeToLive);
        return SendAsync(mode.ToOpCode(withStat: false), body, path, Read, cancellationToken);

        string Read(ZooKeeperError error, ref JuteReader reader)
        {
            ThrowUnlessOk(error, path);
            return _servers.ToClient(reader.ReadRequiredString()); // the other creates' answers begin with it too
        }
    }
}
