namespace Fabric.Oracles;

/// <summary>
/// What all clients of one run did and saw, for <see cref="HistoryChecker"/> to judge. Append-only. Safe for any number of threads;
/// one thread gets the same history every time.
/// </summary>
/// <remarks>
/// An event carries its own time, so what several processes wrote down may be added in any order, even after the run: the checker
/// goes by <see cref="HistoryEvent.At"/>, and by the order of adding where two are equal. An outcome that is never added (the client was
/// killed) means that it is unknown.
/// </remarks>
public sealed class History
{
    private readonly Lock _lock = new();
    private readonly List<HistoryEvent> _events = [];

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _events.Count;
            }
        }
    }

    /// <param name="message">The message.</param>
    /// <param name="queue">Where it is sent to.</param>
    /// <param name="bodyHash">Of its body (<see cref="BodyHash"/>), or of body and properties, as long as deliveries hash the same.</param>
    /// <param name="at">Before the call.</param>
    /// <param name="transaction">The transaction it is part of; null for none.</param>
    public void SendAttempted(MessageIdentity message, string queue, ulong bodyHash, TimeSpan at, string? transaction = null) => Add(new()
    {
        Kind = HistoryEventKind.SendAttempted, Message = message, Queue = queue, BodyHash = bodyHash, At = at, Transaction = transaction,
    });

    public void SendConfirmed(MessageIdentity message, TimeSpan at) => Add(HistoryEventKind.SendConfirmed, message, at);

    public void SendRefused(MessageIdentity message, TimeSpan at) => Add(HistoryEventKind.SendRefused, message, at);

    public void SendUnknown(MessageIdentity message, TimeSpan at) => Add(HistoryEventKind.SendUnknown, message, at);

    /// <param name="consumer">One subscription of one client; a client that comes back after it was cut may keep its name.</param>
    /// <param name="message">As its body tells; a body that tells nothing gets any name that no producer has.</param>
    /// <param name="queue">Where it was received from.</param>
    /// <param name="bodyHash">Of what was received.</param>
    /// <param name="at">After the call.</param>
    /// <param name="redelivered">The redelivered flag.</param>
    /// <param name="deliveryCount">Deliveries before this one, as the broker counts them.</param>
    public void Delivered(
        string consumer, MessageIdentity message, string queue, ulong bodyHash, TimeSpan at, bool redelivered, int deliveryCount = 0) => Add(new()
    {
        Kind = HistoryEventKind.Delivered, Consumer = consumer, Message = message, Queue = queue, BodyHash = bodyHash, At = at,
        Redelivered = redelivered, DeliveryCount = deliveryCount,
    });

    /// <summary>
    /// Needed also where the client library acknowledges by itself: a message that was delivered, but never acknowledged, must still be there
    /// at the end.
    /// </summary>
    public void AcknowledgeAttempted(string consumer, MessageIdentity message, TimeSpan at, string? transaction = null) => Add(new()
    {
        Kind = HistoryEventKind.AcknowledgeAttempted, Consumer = consumer, Message = message, At = at, Transaction = transaction,
    });

    public void AcknowledgeConfirmed(string consumer, MessageIdentity message, TimeSpan at) => Add(new()
    {
        Kind = HistoryEventKind.AcknowledgeConfirmed, Consumer = consumer, Message = message, At = at,
    });

    public void AcknowledgeUnknown(string consumer, MessageIdentity message, TimeSpan at) => Add(new()
    {
        Kind = HistoryEventKind.AcknowledgeUnknown, Consumer = consumer, Message = message, At = at,
    });

    public void CommitAttempted(string transaction, TimeSpan at) => Add(HistoryEventKind.CommitAttempted, transaction, at);

    public void Committed(string transaction, TimeSpan at) => Add(HistoryEventKind.Committed, transaction, at);

    public void Aborted(string transaction, TimeSpan at) => Add(HistoryEventKind.Aborted, transaction, at);

    public void CommitUnknown(string transaction, TimeSpan at) => Add(HistoryEventKind.CommitUnknown, transaction, at);

    public void Browsed(MessageIdentity message, string queue, ulong bodyHash, TimeSpan at) => Add(new()
    {
        Kind = HistoryEventKind.Browsed, Message = message, Queue = queue, BodyHash = bodyHash, At = at,
    });

    public void Add(HistoryEvent item)
    {
        lock (_lock)
        {
            _events.Add(item);
        }
    }

    /// <summary>The events so far, in order of time, and of adding where times are equal.</summary>
    public IReadOnlyList<HistoryEvent> InOrder()
    {
        HistoryEvent[] events;
        lock (_lock)
        {
            events = [.. _events];
        }

        for (var i = 1; i < events.Length; i++)
        {
            if (events[i].At < events[i - 1].At)
            {
                return [.. events.OrderBy(item => item.At)]; // a stable sort; what a simulator adds is in order already
            }
        }

        return events;
    }

    private void Add(HistoryEventKind kind, MessageIdentity message, TimeSpan at) => Add(new() { Kind = kind, Message = message, At = at });

    private void Add(HistoryEventKind kind, string transaction, TimeSpan at) => Add(new() { Kind = kind, Transaction = transaction, At = at });
}
