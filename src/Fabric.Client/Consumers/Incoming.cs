using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client.Consumers;

/// <summary>Where a dispatched message is on its way through the client.</summary>
internal enum IncomingState
{
    /// <summary>Waits for the application to ask for it.</summary>
    Buffered,

    /// <summary>In the application's hands.</summary>
    Held,

    /// <summary>Released; waits for its redelivery.</summary>
    Released,

    /// <summary>Accepted in a transaction that has not ended.</summary>
    InTransaction,

    /// <summary>Accepted; the acknowledgement is not written yet.</summary>
    Accepted,

    /// <summary>Acknowledged, or lost with its connection.</summary>
    Gone,
}

/// <summary>
/// One dispatched message: a copy of its bytes, and its place in the consumer's list of outstanding ones. State and links belong to
/// <see cref="ConsumerCore"/> and are guarded by its lock.
/// </summary>
internal sealed class Incoming
{
    private readonly byte[] _frame;
    private readonly int _contentOffset;
    private readonly int _contentLength;
    private readonly bool _isCompressed;

    /// <param name="frame">The message from its type byte on; this object's own.</param>
    /// <param name="destination">Where it was dispatched from.</param>
    /// <param name="redeliveryCounter">What the dispatch says, which overrides the message.</param>
    /// <param name="producers">Shares producer ids.</param>
    public Incoming(byte[] frame, WireDestination destination, int redeliveryCounter, BytesCache<ProducerId> producers)
    {
        _frame = frame;
        var view = new MessageView(frame);
        Kind = view.Kind;
        Expiration = view.Expiration;
        Destination = destination;
        RedeliveryCounter = redeliveryCounter;
        _isCompressed = view.Compressed;
        _contentLength = view.Content.Length;
        new ReadOnlySpan<byte>(frame).Overlaps(view.Content, out _contentOffset);
        Id = new MessageId(
            view.MessageIdText.IsEmpty ? null : ModifiedUtf8.Decode(view.MessageIdText),
            GetProducer(view.MessageIdProducerBytes, producers),
            view.ProducerSequenceId,
            view.BrokerSequenceId);
    }

    public DataType Kind { get; }

    public MessageId Id { get; private set; }

    public WireDestination Destination { get; }

    /// <summary>Milliseconds since 1970; 0 for never.</summary>
    public long Expiration { get; }

    public MessageKey Key => new(Id.ProducerId, Id.ProducerSequenceId, Destination);

    public int RedeliveryCounter { get; set; }

    public IncomingState State { get; set; }

    /// <summary>Whether the application has had it in its hands, on this connection or an earlier one.</summary>
    public bool WasDelivered { get; set; }

    /// <summary>The consumer's connection count when the message was dispatched; another one means that the broker does not know of it.</summary>
    public int Generation { get; set; }

    public Incoming? Previous { get; set; }

    public Incoming? Next { get; set; }

    /// <summary>Stands for another dispatch of the same message, after a reconnection.</summary>
    public void Adopt(Incoming again) => Id = again.Id;

    public MessageHeaders ReadHeaders() => new(new MessageView(_frame), Id, Destination);

    /// <summary>The content without compression; valid for ever.</summary>
    /// <exception cref="Protocols.ProtocolException">The compressed content is damaged.</exception>
    public ReadOnlyMemory<byte> ReadContent()
    {
        var content = _frame.AsMemory(_contentOffset, _contentLength);
        return _isCompressed && _contentLength > 0
            ? MessageBody.Decompress(content.ToArray(), Kind == DataType.ActiveMQBytesMessage)
            : content;
    }

    private static ProducerId? GetProducer(ReadOnlySpan<byte> bytes, BytesCache<ProducerId> producers)
    {
        if (bytes.IsEmpty)
        {
            return null;
        }

        var known = producers.Get(bytes);
        if (known is null)
        {
            known = MessageView.Decode<ProducerId>(bytes);
            producers.Set(bytes, known);
        }

        return known;
    }
}

/// <summary>The identity of a message at one destination; copies of a message at several are different deliveries.</summary>
internal readonly record struct MessageKey(ProducerId? ProducerId, long Sequence, WireDestination Destination);
