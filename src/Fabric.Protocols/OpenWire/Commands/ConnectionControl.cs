namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Tells a client about the cluster, or a broker that a failover client is coming back (reference §4.22).</summary>
public sealed class ConnectionControl : Command
{
    public override DataType DataType => DataType.ConnectionControl;

    public bool Close { get; set; }

    public bool Exit { get; set; }

    public bool FaultTolerant { get; set; }

    public bool Resume { get; set; }

    public bool Suspend { get; set; }

    public string? ConnectedBrokers { get; set; }

    public string? ReconnectTo { get; set; }

    public bool RebalanceConnection { get; set; }

    public byte[]? Token { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteBoolean(Close);
        writer.WriteBoolean(Exit);
        writer.WriteBoolean(FaultTolerant);
        writer.WriteBoolean(Resume);
        writer.WriteBoolean(Suspend);

        if (writer.Version >= 6)
        {
            writer.WriteString(ConnectedBrokers);
            writer.WriteString(ReconnectTo);
            writer.WriteBoolean(RebalanceConnection);
        }

        if (writer.Version >= 8)
        {
            writer.WriteBytes(Token);
        }
    }

    internal static ConnectionControl Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        Close = reader.ReadBoolean(),
        Exit = reader.ReadBoolean(),
        FaultTolerant = reader.ReadBoolean(),
        Resume = reader.ReadBoolean(),
        Suspend = reader.ReadBoolean(),
        ConnectedBrokers = reader.Version >= 6 ? reader.ReadString() : null,
        ReconnectTo = reader.Version >= 6 ? reader.ReadString() : null,
        RebalanceConnection = reader.Version >= 6 && reader.ReadBoolean(),
        Token = reader.Version >= 8 ? reader.ReadBytes() : null,
    };
}
