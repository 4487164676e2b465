using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Registry.Election;

/// <summary>A replica of a broker, as the registry shows it.</summary>
/// <param name="Replica">Identity of its disk.</param>
/// <param name="Container">The container that runs it.</param>
/// <param name="IsMember">Whether it is in the replica set.</param>
/// <param name="Present">What it says of itself; null while it is away.</param>
/// <param name="Slave">What its master says of it; null for the master, and without a report of the present epoch.</param>
public sealed record ReplicaInfo(Guid Replica, string Container, bool IsMember, CandidateRecord? Present, SlaveRecord? Slave);

/// <summary>The replicas of a broker, and what is to become of them.</summary>
/// <param name="Set">The replica set.</param>
/// <param name="Replicas">Its members by container, then those who are there and are none.</param>
/// <param name="Change">A change that was asked for and is not done; null when there is none.</param>
/// <param name="Version">Of the znode that shows the set: a request made by this picture is refused when the picture is old.</param>
public sealed record ReplicaOverview(ReplicaSetRecord Set, IReadOnlyList<ReplicaInfo> Replicas, ReplicaSetChangeRecord? Change, int Version);

/// <summary>
/// Replica sets from outside: to look at, and to ask for changes, which the broker's master carries out (PROTOCOL.md, "Changing the set"). Every call asks the registry. Thread-safe.
/// </summary>
/// <param name="registry">Where the broker is.</param>
/// <param name="group">The broker's group.</param>
/// <param name="broker">The broker.</param>
public sealed class ReplicaSetDirectory(FabricRegistry registry, string group, string broker)
{
    private readonly string _setPath = ZnodePaths.BrokerReplicas(group, broker);
    private readonly string _changePath = ZnodePaths.BrokerChange(group, broker);

    /// <summary>The brokers of the group that have a replica set, by name.</summary>
    public static async Task<IReadOnlyList<string>> BrokersAsync(FabricRegistry registry, string group, CancellationToken cancellationToken)
    {
        var brokers = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var name in await registry.TryGetChildrenAsync($"{ZnodePaths.Brokers}/{group}", cancellationToken) ?? [])
        {
            if (await registry.ExistsAsync(ZnodePaths.BrokerReplicas(group, name), cancellationToken) is not null)
            {
                brokers.Add(name);
            }
        }

        return [.. brokers];
    }

    /// <summary>The replicas as they are; null while the broker has no replica set.</summary>
    /// <exception cref="RegistryContentException">What is there cannot be read.</exception>
    public async Task<ReplicaOverview?> TryReadAsync(CancellationToken cancellationToken)
    {
        var change = await TryReadChangeAsync(cancellationToken); // before the set: a change that is gone by then is in it
        if (await registry.TryGetAsync(_setPath, cancellationToken) is not { } content)
        {
            return null;
        }

        var set = ElectionJson.ReadSet(content.Data, _setPath);
        var present = new Dictionary<Guid, CandidateRecord>(); // a replica that came back may be there twice until its old session expires; the newest counts
        foreach (var znode in await SequentialZnodes.ListAsync(registry, ZnodePaths.BrokerElection(group, broker), cancellationToken))
        {
            var candidate = ElectionJson.ReadCandidate(znode.Content.Data, znode.Path);
            present[candidate.Replica] = candidate;
        }

        RemoveSuperseded(present);
        var reports = await ReadReportsAsync(present.Values, cancellationToken);
        var members = set.Members
            .Select(member => InfoOf(member.Replica, member.Container, isMember: true, present.GetValueOrDefault(member.Replica), reports));
        var others = present.Values.Where(candidate => set.Members.All(member => member.Replica != candidate.Replica))
            .Select(candidate => InfoOf(candidate.Replica, candidate.Container, isMember: false, candidate, reports));
        return new ReplicaOverview(
            set,
            [.. members.OrderBy(member => member.Container, StringComparer.Ordinal), .. others.OrderBy(other => other.Container, StringComparer.Ordinal)],
            change,
            content.Stat.Version);
    }

    /// <summary>The change that is under way; null when none is.</summary>
    public async Task<ReplicaSetChangeRecord?> TryReadChangeAsync(CancellationToken cancellationToken) =>
        await registry.TryGetAsync(_changePath, cancellationToken) is { } content ? ElectionJson.ReadChange(content.Data, _changePath) : null;

    /// <summary>Asks for a change.</summary>
    /// <param name="overview">What it is asked for by.</param>
    /// <param name="add">The container whose replica is to become a member; null for none.</param>
    /// <param name="remove">The member that is to leave; null for none.</param>
    /// <param name="cancellationToken">Gives up; the request may have been made.</param>
    /// <returns>What was asked for; null when another change is under way, or was done since the overview was read.</returns>
    public async Task<ReplicaSetChangeRecord?> TryRequestAsync(ReplicaOverview overview, string? add, Guid? remove, CancellationToken cancellationToken)
    {
        Span<byte> id = stackalloc byte[16];
        registry.Runtime.Random.NextBytes(id);
        var change = new ReplicaSetChangeRecord(new Guid(id), add, remove, registry.Runtime.Time.GetUtcNow());
        try
        {
            await registry.MultiAsync(
                [
                    MultiOperation.Check(_setPath, overview.Version),
                    MultiOperation.Create(_changePath, ElectionJson.Write(change), RegistryAcls.For(_changePath), CreateMode.Persistent),
                ],
                cancellationToken);
            return change;
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.BadVersion or ZooKeeperError.NodeExists or ZooKeeperError.NoNode)
        {
            return null;
        }
    }

    /// <summary>Whether the master has done what was asked for.</summary>
    public async Task<bool> IsDoneAsync(ReplicaSetChangeRecord change, CancellationToken cancellationToken) =>
        (await TryReadChangeAsync(cancellationToken))?.Id != change.Id;

    /// <summary>Takes a request back. What of it was done stays done: nobody is removed who was added, nor the other way round.</summary>
    /// <returns>False when there was nothing to take back any more.</returns>
    public async Task<bool> TryWithdrawAsync(ReplicaSetChangeRecord change, CancellationToken cancellationToken)
    {
        try
        {
            return await registry.TryGetAsync(_changePath, cancellationToken) is { } content
                && ElectionJson.ReadChange(content.Data, _changePath).Id == change.Id
                && await registry.TryDeleteAsync(_changePath, content.Stat.Version, cancellationToken);
        }
        catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.BadVersion)
        {
            return false;
        }
    }

    private async Task<IReadOnlyList<SlaveRecord>> ReadReportsAsync(IEnumerable<CandidateRecord> present, CancellationToken cancellationToken)
    {
        var path = ZnodePaths.BrokerSlaves(group, broker);
        var master = present.Where(candidate => candidate.Role == CandidateRole.Master).MaxBy(candidate => candidate.Epoch);
        return master is not null && await registry.TryGetAsync(path, cancellationToken) is { Data.Length: > 0 } content
            && ElectionJson.ReadSlaves(content.Data, path) is var report && report.Epoch == master.Epoch
            ? report.Slaves
            : [];
    }

    /// <summary>A master of an older epoch than the newest one's is dead or paused, and its session has not ended yet: a master that lives gives way at once, and says so.</summary>
    private static void RemoveSuperseded(Dictionary<Guid, CandidateRecord> present)
    {
        var newest = present.Values.Where(candidate => candidate.Role == CandidateRole.Master).Max(candidate => (long?)candidate.Epoch);
        foreach (var (replica, _) in present.Where(entry => entry.Value.Role == CandidateRole.Master && entry.Value.Epoch < newest).ToList())
        {
            present.Remove(replica);
        }
    }

    private static ReplicaInfo InfoOf(Guid replica, string container, bool isMember, CandidateRecord? present, IReadOnlyList<SlaveRecord> reports) => new(
        replica, container, isMember, present,
        present is null or { Role: CandidateRole.Master } ? null : reports.FirstOrDefault(report => report.Container == container && report.IsLearner == !isMember));
}
