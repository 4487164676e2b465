namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Opens a connection: who the client is.</summary>
public sealed class ConnectionInfo : Command
{
    public override DataType DataType => DataType.ConnectionInfo;

    public ConnectionId? ConnectionId { get; set; }

    public string? ClientId { get; set; }

    public string? Password { get; set; }

    public string? UserName { get; set; }

    public BrokerId?[]? BrokerPath { get; set; }

    public bool BrokerMasterConnector { get; set; }

    public bool Manageable { get; set; }

    public bool ClientMaster { get; set; }

    public bool FaultTolerant { get; set; }

    public bool FailoverReconnect { get; set; }

    public string? ClientIp { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConnectionId);
        writer.WriteString(ClientId);
        writer.WriteString(Password);
        writer.WriteString(UserName);
        writer.WriteArray(BrokerPath);
        writer.WriteBoolean(BrokerMasterConnector);
        writer.WriteBoolean(Manageable);

        if (writer.Version >= 2)
        {
            writer.WriteBoolean(ClientMaster);
        }

        if (writer.Version >= 6)
        {
            writer.WriteBoolean(FaultTolerant);
            writer.WriteBoolean(FailoverReconnect);
        }

        if (writer.Version >= 8)
        {
            writer.WriteString(ClientIp);
        }
    }

    internal static ConnectionInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConnectionId = reader.ReadNested<ConnectionId>(),
        ClientId = reader.ReadString(),
        Password = reader.ReadString(),
        UserName = reader.ReadString(),
        BrokerPath = reader.ReadArray<BrokerId>(),
        BrokerMasterConnector = reader.ReadBoolean(),
        Manageable = reader.ReadBoolean(),
        ClientMaster = reader.Version >= 2 && reader.ReadBoolean(),
        FaultTolerant = reader.Version >= 6 && reader.ReadBoolean(),
        FailoverReconnect = reader.Version >= 6 && reader.ReadBoolean(),
        ClientIp = reader.Version >= 8 ? reader.ReadString() : null,
    };
}
