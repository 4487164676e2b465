using Fabric.Protocols.OpenWire;
using Wire = Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client;

/// <summary>The headers and properties of a received message. Immutable.</summary>
public sealed class MessageHeaders
{
    private readonly byte[]? _marshalledProperties;
    private IReadOnlyDictionary<string, object?>? _properties;

    internal MessageHeaders(in MessageView view, Wire.MessageId id, Wire.Destination destination)
    {
        MessageId = id.ToString();
        Destination = Destination.FromWire(destination);
        ReplyTo = view.ReplyToBytes.IsEmpty
            ? null
            : Destination.FromWire(MessageView.Decode<Wire.Destination>(view.ReplyToBytes));
        OriginalDestination = view.OriginalDestinationBytes.IsEmpty
            ? null
            : Destination.FromWire(MessageView.Decode<Wire.Destination>(view.OriginalDestinationBytes));
        CorrelationId = Text(view.CorrelationId);
        Type = Text(view.Type);
        GroupId = Text(view.GroupId);
        GroupSequence = view.GroupSequence;
        Persistent = view.Persistent;
        Priority = Math.Clamp((int)view.Priority, 0, 9);
        Timestamp = Moment(view.Timestamp);
        Expiration = view.Expiration == 0 ? null : Moment(view.Expiration);
        _marshalledProperties = view.MarshalledProperties.IsEmpty ? null : view.MarshalledProperties.ToArray();
    }

    /// <summary>The message's identity, chosen by its producer; the same in every redelivery.</summary>
    public string MessageId { get; }

    /// <summary>The queue or topic that the message came from; a concrete one also for a consumer with a pattern.</summary>
    public Destination Destination { get; }

    /// <summary>Where it was sent to before a broker moved it, as to the dead letter queue; else null.</summary>
    public Destination? OriginalDestination { get; }

    /// <summary>Where answers are expected; null for nowhere.</summary>
    public Destination? ReplyTo { get; }

    /// <summary>Ties an answer to its request; null when not set.</summary>
    public string? CorrelationId { get; }

    /// <summary>JMSType; null when not set.</summary>
    public string? Type { get; }

    /// <summary>JMSXGroupID; null when not set.</summary>
    public string? GroupId { get; }

    /// <summary>JMSXGroupSeq.</summary>
    public int GroupSequence { get; }

    /// <summary>Whether it survives a crash of the broker.</summary>
    public bool Persistent { get; }

    /// <summary>0 to 9.</summary>
    public int Priority { get; }

    /// <summary>When it was sent, by the producer's clock.</summary>
    public DateTimeOffset Timestamp { get; }

    /// <summary>When it becomes worthless, by the producer's clock; null for never.</summary>
    public DateTimeOffset? Expiration { get; }

    /// <summary>The properties; empty when there are none.</summary>
    /// <exception cref="MessageFormatException">The sender's properties cannot be read.</exception>
    public IReadOnlyDictionary<string, object?> Properties => _properties ??= ReadProperties();

    private Dictionary<string, object?> ReadProperties()
    {
        try
        {
            return PrimitiveMarshaller.ReadMap(_marshalledProperties);
        }
        catch (Protocols.ProtocolException exception)
        {
            throw new MessageFormatException($"the properties of message {MessageId} cannot be read: {exception.Message}", exception);
        }
    }

    private static string? Text(ReadOnlySpan<byte> bytes) => bytes.IsEmpty ? null : ModifiedUtf8.Decode(bytes);

    private static DateTimeOffset Moment(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(
        Math.Clamp(milliseconds, DateTimeOffset.MinValue.ToUnixTimeMilliseconds(), DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));
}
