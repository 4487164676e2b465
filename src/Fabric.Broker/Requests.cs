namespace Fabric.Broker;

/// <summary>What a client says about itself when it connects.</summary>
public sealed record ConnectRequest
{
    /// <summary>Unique among the connections of the broker.</summary>
    public required string ClientId { get; init; }

    /// <summary>Names the connection; a newcomer with the id of a live connection replaces it.</summary>
    public required string ConnectionId { get; init; }

    public string? User { get; init; }

    public string? Password { get; init; }

    /// <summary>
    /// The client has reconnected and repeats what was not answered: suppress persistent messages whose sequence is not
    /// above the highest one stored for their producer.
    /// </summary>
    public bool SuppressDuplicates { get; init; }

    /// <summary>Where the client is, for people.</summary>
    public string RemoteAddress { get; init; } = "unknown";

    /// <summary>Whether the client's address is a loopback one, so that it is on the broker's own machine.</summary>
    public bool IsFromLoopback { get; init; }

    /// <summary>The adapter's own; comes back as <see cref="BrokerConnection.Tag"/>.</summary>
    public object? Tag { get; init; }

    /// <summary>For logs; without the password.</summary>
    public override string ToString() => $"connection {ConnectionId} of client {ClientId} from {RemoteAddress}";
}

/// <summary>A subscription to one destination, to a pattern or to a list.</summary>
public sealed record ConsumerRequest
{
    public required ConsumerKey Key { get; init; }

    public required DestinationName Destination { get; init; }

    /// <summary>Messages that may be outstanding at once; 0 means that each message is pulled.</summary>
    /// <value>0 to <see cref="BrokerConsumer.PrefetchMax"/>, the limit of the Java client; what is beyond counts as the end it is beyond.</value>
    public int Prefetch { get; init; }

    /// <summary>-128 to 127; a lower one gets queue messages only when all higher ones have full windows.</summary>
    public int Priority { get; init; }

    /// <summary>Wants to be the only consumer of the queue.</summary>
    public bool Exclusive { get; init; }

    /// <summary>Leave out messages that this connection published.</summary>
    public bool NoLocal { get; init; }

    /// <summary>Look at the queue without taking from it.</summary>
    public bool Browser { get; init; }

    /// <summary>A filter over message headers; null or blank for none.</summary>
    public string? Selector { get; init; }

    /// <summary>The name of a durable subscription; null for none.</summary>
    public string? SubscriptionName { get; init; }

    /// <summary>The adapter's own; comes back as <see cref="BrokerConsumer.Tag"/>.</summary>
    public object? Tag { get; init; }
}

/// <summary>A message to publish; the payload travels beside it.</summary>
public readonly record struct PublishRequest
{
    public required DestinationName Destination { get; init; }

    /// <summary>
    /// The producer that gave the message its identity, as one string; with <see cref="ProducerSequence"/> it is the message
    /// id. Pass the same string object each time: equality by reference makes it cheap.
    /// </summary>
    public required string ProducerId { get; init; }

    /// <summary>The message's number among those of its producer, growing.</summary>
    public required long ProducerSequence { get; init; }

    /// <summary>Survives crashes: journalled, if it goes to a queue that is not temporary.</summary>
    public bool Persistent { get; init; }

    /// <summary>0 to 9, carried along; queues are in order of arrival.</summary>
    public byte Priority { get; init; }

    /// <summary>Milliseconds since 1970 by the producer's clock; 0 means never.</summary>
    public long Expiration { get; init; }

    /// <summary>Milliseconds since 1970 by the producer's clock; 0 if not given.</summary>
    public long Timestamp { get; init; }

    /// <summary>Which encoding the payload is in; numbers are the adapters' and are stored.</summary>
    public byte Encoding { get; init; }

    /// <summary>The local transaction it is part of, null for none.</summary>
    public long? Transaction { get; init; }

    /// <summary>The message group, null or empty for none.</summary>
    public string? GroupId { get; init; }

    /// <summary>It is to be delivered later, or more than once.</summary>
    public bool Scheduled { get; init; }
}

/// <summary>What an acknowledgement does. The numbers are OpenWire's.</summary>
public enum AcknowledgeKind : byte
{
    /// <summary>The application has seen messages up to the last; nothing is consumed, the window widens by the count.</summary>
    Delivered = 0,

    /// <summary>Give up on the range: to the dead letter queue.</summary>
    Poison = 1,

    /// <summary>Consume the range.</summary>
    Standard = 2,

    /// <summary>The client delivers the range again by itself; nothing changes here.</summary>
    Redelivered = 3,

    /// <summary>Consume the last message only.</summary>
    Individual = 4,

    /// <summary>The range expired at the client.</summary>
    Expired = 6,
}

/// <summary>An acknowledgement. Ranges are in the order in which messages were dispatched to the consumer.</summary>
public readonly record struct AcknowledgeRequest
{
    public required ConsumerKey Consumer { get; init; }

    public required AcknowledgeKind Kind { get; init; }

    /// <summary>First message of the range; null means the oldest outstanding one.</summary>
    public MessageSequence? First { get; init; }

    /// <summary>Last message of the range.</summary>
    public MessageSequence Last { get; init; }

    /// <summary>How many messages the client counts in the range.</summary>
    public int Count { get; init; }

    /// <summary>The local transaction it is part of, null for none.</summary>
    public long? Transaction { get; init; }

    /// <summary>Why the range is given up, for people.</summary>
    public string? Cause { get; init; }
}
