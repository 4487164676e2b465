using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Server.Tree;

/// <summary>
/// One effect of a transaction, fully resolved: final path, new versions, expanded ACL. Applying it can neither fail nor
/// depend on anything but the state before, so a replay of the log gives the same state. The layouts are those of FORMAT.md.
/// </summary>
internal abstract record TreeChange
{
    private enum Kind : byte
    {
        OpenSession = 1,
        CloseSession = 2,
        Create = 3,
        Delete = 4,
        SetData = 5,
        SetAcl = 6,
    }

    /// <exception cref="JuteException">Not a change, or one of a newer format.</exception>
    public static TreeChange Read(ref JuteReader reader)
    {
        var kind = (Kind)reader.ReadByte();
        return kind switch
        {
            Kind.OpenSession => new OpenSession(reader.ReadInt64(), reader.ReadInt32(), reader.ReadBuffer() ?? []),
            Kind.CloseSession => new CloseSession(reader.ReadInt64()),
            Kind.Create => new Create(
                reader.ReadRequiredString(),
                reader.ReadBuffer(),
                Acl.ReadList(ref reader) ?? [],
                new ZnodeOwner(reader.ReadInt64())),
            Kind.Delete => new Delete(reader.ReadRequiredString()),
            Kind.SetData => new SetData(reader.ReadRequiredString(), reader.ReadBuffer(), reader.ReadInt32()),
            Kind.SetAcl => new SetAcl(reader.ReadRequiredString(), Acl.ReadList(ref reader) ?? [], reader.ReadInt32()),
            _ => throw new JuteException($"a change of kind {(int)kind}"),
        };
    }

    public abstract void Write(JuteWriter writer);

    /// <param name="Id">The new session.</param>
    /// <param name="Timeout">Granted timeout in milliseconds.</param>
    /// <param name="Password">What the client shows to re-attach.</param>
    public sealed record OpenSession(long Id, int Timeout, byte[] Password) : TreeChange
    {
        public override void Write(JuteWriter writer)
        {
            writer.WriteByte((byte)Kind.OpenSession);
            writer.WriteInt64(Id);
            writer.WriteInt32(Timeout);
            writer.WriteBuffer(Password);
        }
    }

    /// <summary>Ends a session and deletes every ephemeral znode it owns at this point of the log.</summary>
    public sealed record CloseSession(long Id) : TreeChange
    {
        public override void Write(JuteWriter writer)
        {
            writer.WriteByte((byte)Kind.CloseSession);
            writer.WriteInt64(Id);
        }
    }

    public sealed record Create(string Path, byte[]? Data, Acl[] Acl, ZnodeOwner Owner) : TreeChange
    {
        public override void Write(JuteWriter writer)
        {
            writer.WriteByte((byte)Kind.Create);
            writer.WriteString(Path);
            writer.WriteBuffer(Data);
            Jute.Acl.WriteList(writer, Acl);
            writer.WriteInt64(Owner.Value);
        }
    }

    public sealed record Delete(string Path) : TreeChange
    {
        public override void Write(JuteWriter writer)
        {
            writer.WriteByte((byte)Kind.Delete);
            writer.WriteString(Path);
        }
    }

    /// <param name="Path">The znode.</param>
    /// <param name="Data">Its new data.</param>
    /// <param name="Version">Its version afterwards.</param>
    public sealed record SetData(string Path, byte[]? Data, int Version) : TreeChange
    {
        public override void Write(JuteWriter writer)
        {
            writer.WriteByte((byte)Kind.SetData);
            writer.WriteString(Path);
            writer.WriteBuffer(Data);
            writer.WriteInt32(Version);
        }
    }

    /// <param name="Path">The znode.</param>
    /// <param name="Acl">Its new ACL.</param>
    /// <param name="Aversion">Its ACL version afterwards.</param>
    public sealed record SetAcl(string Path, Acl[] Acl, int Aversion) : TreeChange
    {
        public override void Write(JuteWriter writer)
        {
            writer.WriteByte((byte)Kind.SetAcl);
            writer.WriteString(Path);
            Jute.Acl.WriteList(writer, Acl);
            writer.WriteInt32(Aversion);
        }
    }
}
