namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>A broker introduces itself, to clients and to other brokers.</summary>
public sealed class BrokerInfo : Command
{
    public override DataType DataType => DataType.BrokerInfo;

    public BrokerId? BrokerId { get; set; }

    public string? BrokerUrl { get; set; }

    public BrokerInfo?[]? PeerBrokerInfos { get; set; }

    public string? BrokerName { get; set; }

    public bool SlaveBroker { get; set; }

    public bool MasterBroker { get; set; }

    public bool FaultTolerantConfiguration { get; set; }

    public bool DuplexConnection { get; set; }

    public bool NetworkConnection { get; set; }

    public long ConnectionId { get; set; }

    public string? BrokerUploadUrl { get; set; }

    public string? NetworkProperties { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(BrokerId);
        writer.WriteString(BrokerUrl);
        writer.WriteArray(PeerBrokerInfos);
        writer.WriteString(BrokerName);
        writer.WriteBoolean(SlaveBroker);
        writer.WriteBoolean(MasterBroker);
        writer.WriteBoolean(FaultTolerantConfiguration);

        if (writer.Version >= 2)
        {
            writer.WriteBoolean(DuplexConnection);
            writer.WriteBoolean(NetworkConnection);
            writer.WriteLong(ConnectionId);
        }

        if (writer.Version >= 3)
        {
            writer.WriteString(BrokerUploadUrl);
            writer.WriteString(NetworkProperties);
        }
    }

    internal static BrokerInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        BrokerId = reader.ReadNested<BrokerId>(),
        BrokerUrl = reader.ReadString(),
        PeerBrokerInfos = reader.ReadArray<BrokerInfo>(),
        BrokerName = reader.ReadString(),
        SlaveBroker = reader.ReadBoolean(),
        MasterBroker = reader.ReadBoolean(),
        FaultTolerantConfiguration = reader.ReadBoolean(),
        DuplexConnection = reader.Version >= 2 && reader.ReadBoolean(),
        NetworkConnection = reader.Version >= 2 && reader.ReadBoolean(),
        ConnectionId = reader.Version >= 2 ? reader.ReadLong() : 0,
        BrokerUploadUrl = reader.Version >= 3 ? reader.ReadString() : null,
        NetworkProperties = reader.Version >= 3 ? reader.ReadString() : null,
    };
}
