namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Closes a connection, session, consumer or producer.</summary>
public sealed class RemoveInfo : Command
{
    public override DataType DataType => DataType.RemoveInfo;

    public IDataStructure? ObjectId { get; set; }

    public long LastDeliveredSequenceId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ObjectId);

        if (writer.Version >= 5)
        {
            writer.WriteLong(LastDeliveredSequenceId);
        }
    }

    internal static RemoveInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ObjectId = reader.ReadNested<IDataStructure>(),
        LastDeliveredSequenceId = reader.Version >= 5 ? reader.ReadLong() : 0,
    };
}
