namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>A sign of life (reference §1.5).</summary>
public sealed class KeepAliveInfo : Command
{
    public override DataType DataType => DataType.KeepAliveInfo;

    internal static KeepAliveInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
    };
}

/// <summary>The sender is going away.</summary>
public sealed class ShutdownInfo : Command
{
    public override DataType DataType => DataType.ShutdownInfo;

    internal static ShutdownInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
    };
}

/// <summary>Has no effect.</summary>
public sealed class FlushCommand : Command
{
    public override DataType DataType => DataType.FlushCommand;

    internal static FlushCommand Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
    };
}

/// <summary>Has no effect.</summary>
public sealed class ControlCommand : Command
{
    public override DataType DataType => DataType.ControlCommand;

    public string? Command { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteString(Command);
    }

    internal static ControlCommand Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        Command = reader.ReadString(),
    };
}
