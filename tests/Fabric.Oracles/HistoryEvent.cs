using System.Globalization;

namespace Fabric.Oracles;

/// <summary>Names one message for ever: who sent it, and its place in that producer's own count. A body must tell both.</summary>
/// <param name="Producer">The producer; one thread or session of one client, because order is kept per producer.</param>
/// <param name="Number">Its count, which rises by any step from one send to the next.</param>
public readonly record struct MessageIdentity(string Producer, long Number)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Producer}:{Number}");
}

/// <summary>What a client did or saw.</summary>
public enum HistoryEventKind
{
    /// <summary>A send is about to be handed to the client library. Twice for one message: the application sends it again.</summary>
    SendAttempted,

    /// <summary>The broker said that it has the message; inside a transaction, that it took part.</summary>
    SendConfirmed,

    /// <summary>The message is certainly not there and never will be.</summary>
    SendRefused,

    /// <summary>Nobody can tell whether the message is there.</summary>
    SendUnknown,

    /// <summary>A consumer was given the message.</summary>
    Delivered,

    /// <summary>A consumer is about to acknowledge the message.</summary>
    AcknowledgeAttempted,

    /// <summary>The broker said that the message is gone; inside a transaction, that it took part.</summary>
    AcknowledgeConfirmed,

    /// <summary>Nobody can tell whether the acknowledgement took place.</summary>
    AcknowledgeUnknown,

    /// <summary>A commit is about to be asked for.</summary>
    CommitAttempted,

    /// <summary>The broker said that the transaction is committed.</summary>
    Committed,

    /// <summary>The transaction is certainly undone.</summary>
    Aborted,

    /// <summary>Nobody can tell whether the transaction is committed.</summary>
    CommitUnknown,

    /// <summary>A message that still is in its queue at the end, after all is healed and the consumers have drained what they wanted.</summary>
    Browsed,
}

/// <summary>One line of a <see cref="History"/>. Which members mean something depends on <see cref="Kind"/>.</summary>
public readonly record struct HistoryEvent
{
    public required HistoryEventKind Kind { get; init; }

    /// <summary>When, on one clock for the whole history: an attempt before the call, everything else after it.</summary>
    public required TimeSpan At { get; init; }

    /// <summary>The message; default in events of a transaction.</summary>
    public MessageIdentity Message { get; init; }

    /// <summary>The queue that was sent to, or the one the message was found in.</summary>
    public string? Queue { get; init; }

    public ulong BodyHash { get; init; }

    /// <summary>The transaction that a send or an acknowledgement is part of, or that an event is about. Unique in the history.</summary>
    public string? Transaction { get; init; }

    public string? Consumer { get; init; }

    /// <summary>The delivery's redelivered flag.</summary>
    public bool Redelivered { get; init; }

    /// <summary>
    /// The delivery was on its way from a master when another took over, and arrived when that was over, or the broker had lost its connection to the consumer, who did not know: it shows that the message exists, and that
    /// another has got it meanwhile is nobody's fault.
    /// </summary>
    public bool IsLate { get; init; }

    /// <summary>How many deliveries the broker says there were before this one; 0 or more.</summary>
    public int DeliveryCount { get; init; }

    /// <summary>Whether the delivery tells that there may have been one before.</summary>
    public bool IsFlagged => Redelivered || DeliveryCount > 0;

    /// <inheritdoc/>
    public override string ToString()
    {
        var subject = Message.Producer is null ? Transaction : Message.ToString();
        var flags = Kind == HistoryEventKind.Delivered ? $" redelivered={(Redelivered ? "yes" : "no")} count={DeliveryCount}" : "";
        var hash = Kind is HistoryEventKind.SendAttempted or HistoryEventKind.Delivered or HistoryEventKind.Browsed
            ? string.Create(CultureInfo.InvariantCulture, $" body={BodyHash:x16}")
            : "";
        return string.Create(CultureInfo.InvariantCulture, $"{At.TotalSeconds:0.000000} {Kind} {subject}")
            + (Queue is null ? "" : $" queue={Queue}")
            + (Consumer is null ? "" : $" consumer={Consumer}")
            + (Message.Producer is null || Transaction is null ? "" : $" transaction={Transaction}")
            + flags + hash;
    }
}
