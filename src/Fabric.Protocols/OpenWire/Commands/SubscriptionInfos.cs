namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Deletes a durable subscription.</summary>
public sealed class RemoveSubscriptionInfo : Command
{
    public override DataType DataType => DataType.RemoveSubscriptionInfo;

    public ConnectionId? ConnectionId { get; set; }

    public string? SubscriptionName { get; set; }

    public string? ClientId { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConnectionId);
        writer.WriteString(SubscriptionName);
        writer.WriteString(ClientId);
    }

    internal static RemoveSubscriptionInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConnectionId = reader.ReadNested<ConnectionId>(),
        SubscriptionName = reader.ReadString(),
        ClientId = reader.ReadString(),
    };
}

/// <summary>A durable subscription in a store of ActiveMQ.</summary>
public sealed class SubscriptionInfo : IDataStructure
{
    public DataType DataType => DataType.SubscriptionInfo;

    public string? ClientId { get; set; }

    public Destination? Destination { get; set; }

    public string? Selector { get; set; }

    public string? SubscriptionName { get; set; }

    public Destination? SubscribedDestination { get; set; }

    public bool NoLocal { get; set; }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteString(ClientId);
        writer.WriteNested(Destination);
        writer.WriteString(Selector);
        writer.WriteString(SubscriptionName);

        if (writer.Version >= 3)
        {
            writer.WriteNested(SubscribedDestination);
        }

        if (writer.Version >= 11)
        {
            writer.WriteBoolean(NoLocal);
        }
    }

    internal static SubscriptionInfo Read(ref OpenWireReader reader) => new()
    {
        ClientId = reader.ReadString(),
        Destination = reader.ReadNested<Destination>(),
        Selector = reader.ReadString(),
        SubscriptionName = reader.ReadString(),
        SubscribedDestination = reader.Version >= 3 ? reader.ReadNested<Destination>() : null,
        NoLocal = reader.Version >= 11 && reader.ReadBoolean(),
    };
}

/// <summary>A bridge's list of durable subscriptions.</summary>
public sealed class BrokerSubscriptionInfo : Command
{
    public override DataType DataType => DataType.BrokerSubscriptionInfo;

    public BrokerId? BrokerId { get; set; }

    public string? BrokerName { get; set; }

    public ConsumerInfo?[]? SubscriptionInfos { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(BrokerId);
        writer.WriteString(BrokerName);
        writer.WriteArray(SubscriptionInfos);
    }

    internal static BrokerSubscriptionInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        BrokerId = reader.ReadNested<BrokerId>(),
        BrokerName = reader.ReadString(),
        SubscriptionInfos = reader.ReadArray<ConsumerInfo>(),
    };
}
