namespace Fabric.Registry.Election;

/// <summary>What a replica is, as the others need to know it.</summary>
public enum CandidateRole
{
    /// <summary>Hears no master.</summary>
    Electing,

    /// <summary>Follows the master of its epoch.</summary>
    Slave,

    /// <summary>Leads its epoch.</summary>
    Master,
}

/// <summary>What a replica tells the others; the content of its znode below <c>election</c>.</summary>
/// <param name="Replica">Identity of its disk.</param>
/// <param name="Container">The container that runs it.</param>
/// <param name="Address">Where its replication service listens, <c>host:port</c>.</param>
/// <param name="Weight">Tie-break between equal journals; higher wins.</param>
/// <param name="Role">What it is.</param>
/// <param name="Round">While electing, the epoch that is to be claimed; 0 otherwise.</param>
/// <param name="LastEpoch">While electing, the epoch of its last record; 0 otherwise.</param>
/// <param name="Position">While electing, where its journal ends, in bytes; 0 otherwise.</param>
/// <param name="Epoch">The epoch that it leads or follows.</param>
public sealed record CandidateRecord(
    Guid Replica,
    string Container,
    string Address,
    int Weight,
    CandidateRole Role,
    long Round,
    long LastEpoch,
    long Position,
    long Epoch);

/// <summary>A candidate as the registry shows it.</summary>
/// <param name="Sequence">Of its znode; lower is older.</param>
/// <param name="Record">What it published.</param>
public sealed record PublishedCandidateRecord(long Sequence, CandidateRecord Record);

/// <summary>The highest epoch that anybody claimed.</summary>
/// <param name="Epoch">Its number; 0 before the first claim.</param>
/// <param name="Owner">The replica that claimed it; null before the first claim.</param>
/// <param name="Container">Where that replica ran.</param>
/// <param name="ClaimedAt">When, by the claimant's clock; for people.</param>
public sealed record EpochClaim(long Epoch, Guid? Owner, string? Container, DateTimeOffset? ClaimedAt)
{
    public static EpochClaim None { get; } = new(0, null, null, null);
}

/// <summary>What the registry shows of a broker's election.</summary>
/// <param name="IsConnected">Whether this is current; a view from before the connection was lost is not.</param>
/// <param name="Claim">The highest epoch claimed.</param>
/// <param name="EpochVersion">Version of the znode that says so; a claim names it.</param>
/// <param name="Candidates">Those present, by sequence.</param>
/// <param name="Set">The replica set; null when there is none.</param>
/// <param name="Change">A change of it that was asked for; null when there is none.</param>
public sealed record ElectionView(
    bool IsConnected,
    EpochClaim Claim,
    int EpochVersion,
    IReadOnlyList<PublishedCandidateRecord> Candidates,
    ReplicaSetRecord? Set = null,
    ReplicaSetChangeRecord? Change = null)
{
    public static ElectionView None { get; } = new(false, EpochClaim.None, 0, []);
}

/// <summary>A change of a replica set that somebody asked for and that its master has not finished.</summary>
/// <param name="Id">Names this request.</param>
/// <param name="Add">The container whose replica is to become a member; null for none.</param>
/// <param name="Remove">The member that is to leave, after one was added; null for none.</param>
/// <param name="RequestedAt">When, by the clock of who asked; for people.</param>
public sealed record ReplicaSetChangeRecord(Guid Id, string? Add, Guid? Remove, DateTimeOffset? RequestedAt);

/// <summary>One member of a replica set.</summary>
/// <param name="Replica">Identity of its disk.</param>
/// <param name="Container">The container that runs it.</param>
/// <param name="Origin">While the set is formed, the backup that its data came from; null when it begins with nothing.</param>
public sealed record ReplicaMemberRecord(Guid Replica, string Container, Guid? Origin = null);

/// <summary>The replicas whose majority decides, as the registry shows them.</summary>
/// <param name="StoreId">Identity of the data.</param>
/// <param name="Members">In the order of their ids.</param>
public sealed record ReplicaSetRecord(Guid StoreId, IReadOnlyList<ReplicaMemberRecord> Members)
{
    /// <summary>Most members a set may have.</summary>
    public const int MembersMax = 9;

    public bool Equals(ReplicaSetRecord? other) =>
        other is not null && StoreId == other.StoreId && Members.SequenceEqual(other.Members);

    public override int GetHashCode() => StoreId.GetHashCode();
}

/// <summary>A slave, as its master sees it; for people.</summary>
/// <param name="Container">Where it runs.</param>
/// <param name="InSync">Whether it follows and lacks at most a batch or two.</param>
/// <param name="LagBytes">What it lacks; null when it does not follow.</param>
/// <param name="IsLearner">It is to become a member, and counts for nothing yet.</param>
public sealed record SlaveRecord(string Container, bool InSync, long? LagBytes, bool IsLearner = false);

/// <summary>The slaves of an epoch, as their master sees them.</summary>
/// <param name="Epoch">The master's epoch.</param>
/// <param name="Slaves">All other members of the replica set, and the learner, if there is one.</param>
public sealed record SlavesRecord(long Epoch, IReadOnlyList<SlaveRecord> Slaves);

/// <summary>A mastership, for people.</summary>
/// <param name="Epoch">Its number.</param>
/// <param name="Container">Who led.</param>
/// <param name="Replica">Its disk.</param>
/// <param name="At">When it was published, by the master's clock.</param>
public sealed record Mastership(long Epoch, string Container, Guid Replica, DateTimeOffset At);

/// <summary>Which replica of which broker takes part.</summary>
public sealed record ElectionOptions
{
    /// <summary>The group of the broker.</summary>
    public required string Group { get; init; }

    /// <summary>The broker's name.</summary>
    public required string Broker { get; init; }

    /// <summary>The container that runs this replica.</summary>
    public required string Container { get; init; }

    /// <summary>How many replicas a new broker has, 1 to 9. Only used while its replica set is formed.</summary>
    public int ReplicaCount { get; init; } = 3;
}
