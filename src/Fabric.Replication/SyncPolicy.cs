namespace Fabric.Replication;

/// <summary>
/// What must have happened before a record counts as committed; the names are those of ActiveMQ's replicated store, and may be
/// combined (the stronger of each side holds).
/// </summary>
[Flags]
public enum SyncPolicy
{
    /// <summary>In the master's file, not synced. A crash of the master's machine loses confirmed messages.</summary>
    LocalMem = 1,

    /// <summary>Synced on the master only. The loss of the master's disk, or a take-over, loses confirmed messages.</summary>
    LocalDisk = 2,

    /// <summary>In the memory of half of the other replicas. A power failure of all loses confirmed messages.</summary>
    RemoteMem = 4,

    /// <summary>Synced on half of the other replicas, in memory on the master.</summary>
    RemoteDisk = 8,

    /// <summary>In the memory of a majority. A power failure of all loses confirmed messages (the ancestor's default).</summary>
    QuorumMem = LocalMem | RemoteMem,

    /// <summary>Synced on a majority: survives the loss of any minority, and a power failure of all. The default.</summary>
    QuorumDisk = LocalDisk | RemoteDisk,
}
