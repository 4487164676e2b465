namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Reports an error that no command waits for.</summary>
public sealed class ConnectionError : Command
{
    public override DataType DataType => DataType.ConnectionError;

    public BrokerError? Exception { get; set; }

    public ConnectionId? ConnectionId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteException(Exception);
        writer.WriteNested(ConnectionId);
    }

    internal static ConnectionError Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        Exception = reader.ReadException(),
        ConnectionId = reader.ReadNested<ConnectionId>(),
    };
}
