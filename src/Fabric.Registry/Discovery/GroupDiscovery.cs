using Fabric.Registry.Membership;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Discovery;

/// <summary>
/// Where the masters of a group are, for clients: watches both places where members are published, and of every broker takes the
/// services of its first member, as the ancestors' clients do (fabric.md §1.5). A group without any member keeps the last known
/// services: an outage of the registry empties it too.
/// </summary>
/// <remarks>Thread-safe.</remarks>
public sealed class GroupDiscovery : IAsyncDisposable
{
    /// <summary>Transports that clients use; a member may publish others for gateways in the same list.</summary>
    private static readonly string[] Schemes = ["tcp:", "ssl:", "nio:", "nio+ssl:"];

    private readonly FabricRegistry _registry;
    private readonly string[] _directories;
    private readonly RegistryWatch<IReadOnlyList<string>> _watch;
    private readonly Action<IReadOnlyList<string>>? _changed;
    private volatile IReadOnlyList<string> _services = [];

    /// <summary>Begins to watch; works also while the registry is away.</summary>
    /// <param name="registry">What is watched.</param>
    /// <param name="group">The group.</param>
    /// <param name="changed">Told each new list; quick, never called concurrently. The first list comes even when it is empty.</param>
    public GroupDiscovery(FabricRegistry registry, string group, Action<IReadOnlyList<string>>? changed = null)
    {
        (_registry, _changed) = (registry, changed);
        _directories = [ZnodePaths.FuseMqGroup(group), ZnodePaths.AmqGroup(group)];
        _watch = new RegistryWatch<IReadOnlyList<string>>(
            registry, $"discovery of {group}", ReadAsync, OnChanged, ListComparer<string>.Instance);
    }

    /// <summary>The URLs known now, without duplicates, each <c>scheme://host:port</c>.</summary>
    public IReadOnlyList<string> Services => _services;

    /// <summary>Waits until the list is not older than this call.</summary>
    /// <exception cref="RegistryUnavailableException">The registry is away.</exception>
    public async Task<IReadOnlyList<string>> RefreshAsync(CancellationToken cancellationToken)
    {
        await _watch.RefreshAsync(cancellationToken);
        return _services;
    }

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    private void OnChanged(IReadOnlyList<string> services)
    {
        _services = services;
        _changed?.Invoke(services);
    }

    private async Task<IReadOnlyList<string>> ReadAsync(WatchedReader reader, CancellationToken cancellationToken)
    {
        var services = new List<string>();
        var members = 0;
        foreach (var directory in _directories)
        {
            var seen = new HashSet<string>(StringComparer.Ordinal);
            foreach (var znode in await SequentialZnodes.ListAsync(reader, directory, cancellationToken))
            {
                if (MemberRecord.TryDecode(znode.Content.Data) is not { IsReady: true } member)
                {
                    continue;
                }

                members++;
                if (seen.Add(member.Id))
                {
                    await AddAsync(services, member, reader, cancellationToken);
                }
            }
        }

        return members == 0 ? _services : services;
    }

    private async Task AddAsync(
        List<string> services, MemberRecord member, WatchedReader reader, CancellationToken cancellationToken)
    {
        foreach (var service in member.Services)
        {
            string url;
            try
            {
                url = await ZkText.ExpandAsync(service, path => reader.GetTextAsync(path, cancellationToken));
            }
            catch (RegistryContentException exception)
            {
                _registry.Logger.LogWarning("A service of {Broker} in {Container} is left out: {Reason}",
                    member.Id, member.Container, exception.Message);
                continue;
            }

            if (Schemes.Any(scheme => url.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)) && !services.Contains(url))
            {
                services.Add(url);
            }
        }
    }
}

/// <summary>Compares lists by their items.</summary>
internal sealed class ListComparer<T> : IEqualityComparer<IReadOnlyList<T>>
{
    public static ListComparer<T> Instance { get; } = new();

    public bool Equals(IReadOnlyList<T>? x, IReadOnlyList<T>? y) => x is null || y is null ? x is null && y is null : x.SequenceEqual(y);

    public int GetHashCode(IReadOnlyList<T> obj) => obj.Count;
}
