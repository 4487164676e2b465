namespace Fabric.Protocols.OpenWire.Commands;

/// <summary>What a destination is; the numbers are the type bytes.</summary>
public enum DestinationKind
{
    Queue = DataType.ActiveMQQueue,
    Topic = DataType.ActiveMQTopic,
    TempQueue = DataType.ActiveMQTempQueue,
    TempTopic = DataType.ActiveMQTempTopic,
}

/// <summary>A named place for messages. The name may be a list or a pattern; see reference §4.13.</summary>
/// <param name="Kind">Queue, topic or a temporary one.</param>
/// <param name="PhysicalName">Never null or blank: Java peers fail on such a destination, so it is a protocol error.</param>
public sealed record Destination(DestinationKind Kind, string PhysicalName) : IDataStructure
{
    public DataType DataType => (DataType)Kind;

    /// <summary>True for the two kinds that live as long as a connection.</summary>
    public bool IsTemporary => Kind is DestinationKind.TempQueue or DestinationKind.TempTopic;

    /// <summary>True for both kinds of topic.</summary>
    public bool IsTopic => Kind is DestinationKind.Topic or DestinationKind.TempTopic;

    public static Destination Queue(string name) => new(DestinationKind.Queue, name);

    public static Destination Topic(string name) => new(DestinationKind.Topic, name);

    public void WriteFields(OpenWireWriter writer) => writer.WriteString(PhysicalName);

    /// <summary>The qualified name, as <c>queue://A</c>.</summary>
    public override string ToString() => Kind switch
    {
        DestinationKind.Queue => "queue://",
        DestinationKind.Topic => "topic://",
        DestinationKind.TempQueue => "temp-queue://",
        _ => "temp-topic://",
    } + PhysicalName;

    internal static Destination Read(ref OpenWireReader reader, DestinationKind kind)
    {
        var name = reader.ReadString();
        return name is null || name.AsSpan().IndexOfAnyExceptInRange('\0', ' ') < 0 // what Java's trim() calls blank
            ? throw new ProtocolException("a destination has no name")
            : new Destination(kind, name);
    }
}
