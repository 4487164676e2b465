using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>One znode in memory. Owned by its <see cref="ZnodeTree"/>; data and ACL are replaced, never changed in place.</summary>
internal sealed class Znode
{
    /// <summary>Null stays null: clients can tell it from empty.</summary>
    public byte[]? Data { get; set; }

    public required Acl[] Acl { get; set; }

    public long Czxid { get; init; }

    public long Mzxid { get; set; }

    public long Pzxid { get; set; }

    public long Ctime { get; init; }

    public long Mtime { get; set; }

    public int Version { get; set; }

    public int Aversion { get; set; }

    /// <summary>Children ever created: the next sequence number. It never goes down (reference §3.3).</summary>
    public int Creates { get; set; }

    public ZnodeOwner Owner { get; init; }

    /// <summary>Names of the children; null when there never was one.</summary>
    public HashSet<string>? Children { get; set; }

    public int ChildCount => Children?.Count ?? 0;

    public Stat ToStat() => new(
        Czxid,
        Mzxid,
        Ctime,
        Mtime,
        Version,
        unchecked((2 * Creates) - ChildCount),
        Aversion,
        Owner.SessionId,
        Data?.Length ?? 0,
        ChildCount,
        Pzxid);
}

/// <summary>
/// What ends a znode besides a delete, in the one number that log and snapshot hold: 0 nothing, 0x8000000000000000 a
/// container, 0xFF in the top byte a time to live in milliseconds in the rest, anything else the session that owns an
/// ephemeral. <see cref="Sessions.SessionTable"/> never hands out an id that could be mistaken for one of the others.
/// </summary>
internal readonly record struct ZnodeOwner(long Value)
{
    /// <summary>Longest time to live in milliseconds.</summary>
    public const long TtlMax = (1L << 40) - 1;

    private const long ContainerValue = long.MinValue;
    private const long TtlMark = unchecked((long)0xFF00_0000_0000_0000);

    public static ZnodeOwner Nobody => default;

    public static ZnodeOwner Container => new(ContainerValue);

    public static ZnodeOwner Session(long sessionId) => new(sessionId);

    public static ZnodeOwner TimeToLive(long milliseconds) => new(TtlMark | milliseconds);

    public bool IsContainer => Value == ContainerValue;

    public bool IsTtl => (Value & TtlMark) == TtlMark;

    public bool IsEphemeral => Value != 0 && !IsContainer && !IsTtl;

    /// <summary>Time to live in milliseconds; meaningful when <see cref="IsTtl"/>.</summary>
    public long Ttl => Value & ~TtlMark;

    /// <summary>The owning session; 0 when there is none.</summary>
    public long SessionId => IsEphemeral ? Value : 0;
}
