namespace Fabric.ZooKeeper.Jute;

/// <summary>Facts about a znode, as the server keeps them.</summary>
/// <param name="Czxid">Transaction that created it.</param>
/// <param name="Mzxid">Transaction that changed its data last.</param>
/// <param name="Ctime">When it was created, in milliseconds since 1970 UTC by the server's clock.</param>
/// <param name="Mtime">When its data was changed last, in milliseconds since 1970 UTC by the server's clock.</param>
/// <param name="Version">Number of changes of its data.</param>
/// <param name="Cversion">Number of creates and deletes of its children; not the counter of sequential names.</param>
/// <param name="Aversion">Number of changes of its ACL.</param>
/// <param name="EphemeralOwner">Session that owns it when it is ephemeral, else 0. May be negative.</param>
/// <param name="DataLength">Length of its data in bytes; 0 for null.</param>
/// <param name="NumChildren">Number of its children.</param>
/// <param name="Pzxid">Transaction that created or deleted a child last.</param>
public readonly record struct Stat(
    long Czxid,
    long Mzxid,
    long Ctime,
    long Mtime,
    int Version,
    int Cversion,
    int Aversion,
    long EphemeralOwner,
    int DataLength,
    int NumChildren,
    long Pzxid)
{
    internal const int EncodedLength = 68;

    internal static Stat Read(ref JuteReader reader) => new(
        reader.ReadInt64(),
        reader.ReadInt64(),
        reader.ReadInt64(),
        reader.ReadInt64(),
        reader.ReadInt32(),
        reader.ReadInt32(),
        reader.ReadInt32(),
        reader.ReadInt64(),
        reader.ReadInt32(),
        reader.ReadInt32(),
        reader.ReadInt64());

    internal void Write(JuteWriter writer)
    {
        writer.WriteInt64(Czxid);
        writer.WriteInt64(Mzxid);
        writer.WriteInt64(Ctime);
        writer.WriteInt64(Mtime);
        writer.WriteInt32(Version);
        writer.WriteInt32(Cversion);
        writer.WriteInt32(Aversion);
        writer.WriteInt64(EphemeralOwner);
        writer.WriteInt32(DataLength);
        writer.WriteInt32(NumChildren);
        writer.WriteInt64(Pzxid);
    }
}
