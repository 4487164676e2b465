using System.Globalization;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>The operations. All fail with <see cref="ZooKeeperException"/>; its <c>Error</c> says why, its <c>Path</c> where.</summary>
public sealed partial class ZooKeeperClient
{
    /// <summary>Adds an identity to this and every later connection of the session.</summary>
    /// <param name="scheme"><c>digest</c>, for example.</param>
    /// <param name="auth">Of <c>digest</c>: <c>user:password</c>, in clear on the wire.</param>
    /// <param name="cancellationToken">Ends the waiting, not the identity.</param>
    public async Task AddAuthAsync(string scheme, ReadOnlyMemory<byte> auth, CancellationToken cancellationToken = default)
    {
        var identity = new Identity(scheme, auth.ToArray(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (_gate)
        {
            ThrowIfFinal(null);
            _identities.Add(identity);
            _attachment?.Send(identity.Scheme, identity.Secret, identity.Added);
        }

        await identity.Added.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Creates a znode.</summary>
    /// <returns>Its path; with a number at the end for the sequential modes.</returns>
    public Task<string> CreateAsync(
        string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, CancellationToken cancellationToken = default)
    {
        ValidateCreate(path, mode);
        if (mode.IsTtl())
        {
            throw new ArgumentException("this mode needs a time to live", nameof(mode));
        }

        var body = new CreateRequest(_servers.ToServer(path), data.ToArray(), [.. acl], (int)mode);
        return CreateAsync(mode, body, path, cancellationToken);
    }

    /// <summary>Creates a znode that the server deletes when it is childless and unchanged for a time.</summary>
    /// <param name="path">The znode.</param>
    /// <param name="data">Its data.</param>
    /// <param name="acl">Who may do what with it.</param>
    /// <param name="mode">One of the modes with a time to live.</param>
    /// <param name="timeToLive">1 ms to 2^40 ms.</param>
    /// <param name="cancellationToken">Ends the waiting; the znode may be created nevertheless.</param>
    public Task<string> CreateAsync(
        string path,
        ReadOnlyMemory<byte> data,
        IReadOnlyCollection<Acl> acl,
        CreateMode mode,
        TimeSpan timeToLive,
        CancellationToken cancellationToken = default)
    {
        ValidateCreate(path, mode);
        if (!mode.IsTtl())
        {
            throw new ArgumentException("this mode has no time to live", nameof(mode));
        }

        var body = new CreateTtlRequest(
            _servers.ToServer(path), data.ToArray(), [.. acl], (int)mode, (long)timeToLive.TotalMilliseconds);
        return CreateAsync(mode, body, path, cancellationToken);
    }

    /// <summary>
    /// Creates a sequential znode that is made once even if the connection breaks under way: a mark in its name
    /// (<c>_c_GUID-</c> before the last component) tells it from the others when the outcome has to be looked up (reference §2.7).
    /// </summary>
    /// <exception cref="ZooKeeperException">As for a create, but never ConnectionLoss.</exception>
    public async Task<string> CreateProtectedAsync(
        string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode, CancellationToken cancellationToken = default)
    {
        if (!mode.IsSequential() || mode.IsTtl())
        {
            throw new ArgumentException("only sequential znodes need the protection", nameof(mode));
        }

        var parent = ZnodePath.ParentOf(path);
        var mark = $"_c_{Guid.NewGuid():D}-";
        var marked = ZooKeeperPaths.Combine(parent, mark + ZnodePath.NameOf(path));
        while (true)
        {
            try
            {
                return await CreateAsync(marked, data, acl, mode, cancellationToken);
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.ConnectionLoss)
            {
                if (await FindMarkedAsync(parent, mark, cancellationToken) is { } made)
                {
                    return made;
                }
            }
        }
    }

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

        // The root cannot be deleted, and must not become the chroot on the way.
        var server = path == ZnodePath.Root ? path : _servers.ToServer(path);
        return SendAsync(OpCode.Delete, new PathVersionRequest(server, version), path, ReadNothing(path), cancellationToken);
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

    /// <summary>Carries out all operations, or none.</summary>
    /// <returns>One result per operation, in order.</returns>
    /// <exception cref="ZooKeeperException">One failed: <c>OperationIndex</c> says which.</exception>
    public Task<IReadOnlyList<MultiResult>> MultiAsync(
        IReadOnlyList<MultiOperation> operations, CancellationToken cancellationToken = default)
    {
        foreach (var operation in operations)
        {
            ZnodePath.Validate(operation.Path, nameof(operations));
        }

        var request = new MultiRequest([.. operations.Select(operation => operation.ToWire(_servers.ToServer(operation.Path)))]);
        return SendAsync(OpCode.Multi, request, null, Read, cancellationToken);

        IReadOnlyList<MultiResult> Read(ZooKeeperError error, ref JuteReader reader)
        {
            if (error != ZooKeeperError.Ok && reader.Remaining == 0)
            {
                throw new ZooKeeperException(error);
            }

            var results = MultiResponse.Read(ref reader).Results;
            for (var i = 0; i < results.Count; i++)
            {
                // Those before the one that failed report Ok, those behind it RuntimeInconsistency.
                if (results[i].Type == OpCode.Error
                    && ((Int32Record)results[i].Body!).Value is var code and not (int)ZooKeeperError.Ok and not (int)ZooKeeperError.RuntimeInconsistency)
                {
                    throw new ZooKeeperException((ZooKeeperError)code, operations[i].Path, i);
                }
            }

            ThrowUnlessOk(error, null);
            return [.. results.Select(result => result.Body switch
            {
                PathRecord created => new MultiResult(_servers.ToClient(created.Path), null),
                Create2Response created => new MultiResult(_servers.ToClient(created.Path), created.Stat),
                StatResponse changed => new MultiResult(null, changed.Stat),
                _ => new MultiResult(null, null),
            })];
        }
    }

    /// <summary>Watches a znode, or it and all below, until the watch is removed. Needs a server of 3.6 or later.</summary>
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

    /// <summary>Removes watches of a type from a path: one handler's, or all.</summary>
    /// <exception cref="ZooKeeperException">There is no such watch (NoWatcher), or the server did not remove it.</exception>
    public async Task RemoveWatchesAsync(
        string path, WatcherType type, Action<WatchedEvent>? watcher = null, CancellationToken cancellationToken = default)
    {
        ZnodePath.Validate(path);
        var (removed, left) = _watches.Remove(path, type, watcher);
        if (!removed)
        {
            throw new ZooKeeperException(ZooKeeperError.NoWatcher, path);
        }

        if (!left)
        {
            // The server has one watch for all handlers of a path; it goes with the last of them.
            await SendAsync(
                OpCode.RemoveWatches, new RemoveWatchesRequest(_servers.ToServer(path), (int)type), path, ReadNothing(path), cancellationToken);
        }
    }

    private Task<string> CreateAsync(CreateMode mode, IJuteRecord body, string path, CancellationToken cancellationToken)
    {
        var type = mode.ToOpCode(withStat: false);
        return SendAsync(type, body, path, Read, cancellationToken);

        string Read(ZooKeeperError error, ref JuteReader reader)
        {
            ThrowUnlessOk(error, path);
            return _servers.ToClient(reader.ReadRequiredString()); // the other creates' answers begin with it too
        }
    }

    private async Task<string?> FindMarkedAsync(string parent, string mark, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await SyncAsync(parent, cancellationToken);
                var children = await GetChildrenAsync(parent, cancellationToken);
                var made = children.Children.FirstOrDefault(child => child.StartsWith(mark, StringComparison.Ordinal));
                return made is null ? null : ZooKeeperPaths.Combine(parent, made);
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.ConnectionLoss)
            {
                // Looking has no effect, so it is repeated; the request waits for the next connection.
            }
        }
    }

    private Task<T> SendAsync<T>(
        OpCode type, IJuteRecord body, string? path, PendingRequest<T>.Reader read, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var request = new PendingRequest<T>(type, body, path, read);
        lock (_gate)
        {
            ThrowIfFinal(path);
            Enqueue(request);
        }

        return request.WaitAsync(cancellationToken);
    }

    /// <summary>Sends a request, or keeps it for the next connection. Under the gate.</summary>
    private void Enqueue(PendingRequest request)
    {
        if (_attachment is { } attachment)
        {
            if (attachment.InFlightCount >= _options.RequestsMax)
            {
                throw TooMany(request);
            }

            attachment.Send(request);
            return;
        }

        if (_waiting.Count >= _options.RequestsMax)
        {
            throw TooMany(request);
        }

        _waiting.Enqueue(request);
    }

    private InvalidOperationException TooMany(PendingRequest request) => new(string.Create(
        CultureInfo.InvariantCulture, $"{_options.RequestsMax} requests wait for ZooKeeper; {request.Type} of {request.Path} is one too many"));

    private void Watch(WatchTable.Kind kind, string path, Action<WatchedEvent>? watcher)
    {
        if (watcher is not null)
        {
            _watches.Add(kind, path, watcher);
        }
    }

    private static PendingRequest<Stat>.Reader ReadStat(string path) => (ZooKeeperError error, ref JuteReader reader) =>
    {
        ThrowUnlessOk(error, path);
        return Stat.Read(ref reader);
    };

    private static PendingRequest<bool>.Reader ReadNothing(string path) => (ZooKeeperError error, ref JuteReader _) =>
    {
        ThrowUnlessOk(error, path);
        return true;
    };

    private static void ThrowUnlessOk(ZooKeeperError error, string? path)
    {
        if (error != ZooKeeperError.Ok)
        {
            throw new ZooKeeperException(error, path);
        }
    }

    private static void ValidateCreate(string path, CreateMode mode) =>
        ZnodePath.Validate(mode.IsSequential() ? path + "0" : path, nameof(path));
}

/// <summary>Puts paths together.</summary>
internal static class ZooKeeperPaths
{
    public static string Combine(string parent, string name) => parent == ZnodePath.Root ? parent + name : $"{parent}/{name}";
}
