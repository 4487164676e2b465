using Fabric.Registry;
using Fabric.Registry.Election;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Cluster;

/// <summary>
/// The person who looks after the replica set, by the same requests as the <c>replica-…</c> commands: a new disk takes the place of the one that was lost in its container, and a replica moves from
/// one container to another. Who is left goes on running, waits to be added again, and believes for a while that it is a member still.
/// </summary>
internal sealed class Operator(ClusterUnderTest cluster)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly World _world = cluster.World;

    public async Task WorkAsync()
    {
        using var loggers = new TraceLoggers(_world.Control);
        await using var registry = FabricRegistry.Open(
            _world.Control.Runtime, new RegistryOptions { ConnectString = cluster.Registry.ConnectString }, loggers.CreateLogger("operator"));
        var directory = new ReplicaSetDirectory(registry, "default", "default");
        while (true)
        {
            await _world.DelayAsync(Interval);
            try
            {
                if (await directory.TryReadAsync(CancellationToken.None) is { } overview)
                {
                    await LookAsync(directory, overview);
                }
            }
            catch (RegistryUnavailableException)
            {
                // To look again is all that a person can do.
            }
        }
    }

    private async Task LookAsync(ReplicaSetDirectory directory, ReplicaOverview overview)
    {
        var wanted = Want(overview);
        if (overview.Change is { } change)
        {
            if (!IsStillWanted(change, overview))
            {
                await directory.TryWithdrawAsync(change, CancellationToken.None); // a registry that was set back brings old requests back
            }
        }
        else if (wanted is var (add, remove) && await directory.TryRequestAsync(overview, add, remove, CancellationToken.None) is not null)
        {
            cluster.Changes++;
            cluster.Come(Faults.Moment.Membership);
            _world.Trace.Line(_world.Now, "operator", $"asks to add {add} and to remove {remove}");
        }
    }

    private bool IsStillWanted(ReplicaSetChangeRecord change, ReplicaOverview overview)
    {
        var leaving = overview.Set.Members.FirstOrDefault(member => member.Replica == change.Remove);
        return (change.Add is null || cluster.Wanted.Contains(change.Add))
            && (leaving is null || !cluster.Wanted.Contains(leaving.Container) || cluster.LostOn(leaving.Container).Contains(leaving.Replica));
    }

    private (string? Add, Guid? Remove)? Want(ReplicaOverview overview)
    {
        var surplus = overview.Set.Members.FirstOrDefault(member => !cluster.Wanted.Contains(member.Container));
        foreach (var container in cluster.Wanted)
        {
            var members = overview.Replicas.Where(replica => replica.IsMember && replica.Container == container).ToList();
            var newcomer = overview.Replicas.LastOrDefault(replica => !replica.IsMember && replica.Container == container);
            if (members.Count == 0)
            {
                return (container, overview.Set.Members.Count >= cluster.Wanted.Count ? surplus?.Replica : null); // the number of copies never falls by that
            }

            // A session of the lost disk's process may still live; what counts is which disk the container has.
            var waits = newcomer is not null || cluster.Brokers.Exists(broker => broker.Host.Name == container && broker.AwaitsAdmission);
            if ((waits || members.Count > 1) && cluster.LostOn(container) is var lost && members.Find(member => lost.Contains(member.Replica)) is { } gone)
            {
                return (container, gone.Replica);
            }
        }

        return surplus is null ? null : (null, surplus.Replica);
    }
}
