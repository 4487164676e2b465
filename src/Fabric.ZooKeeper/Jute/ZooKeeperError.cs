namespace Fabric.ZooKeeper.Jute;

/// <summary>
/// Error codes of the protocol, with the numbers of the wire. A newer server may send a number that is not listed here;
/// it is passed on as it is.
/// </summary>
public enum ZooKeeperError
{
    Ok = 0,

    /// <summary>Marks the range of system errors; not an error of its own.</summary>
    SystemError = -1,

    /// <summary>An operation of a multi that stands behind the one that failed.</summary>
    RuntimeInconsistency = -2,
    DataInconsistency = -3,

    /// <summary>The connection broke while the request was under way: whether a write happened is unknown.</summary>
    ConnectionLoss = -4,

    /// <summary>A request or an answer could not be read, or an answer was larger than the client takes.</summary>
    MarshallingError = -5,

    /// <summary>The server does not know the operation.</summary>
    Unimplemented = -6,
    OperationTimeout = -7,

    /// <summary>A path, mode or time to live that is not allowed.</summary>
    BadArguments = -8,
    UnknownSession = -12,
    NewConfigNoQuorum = -13,
    ReconfigInProgress = -14,

    /// <summary>Marks the range of answers to requests; not an error of its own.</summary>
    ApiError = -100,

    /// <summary>The znode, or the parent of a znode to create, does not exist.</summary>
    NoNode = -101,

    /// <summary>The ACL does not allow it.</summary>
    NoAuth = -102,

    /// <summary>The expected version is not the present one.</summary>
    BadVersion = -103,
    NoChildrenForEphemerals = -108,
    NodeExists = -110,
    NotEmpty = -111,

    /// <summary>The session is over; its ephemeral znodes are gone.</summary>
    SessionExpired = -112,
    InvalidCallback = -113,
    InvalidAcl = -114,
    AuthFailed = -115,

    /// <summary>The session is attached to another server by now.</summary>
    SessionMoved = -118,

    /// <summary>A write or sync on a server that is read-only.</summary>
    NotReadOnly = -119,
    EphemeralOnLocalSession = -120,
    NoWatcher = -121,
    RequestTimeout = -122,
    ReconfigDisabled = -123,
    SessionClosedRequireSaslAuth = -124,
    QuotaExceeded = -125,

    /// <summary>The server, or a client whose limit was reached, shed the request; it was not carried out.</summary>
    ThrottledOperation = -127,
}
