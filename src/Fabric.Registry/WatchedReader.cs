using System.Collections.Concurrent;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Registry;

/// <summary>
/// Reads znodes and remembers them for as long as the server has promised to tell of a change: a second read costs nothing, and
/// after a change only what changed is read again. One-shot watches, which every server has.
/// </summary>
/// <remarks>
/// Reads belong to one task at a time (the pass of a <see cref="Reconciler"/>), but may run in parallel inside it; the watch calls
/// come from the client. An entry is made before its request is sent, so that a change that is announced before the answer has been
/// taken in still removes it.
/// </remarks>
internal sealed class WatchedReader(FabricRegistry registry, Action changed) : IZnodeReader
{
    private readonly ConcurrentDictionary<(string Path, bool Children), Entry> _entries = new();
    private int _connection;

    /// <summary>To be called before each pass: forgets everything after a new connection, for the lost one may have swallowed an announcement.</summary>
    public void BeginPass()
    {
        var connection = registry.Session.Connection;
        if (connection != _connection)
        {
            _connection = connection;
            Clear();
        }
    }

    /// <summary>Forgets everything, so that the next reads ask the server.</summary>
    public void Clear() => _entries.Clear();

    /// <summary>A znode; null when there is none.</summary>
    public async Task<ZnodeContent?> GetAsync(string path, CancellationToken cancellationToken) =>
        (ZnodeContent?)await ReadAsync(path, children: false, cancellationToken);

    /// <summary>A znode's text; null when there is none.</summary>
    public async Task<string?> GetTextAsync(string path, CancellationToken cancellationToken) =>
        (await GetAsync(path, cancellationToken))?.Text;

    /// <summary>Names of children in ordinal order; none when there is no such znode.</summary>
    public async Task<IReadOnlyList<string>> GetChildrenAsync(string path, CancellationToken cancellationToken) =>
        (IReadOnlyList<string>?)await ReadAsync(path, children: true, cancellationToken) ?? [];

    /// <summary>The children that are there, with their content, in ordinal order of their names.</summary>
    public async Task<IReadOnlyList<(string Name, ZnodeContent Content)>> GetDirectoryAsync(string path, CancellationToken cancellationToken)
    {
        var names = await GetChildrenAsync(path, cancellationToken);
        var contents = await Task.WhenAll(names.Select(name => GetAsync($"{path}/{name}", cancellationToken)));
        return [.. names.Zip(contents).Where(child => child.Second is not null).Select(child => (child.First, child.Second!))];
    }

    private async Task<object?> ReadAsync(string path, bool children, CancellationToken cancellationToken)
    {
        var key = (path, children);
        if (_entries.TryGetValue(key, out var known))
        {
            return known.Value;
        }

        var entry = new Entry();
        _entries[key] = entry;
        try
        {
            entry.Value = children
                ? await registry.WatchChildrenAsync(path, OnEvent, cancellationToken)
                : await registry.WatchAsync(path, OnEvent, cancellationToken);
            return entry.Value;
        }
        catch
        {
            Forget();
            throw;
        }

        void OnEvent(WatchedEvent watched)
        {
            if (watched.Type == WatchEventType.None)
            {
                return; // the connection's state, which the registry announces itself
            }

            Forget();
            changed();
        }

        void Forget() => _entries.TryRemove(new KeyValuePair<(string, bool), Entry>(key, entry));
    }

    /// <summary>Compared by reference.</summary>
    private sealed class Entry
    {
        public object? Value { get; set; }
    }
}
