using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>
/// What replication needs of the registry. It never decides anything here: a coordinator that is away, late or wrong delays
/// an election and harms nothing.
/// </summary>
public interface ICoordinator : IAsyncDisposable
{
    /// <summary>
    /// The replica set of a broker: when it has none yet, waits until all expected containers are present and fixes it. One that is there already need not contain this replica.
    /// </summary>
    Task<ReplicaSet> FormAsync(ReplicaId self, CancellationToken cancellationToken);

    /// <summary>
    /// The same for a replica whose journal was restored: its set has members of one backup only. An empty member could outvote the others and lose what they brought.
    /// A coordinator of one replica needs no such care.
    /// </summary>
    /// <param name="self">The replica.</param>
    /// <param name="origin">Identity of the backup; empty for a replica that begins with nothing.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    Task<ReplicaSet> FormAsync(ReplicaId self, Guid origin, CancellationToken cancellationToken) => FormAsync(self, cancellationToken);

    /// <summary>
    /// Shows the replica set that this replica knows to those who have not heard of it, whenever the registry has lost it. Never takes the place of another one. Before
    /// <see cref="JoinAsync"/>; does not wait.
    /// </summary>
    void Know(ReplicaSet set);

    /// <summary>
    /// Joins the election and reports every change of the picture, the loss and return of the connection included. The
    /// callback is quick and is not called concurrently.
    /// </summary>
    Task JoinAsync(Action<RegistryView> changed, CancellationToken cancellationToken);

    /// <summary>Makes this the published state; keeps it published over lost sessions. The newest call wins.</summary>
    Task PublishAsync(CandidateState state, CancellationToken cancellationToken);

    /// <summary>Claims an epoch by a versioned write; an unknown outcome is resolved before it answers.</summary>
    /// <returns>Whether the epoch is ours.</returns>
    Task<bool> TryClaimEpochAsync(Epoch epoch, int expectedVersion, ReplicaId claimant, CancellationToken cancellationToken);

    /// <summary>
    /// Writes the set that the master of an epoch has committed in the place of an older one of the same store, and removes the change that is done with it; does nothing when a higher epoch was claimed.
    /// </summary>
    Task ShowSetAsync(Epoch epoch, ReplicaSet set, Guid? done, CancellationToken cancellationToken);

    /// <summary>Shows people which slaves are in sync. The newest call wins.</summary>
    Task ReportSlavesAsync(Epoch epoch, IReadOnlyList<SlaveState> slaves, CancellationToken cancellationToken);
}

/// <summary>A slave, as people see it.</summary>
/// <param name="Container">Where it runs.</param>
/// <param name="InSync">Whether it follows and lacks at most a batch or two.</param>
/// <param name="LagBytes">What it lacks; null when it does not follow.</param>
/// <param name="IsLearner">It is to become a member, and counts for nothing yet.</param>
public sealed record SlaveState(string Container, bool InSync, long? LagBytes, bool IsLearner = false);

/// <summary>The broker, as replication sees it. Calls come one after the other.</summary>
public interface IBrokerHost
{
    /// <summary>
    /// This replica claims: clients may connect already, and wait for <see cref="ServeAsync"/>; <see cref="StopServingAsync"/> sends them away when nothing comes of it. A client that finds
    /// nobody waits longer after each attempt, and would look up only some time after the connectors are open. Quick; does not throw.
    /// </summary>
    void Prepare();

    /// <summary>This replica is master and everything up to its Epoch record is applied: open connectors, publish services. When it throws,
    /// another replica is let lead, and this one may be asked again later.</summary>
    /// <param name="epoch">The epoch that is led.</param>
    /// <param name="epochStart">Position of its Epoch record.</param>
    /// <param name="cancellationToken">Mastership ended before it was fully opened: end soon, the replica waits for it.</param>
    Task ServeAsync(Epoch epoch, Position epochStart, CancellationToken cancellationToken);

    /// <summary>Mastership ended: withdraw services, close connectors and client connections without error replies.</summary>
    /// <param name="reason">For people.</param>
    /// <param name="handsOver">
    /// Another replica is about to take over: return as soon as nothing is answered any more, and cut the clients when they will find it.
    /// </param>
    Task StopServingAsync(string reason, bool handsOver);
}
