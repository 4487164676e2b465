namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>
/// A message, fully decoded. The broker's hot path does not use it: see <see cref="MessageView"/>. The seven kinds share
/// one layout (reference §2.3).
/// </summary>
public abstract class Message : Command
{
    /// <summary>The producer that sent this copy.</summary>
    public ProducerId? ProducerId { get; set; }

    public Destination? Destination { get; set; }

    public TransactionId? TransactionId { get; set; }

    /// <summary>Where it was sent to before a broker re-routed it.</summary>
    public Destination? OriginalDestination { get; set; }

    /// <summary>The identity; survives bridges and the dead letter queue.</summary>
    public MessageId? MessageId { get; set; }

    public TransactionId? OriginalTransactionId { get; set; }

    /// <summary>JMSXGroupID.</summary>
    public string? GroupId { get; set; }

    /// <summary>JMSXGroupSeq.</summary>
    public int GroupSequence { get; set; }

    public string? CorrelationId { get; set; }

    public bool Persistent { get; set; }

    /// <summary>Milliseconds since 1970 by the producer's clock; 0 means never.</summary>
    public long Expiration { get; set; }

    /// <summary>0 to 9 for who reads it; other values are carried as they came.</summary>
    public byte Priority { get; set; }

    public Destination? ReplyTo { get; set; }

    /// <summary>Milliseconds since 1970 by the producer's clock.</summary>
    public long Timestamp { get; set; }

    /// <summary>JMSType.</summary>
    public string? Type { get; set; }

    /// <summary>The body as its kind encodes it; see <see cref="MessageBody"/>.</summary>
    public byte[]? Content { get; set; }

    /// <summary>A primitive map, or null for none; an empty array is what Java peers fail on.</summary>
    public byte[]? MarshalledProperties { get; set; }

    /// <summary>Payload of an advisory.</summary>
    public IDataStructure? DataStructure { get; set; }

    /// <summary>Only this consumer may get the message.</summary>
    public ConsumerId? TargetConsumerId { get; set; }

    /// <summary>The content is deflated (reference §3.4).</summary>
    public bool Compressed { get; set; }

    public int RedeliveryCounter { get; set; }

    public BrokerId?[]? BrokerPath { get; set; }

    public long Arrival { get; set; }

    /// <summary>JMSXUserID.</summary>
    public string? UserId { get; set; }

    public bool ReceivedByDFBridge { get; set; }

    public bool Droppable { get; set; }

    public BrokerId?[]? Cluster { get; set; }

    /// <summary>Milliseconds since 1970, stamped on acceptance.</summary>
    public long BrokerInTime { get; set; }

    /// <summary>Milliseconds since 1970, stamped on dispatch.</summary>
    public long BrokerOutTime { get; set; }

    public bool JmsXGroupFirstForConsumer { get; set; }

    /// <inheritdoc/>
    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ProducerId);
        writer.WriteNested(Destination);
        writer.WriteNested(TransactionId);
        writer.WriteNested(OriginalDestination);
        writer.WriteNested(MessageId);
        writer.WriteNested(OriginalTransactionId);
        writer.WriteString(GroupId);
        writer.WriteInt(GroupSequence);
        writer.WriteString(CorrelationId);
        writer.WriteBoolean(Persistent);
        writer.WriteLong(Expiration);
        writer.WriteByte(Priority);
        writer.WriteNested(ReplyTo);
        writer.WriteLong(Timestamp);
        writer.WriteString(Type);
        writer.WriteBytes(Content);
        writer.WriteBytes(MarshalledProperties);
        writer.WriteNested(DataStructure);
        writer.WriteNested(TargetConsumerId);
        writer.WriteBoolean(Compressed);
        writer.WriteInt(RedeliveryCounter);
        writer.WriteArray(BrokerPath);
        writer.WriteLong(Arrival);
        writer.WriteString(UserId);
        writer.WriteBoolean(ReceivedByDFBridge);
        if (writer.Version >= 2)
        {
            writer.WriteBoolean(Droppable);
        }

        if (writer.Version >= 3)
        {
            writer.WriteArray(Cluster);
            writer.WriteLong(BrokerInTime);
            writer.WriteLong(BrokerOutTime);
        }

        if (writer.Version >= 10)
        {
            writer.WriteBoolean(JmsXGroupFirstForConsumer);
        }
    }

    /// <summary>Reads the common fields and those of the kind into this new message.</summary>
    internal Message ReadAll(ref OpenWireReader reader)
    {
        CommandId = reader.ReadInt();
        ResponseRequired = reader.ReadBoolean();
        ProducerId = reader.ReadNested<ProducerId>();
        Destination = reader.ReadNested<Destination>();
        TransactionId = reader.ReadNested<TransactionId>();
        OriginalDestination = reader.ReadNested<Destination>();
        MessageId = reader.ReadNested<MessageId>();
        OriginalTransactionId = reader.ReadNested<TransactionId>();
        GroupId = reader.ReadString();
        GroupSequence = reader.ReadInt();
        CorrelationId = reader.ReadString();
        Persistent = reader.ReadBoolean();
        Expiration = reader.ReadLong();
        Priority = reader.ReadByte();
        ReplyTo = reader.ReadNested<Destination>();
        Timestamp = reader.ReadLong();
        Type = reader.ReadString();
        Content = reader.ReadBytes();
        MarshalledProperties = reader.ReadBytes();
        DataStructure = reader.ReadNested<IDataStructure>();
        TargetConsumerId = reader.ReadNested<ConsumerId>();
        Compressed = reader.ReadBoolean();
        RedeliveryCounter = reader.ReadInt();
        BrokerPath = reader.ReadArray<BrokerId>();
        Arrival = reader.ReadLong();
        UserId = reader.ReadString();
        ReceivedByDFBridge = reader.ReadBoolean();
        Droppable = reader.Version >= 2 && reader.ReadBoolean();
        if (reader.Version >= 3)
        {
            Cluster = reader.ReadArray<BrokerId>();
            BrokerInTime = reader.ReadLong();
            BrokerOutTime = reader.ReadLong();
        }

        JmsXGroupFirstForConsumer = reader.Version >= 10 && reader.ReadBoolean();
        ReadKindFields(ref reader);
        return this;
    }

    /// <summary>Reads what only this kind has.</summary>
    private protected virtual void ReadKindFields(ref OpenWireReader reader)
    {
    }
}

/// <summary>A message without a body, and the form of advisories.</summary>
public sealed class ActiveMQMessage : Message
{
    public override DataType DataType => DataType.ActiveMQMessage;
}

public sealed class ActiveMQBytesMessage : Message
{
    public override DataType DataType => DataType.ActiveMQBytesMessage;
}

public sealed class ActiveMQMapMessage : Message
{
    public override DataType DataType => DataType.ActiveMQMapMessage;
}

/// <summary>Its body is a Java serialization stream, which is carried and never looked into.</summary>
public sealed class ActiveMQObjectMessage : Message
{
    public override DataType DataType => DataType.ActiveMQObjectMessage;
}

public sealed class ActiveMQStreamMessage : Message
{
    public override DataType DataType => DataType.ActiveMQStreamMessage;
}

public sealed class ActiveMQTextMessage : Message
{
    public override DataType DataType => DataType.ActiveMQTextMessage;
}

/// <summary>Its body stays at a URL. Version 3 and later.</summary>
public sealed class ActiveMQBlobMessage : Message
{
    public override DataType DataType => DataType.ActiveMQBlobMessage;

    public string? RemoteBlobUrl { get; set; }

    public string? MimeType { get; set; }

    public bool DeletedByBroker { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteString(RemoteBlobUrl);
        writer.WriteString(MimeType);
        writer.WriteBoolean(DeletedByBroker);
    }

    private protected override void ReadKindFields(ref OpenWireReader reader)
    {
        RemoteBlobUrl = reader.ReadString();
        MimeType = reader.ReadString();
        DeletedByBroker = reader.ReadBoolean();
    }
}
