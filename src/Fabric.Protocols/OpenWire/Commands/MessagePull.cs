namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>A consumer without prefetch asks for one message (reference §4.6).</summary>
public sealed class MessagePull : Command
{
    public override DataType DataType => DataType.MessagePull;

    public ConsumerId? ConsumerId { get; set; }

    public Destination? Destination { get; set; }

    public long Timeout { get; set; }

    public string? CorrelationId { get; set; }

    public MessageId? MessageId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConsumerId);
        writer.WriteNested(Destination);
        writer.WriteLong(Timeout);

        if (writer.Version >= 3)
        {
            writer.WriteString(CorrelationId);
            writer.WriteNested(MessageId);
        }
    }

    internal static MessagePull Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConsumerId = reader.ReadNested<ConsumerId>(),
        Destination = reader.ReadNested<Destination>(),
        Timeout = reader.ReadLong(),
        CorrelationId = reader.Version >= 3 ? reader.ReadString() : null,
        MessageId = reader.Version >= 3 ? reader.ReadNested<MessageId>() : null,
    };
}
