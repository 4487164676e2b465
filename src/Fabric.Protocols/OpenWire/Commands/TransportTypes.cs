namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>A piece of a command on ActiveMQ's UDP transport.</summary>
public sealed class PartialCommand : IDataStructure
{
    public DataType DataType => IsLast ? DataType.LastPartialCommand : DataType.PartialCommand;

    /// <summary>The last piece is a type of its own.</summary>
    public bool IsLast { get; set; }

    public int CommandId { get; set; }

    public byte[]? Data { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteInt(CommandId);
        writer.WriteBytes(Data);
    }

    internal static PartialCommand Read(ref OpenWireReader reader, bool last) => new()
    {
        IsLast = last,
        CommandId = reader.ReadInt(),
        Data = reader.ReadBytes(),
    };
}

/// <summary>Asks ActiveMQ's UDP transport for lost datagrams.</summary>
public sealed class ReplayCommand : Command
{
    public override DataType DataType => DataType.ReplayCommand;

    public int FirstNakNumber { get; set; }

    public int LastNakNumber { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteInt(FirstNakNumber);
        writer.WriteInt(LastNakNumber);
    }

    internal static ReplayCommand Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        FirstNakNumber = reader.ReadInt(),
        LastNakNumber = reader.ReadInt(),
    };
}
