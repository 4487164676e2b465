namespace Fabric.Protocols.OpenWire;

/// <summary>
/// A message frame, walked once and left where it is: what a broker wants to know, as numbers and slices, and where the
/// few fields stand that change on dispatch. Nothing is copied or allocated (an advisory's payload excepted). Everything
/// is checked that a client's decoder would check, so that a bad frame costs its sender the connection and not a consumer.
/// </summary>
/// <remarks>Versions 10 to 12, whose messages have the same layout. Older ones go through the full codec.</remarks>
public readonly ref struct MessageView
{
    /// <summary>The oldest version whose messages this reads.</summary>
    public const int VersionMin = 10;

    private readonly Slice _producerId;
    private readonly Slice _destination;
    private readonly Slice _transactionId;
    private readonly Slice _originalDestination;
    private readonly Slice _messageIdText;
    private readonly Slice _messageIdProducer;
    private readonly Slice _groupId;
    private readonly Slice _correlationId;
    private readonly Slice _replyTo;
    private readonly Slice _type;
    private readonly Slice _content;
    private readonly Slice _properties;
    private readonly Slice _targetConsumerId;
    private readonly Slice _userId;

    /// <summary>Walks a frame.</summary>
    /// <param name="frame">The frame from its type byte on; the same bytes may be nested in a dispatch as they are.</param>
    /// <exception cref="ProtocolException">The frame is no well-formed message.</exception>
    public MessageView(ReadOnlySpan<byte> frame)
    {
        Frame = frame;
        var reader = new OpenWireReader(frame, OpenWireCodec.VersionMax, stackTraceEnabled: false);
        Kind = (DataType)reader.ReadByte();
        if (!IsMessage(Kind))
        {
            throw new ProtocolException($"a {Kind} is no message");
        }

        CommandId = reader.ReadInt();
        ResponseRequired = reader.ReadBoolean();
        _producerId = reader.SkipNestedId(DataType.ProducerId);
        _destination = reader.SkipNestedDestination();
        _transactionId = reader.SkipNestedTransactionId();
        _originalDestination = reader.SkipNestedDestination();
        HasMessageId = reader.ReadBoolean();
        var brokerSequenceIdAt = 0;
        if (HasMessageId)
        {
            reader.ExpectType(DataType.MessageId);
            _messageIdText = reader.SkipString();
            _messageIdProducer = reader.SkipNestedId(DataType.ProducerId);
            ProducerSequenceId = reader.ReadLong();
            brokerSequenceIdAt = reader.Position;
            BrokerSequenceId = reader.ReadLong();
        }

        reader.SkipNestedTransactionId();
        _groupId = reader.SkipString();
        GroupSequence = reader.ReadInt();
        _correlationId = reader.SkipString();
        Persistent = reader.ReadBoolean();
        Expiration = reader.ReadLong();
        Priority = reader.ReadByte();
        _replyTo = reader.SkipNestedDestination();
        Timestamp = reader.ReadLong();
        _type = reader.SkipString();
        _content = reader.SkipBytes();
        _properties = reader.SkipBytes();
        HasDataStructure = reader.ReadNested<IDataStructure>() is not null;
        _targetConsumerId = reader.SkipNestedId(DataType.ConsumerId);
        Compressed = reader.ReadBoolean();
        var redeliveryCounterAt = reader.Position;
        RedeliveryCounter = reader.ReadInt();
        reader.SkipBrokerIds();
        reader.ReadLong(); // arrival
        _userId = reader.SkipString();
        reader.ReadBoolean(); // receivedByDFBridge
        reader.ReadBoolean(); // droppable
        reader.SkipBrokerIds(); // cluster
        var brokerInTimeAt = reader.Position;
        BrokerInTime = reader.ReadLong();
        reader.ReadLong(); // brokerOutTime
        reader.ReadBoolean(); // jmsXGroupFirstForConsumer
        if (Kind == DataType.ActiveMQBlobMessage)
        {
            reader.SkipString();
            reader.SkipString();
            reader.ReadBoolean();
        }

        if (reader.Remaining != 0)
        {
            throw new ProtocolException($"a {Kind} is followed by {reader.Remaining} bytes too many");
        }

        Layout = new MessageLayout(brokerSequenceIdAt, redeliveryCounterAt, brokerInTimeAt);
    }

    /// <summary>The frame, as given.</summary>
    public ReadOnlySpan<byte> Frame { get; }

    /// <summary>Which of the seven kinds it is.</summary>
    public DataType Kind { get; }

    public int CommandId { get; }

    public bool ResponseRequired { get; }

    public bool HasMessageId { get; }

    /// <summary>The message's number among those of its producer; 0 without a message id.</summary>
    public long ProducerSequenceId { get; }

    public long BrokerSequenceId { get; }

    public int GroupSequence { get; }

    public bool Persistent { get; }

    /// <summary>Milliseconds since 1970 by the producer's clock; 0 means never.</summary>
    public long Expiration { get; }

    /// <summary>As it came; clamp it to 0..9.</summary>
    public byte Priority { get; }

    /// <summary>Milliseconds since 1970 by the producer's clock.</summary>
    public long Timestamp { get; }

    public bool HasDataStructure { get; }

    public bool Compressed { get; }

    public int RedeliveryCounter { get; }

    public long BrokerInTime { get; }

    /// <summary>Where the fields stand that <see cref="DispatchWriter"/> changes.</summary>
    public MessageLayout Layout { get; }

    /// <summary>The producer that sends this copy, type byte included; a key for a cache. Empty when there is none.</summary>
    public ReadOnlySpan<byte> ProducerIdBytes => Get(_producerId);

    /// <summary>The destination, type byte included; a key for a cache. Empty when there is none.</summary>
    public ReadOnlySpan<byte> DestinationBytes => Get(_destination);

    /// <summary>The transaction, type byte included; empty outside of one.</summary>
    public ReadOnlySpan<byte> TransactionIdBytes => Get(_transactionId);

    public ReadOnlySpan<byte> OriginalDestinationBytes => Get(_originalDestination);

    /// <summary>The foreign message id in modified UTF-8; empty for none.</summary>
    public ReadOnlySpan<byte> MessageIdText => Get(_messageIdText);

    /// <summary>The producer within the message id, type byte included; it differs from the sender's on bridges.</summary>
    public ReadOnlySpan<byte> MessageIdProducerBytes => Get(_messageIdProducer);

    /// <summary>JMSXGroupID in modified UTF-8; empty for none.</summary>
    public ReadOnlySpan<byte> GroupId => Get(_groupId);

    public ReadOnlySpan<byte> CorrelationId => Get(_correlationId);

    /// <summary>The destination for answers, type byte included; empty for none.</summary>
    public ReadOnlySpan<byte> ReplyToBytes => Get(_replyTo);

    /// <summary>JMSType in modified UTF-8.</summary>
    public ReadOnlySpan<byte> Type => Get(_type);

    public ReadOnlySpan<byte> Content => Get(_content);

    /// <summary>A primitive map for <see cref="PropertiesView"/>; empty for none.</summary>
    public ReadOnlySpan<byte> MarshalledProperties => Get(_properties);

    public ReadOnlySpan<byte> TargetConsumerIdBytes => Get(_targetConsumerId);

    public ReadOnlySpan<byte> UserId => Get(_userId);

    /// <summary>What a producer's window counts for this message: 1024 and the two variable parts (reference §4.21).</summary>
    public int WindowBytes => 1024 + _content.Length + _properties.Length;

    /// <summary>Whether a type byte is one of the seven messages.</summary>
    public static bool IsMessage(DataType type) => type is >= DataType.ActiveMQMessage and <= DataType.ActiveMQBlobMessage;

    /// <summary>Decodes an id or destination that one of the slices gave, type byte first.</summary>
    public static T Decode<T>(ReadOnlySpan<byte> bytes, StringCache? strings = null)
        where T : class, IDataStructure
    {
        var reader = new OpenWireReader(bytes, OpenWireCodec.VersionMax, stackTraceEnabled: false, strings);
        return reader.ReadObject() as T ?? throw new ProtocolException($"{typeof(T).Name} was expected");
    }

    private ReadOnlySpan<byte> Get(Slice slice) => Frame.Slice(slice.Offset, slice.Length);
}

/// <summary>Where the patched fields of a message stand, in bytes from its type byte.</summary>
/// <param name="BrokerSequenceIdAt">Eight bytes; 0 when the message has no id.</param>
/// <param name="RedeliveryCounterAt">Four bytes.</param>
/// <param name="BrokerInTimeAt">Eight bytes; brokerOutTime (eight) and jmsXGroupFirstForConsumer (one) follow.</param>
public readonly record struct MessageLayout(int BrokerSequenceIdAt, int RedeliveryCounterAt, int BrokerInTimeAt)
{
    /// <summary>Eight bytes.</summary>
    public int BrokerOutTimeAt => BrokerInTimeAt + 8;

    /// <summary>One byte.</summary>
    public int GroupFirstAt => BrokerInTimeAt + 16;
}

/// <summary>A part of a frame.</summary>
internal readonly record struct Slice(int Offset, int Length);
