namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>Opens a consumer; reference §2.5 says what the fields mean.</summary>
public sealed class ConsumerInfo : Command
{
    public override DataType DataType => DataType.ConsumerInfo;

    public ConsumerId? ConsumerId { get; set; }

    public bool Browser { get; set; }

    public Destination? Destination { get; set; }

    public int PrefetchSize { get; set; }

    public int MaximumPendingMessageLimit { get; set; }

    public bool DispatchAsync { get; set; }

    public string? Selector { get; set; }

    public string? ClientId { get; set; }

    public string? SubscriptionName { get; set; }

    public bool NoLocal { get; set; }

    public bool Exclusive { get; set; }

    public bool Retroactive { get; set; }

    /// <summary>-128 to 127; higher ones get messages first.</summary>
    public sbyte Priority { get; set; }

    public BrokerId?[]? BrokerPath { get; set; }

    public IDataStructure? AdditionalPredicate { get; set; }

    public bool NetworkSubscription { get; set; }

    public bool OptimizedAcknowledge { get; set; }

    public bool NoRangeAcks { get; set; }

    public ConsumerId?[]? NetworkConsumerPath { get; set; }

    public override void WriteFields(OpenWireWriter writer)
    {
        base.WriteFields(writer);
        writer.WriteNested(ConsumerId);
        writer.WriteBoolean(Browser);
        writer.WriteNested(Destination);
        writer.WriteInt(PrefetchSize);
        writer.WriteInt(MaximumPendingMessageLimit);
        writer.WriteBoolean(DispatchAsync);
        writer.WriteString(Selector);

        if (writer.Version >= 10)
        {
            writer.WriteString(ClientId);
        }

        writer.WriteString(SubscriptionName);
        writer.WriteBoolean(NoLocal);
        writer.WriteBoolean(Exclusive);
        writer.WriteBoolean(Retroactive);
        writer.WriteByte((byte)Priority);
        writer.WriteArray(BrokerPath);
        writer.WriteNested(AdditionalPredicate);
        writer.WriteBoolean(NetworkSubscription);
        writer.WriteBoolean(OptimizedAcknowledge);
        writer.WriteBoolean(NoRangeAcks);

        if (writer.Version >= 4)
        {
            writer.WriteArray(NetworkConsumerPath);
        }
    }

    internal static ConsumerInfo Read(ref OpenWireReader reader) => new()
    {
        CommandId = reader.ReadInt(),
        ResponseRequired = reader.ReadBoolean(),
        ConsumerId = reader.ReadNested<ConsumerId>(),
        Browser = reader.ReadBoolean(),
        Destination = reader.ReadNested<Destination>(),
        PrefetchSize = reader.ReadInt(),
        MaximumPendingMessageLimit = reader.ReadInt(),
        DispatchAsync = reader.ReadBoolean(),
        Selector = reader.ReadString(),
        ClientId = reader.Version >= 10 ? reader.ReadString() : null,
        SubscriptionName = reader.ReadString(),
        NoLocal = reader.ReadBoolean(),
        Exclusive = reader.ReadBoolean(),
        Retroactive = reader.ReadBoolean(),
        Priority = (sbyte)reader.ReadByte(),
        BrokerPath = reader.ReadArray<BrokerId>(),
        AdditionalPredicate = reader.ReadNested<IDataStructure>(),
        NetworkSubscription = reader.ReadBoolean(),
        OptimizedAcknowledge = reader.ReadBoolean(),
        NoRangeAcks = reader.ReadBoolean(),
        NetworkConsumerPath = reader.Version >= 4 ? reader.ReadArray<ConsumerId>() : null,
    };
}
