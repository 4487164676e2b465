using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>Settings of one replica.</summary>
public sealed record ReplicaOptions
{
    /// <summary>The broker that is replicated, for people.</summary>
    public required string Broker { get; init; }

    /// <summary>The container that runs this replica; unique in the replica set.</summary>
    public required string Container { get; init; }

    /// <summary>The journal and what goes with it.</summary>
    public required JournalOptions Journal { get; init; }

    /// <summary>Tie-break between equal journals; higher wins. Default 1, the ancestor's.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>What makes a record committed. Default <see cref="SyncPolicy.QuorumDisk"/>.</summary>
    public SyncPolicy Sync { get; init; } = SyncPolicy.QuorumDisk;

    /// <summary>Times of the protocol.</summary>
    public ReplicaTimes Times { get; init; } = new();

    /// <summary>How often an idle master speaks. Default 100 ms: dozens of chances before a slave gives it up.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>256 KiB, beyond which larger frames gain nothing.</summary>
    public const int DefaultBatchBytesMax = 256 * 1024;

    /// <summary>Largest batch sent to a slave, in bytes; at least 1.</summary>
    public int BatchBytesMax { get; init; } = DefaultBatchBytesMax;

    /// <summary>32 MiB, what a slow disk writes in some seconds.</summary>
    public const long DefaultUnsyncedBytesMax = 32 * 1024 * 1024;

    /// <summary>Received bytes that may wait for a slave's disk before it takes no more, at least 1.</summary>
    public long UnsyncedBytesMax { get; init; } = DefaultUnsyncedBytesMax;
}

/// <summary>What a replica is doing, for people and for health checks.</summary>
/// <param name="Role">Its role.</param>
/// <param name="Epoch">The epoch it leads or follows.</param>
/// <param name="Master">The container that leads, if known.</param>
/// <param name="End">End of its journal.</param>
/// <param name="Committed">End of the committed part, as known here.</param>
/// <param name="Slaves">How far the slaves are; empty unless it leads.</param>
/// <param name="Failure">Why it is out of order, or why it could not serve when it was its turn; null when nothing is wrong.</param>
/// <param name="Promised">The epoch it has promised; on its disk before it acts by it, and none below it is served by it again.</param>
/// <param name="IsCopying">Whether it copies its master's journal, because what it lacks has been cleaned away there.</param>
public sealed record ReplicaStatus(
    ReplicaRole Role,
    Epoch Epoch,
    string? Master,
    Position End,
    Position Committed,
    IReadOnlyList<SlaveProgress> Slaves,
    string? Failure,
    Epoch Promised,
    bool IsCopying);

/// <summary>Another journal is in the place of the replica's, and it is to be started again with that, at once: nothing is wrong.</summary>
/// <param name="broker">Its name.</param>
/// <param name="journal">What it goes on with.</param>
public sealed class JournalReplacedException(string broker, string journal = "a copy of its master's journal") : Exception($"broker {broker} goes on with {journal}");
