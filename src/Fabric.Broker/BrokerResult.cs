using Fabric.Store.Journal;

namespace Fabric.Broker;

/// <summary>How a call ended. None of these is an error of the broker.</summary>
public enum BrokerStatus
{
    /// <summary>Done; confirm it at <see cref="BrokerResult.ConfirmAfter"/>.</summary>
    Accepted,

    /// <summary>The message was stored before; confirm it like an accepted one.</summary>
    Duplicate,

    /// <summary>The message had expired on arrival and was dropped; confirm it like an accepted one.</summary>
    Expired,

    /// <summary>Had no effect and needs none, such as the acknowledgement of a consumer that is gone; answer normally.</summary>
    Ignored,

    /// <summary>The broker does not serve, or this connection was closed. Answer nothing; close the connection.</summary>
    NotServing,

    /// <summary>Wrong user name or password.</summary>
    NotAuthenticated,

    /// <summary>The user may not do this with that destination.</summary>
    NotAuthorized,

    /// <summary>Another connection uses the client id.</summary>
    ClientIdInUse,

    /// <summary>The session was never added, or was removed.</summary>
    SessionUnknown,

    /// <summary>There is no such consumer on this connection.</summary>
    ConsumerUnknown,

    /// <summary>There is no such temporary destination, or no such destination to delete.</summary>
    DestinationUnknown,

    /// <summary>The destination still has consumers.</summary>
    DestinationInUse,

    /// <summary>The name cannot be used for this: blank, a pattern for a producer, too long.</summary>
    DestinationInvalid,

    /// <summary>An acknowledgement names messages that are not outstanding for its consumer, or counts them wrongly.</summary>
    Unmatched,

    /// <summary>There is no such transaction on this connection.</summary>
    TransactionUnknown,

    /// <summary>The transaction was rolled back instead, because something in it had failed.</summary>
    TransactionRolledBack,

    /// <summary>The message, or the transaction with it, is larger than a limit.</summary>
    TooLarge,

    /// <summary>There are as many of them as the options allow.</summary>
    LimitReached,

    /// <summary>This version does not do it; <see cref="BrokerResult.Detail"/> says what.</summary>
    Unsupported,
}

/// <summary>The outcome of a call.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="ConfirmAfter">
/// Answer the client when <see cref="BrokerConnection.Confirmed"/> has reached it; the default position means at once. Wake-ups
/// may come before the caller has noted what to answer, so look at <see cref="BrokerConnection.Confirmed"/> after that.
/// </param>
/// <param name="Detail">For people, when <see cref="Succeeded"/> is false: what was wrong, without a final point.</param>
public readonly record struct BrokerResult(BrokerStatus Status, Position ConfirmAfter = default, string? Detail = null)
{
    /// <summary>Done, and nothing to wait for.</summary>
    public static BrokerResult Accepted => default;

    /// <summary>Whether the client gets an ordinary answer.</summary>
    public bool Succeeded => Status <= BrokerStatus.Ignored;

    internal static BrokerResult Ignored => new(BrokerStatus.Ignored);

    internal static BrokerResult NotServing => new(BrokerStatus.NotServing, default, "this broker does not serve");

    internal static BrokerResult Unsupported(string what) => new(BrokerStatus.Unsupported, default, what);

    internal static BrokerResult Fail(BrokerStatus status, string detail) => new(status, default, detail);
}
