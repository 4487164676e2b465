using System.Text;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Registry;

/// <summary>
/// Znodes, with the ACL that their place demands, and with failures in the registry's words: <see cref="RegistryUnavailableException"/>
/// when there is no connection or the answer is lost, <see cref="RegistryPasswordException"/> when an ACL refuses,
/// <see cref="ZooKeeperException"/> for what the caller can react to.
/// </summary>
public sealed partial class FabricRegistry
{
    /// <summary>Creates a znode whose parent exists.</summary>
    /// <returns>Its path, with the sequence when the mode has one.</returns>
    /// <exception cref="ZooKeeperException">It exists, or its parent does not.</exception>
    public Task<string> CreateAsync(
        string path, ReadOnlyMemory<byte> data, CreateMode mode = CreateMode.Persistent, CancellationToken cancellationToken = default) =>
        AskAsync(client => client.CreateAsync(path, data, RegistryAcls.For(path), mode, cancellationToken));

    /// <summary>Creates a persistent znode and its missing parents.</summary>
    /// <returns>False when it exists; it is left as it is.</returns>
    public async Task<bool> TryCreateAsync(string path, ReadOnlyMemory<byte> data, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                await CreateAsync(path, data, CreateMode.Persistent, cancellationToken);
                return true;
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NodeExists)
            {
                return false;
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode && ZnodePaths.ParentOf(path) is { } parent)
            {
                await TryCreateAsync(parent, default(ReadOnlyMemory<byte>), cancellationToken);
            }
        }
    }

    /// <inheritdoc cref="TryCreateAsync(string, ReadOnlyMemory{byte}, CancellationToken)"/>
    public Task<bool> TryCreateAsync(string path, string text, CancellationToken cancellationToken = default) =>
        TryCreateAsync(path, Encoding.UTF8.GetBytes(text), cancellationToken);

    /// <summary>Makes sure that a persistent znode exists, with its parents.</summary>
    public async Task EnsureAsync(string path, CancellationToken cancellationToken = default)
    {
        if (await ExistsAsync(path, cancellationToken) is null)
        {
            await TryCreateAsync(path, default(ReadOnlyMemory<byte>), cancellationToken);
        }
    }

    /// <summary>Sets a persistent znode's text, creating it and its parents when absent; writes nothing when it is so already.</summary>
    public async Task PutAsync(string path, string text, CancellationToken cancellationToken = default)
    {
        var data = Encoding.UTF8.GetBytes(text);
        while (true)
        {
            if (await TryGetAsync(path, cancellationToken) is { } present)
            {
                if (present.Data.AsSpan().SequenceEqual(data))
                {
                    return;
                }

                try
                {
                    await SetAsync(path, data, -1, cancellationToken);
                    return;
                }
                catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode)
                {
                    continue; // deleted in between
                }
            }

            if (await TryCreateAsync(path, data, cancellationToken))
            {
                return;
            }
        }
    }

    /// <summary>Facts about a znode; null when there is none.</summary>
    public Task<Stat?> ExistsAsync(string path, CancellationToken cancellationToken = default) =>
        AskAsync(client => client.ExistsAsync(path, cancellationToken));

    /// <summary>Reads a znode; null when there is none.</summary>
    public Task<ZnodeContent?> TryGetAsync(string path, CancellationToken cancellationToken = default) =>
        UnlessAbsentAsync(async client => Content(await client.GetDataAsync(path, cancellationToken)));

    /// <summary>A znode's text; null when there is none.</summary>
    public async Task<string?> TryGetTextAsync(string path, CancellationToken cancellationToken = default) =>
        (await TryGetAsync(path, cancellationToken))?.Text;

    /// <summary>Names of a znode's children in ordinal order; null when there is no such znode.</summary>
    public Task<IReadOnlyList<string>?> TryGetChildrenAsync(string path, CancellationToken cancellationToken = default) =>
        UnlessAbsentAsync(async client => Names(await client.GetChildrenAsync(path, cancellationToken)));

    /// <summary>Sets a znode's data.</summary>
    /// <exception cref="ZooKeeperException">There is no such znode, or its version is another.</exception>
    public Task<Stat> SetAsync(string path, ReadOnlyMemory<byte> data, int version = -1, CancellationToken cancellationToken = default) =>
        AskAsync(client => client.SetDataAsync(path, data, version, cancellationToken));

    /// <summary>Deletes a znode.</summary>
    /// <returns>False when there is none.</returns>
    /// <exception cref="ZooKeeperException">It has children, or its version is another.</exception>
    public async Task<bool> TryDeleteAsync(string path, int version = -1, CancellationToken cancellationToken = default) =>
        await UnlessAbsentAsync(async client =>
        {
            await client.DeleteAsync(path, version, cancellationToken);
            return path;
        }) is not null;

    /// <summary>Deletes a znode and everything below it; does nothing when there is none.</summary>
    public async Task DeleteTreeAsync(string path, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            foreach (var child in await TryGetChildrenAsync(path, cancellationToken) ?? [])
            {
                await DeleteTreeAsync($"{path}/{child}", cancellationToken);
            }

            try
            {
                await TryDeleteAsync(path, -1, cancellationToken);
                return;
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NotEmpty)
            {
                // Somebody added a child meanwhile.
            }
        }
    }

    /// <summary>The ACL of a znode.</summary>
    public async Task<IReadOnlyList<Acl>> GetAclAsync(string path, CancellationToken cancellationToken = default) =>
        (await AskAsync(client => client.GetAclAsync(path, cancellationToken))).Acl;

    /// <summary>Makes what was written before, by whomever, visible to the reads that follow.</summary>
    public Task SyncAsync(string path, CancellationToken cancellationToken = default) => AskAsync(async client =>
    {
        await client.SyncAsync(path, cancellationToken);
        return true;
    });

    /// <summary>Does all of the operations or none.</summary>
    /// <exception cref="ZooKeeperException">One failed; <see cref="ZooKeeperException.OperationIndex"/> says which.</exception>
    internal Task<IReadOnlyList<MultiResult>> MultiAsync(IReadOnlyList<MultiOperation> operations, CancellationToken cancellationToken) =>
        AskAsync(client => client.MultiAsync(operations, cancellationToken));

    /// <summary>Reads and leaves a watch; null, and a watch for the creation, when there is none.</summary>
    internal async Task<ZnodeContent?> WatchAsync(string path, Action<WatchedEvent> watcher, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await UnlessAbsentAsync(async client => Content(await client.GetDataAsync(path, watcher, cancellationToken))) is { } content)
            {
                return content;
            }

            // A read of a missing znode leaves no watch; the question whether it exists does.
            if (await WatchExistenceAsync(path, watcher, cancellationToken) is null)
            {
                return null;
            }
        }
    }

    /// <summary>Lists children and leaves a watch; null, and a watch for the creation, when there is no such znode.</summary>
    internal async Task<IReadOnlyList<string>?> WatchChildrenAsync(
        string path, Action<WatchedEvent> watcher, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await UnlessAbsentAsync(async client => Names(await client.GetChildrenAsync(path, watcher, cancellationToken))) is { } names)
            {
                return names;
            }

            if (await WatchExistenceAsync(path, watcher, cancellationToken) is null)
            {
                return null;
            }
        }
    }

    /// <summary>Asks whether a znode exists and leaves a watch for its creation, change or deletion.</summary>
    internal Task<Stat?> WatchExistenceAsync(string path, Action<WatchedEvent> watcher, CancellationToken cancellationToken) =>
        AskAsync(client => client.ExistsAsync(path, watcher, cancellationToken));

    private static ZnodeContent Content(DataResult result) => new(result.Data, result.Stat);

    private static IReadOnlyList<string> Names(ChildrenResult result) => [.. result.Children.Order(StringComparer.Ordinal)];

    private async Task<T?> UnlessAbsentAsync<T>(Func<ZooKeeperClient, Task<T>> request)
        where T : class
    {
        try
        {
            return await AskAsync(request);
        }
        catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode)
        {
            return null;
        }
    }

    private async Task<T> AskAsync<T>(Func<ZooKeeperClient, Task<T>> request)
    {
        var client = _client is { State: KeeperState.SyncConnected } connected
            ? connected
            : throw new RegistryUnavailableException($"the registry at {ConnectString} is away");
        try
        {
            return await request(client);
        }
        catch (ZooKeeperException exception) when (IsUnavailability(exception.Error))
        {
            throw new RegistryUnavailableException($"the registry at {ConnectString} is away: {exception.Message}", exception);
        }
        catch (ObjectDisposedException exception)
        {
            throw new RegistryUnavailableException($"the registry at {ConnectString} is away: its session ended", exception);
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NoAuth or ZooKeeperError.AuthFailed or ZooKeeperError.InvalidAcl)
        {
            throw new RegistryPasswordException(
                $"the registry at {ConnectString} does not let us at {exception.Path ?? "a znode"}: its password is another", exception);
        }
    }

    private static bool IsUnavailability(ZooKeeperError error) => error
        is ZooKeeperError.ConnectionLoss or ZooKeeperError.OperationTimeout or ZooKeeperError.RequestTimeout
        or ZooKeeperError.SessionExpired or ZooKeeperError.SessionMoved or ZooKeeperError.UnknownSession
        or ZooKeeperError.ThrottledOperation or ZooKeeperError.NotReadOnly;
}
