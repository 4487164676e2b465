namespace Fabric.Protocols.OpenWire.Commands;

public sealed class JournalTopicAck : IDataStructure
{
    public DataType DataType => DataType.JournalTopicAck;

    public Destination? Destination { get; set; }

    public MessageId? MessageId { get; set; }

    public long MessageSequenceId { get; set; }

    public string? SubscriptionName { get; set; }

    public string? ClientId { get; set; }

    public TransactionId? TransactionId { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteNested(Destination);
        writer.WriteNested(MessageId);
        writer.WriteLong(MessageSequenceId);
        writer.WriteString(SubscriptionName);
        writer.WriteString(ClientId);
        writer.WriteNested(TransactionId);
    }

    internal static JournalTopicAck Read(ref OpenWireReader reader) => new()
    {
        Destination = reader.ReadNested<Destination>(),
        MessageId = reader.ReadNested<MessageId>(),
        MessageSequenceId = reader.ReadLong(),
        SubscriptionName = reader.ReadString(),
        ClientId = reader.ReadString(),
        TransactionId = reader.ReadNested<TransactionId>(),
    };
}

public sealed class JournalQueueAck : IDataStructure
{
    public DataType DataType => DataType.JournalQueueAck;

    public Destination? Destination { get; set; }

    public MessageAck? MessageAck { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteNested(Destination);
        writer.WriteNested(MessageAck);
    }

    internal static JournalQueueAck Read(ref OpenWireReader reader) => new()
    {
        Destination = reader.ReadNested<Destination>(),
        MessageAck = reader.ReadNested<MessageAck>(),
    };
}

public sealed class JournalTrace : IDataStructure
{
    public DataType DataType => DataType.JournalTrace;

    public string? Message { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteString(Message);
    }

    internal static JournalTrace Read(ref OpenWireReader reader) => new()
    {
        Message = reader.ReadString(),
    };
}

public sealed class JournalTransaction : IDataStructure
{
    public DataType DataType => DataType.JournalTransaction;

    public TransactionId? TransactionId { get; set; }

    public byte Type { get; set; }

    public bool WasPrepared { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteNested(TransactionId);
        writer.WriteByte(Type);
        writer.WriteBoolean(WasPrepared);
    }

    internal static JournalTransaction Read(ref OpenWireReader reader) => new()
    {
        TransactionId = reader.ReadNested<TransactionId>(),
        Type = reader.ReadByte(),
        WasPrepared = reader.ReadBoolean(),
    };
}

public sealed class DiscoveryEvent : IDataStructure
{
    public DataType DataType => DataType.DiscoveryEvent;

    public string? ServiceName { get; set; }

    public string? BrokerName { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteString(ServiceName);
        writer.WriteString(BrokerName);
    }

    internal static DiscoveryEvent Read(ref OpenWireReader reader) => new()
    {
        ServiceName = reader.ReadString(),
        BrokerName = reader.ReadString(),
    };
}
