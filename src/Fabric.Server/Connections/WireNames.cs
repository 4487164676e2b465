using Fabric.Broker;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Server.Connections;

/// <summary>Between the names of the wire and those of the broker.</summary>
internal static class WireNames
{
    /// <summary>The encoding tag of payloads that are OpenWire message frames of version 12, loose, from the type byte on; stored, frozen.</summary>
    public const byte OpenWireEncoding = 1;

    public static DestinationName ToBroker(this Destination destination) => new(
        destination.Kind switch
        {
            DestinationKind.Queue => DestinationType.Queue,
            DestinationKind.Topic => DestinationType.Topic,
            DestinationKind.TempQueue => DestinationType.TempQueue,
            _ => DestinationType.TempTopic,
        },
        destination.PhysicalName.Trim());

    public static Destination ToWire(this DestinationName name) => new(
        name.Type switch
        {
            DestinationType.Queue => DestinationKind.Queue,
            DestinationType.Topic => DestinationKind.Topic,
            DestinationType.TempQueue => DestinationKind.TempQueue,
            _ => DestinationKind.TempTopic,
        },
        name.Name);

    public static ConsumerKey ToKey(this ConsumerId id) => new(id.SessionId, id.Value);

    public static ProducerKey ToKey(this ProducerId id) => new(id.SessionId, id.Value);

    public static MessageSequence ToSequence(this MessageId id) => new(id.BrokerSequenceId);
}
