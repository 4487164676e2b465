using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

/// <summary>What a replica is at present.</summary>
public enum ReplicaRole
{
    /// <summary>Hears no master; frozen, published as a candidate.</summary>
    Electing,

    /// <summary>Asks the registry for the next epoch.</summary>
    Claiming,

    /// <summary>Owns an epoch number and collects promises.</summary>
    Candidate,

    /// <summary>Gave its promise and waits for that master.</summary>
    Promised,

    /// <summary>Follows a master.</summary>
    Slave,

    /// <summary>Leads, its Epoch record is not yet committed.</summary>
    Starting,

    /// <summary>Leads and serves.</summary>
    Master,

    /// <summary>Was master, closes its clients and hands over.</summary>
    Resigning,

    /// <summary>Takes part in nothing any more: stopped, or its store failed.</summary>
    Retired,
}

/// <summary>What a replica tells the others through the registry.</summary>
/// <param name="Replica">Who.</param>
/// <param name="Container">Its container.</param>
/// <param name="Address">Where its replication service listens, <c>host:port</c>.</param>
/// <param name="Weight">Tie-break between equal journals; higher wins.</param>
/// <param name="Role"><see cref="ReplicaRole.Electing"/>, <see cref="ReplicaRole.Slave"/> or <see cref="ReplicaRole.Master"/>.</param>
/// <param name="Round">While electing, the epoch that is to be claimed; 0 otherwise.</param>
/// <param name="LastEpoch">While electing, the epoch of its last record.</param>
/// <param name="End">While electing, where its journal ends.</param>
/// <param name="Epoch">The epoch that it leads or follows.</param>
public sealed record CandidateState(
    ReplicaId Replica,
    string Container,
    string Address,
    int Weight,
    ReplicaRole Role,
    Epoch Round,
    Epoch LastEpoch,
    Position End,
    Epoch Epoch);

/// <summary>A candidate as the registry shows it.</summary>
/// <param name="Sequence">Of its znode; lower is older.</param>
/// <param name="State">What it published.</param>
public sealed record PublishedCandidate(long Sequence, CandidateState State);

/// <summary>What the registry shows of a broker's election.</summary>
/// <param name="Connected">Whether this is current; a view from before the connection was lost is not.</param>
/// <param name="Epoch">Highest epoch that anybody claimed.</param>
/// <param name="EpochVersion">Version of the znode that says so; a claim names it.</param>
/// <param name="Candidates">One per replica that is present.</param>
/// <param name="Set">The replica set as it is shown; null when the registry has none.</param>
/// <param name="Change">A change of the set that was asked for and is not done; null when there is none.</param>
public sealed record RegistryView(
    bool Connected, Epoch Epoch, int EpochVersion, IReadOnlyList<PublishedCandidate> Candidates, ReplicaSet? Set = null, ReplicaSetChange? Change = null)
{
    public static RegistryView None { get; } = new(false, Epoch.None, 0, []);
}

/// <summary>A wish to change the replica set; what of it is done already counts as done.</summary>
/// <param name="Id">Of the wish.</param>
/// <param name="Add">The container whose replica becomes a member; null for none.</param>
/// <param name="Remove">The member that leaves, after one was added; null for none.</param>
public sealed record ReplicaSetChange(Guid Id, string? Add, ReplicaId? Remove);

/// <summary>Where a master (or claimant) is.</summary>
public sealed record MasterAddress(ReplicaId Replica, string Container, string Address, Epoch Epoch);

/// <summary>A claim that asks for a promise.</summary>
/// <param name="Candidate">Who claims, and which epoch.</param>
/// <param name="HandOver">The master itself asked for it: those who hear it promise too.</param>
public sealed record PromiseRequest(MasterAddress Candidate, bool HandOver);

/// <summary>The answer to a claim.</summary>
/// <param name="Replica">Who answers.</param>
/// <param name="Granted">Whether it promises.</param>
/// <param name="Promised">The epoch it has promised, now.</param>
/// <param name="MasterAlive">Refused because it hears its master.</param>
/// <param name="Epochs">Its journal, when granted.</param>
public sealed record PromiseReply(ReplicaId Replica, bool Granted, Epoch Promised, bool MasterAlive, EpochTable Epochs);

/// <summary>A slave's first word.</summary>
/// <param name="StoreId">The data it belongs to.</param>
/// <param name="Replica">Who.</param>
/// <param name="Container">Its container.</param>
/// <param name="Promised">The epoch it has promised.</param>
/// <param name="Epochs">Its journal; empty when that is damaged.</param>
/// <param name="IsDamaged">Its journal has lost something it had synced: nothing that it acknowledged counts any more, and it copies the master's.</param>
public sealed record FollowHello(Guid StoreId, ReplicaId Replica, string Container, Epoch Promised, EpochTable Epochs, bool IsDamaged = false);

/// <summary>Why a master does not take a slave.</summary>
public enum FollowRefusal
{
    /// <summary>It is not master; look elsewhere.</summary>
    NotMaster = 1,

    /// <summary>The slave is no member of the replica set.</summary>
    NotMember = 2,

    /// <summary>The slave belongs to other data.</summary>
    ForeignStore = 3,
}

/// <summary>How an attempt to follow ended.</summary>
public enum FollowEnd
{
    /// <summary>No process answers at the address.</summary>
    Refused,

    /// <summary>The stream was up and broke.</summary>
    Broken,

    /// <summary>It answered that it is not master.</summary>
    NotMaster,

    /// <summary>This replica is not in its replica set, and nobody asked for it to be.</summary>
    NotMember,

    /// <summary>It has other data. If the registry says that the broker has, a person has to look at this replica; otherwise it is another broker's, at a dead master's address.</summary>
    Rejected,
}

/// <summary>What the core reads of the journal; it never writes through it.</summary>
public interface IReplicaLog
{
    /// <summary>Epochs and end of what is synced.</summary>
    EpochTable Epochs { get; }

    /// <summary>What is known to be committed.</summary>
    Position Committed { get; }

    /// <summary>The oldest position that is still there.</summary>
    Position First { get; }

    /// <summary>The replica set that counts for this replica: of the newest record that names one, committed or not.</summary>
    ReplicaSet Set { get; }

    /// <summary>Whether <see cref="Set"/> is known to be committed.</summary>
    bool IsSetCommitted { get; }
}

/// <summary>Times of the protocol. Defaults suit machines of one room; none of them matters for safety.</summary>
public sealed record ReplicaTimes
{
    /// <summary>Silence after which a slave gives its master up. Default 3 s: longer than any pause of a healthy process.</summary>
    public TimeSpan SuspectAfter { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>How long a master serves without hearing a majority. Default 3 s.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>How much later the next-ranked candidate claims. Default 400 ms, several times what an election takes.</summary>
    public TimeSpan ClaimStagger { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>How long a claim, its promises, or a promised master may take. Default 1.5 s.</summary>
    public TimeSpan StepLimit { get; init; } = TimeSpan.FromMilliseconds(1500);

    /// <summary>Pause between attempts to reach a master that is said to exist. Default 100 ms.</summary>
    public TimeSpan FollowRetry { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Pause between attempts to be taken by a master whose set this replica is not in. Default 1 s.</summary>
    public TimeSpan AdmissionRetry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Pause between attempts to copy a journal. Default 1 s.</summary>
    public TimeSpan CopyRetry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long a master keeps what a slave will need next after it has sent it a copy, or a part of one. Default 2 min: it is started again with the copy first, which takes as long as loading
    /// the checkpoint.
    /// </summary>
    public TimeSpan CopyGrace { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a resigning master waits for a slave to take over. Default 2 s.</summary>
    public TimeSpan HandOverLimit { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Pause between attempts of a master that would go on to hand over. Default 30 s: each interrupts its clients.</summary>
    public TimeSpan HandOverPause { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long a master lets its producers wait for room on its disk before it hands over to a slave whose disk has some. Default 20 s: what consumers take makes room, too. With half of the reserve used
    /// up it does not wait.
    /// </summary>
    public TimeSpan SpacePatience { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a replica that could not open its broker leaves the claiming to others. Default 5 s.</summary>
    public TimeSpan ServeRetry { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long one call to the disk may take, and how long writes may be pending without progress, before the replica leaves. Default 4 s: longer than the hiccups of a
    /// healthy disk, and short enough that a master with a hanging one has resigned within 5 s.
    /// </summary>
    public TimeSpan DiskStallLimit { get; init; } = TimeSpan.FromSeconds(4);
}
