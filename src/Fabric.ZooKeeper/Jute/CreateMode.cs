namespace Fabric.ZooKeeper.Jute;

/// <summary>What kind of znode a create makes; the numbers are the flags of the wire (reference §1.8).</summary>
public enum CreateMode
{
    Persistent = 0,

    /// <summary>Lives as long as the session that creates it; can have no children.</summary>
    Ephemeral = 1,

    /// <summary>The name gets the parent's counter appended: ten digits, zero-padded.</summary>
    PersistentSequential = 2,
    EphemeralSequential = 3,

    /// <summary>Deleted by the server some time after its last child is gone. Needs a server of 3.5 or later.</summary>
    Container = 4,

    /// <summary>Deleted by the server when it has no children and was not changed for its time to live (3.5.3).</summary>
    PersistentWithTtl = 5,
    PersistentSequentialWithTtl = 6,
}

internal static class CreateModes
{
    public static bool IsEphemeral(this CreateMode mode) => mode is CreateMode.Ephemeral or CreateMode.EphemeralSequential;

    public static bool IsSequential(this CreateMode mode) => mode
        is CreateMode.PersistentSequential or CreateMode.EphemeralSequential or CreateMode.PersistentSequentialWithTtl;

    public static bool IsTtl(this CreateMode mode) =>
        mode is CreateMode.PersistentWithTtl or CreateMode.PersistentSequentialWithTtl;

    /// <summary>
    /// The operation to send. The server decides by the operation, not by the flags, whether a znode is a container or has
    /// a time to live, so the two always go together.
    /// </summary>
    /// <param name="mode">What to create.</param>
    /// <param name="withStat">Whether the answer shall hold the Stat (3.5); containers and TTL always answer so.</param>
    public static OpCode ToOpCode(this CreateMode mode, bool withStat) => mode switch
    {
        CreateMode.Container => OpCode.CreateContainer,
        CreateMode.PersistentWithTtl or CreateMode.PersistentSequentialWithTtl => OpCode.CreateTtl,
        _ => withStat ? OpCode.Create2 : OpCode.Create,
    };
}
