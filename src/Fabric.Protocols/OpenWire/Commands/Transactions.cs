using System.Globalization;

namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>A local or an XA transaction.</summary>
public abstract record TransactionId : IDataStructure
{
    public abstract DataType DataType { get; }

    public abstract void WriteFields(OpenWireWriter writer);
}

/// <summary>A transaction of one connection.</summary>
public sealed record LocalTransactionId(long Value, ConnectionId? ConnectionId) : TransactionId
{
    public override DataType DataType => DataType.LocalTransactionId;

    public override void WriteFields(OpenWireWriter writer)
    {
        writer.WriteLong(Value);
        writer.WriteNested(ConnectionId);
    }

    public override string ToString() => $"TX:{ConnectionId}:{Value}";

    internal static LocalTransactionId Read(ref OpenWireReader reader) =>
        new(reader.ReadLong(), reader.ReadNested<ConnectionId>());
}

/// <summary>A branch of a global transaction.</summary>
public sealed record XATransactionId(int FormatId, byte[]? GlobalTransactionId, byte[]? BranchQualifier) : TransactionId
{
    public override DataType DataType => DataType.XATransactionId;

    public override void WriteFields(OpenWireWriter writer)
    {
        writer.WriteInt(FormatId);
        writer.WriteBytes(GlobalTransactionId);
        writer.WriteBytes(BranchQualifier);
    }

    public bool Equals(XATransactionId? other) =>
        other is not null && FormatId == other.FormatId
        && GlobalTransactionId.AsSpan().SequenceEqual(other.GlobalTransactionId)
        && BranchQualifier.AsSpan().SequenceEqual(other.BranchQualifier);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.Add(FormatId);
        hash.AddBytes(GlobalTransactionId);
        hash.AddBytes(BranchQualifier);
        return hash.ToHashCode();
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"XID:[{FormatId},globalId={Convert.ToHexStringLower(GlobalTransactionId ?? [])},branchId={Convert.ToHexStringLower(BranchQualifier ?? [])}]");

    internal static XATransactionId Read(ref OpenWireReader reader) =>
        new(reader.ReadInt(), reader.ReadBytes(), reader.ReadBytes());
}

/// <summary>What a <see cref="TransactionInfo"/> asks for.</summary>
public enum TransactionOperation
{
    Begin = 0,
    Prepare = 1,
    CommitOnePhase = 2,
    CommitTwoPhase = 3,
    Rollback = 4,
    Recover = 5,
    Forget = 6,
    End = 7,
}

public sealed class TransactionInfo : Command
{
    public override DataType DataType => DataType.TransactionInfo;

    public ConnectionId? ConnectionId { get; set; }

    public TransactionId? TransactionId { get; set; }

    /// <summary>May be none of the named values: the peer's byte is kept.</summary>
    public TransactionOperation Type { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConnectionId);
        writer.WriteNested(TransactionId);
        writer.WriteByte((byte)Type);
    }

    internal static TransactionInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConnectionId = reader.ReadNested<ConnectionId>(),
        TransactionId = reader.ReadNested<TransactionId>(),
        Type = (TransactionOperation)reader.ReadByte(),
    };
}
