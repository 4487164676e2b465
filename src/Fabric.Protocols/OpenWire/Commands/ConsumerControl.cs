namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Changes the prefetch of a consumer, or closes it from the broker's side.</summary>
public sealed class ConsumerControl : Command
{
    public override DataType DataType => DataType.ConsumerControl;

    public Destination? Destination { get; set; }

    public bool Close { get; set; }

    public ConsumerId? ConsumerId { get; set; }

    public int Prefetch { get; set; }

    public bool Flush { get; set; }

    public bool Start { get; set; }

    public bool Stop { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        if (writer.Version >= 6)
        {
            writer.WriteNested(Destination);
        }

        writer.WriteBoolean(Close);
        writer.WriteNested(ConsumerId);
        writer.WriteInt(Prefetch);

        if (writer.Version >= 2)
        {
            writer.WriteBoolean(Flush);
            writer.WriteBoolean(Start);
            writer.WriteBoolean(Stop);
        }
    }

    internal static ConsumerControl Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        Destination = reader.Version >= 6 ? reader.ReadNested<Destination>() : null,
        Close = reader.ReadBoolean(),
        ConsumerId = reader.ReadNested<ConsumerId>(),
        Prefetch = reader.ReadInt(),
        Flush = reader.Version >= 2 && reader.ReadBoolean(),
        Start = reader.Version >= 2 && reader.ReadBoolean(),
        Stop = reader.Version >= 2 && reader.ReadBoolean(),
    };
}
