using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Fabric.Client.Connections;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Consumers;

/// <summary>
/// A subscription and the messages that the broker has handed to it. Two orders are kept: <c>_first</c>…<c>_last</c> lists everything
/// outstanding in the order of dispatch, exactly as the broker does, because acknowledgements name ranges of it; <c>_buffer</c> holds what
/// the application has not seen yet.
/// </summary>
/// <remarks>
/// Owner of all state: the lock <c>_sync</c>, never held together with the connection's. On a reconnection the broker has forgotten its
/// list, so ours is emptied too and the generation counts up; a delivery of an older generation can no longer be acknowledged. But the
/// broker delivers such messages again, and then they are recognised: one that the application accepted is acknowledged at once, one
/// that it still holds is tied to the delivery it has. So the application does not see a message twice for the sake of a failover.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "A SemaphoreSlim whose wait handle nobody asks for holds nothing to dispose.")]
internal sealed partial class ConsumerCore
{
    private readonly FailoverConnection _connection;
    private readonly Destination _destination;
    private readonly ConsumerOptions _options;
    private readonly RedeliveryPolicy _redelivery;
    private readonly TaskCompletionSource _subscribed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _available = new(0);
    private readonly Lock _sync = new();

    // Guarded by _sync.
    private readonly LinkedList<Incoming> _buffer = new();
    private readonly List<Incoming> _accepted = [];
    private readonly List<MessageAck> _givenUp = []; // of messages that are no longer in the list: written before any range that spans their places
    private readonly RecentlyAccepted _recent;
    private readonly HashSet<ITimer> _timers = [];
    private Dictionary<MessageKey, Incoming?> _carriedOver = [];
    private Dictionary<MessageKey, int> _deliveries = []; // of earlier connections, where a message may come again as a new one
    private Incoming? _first;
    private Incoming? _last;
    private Exception? _failure;
    private bool _isAdded;
    private bool _isClosed;
    private bool _isAckQueued;
    private int _generation;

    public ConsumerCore(
        FailoverConnection connection, Destination destination, ConsumerOptions options, JsonSerializerOptions json)
    {
        if (options.SubscriptionName is not null && (!connection.HasOwnClientId || destination.Kind != DestinationKind.Topic))
        {
            throw new ArgumentException(destination.Kind == DestinationKind.Topic
                ? "a durable subscription needs FabricClientOptions.ClientId"
                : $"only topics have durable subscriptions, and {destination} is none");
        }

        ModifiedUtf8.CheckShort(options.Selector, nameof(options.Selector));
        ModifiedUtf8.CheckShort(options.SubscriptionName, nameof(options.SubscriptionName));
        _connection = connection;
        _destination = destination;
        _options = options;
        _redelivery = options.Redelivery ?? connection.Jms.Redelivery;
        Json = json;
        Id = connection.NewConsumerId();
        Prefetch = options.Prefetch ?? (!destination.IsTopic ? connection.Jms.QueuePrefetch
            : options.SubscriptionName is null ? connection.Jms.TopicPrefetch : connection.Jms.DurableTopicPrefetch);

        // What the broker may not have heard of: an acknowledgement is unheard at most as long as its message fills the prefetch
        // window. Twice that covers a broker that moves the window before the acknowledgement is durable.
        var isForgotten = destination.IsTopic && options.SubscriptionName is null;
        _recent = new RecentlyAccepted(isForgotten ? 0 : 2 * Prefetch);
    }

    public ConsumerId Id { get; }

    public JsonSerializerOptions Json { get; }

    public int Prefetch { get; }

    public ConsumerInfo CreateInfo() => new()
    {
        ConsumerId = Id,
        Destination = _destination.WireForm,
        PrefetchSize = Prefetch,
        DispatchAsync = _connection.Jms.DispatchAsync,
        MaximumPendingMessageLimit = _connection.Jms.MaximumPendingMessageLimit,
        Selector = _options.Selector,
        ClientId = _connection.ClientId,
        SubscriptionName = _options.SubscriptionName,
        NoLocal = _options.NoLocal,
        Exclusive = _options.Exclusive || _connection.Jms.ExclusiveConsumer,
        Retroactive = _options.Retroactive || _connection.Jms.RetroactiveConsumer,
        Priority = _options.Priority,
    };

    public CancellationTokenSource CreateTimeout(TimeSpan timeout) => new(timeout, _connection.Runtime.Time);

    /// <summary>Subscribes and waits until the broker has said yes.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        bool isNew;
        lock (_sync)
        {
            ThrowIfClosed();
            isNew = !_isAdded;
            _isAdded = true;
        }

        if (isNew)
        {
            Subscribe();
        }

        await _subscribed.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The next message for the application.</summary>
    /// <exception cref="FabricException">The consumer is closed, or it failed.</exception>
    public async ValueTask<Incoming> ReceiveAsync(CancellationToken cancellationToken)
    {
        if (!_subscribed.Task.IsCompletedSuccessfully)
        {
            await OpenAsync(cancellationToken).ConfigureAwait(false);
        }

        while (true)
        {
            // Permits may outnumber the messages (a reconnection empties the buffer), never the other way round.
            // What is here is given even to who does not wait at all.
            if (!_available.Wait(0, CancellationToken.None))
            {
                await _available.WaitAsync(cancellationToken).ConfigureAwait(false);
            }

            if (TryTake() is { } message)
            {
                return message;
            }
        }
    }

    /// <summary>A message from the broker. Called by the connection's reader.</summary>
    public void Dispatch(Incoming message)
    {
        bool flush;
        lock (_sync)
        {
            if (_isClosed || _failure is not null)
            {
                return;
            }

            if (_carriedOver.Count > 0 && _carriedOver.Remove(message.Key, out var known))
            {
                flush = Recognise(message, known);
            }
            else
            {
                if (_deliveries.Count > 0 && _deliveries.Remove(message.Key, out var deliveries))
                {
                    message.RedeliveryCounter = Math.Max(message.RedeliveryCounter, deliveries);
                }

                Append(message);
                message.State = IncomingState.Buffered;
                _buffer.AddLast(message);
                flush = false;
                _available.Release();
            }
        }

        if (flush)
        {
            _connection.QueueAcknowledgements(this);
        }
    }

    /// <summary>The broker's answer to a subscription, the first one or one that was restored.</summary>
    public async Task AwaitSubscriptionAsync(Task answer)
    {
        try
        {
            await answer.ConfigureAwait(false);
            _subscribed.TrySetResult();
        }
        catch (Exception exception)
        {
            _connection.ForgetConsumer(this);
            Fail(exception);
        }
    }

    /// <summary>The transport broke: what it has dispatched can be acknowledged no more, and comes again.</summary>
    public void ConnectionLost()
    {
        lock (_sync)
        {
            _generation++;
            CountDeliveries();
            var carriedOver = _recent.ToDictionary();
            for (var message = _first; message is not null; message = message.Next)
            {
                switch (message.State)
                {
                    case IncomingState.Accepted:
                        carriedOver[message.Key] = null;
                        break;
                    case IncomingState.Held or IncomingState.Released:
                        carriedOver[message.Key] = message;
                        break;
                }
            }

            // Held since an earlier connection and not delivered again by the last one: it may still come.
            foreach (var (key, message) in _carriedOver.Where(entry => entry.Value is { State: IncomingState.Held or IncomingState.Released }))
            {
                carriedOver.TryAdd(key, message);
            }

            _carriedOver = carriedOver;
            (_first, _last) = (null, null);
            _buffer.Clear();
            _accepted.Clear();
            _givenUp.Clear();
            _isAckQueued = false;
        }
    }

    /// <summary>
    /// Remembers how often the application has seen what it has not taken for good. Of what the last connection did not bring again, no more than
    /// a few windows: it may have gone to another consumer, and then never comes. Under the lock.
    /// </summary>
    private void CountDeliveries()
    {
        if (_deliveries.Count > 2 * Prefetch)
        {
            _deliveries = [];
        }

        for (var message = _first; message is not null; message = message.Next)
        {
            var seen = message.State is IncomingState.Held or IncomingState.InTransaction
                ? message.RedeliveryCounter + 1
                : message.RedeliveryCounter; // counted up when it was given back
            if (seen > 0 && message.State != IncomingState.Accepted)
            {
                _deliveries[message.Key] = seen;
            }
        }
    }

    /// <summary>Ends it for a reason that every further call gets to hear.</summary>
    public void Fail(Exception cause)
    {
        lock (_sync)
        {
            _failure ??= cause;
            StopTimers();
            _available.Release();
        }

        _subscribed.TrySetException(cause);
        _ = _subscribed.Task.Exception; // observed: nobody may be waiting
    }

    /// <summary>Unsubscribes. What is not settled goes back to its queue.</summary>
    public void Close()
    {
        List<MessageAck> acks = [];
        long lastDelivered;
        lock (_sync)
        {
            if (_isClosed)
            {
                return;
            }

            _isClosed = true;
            StopTimers();
            CollectAcknowledgements(acks);
            lastDelivered = LastDelivered();
            _buffer.Clear();
            _available.Release();
        }

        foreach (var ack in acks)
        {
            _connection.PostCommand(ack);
        }

        _connection.RemoveConsumer(this, lastDelivered);
        _subscribed.TrySetException(new FabricException("the consumer is closed"));
        _ = _subscribed.Task.Exception;
    }

    private void Subscribe()
    {
        try
        {
            _connection.AddConsumer(this);
        }
        catch (Exception exception)
        {
            Fail(exception); // whoever asks next is not to wait for an answer to what was never asked
            throw;
        }

        bool isClosed;
        lock (_sync)
        {
            isClosed = _isClosed;
        }

        if (isClosed)
        {
            _connection.RemoveConsumer(this, lastDelivered: -1);
        }
    }

    private Incoming? TryTake()
    {
        Incoming? message;
        bool flush;
        lock (_sync)
        {
            if (_isClosed || _failure is not null)
            {
                _available.Release(); // for the next who waits
                ThrowIfClosed();
            }

            if (_buffer.First is not { } node)
            {
                return null;
            }

            message = node.Value;
            _buffer.RemoveFirst();
            if (!IsExpired(message))
            {
                message.State = IncomingState.Held;
                message.WasDelivered = true;
                return message;
            }

            flush = GiveUp(message, CreateAck(AckType.Expired, message, message, count: 1));
        }

        if (flush)
        {
            _connection.QueueAcknowledgements(this);
        }

        return null;
    }

    private bool IsExpired(Incoming message) =>
        message.Expiration > 0 && _connection.Jms.ConsumerExpiryCheckEnabled
        && _connection.Runtime.Time.GetUtcNow().ToUnixTimeMilliseconds() > message.Expiration;

    /// <summary>A message that was here before the connection broke.</summary>
    /// <returns>True when an acknowledgement is to be written.</returns>
    private bool Recognise(Incoming again, Incoming? known)
    {
        if (known is null)
        {
            Append(again);
            return MarkAccepted(again);
        }

        known.Adopt(again);
        Append(known);
        return false;
    }

    /// <summary>The last message in the broker's list that the application has seen, even if it gave it back; -1 for none.</summary>
    private long LastDelivered()
    {
        for (var message = _last; message is not null; message = message.Previous)
        {
            if (message.WasDelivered)
            {
                return message.Id.BrokerSequenceId;
            }
        }

        return -1;
    }

    private void Append(Incoming message)
    {
        message.Generation = _generation;
        message.Previous = _last;
        message.Next = null;
        if (_last is null)
        {
            _first = message;
        }
        else
        {
            _last.Next = message;
        }

        _last = message;
    }

    private void Remove(Incoming message)
    {
        message.State = IncomingState.Gone;
        if (message.Previous is null)
        {
            _first = message.Next;
        }
        else
        {
            message.Previous.Next = message.Next;
        }

        if (message.Next is null)
        {
            _last = message.Previous;
        }
        else
        {
            message.Next.Previous = message.Previous;
        }

        (message.Previous, message.Next) = (null, null);
    }

    private void ThrowIfClosed()
    {
        if (_failure is not null)
        {
            throw new FabricException($"the consumer of {_destination} failed: {_failure.Message}", _failure);
        }

        if (_isClosed)
        {
            throw new FabricException($"the consumer of {_destination} is closed");
        }
    }

    [LoggerMessage(EventId = 3001, Level = LogLevel.Warning, Message = "Message {Message} goes to the dead letter queue after {Deliveries} deliveries")]
    private static partial void LogGivenUp(ILogger logger, string message, int deliveries);
}
