using Fabric.Registry.Election;
using Fabric.Registry.Membership;

namespace Fabric.Registry.Discovery;

/// <summary>A member of a cluster row.</summary>
/// <param name="Path">Its znode.</param>
/// <param name="Container">Who it is; the ancestors' <c>agent</c> or <c>container</c>.</param>
/// <param name="Services">Its services, expanded; empty for a slave.</param>
/// <param name="IsReady">Whether clients count it.</param>
public sealed record ClusterMember(string Path, string Container, IReadOnlyList<string> Services, bool IsReady);

/// <summary>A broker of a cluster.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Members">Its processes, by sequence.</param>
/// <param name="Epoch">For a replicated broker, the highest epoch claimed; null for others.</param>
/// <param name="Slaves">For a replicated broker, what its master last reported; null when there is no report.</param>
public sealed record ClusterBroker(string Id, IReadOnlyList<ClusterMember> Members, long? Epoch, SlavesRecord? Slaves)
{
    /// <summary>Containers that publish services.</summary>
    public IEnumerable<string> MasterContainers => Members.Where(member => member.Services.Count > 0).Select(member => member.Container);

    /// <summary>Containers that publish none.</summary>
    public IEnumerable<string> SlaveContainers => Members.Where(member => member.Services.Count == 0).Select(member => member.Container);

    /// <summary>All services.</summary>
    public IEnumerable<string> Services => Members.SelectMany(member => member.Services);
}

/// <summary>A cluster: a znode whose children hold data.</summary>
/// <param name="Name">Its path below the one asked for; <c>.</c> for that itself.</param>
/// <param name="Brokers">By name.</param>
public sealed record Cluster(string Name, IReadOnlyList<ClusterBroker> Brokers);

/// <summary>What <c>cluster-list</c> shows (fabric.md §3.6).</summary>
public static class ClusterList
{
    private const string FuseMq = "fusemq/";
    private const string Amq = "amq/";

    /// <summary>Reads all clusters below a path: those of <c>stats</c> first, then by name.</summary>
    /// <param name="registry">What is read.</param>
    /// <param name="path">Below <c>/fabric/registry/clusters</c>, or absolute; null for all.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async Task<IReadOnlyList<Cluster>> ReadAsync(
        FabricRegistry registry, string? path = null, CancellationToken cancellationToken = default)
    {
        var root = path switch
        {
            null or "" => ZnodePaths.Clusters,
            ['/', ..] => path.Length > 1 ? path.TrimEnd('/') : path,
            _ => $"{ZnodePaths.Clusters}/{path.TrimEnd('/')}",
        };
        var znodes = new List<(string Path, ZnodeContent Content)>();
        await CollectAsync(registry, root, znodes, cancellationToken);
        var clusters = new List<Cluster>();
        foreach (var group in znodes.Where(znode => IsNotBlank(znode.Content)).GroupBy(znode => ZnodePaths.ParentOf(znode.Path)!, StringComparer.Ordinal))
        {
            var name = group.Key.Length <= root.Length ? "." : group.Key[(root.Length + 1)..];
            clusters.Add(new Cluster(name, await ReadBrokersAsync(registry, group.Key, group, cancellationToken)));
        }

        return [.. clusters
            .OrderBy(cluster => !cluster.Name.StartsWith("stats/", StringComparison.Ordinal))
            .ThenBy(cluster => cluster.Name, StringComparer.Ordinal)];
    }

    /// <summary>
    /// Leaves out the groups below <c>amq</c> that say the same as their namesakes below <c>fusemq</c>: one broker is published in both
    /// dialects, and people count brokers.
    /// </summary>
    public static IReadOnlyList<Cluster> WithoutMirrors(IReadOnlyList<Cluster> clusters)
    {
        var brokers = clusters.Where(cluster => cluster.Name.StartsWith(FuseMq, StringComparison.Ordinal))
            .ToDictionary(cluster => cluster.Name[FuseMq.Length..], cluster => cluster.Brokers, StringComparer.Ordinal);
        return [.. clusters.Where(cluster => !(
            cluster.Name.StartsWith(Amq, StringComparison.Ordinal)
            && brokers.TryGetValue(cluster.Name[Amq.Length..], out var shown)
            && cluster.Brokers.All(broker => shown.Any(other => SaysTheSame(broker, other)))))];
    }

    private static bool SaysTheSame(ClusterBroker left, ClusterBroker right) =>
        left.Id == right.Id
        && left.Members.Select(member => member.Container).Order().SequenceEqual(right.Members.Select(member => member.Container).Order())
        && left.Services.Order().SequenceEqual(right.Services.Order());

    private static bool IsNotBlank(ZnodeContent content) => !string.IsNullOrWhiteSpace(content.Text);

    private static async Task CollectAsync(
        FabricRegistry registry, string path, List<(string Path, ZnodeContent Content)> found, CancellationToken cancellationToken)
    {
        foreach (var name in await registry.TryGetChildrenAsync(path, cancellationToken) ?? [])
        {
            var child = path == "/" ? $"/{name}" : $"{path}/{name}";
            if (await registry.TryGetAsync(child, cancellationToken) is { } content)
            {
                found.Add((child, content));
                await CollectAsync(registry, child, found, cancellationToken);
            }
        }
    }

    private static async Task<IReadOnlyList<ClusterBroker>> ReadBrokersAsync(
        FabricRegistry registry, string directory, IEnumerable<(string Path, ZnodeContent Content)> znodes, CancellationToken cancellationToken)
    {
        var brokers = new SortedDictionary<string, List<ClusterMember>>(StringComparer.Ordinal);
        foreach (var (path, content) in znodes.OrderBy(znode => Order(znode.Path)).ThenBy(znode => znode.Path, StringComparer.Ordinal))
        {
            if (MemberRecord.TryDecode(content.Data) is not { } member)
            {
                continue;
            }

            var services = new List<string>();
            foreach (var service in member.Services)
            {
                services.Add(await ZkText.ExpandAsync(registry, service, cancellationToken));
            }

            if (!brokers.TryGetValue(member.Id, out var members))
            {
                brokers.Add(member.Id, members = []);
            }

            members.Add(new ClusterMember(path, member.Container, services, member.IsReady));
        }

        var read = new List<ClusterBroker>();
        foreach (var (id, members) in brokers)
        {
            var (epoch, slaves) = await ReadReplicationAsync(registry, ZnodePaths.NameOf(directory), id, cancellationToken);
            read.Add(new ClusterBroker(id, members, epoch, slaves));
        }

        return read;
    }

    private static long Order(string path) => ZnodePaths.TryParseSequence(ZnodePaths.NameOf(path), out var sequence) ? sequence : long.MaxValue;

    private static async Task<(long? Epoch, SlavesRecord? Slaves)> ReadReplicationAsync(
        FabricRegistry registry, string group, string broker, CancellationToken cancellationToken)
    {
        var epochPath = ZnodePaths.BrokerEpoch(group, broker);
        if (await registry.TryGetAsync(epochPath, cancellationToken) is not { } content)
        {
            return (null, null);
        }

        var epoch = ElectionJson.ReadClaim(content.Data, epochPath).Epoch;
        var slavesPath = ZnodePaths.BrokerSlaves(group, broker);
        var slaves = await registry.TryGetAsync(slavesPath, cancellationToken) is { Data.Length: > 0 } report
            ? ElectionJson.ReadSlaves(report.Data, slavesPath)
            : null;
        return (epoch, slaves?.Epoch == epoch ? slaves : null);
    }
}
