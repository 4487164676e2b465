using System.Threading.Tasks.Sources;
using Fabric.Client.Connections;
using Fabric.Client.Messages;
using Fabric.Protocols.OpenWire;

namespace Fabric.Client.Producers;

/// <summary>
/// A message on its way: it writes itself into the connection, as often as it takes, and is what the sender awaits. One object
/// per send and nothing else: no task, no command object.
/// </summary>
/// <remarks>
/// Whoever completes it (answer, loss, cancellation, timeout) does so through <see cref="TryFinish"/>, which only the first wins.
/// </remarks>
internal sealed class OutgoingMessage : PendingCommand, IDataStructure, IValueTaskSource<SendReceipt>
{
    /// <summary>More than the ids and headers of a message ever take beside its variable parts.</summary>
    private const int HeaderBytesMax = 4096;

    private readonly OutgoingBody _body;
    private readonly MessageOptions _options;
    private readonly byte[]? _properties;
    private readonly long _timestamp;
    private readonly long _expiration;
    private ManualResetValueTaskSourceCore<SendReceipt> _source = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private int _isFinished;

    /// <exception cref="ArgumentException">A header is too long or a property has no form on the wire.</exception>
    public OutgoingMessage(
        ProducerCore producer, Destination to, in OutgoingBody body, MessageOptions options, DateTimeOffset now)
    {
        ModifiedUtf8.CheckShort(options.CorrelationId, nameof(options.CorrelationId));
        ModifiedUtf8.CheckShort(options.Type, nameof(options.Type));
        ModifiedUtf8.CheckShort(options.GroupId, nameof(options.GroupId));
        Producer = producer;
        Destination = to.WireForm;
        _body = body;
        _options = options;
        _properties = options.Properties is { Count: > 0 } properties ? PrimitiveMarshaller.WriteMap(properties) : null;
        _timestamp = now.ToUnixTimeMilliseconds();
        _expiration = options.TimeToLive > TimeSpan.Zero ? _timestamp + (long)options.TimeToLive.TotalMilliseconds : 0;
    }

    public ProducerCore Producer { get; }

    public WireDestination Destination { get; }

    /// <summary>The message's number; given when its place in the order is fixed.</summary>
    public long Sequence { get; set; }

    /// <summary>The transaction it belongs to, or null.</summary>
    public TransactionCore? Transaction { get; init; }

    /// <summary>Monotonic time of the call, for timeouts.</summary>
    public long StartedAt { get; init; }

    public bool IsFinished => Volatile.Read(ref _isFinished) != 0;

    /// <summary>Not less than what its frame takes, in bytes.</summary>
    public long FrameBytesMax =>
        HeaderBytesMax + _body.Content.Length + (_properties?.Length ?? 0) + (3L * Destination.PhysicalName.Length)
        + (3L * ((_options.CorrelationId?.Length ?? 0) + (_options.Type?.Length ?? 0) + (_options.GroupId?.Length ?? 0)
            + (_options.ReplyTo?.Name.Length ?? 0)));

    public override IDataStructure Frame => this;

    public DataType DataType => _body.Kind;

    /// <summary>What the sender awaits, once.</summary>
    public ValueTask<SendReceipt> Confirmation => new(this, _source.Version);

    /// <summary>Lets the token end the wait. To be called before the message is handed over.</summary>
    public void CancelBy(CancellationToken cancellationToken)
    {
        if (cancellationToken.CanBeCanceled)
        {
            _cancellation = cancellationToken.UnsafeRegister(
                static (state, token) => ((OutgoingMessage)state!).Fail(new OperationCanceledException(token)), this);
        }
    }

    public override void Complete(bool inline)
    {
        if (TryFinish())
        {
            _source.RunContinuationsAsynchronously = !inline;
            _source.SetResult(new SendReceipt(Producer.Id, Sequence));
        }
    }

    public override void Fail(Exception cause)
    {
        if (TryFinish())
        {
            Transaction?.SendFailed(cause);
            _source.SetException(cause);
        }
    }

    public void WriteFields(OpenWireWriter writer)
    {
        writer.WriteInt(CommandId);
        writer.WriteBoolean(true);
        writer.WriteNested(Producer.Id);
        writer.WriteNested(Destination);
        writer.WriteNested(Transaction?.Id);
        writer.WriteNested(null); // originalDestination
        WriteMessageId(writer);
        writer.WriteNested(null); // originalTransactionId
        writer.WriteString(_options.GroupId);
        writer.WriteInt(_options.GroupSequence);
        writer.WriteString(_options.CorrelationId);
        writer.WriteBoolean(_options.Persistent);
        writer.WriteLong(_expiration);
        writer.WriteByte((byte)_options.Priority);
        writer.WriteNested(_options.ReplyTo?.WireForm);
        writer.WriteLong(_timestamp);
        writer.WriteString(_options.Type);
        writer.WriteBoolean(_body.HasContent);
        if (_body.HasContent)
        {
            writer.WriteInt(_body.Content.Length);
            writer.WriteRaw(_body.Content.Span);
        }

        writer.WriteBytes(_properties);
        writer.WriteNested(null); // dataStructure
        writer.WriteNested(null); // targetConsumerId
        writer.WriteBoolean(false); // compressed
        writer.WriteInt(0); // redeliveryCounter
        writer.WriteArray(null); // brokerPath
        writer.WriteLong(0); // arrival
        writer.WriteString(null); // userId
        writer.WriteBoolean(false); // receivedByDFBridge
        writer.WriteBoolean(false); // droppable
        writer.WriteArray(null); // cluster
        writer.WriteLong(0); // brokerInTime
        writer.WriteLong(0); // brokerOutTime
        writer.WriteBoolean(false); // jmsXGroupFirstForConsumer
    }

    SendReceipt IValueTaskSource<SendReceipt>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<SendReceipt>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<SendReceipt>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    /// <summary>The fields of a MessageId, without making one.</summary>
    private void WriteMessageId(OpenWireWriter writer)
    {
        writer.WriteBoolean(true);
        writer.WriteByte((byte)DataType.MessageId);
        writer.WriteString(null); // textView
        writer.WriteNested(Producer.Id);
        writer.WriteLong(Sequence);
        writer.WriteLong(0); // brokerSequenceId
    }

    private bool TryFinish()
    {
        if (Interlocked.Exchange(ref _isFinished, 1) != 0)
        {
            return false;
        }

        _cancellation.Unregister();
        return true;
    }
}
