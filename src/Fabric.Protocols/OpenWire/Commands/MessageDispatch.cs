namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Carries a message to a consumer; without a message it ends a pull or a browse.</summary>
public sealed class MessageDispatch : Command
{
    public override DataType DataType => DataType.MessageDispatch;

    public ConsumerId? ConsumerId { get; set; }

    public Destination? Destination { get; set; }

    public Message? Message { get; set; }

    public int RedeliveryCounter { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConsumerId);
        writer.WriteNested(Destination);
        writer.WriteNested(Message);
        writer.WriteInt(RedeliveryCounter);
    }

    internal static MessageDispatch Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConsumerId = reader.ReadNested<ConsumerId>(),
        Destination = reader.ReadNested<Destination>(),
        Message = reader.ReadNested<Message>(),
        RedeliveryCounter = reader.ReadInt(),
    };
}

/// <summary>Tells the other half of an obsolete master/slave pair what was dispatched.</summary>
public sealed class MessageDispatchNotification : Command
{
    public override DataType DataType => DataType.MessageDispatchNotification;

    public ConsumerId? ConsumerId { get; set; }

    public Destination? Destination { get; set; }

    public long DeliverySequenceId { get; set; }

    public MessageId? MessageId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConsumerId);
        writer.WriteNested(Destination);
        writer.WriteLong(DeliverySequenceId);
        writer.WriteNested(MessageId);
    }

    internal static MessageDispatchNotification Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConsumerId = reader.ReadNested<ConsumerId>(),
        Destination = reader.ReadNested<Destination>(),
        DeliverySequenceId = reader.ReadLong(),
        MessageId = reader.ReadNested<MessageId>(),
    };
}
