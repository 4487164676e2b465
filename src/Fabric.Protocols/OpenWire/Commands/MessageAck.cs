namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>What an acknowledgement says about its range (reference §4.8).</summary>
public enum AckType
{
    Delivered = 0,
    Poison = 1,
    Standard = 2,
    Redelivered = 3,
    Individual = 4,
    Unmatched = 5,
    Expired = 6,
}

/// <summary>Acknowledges a range of messages in dispatch order (reference §4.8).</summary>
public sealed class MessageAck : Command
{
    public override DataType DataType => DataType.MessageAck;

    public Destination? Destination { get; set; }

    public TransactionId? TransactionId { get; set; }

    public ConsumerId? ConsumerId { get; set; }

    /// <summary>May be none of the named values: the peer's byte is kept.</summary>
    public AckType AckType { get; set; }

    public MessageId? FirstMessageId { get; set; }

    public MessageId? LastMessageId { get; set; }

    public int MessageCount { get; set; }

    public BrokerError? PoisonCause { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(Destination);
        writer.WriteNested(TransactionId);
        writer.WriteNested(ConsumerId);
        writer.WriteByte((byte)AckType);
        writer.WriteNested(FirstMessageId);
        writer.WriteNested(LastMessageId);
        writer.WriteInt(MessageCount);

        if (writer.Version >= 7)
        {
            writer.WriteException(PoisonCause);
        }
    }

    internal static MessageAck Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        Destination = reader.ReadNested<Destination>(),
        TransactionId = reader.ReadNested<TransactionId>(),
        ConsumerId = reader.ReadNested<ConsumerId>(),
        AckType = (AckType)reader.ReadByte(),
        FirstMessageId = reader.ReadNested<MessageId>(),
        LastMessageId = reader.ReadNested<MessageId>(),
        MessageCount = reader.ReadInt(),
        PoisonCause = reader.Version >= 7 ? reader.ReadException() : null,
    };
}
