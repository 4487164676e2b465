namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>The condition a network bridge puts on its subscriptions. The only type whose fields changed places.</summary>
public sealed class NetworkBridgeFilter : IDataStructure
{
    public DataType DataType => DataType.NetworkBridgeFilter;

    public BrokerId? NetworkBrokerId { get; set; }

    /// <summary>How many brokers a message may pass; called networkTTL before version 10.</summary>
    public int MessageTTL { get; set; }

    /// <summary>How many brokers a subscription may pass; one with <see cref="MessageTTL"/> before version 10.</summary>
    public int ConsumerTTL { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        if (writer.Version < 10)
        {
            writer.WriteInt(MessageTTL);
            writer.WriteNested(NetworkBrokerId);
            return;
        }

        writer.WriteNested(NetworkBrokerId);
        writer.WriteInt(MessageTTL);
        writer.WriteInt(ConsumerTTL);
    }

    internal static NetworkBridgeFilter Read(ref OpenWireReader reader)
    {
        if (reader.Version >= 10)
        {
            return new NetworkBridgeFilter
            {
                NetworkBrokerId = reader.ReadNested<BrokerId>(),
                MessageTTL = reader.ReadInt(),
                ConsumerTTL = reader.ReadInt(),
            };
        }

        var ttl = reader.ReadInt();
        return new NetworkBridgeFilter
        {
            MessageTTL = ttl,
            ConsumerTTL = ttl,
            NetworkBrokerId = reader.ReadNested<BrokerId>(),
        };
    }
}
