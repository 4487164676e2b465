namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Opens a producer; without a destination it may send anywhere.</summary>
public sealed class ProducerInfo : Command
{
    public override DataType DataType => DataType.ProducerInfo;

    public ProducerId? ProducerId { get; set; }

    public Destination? Destination { get; set; }

    public BrokerId?[]? BrokerPath { get; set; }

    public bool DispatchAsync { get; set; }

    public int WindowSize { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ProducerId);
        writer.WriteNested(Destination);
        writer.WriteArray(BrokerPath);

        if (writer.Version >= 2)
        {
            writer.WriteBoolean(DispatchAsync);
        }

        if (writer.Version >= 3)
        {
            writer.WriteInt(WindowSize);
        }
    }

    internal static ProducerInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ProducerId = reader.ReadNested<ProducerId>(),
        Destination = reader.ReadNested<Destination>(),
        BrokerPath = reader.ReadArray<BrokerId>(),
        DispatchAsync = reader.Version >= 2 && reader.ReadBoolean(),
        WindowSize = reader.Version >= 3 ? reader.ReadInt() : 0,
    };
}
