using Fabric.Broker.Index;
using Fabric.Broker.Live;

namespace Fabric.Broker;

/// <summary>
/// Something for one consumer, in the order in which its connection must send it. The payload is fetched by
/// <see cref="BrokerConnection.ReadPayload"/>; message id and headers are in it.
/// </summary>
public readonly struct Delivery
{
    public BrokerConsumer Consumer { get; internal init; }

    /// <summary>False: the answer to a pull that found nothing, or the end of a browse. Nothing below is set then.</summary>
    public bool HasMessage { get; internal init; }

    /// <summary>The concrete destination that the message came from.</summary>
    public DestinationName Destination { get; internal init; }

    public MessageSequence Sequence { get; internal init; }

    /// <summary>How often the message was delivered before, 0 for the first time.</summary>
    public int RedeliveryCounter { get; internal init; }

    /// <summary>Length of the payload in bytes.</summary>
    public int PayloadBytes { get; internal init; }

    /// <summary>Which encoding the payload is in, as its publisher said.</summary>
    public byte Encoding { get; internal init; }

    /// <summary>When the broker accepted the message, in milliseconds since 1970.</summary>
    public long AcceptedAt { get; internal init; }

    internal LiveQueue? Queue { get; init; }

    internal MemoryMessage? Memory { get; init; }

    internal int EnvelopeBytes { get; init; }

    /// <summary>Where the message was read from when it was dispatched; it may have been copied forward since.</summary>
    internal long Body { get; init; }

    internal static Delivery Nothing(BrokerConsumer consumer) => new() { Consumer = consumer };

    internal static Delivery Of(BrokerConsumer consumer, LiveQueue queue, EntryRef message)
    {
        ref var entry = ref message.Value;
        return new Delivery
        {
            Consumer = consumer,
            HasMessage = true,
            Destination = queue.Name,
            Sequence = new MessageSequence(entry.Position),
            RedeliveryCounter = entry.Redeliveries + (entry.Position < queue.InheritedHorizon ? 1 : 0),
            PayloadBytes = entry.PayloadBytes,
            Encoding = entry.Encoding,
            AcceptedAt = entry.AcceptedAt,
            Queue = queue,
            EnvelopeBytes = entry.EnvelopeBytes,
            Body = message.Body,
        };
    }

    internal static Delivery Of(BrokerConsumer consumer, LiveQueue? queue, MemoryMessage message) => new()
    {
        Consumer = consumer,
        HasMessage = true,
        Destination = message.Destination,
        Sequence = new MessageSequence(message.Sequence),
        RedeliveryCounter = message.Redeliveries,
        PayloadBytes = message.Payload.Length,
        Encoding = message.Encoding,
        AcceptedAt = message.AcceptedAt,
        Queue = queue,
        Memory = message,
    };
}
