namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Adds (operation 0) or removes (operation 1) a destination.</summary>
public sealed class DestinationInfo : Command
{
    public override DataType DataType => DataType.DestinationInfo;

    public ConnectionId? ConnectionId { get; set; }

    public Destination? Destination { get; set; }

    public byte OperationType { get; set; }

    public long Timeout { get; set; }

    public BrokerId?[]? BrokerPath { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConnectionId);
        writer.WriteNested(Destination);
        writer.WriteByte(OperationType);
        writer.WriteLong(Timeout);
        writer.WriteArray(BrokerPath);
    }

    internal static DestinationInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConnectionId = reader.ReadNested<ConnectionId>(),
        Destination = reader.ReadNested<Destination>(),
        OperationType = reader.ReadByte(),
        Timeout = reader.ReadLong(),
        BrokerPath = reader.ReadArray<BrokerId>(),
    };
}
