namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Widens the window of a producer that asked for one (reference §4.21).</summary>
public sealed class ProducerAck : Command
{
    public override DataType DataType => DataType.ProducerAck;

    public ProducerId? ProducerId { get; set; }

    public int Size { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ProducerId);
        writer.WriteInt(Size);
    }

    internal static ProducerAck Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ProducerId = reader.ReadNested<ProducerId>(),
        Size = reader.ReadInt(),
    };
}
