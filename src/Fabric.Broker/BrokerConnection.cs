using Fabric.Broker.Live;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Broker;

/// <summary>
/// One client's connection to the broker. Its reader calls everything but <see cref="TryTakeDelivery"/> and
/// <see cref="ReadPayload"/>, which its writer calls; the methods are thread-safe. When the broker stops serving, or a newcomer
/// took the connection's id, every call answers <see cref="BrokerStatus.NotServing"/> and the sink is held or closed.
/// </summary>
public sealed class BrokerConnection
{
    private readonly LiveBroker _broker;

    internal BrokerConnection(LiveBroker broker, ConnectRequest request, IConnectionSink sink)
    {
        _broker = broker;
        Sink = sink;
        ConnectionId = request.ConnectionId;
        ClientId = request.ClientId;
        User = request.User ?? "";
        RemoteAddress = request.RemoteAddress;
        SuppressDuplicates = request.SuppressDuplicates;
        Tag = request.Tag;
        Origin = Hash(ConnectionId);
    }

    public string ConnectionId { get; }

    public string ClientId { get; }

    /// <summary>The authenticated user, empty when the authenticator lets nameless ones in.</summary>
    public string User { get; }

    public string RemoteAddress { get; }

    /// <summary>The adapter's own.</summary>
    public object? Tag { get; }

    /// <summary>
    /// Everything before it is committed, applied and dispatched: a result whose <see cref="BrokerResult.ConfirmAfter"/> is not above it
    /// may be answered. It stands still when the connection's mastership ends: the same position may then belong to another record.
    /// </summary>
    public Position Confirmed => new(_broker.Confirmed);

    internal IConnectionSink Sink { get; }

    internal bool SuppressDuplicates { get; }

    internal ulong Origin { get; }

    // ---- live state, under the broker's lock ----

    internal bool Closed { get; set; }

    internal bool Woken { get; set; }

    internal bool AwaitsConfirm { get; set; }

    internal long ConfirmAfter { get; set; }

    /// <summary>Session -1 is there from the beginning; consumers of the connection itself live in it.</summary>
    internal HashSet<long> Sessions { get; } = [-1];

    internal Dictionary<ConsumerKey, BrokerConsumer> Consumers { get; } = [];

    internal Dictionary<ProducerKey, BrokerProducer> Producers { get; } = [];

    internal Dictionary<long, LocalTransaction> Transactions { get; } = [];

    internal List<LiveDestination> Temporaries { get; } = [];

    internal Queue<Delivery> Outbound { get; } = new();

    internal Dictionary<string, ProducerTrack> Tracks { get; } = new(StringComparer.Ordinal);

    internal ProducerTrack? LastTrack { get; set; }

    internal LiveDestination? LastWritten { get; set; }

    /// <summary>Adds a session; does nothing when it is there. Session -1 always is.</summary>
    public BrokerResult AddSession(long session)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.AddSession(this, session);
    }

    /// <summary>Removes a session with its consumers and producers; their messages return to the queues.</summary>
    public BrokerResult RemoveSession(long session, LastDelivered lastDelivered)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.RemoveSession(this, session, lastDelivered);
    }

    /// <summary>Adds a producer; does nothing when it is there. Its destination, if it has one, is created.</summary>
    public BrokerResult AddProducer(ProducerKey key, DestinationName? destination, object? tag = null)
    {
        try
        {
            using var turn = _broker.Enter();
            return Closed ? BrokerResult.NotServing : _broker.AddProducer(this, key, destination, tag);
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>Removes a producer; ignored when there is none.</summary>
    public BrokerResult RemoveProducer(ProducerKey key)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.RemoveProducer(this, key);
    }

    /// <summary>
    /// Adds a consumer; does nothing but return it when it is there. Deliveries may begin before this returns. One without a window is
    /// answered when its queue may be delivered from (<see cref="BrokerResult.ConfirmAfter"/>), so that it can ask for what is there.
    /// </summary>
    public BrokerResult AddConsumer(ConsumerRequest request, out BrokerConsumer? consumer)
    {
        consumer = null;
        try
        {
            using var turn = _broker.Enter();
            return Closed ? BrokerResult.NotServing : _broker.AddConsumer(this, request, out consumer);
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>Removes a consumer; what it holds returns to its old place in the queue.</summary>
    public BrokerResult RemoveConsumer(ConsumerKey key, LastDelivered lastDelivered)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.RemoveConsumer(this, key, lastDelivered);
    }

    /// <summary>Changes a consumer's window and dispatches if there is room.</summary>
    public BrokerResult SetPrefetch(ConsumerKey key, int prefetch)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.SetPrefetch(this, key, prefetch);
    }

    /// <summary>
    /// Asks for one message for a consumer without a window. If none comes in time, a delivery without a message answers.
    /// </summary>
    /// <param name="key">The consumer.</param>
    /// <param name="timeout">
    /// <see cref="TimeSpan.Zero"/>: answer at once. <see cref="Timeout.InfiniteTimeSpan"/>: a message whenever it comes, and no
    /// other answer.
    /// </param>
    public BrokerResult Pull(ConsumerKey key, TimeSpan timeout)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.Pull(this, key, timeout);
    }

    /// <summary>
    /// Whether messages have to wait because memory or the disk is short of room, which only consumers make; and not just until what was taken is committed. A moment old.
    /// </summary>
    public bool IsShortOfRoom => _broker.MemoryIsFull || _broker.Journal.Space.IsLow;

    /// <summary>
    /// Whether a message in a transaction is taken although the broker is short of room: who holds messages of queues may acknowledge them with the commit behind it, which makes room. Within
    /// bounds: the double of the memory limit, and the first half of the disk's reserve.
    /// </summary>
    public bool TakesTransactedWithoutRoom
    {
        get
        {
            using var turn = _broker.Enter();
            return !Closed && _broker.HasReserve && Consumers.Values.Any(consumer => !consumer.Counted && consumer.Outstanding.Count > 0);
        }
    }

    /// <summary>
    /// Ends when the broker takes another message: the journal has room and the memory limit is kept. Await it before each
    /// publication; not to read on meanwhile is the back-pressure.
    /// </summary>
    public ValueTask WaitForRoomAsync(CancellationToken cancellationToken)
    {
        if (!_broker.MemoryIsFull)
        {
            var journal = _broker.Journal.WaitForRoomAsync(cancellationToken);
            if (journal.IsCompletedSuccessfully)
            {
                return ValueTask.CompletedTask;
            }

            return _broker.WaitForRoomAsync(journal, cancellationToken);
        }

        return _broker.WaitForRoomAsync(default, cancellationToken);
    }

    /// <summary>Takes a message for a queue or topic, or for each destination of a list. Copies the payload.</summary>
    /// <returns>
    /// Accepted, Duplicate or Expired: answer the producer when <see cref="BrokerResult.ConfirmAfter"/> is confirmed. Failures
    /// within a transaction also make its commit fail.
    /// </returns>
    public BrokerResult Publish(in PublishRequest request, ReadOnlySpan<byte> payload)
    {
        try
        {
            var copies = request.Destination.IsComposite ? _broker.EditCopies(request, payload) : null;
            using var turn = _broker.Enter();
            return Closed ? BrokerResult.NotServing : _broker.Publish(this, request, payload, copies);
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>Acknowledges what a consumer holds; the kinds differ in what becomes of it.</summary>
    /// <returns>Accepted or Ignored; Unmatched when the range is not what the consumer holds.</returns>
    public BrokerResult Acknowledge(in AcknowledgeRequest request)
    {
        try
        {
            BrokerResult result;
            List<DeadLetter>? dead = null;
            using (_broker.Enter())
            {
                result = Closed ? BrokerResult.NotServing : _broker.Acknowledge(this, request, ref dead);
            }

            // The bodies of what is given up are read from disk, which must not happen under the lock.
            return dead is null ? result : result with { ConfirmAfter = _broker.MoveToDeadLetters(this, dead) };
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>Begins a local transaction; does nothing when it is open already.</summary>
    public BrokerResult Begin(long transaction)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.Begin(this, transaction);
    }

    /// <summary>Makes a transaction's messages visible and its acknowledgements effective, all or nothing.</summary>
    /// <returns>TransactionUnknown, or TransactionRolledBack when a part of it had failed.</returns>
    public BrokerResult Commit(long transaction)
    {
        try
        {
            using var turn = _broker.Enter();
            return Closed ? BrokerResult.NotServing : _broker.Commit(this, transaction);
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>Forgets a transaction's messages. What it acknowledged stays with its consumers, who deliver it again themselves.</summary>
    public BrokerResult Rollback(long transaction)
    {
        using var turn = _broker.Enter();
        return Closed ? BrokerResult.NotServing : _broker.Rollback(this, transaction);
    }

    /// <summary>Creates a destination; does nothing when it exists. A temporary one lives as long as this connection.</summary>
    public BrokerResult AddDestination(DestinationName destination)
    {
        try
        {
            using var turn = _broker.Enter();
            return Closed ? BrokerResult.NotServing : _broker.AddDestination(this, destination);
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>Deletes a destination and its messages.</summary>
    /// <param name="destination">A temporary one must be this connection's.</param>
    /// <param name="force">Also when it has consumers; temporary ones are deleted in any case.</param>
    public BrokerResult RemoveDestination(DestinationName destination, bool force)
    {
        try
        {
            using var turn = _broker.Enter();
            return Closed ? BrokerResult.NotServing : _broker.RemoveDestination(this, destination, force);
        }
        catch (Exception exception) when (EndsService(exception))
        {
            return BrokerResult.NotServing;
        }
    }

    /// <summary>
    /// Takes the next delivery that the writer has to send. When there is none, look at <see cref="Confirmed"/> after this call and
    /// then wait for <see cref="IConnectionSink.Wake"/>; no change is missed that way.
    /// </summary>
    public bool TryTakeDelivery(out Delivery delivery)
    {
        using var turn = _broker.Enter();
        return _broker.TryTakeDelivery(this, out delivery);
    }

    /// <summary>Copies a delivery's payload, if the message is recent: never waits for the disk.</summary>
    /// <param name="delivery">From <see cref="TryTakeDelivery"/>.</param>
    /// <param name="destination">Exactly <see cref="Delivery.PayloadBytes"/> long.</param>
    /// <returns>False when it is not in memory: <see cref="ReadPayload"/> on a thread that may block.</returns>
    /// <exception cref="StoreException">The journal failed.</exception>
    public bool TryReadRecentPayload(in Delivery delivery, Span<byte> destination)
    {
        if (delivery.Memory is { } message)
        {
            message.Payload.CopyTo(destination);
            return true;
        }

        return _broker.Journal.TryReadRecent(new Position(delivery.Body), delivery.EnvelopeBytes, destination);
    }

    /// <summary>Copies a delivery's payload, from memory when the message is recent and from disk otherwise: may block.</summary>
    /// <param name="delivery">From <see cref="TryTakeDelivery"/>.</param>
    /// <param name="destination">Exactly <see cref="Delivery.PayloadBytes"/> long.</param>
    /// <returns>False when the message has gone meanwhile, with its consumer: send nothing.</returns>
    /// <exception cref="StoreException">The message cannot be read.</exception>
    public bool ReadPayload(in Delivery delivery, Span<byte> destination) =>
        TryReadRecentPayload(delivery, destination) || _broker.TryReadPayload(delivery, destination);

    /// <summary>
    /// Ends the connection: transactions are rolled back, consumers and producers removed, temporary destinations deleted. Does
    /// nothing when it is closed. The sink is not called, but to wake the writer for answers that are still to come.
    /// </summary>
    /// <returns>Accepted: to be confirmed after everything before, or the client would take its last sends for failed.</returns>
    public BrokerResult Disconnect(LastDelivered lastDelivered)
    {
        using var turn = _broker.Enter();
        if (!Closed)
        {
            _broker.Disconnect(this, lastDelivered);
        }

        return new BrokerResult(BrokerStatus.Accepted, new Position(ConfirmAfter));
    }

    /// <summary>
    /// The journal is not ours any more, or has failed: its owner is told by the journal, the client by the loss of its connection.
    /// </summary>
    internal static bool EndsService(Exception exception) => exception is NotMasterException or StoreException;

    public override string ToString() => $"connection {ConnectionId} from {RemoteAddress}";

    /// <summary>FNV-1a, the same in every process: it is stored with messages.</summary>
    private static ulong Hash(string text)
    {
        var hash = 14695981039346656037UL;
        foreach (var character in text)
        {
            hash = (hash ^ character) * 1099511628211UL;
        }

        return hash;
    }
}
