namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Names a connection. Opaque; Java's look like <c>ID:host-port-millis-instance:1</c>.</summary>
public sealed record ConnectionId(string? Value) : IDataStructure
{
    public DataType DataType => DataType.ConnectionId;

    public void WriteFields(OpenWireWriter writer) => writer.WriteString(Value);

    public override string ToString() => Value ?? "";

    internal static ConnectionId Read(ref OpenWireReader reader) => new(reader.ReadString());
}

/// <summary>Names a session of a connection; -1 is the connection's own, never announced session.</summary>
public sealed record SessionId(string? ConnectionId, long Value) : IDataStructure
{
    public DataType DataType => DataType.SessionId;

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteString(ConnectionId);
        writer.WriteLong(Value);
    }

    public override string ToString() => $"{ConnectionId}:{Value}";

    internal static SessionId Read(ref OpenWireReader reader) => new(reader.ReadString(), reader.ReadLong());
}

/// <summary>Names a consumer of a session. Mind the order: session before value.</summary>
public sealed record ConsumerId(string? ConnectionId, long SessionId, long Value) : IDataStructure
{
    public DataType DataType => DataType.ConsumerId;

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteString(ConnectionId);
        writer.WriteLong(SessionId);
        writer.WriteLong(Value);
    }

    public override string ToString() => $"{ConnectionId}:{SessionId}:{Value}";

    internal static ConsumerId Read(ref OpenWireReader reader) =>
        new(reader.ReadString(), reader.ReadLong(), reader.ReadLong());
}

/// <summary>Names a producer of a session. Mind the order: value before session.</summary>
public sealed record ProducerId(string? ConnectionId, long Value, long SessionId) : IDataStructure
{
    public DataType DataType => DataType.ProducerId;

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteString(ConnectionId);
        writer.WriteLong(Value);
        writer.WriteLong(SessionId);
    }

    public override string ToString() => $"{ConnectionId}:{SessionId}:{Value}";

    internal static ProducerId Read(ref OpenWireReader reader) =>
        new(reader.ReadString(), reader.ReadLong(), reader.ReadLong());
}

/// <summary>Names a broker.</summary>
public sealed record BrokerId(string? Value) : IDataStructure
{
    public DataType DataType => DataType.BrokerId;

    public void WriteFields(OpenWireWriter writer) => writer.WriteString(Value);

    public override string ToString() => Value ?? "";

    internal static BrokerId Read(ref OpenWireReader reader) => new(reader.ReadString());
}

/// <summary>Names a message: the identity for duplicate detection.</summary>
/// <param name="TextView">A foreign JMS message id, shown instead of this one; usually null. Version 10 and later.</param>
/// <param name="ProducerId">Who sent it first.</param>
/// <param name="ProducerSequenceId">Its number among the producer's messages, from 1.</param>
/// <param name="BrokerSequenceId">Assigned by the broker on acceptance, strictly growing; 0 before.</param>
public sealed record MessageId(string? TextView, ProducerId? ProducerId, long ProducerSequenceId, long BrokerSequenceId)
    : IDataStructure
{
    public MessageId(ProducerId producerId, long producerSequenceId)
        : this(null, producerId, producerSequenceId, 0)
    {
    }

    public DataType DataType => DataType.MessageId;

    public void WriteFields(OpenWireWriter writer)
    {
        if (writer.Version >= 10)
        {
            writer.WriteString(TextView);
        }

        writer.WriteNested(ProducerId);
        writer.WriteLong(ProducerSequenceId);
        writer.WriteLong(BrokerSequenceId);
    }

    /// <summary>What <c>getJMSMessageID</c> shows, without the <c>ID:</c> that it may put in front.</summary>
    public override string ToString() => string.IsNullOrEmpty(TextView) ? $"{ProducerId}:{ProducerSequenceId}" : TextView;

    internal static MessageId Read(ref OpenWireReader reader) => new(
        reader.Version >= 10 ? reader.ReadString() : null,
        reader.ReadNested<ProducerId>(),
        reader.ReadLong(),
        reader.ReadLong());
}
