namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Opens a session.</summary>
public sealed class SessionInfo : Command
{
    public override DataType DataType => DataType.SessionInfo;

    public SessionId? SessionId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(SessionId);
    }

    internal static SessionInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        SessionId = reader.ReadNested<SessionId>(),
    };
}
