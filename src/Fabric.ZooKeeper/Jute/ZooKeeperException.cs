namespace Fabric.ZooKeeper.Jute;

/// <summary>A request to ZooKeeper failed.</summary>
public sealed class ZooKeeperException : Exception
{
    /// <param name="error">Why; never <see cref="ZooKeeperError.Ok"/>.</param>
    /// <param name="path">The path the request named, as the caller wrote it; null when it names none.</param>
    /// <param name="operationIndex">In a multi, the zero-based index of the operation that failed.</param>
    /// <param name="innerException">The cause, when there is one below.</param>
    public ZooKeeperException(
        ZooKeeperError error, string? path = null, int? operationIndex = null, Exception? innerException = null)
        : base(Describe(error, path, operationIndex), innerException)
    {
        Error = error;
        Path = path;
        OperationIndex = operationIndex;
    }

    /// <summary>The code of the protocol.</summary>
    public ZooKeeperError Error { get; }

    /// <summary>The path the request named, as the caller wrote it; null when it names none.</summary>
    public string? Path { get; }

    /// <summary>In a multi, the zero-based index of the operation that failed; null otherwise.</summary>
    public int? OperationIndex { get; }

    private static string Describe(ZooKeeperError error, string? path, int? operationIndex)
    {
        var meaning = error switch
        {
            ZooKeeperError.ConnectionLoss => "the connection to ZooKeeper was lost; the outcome is unknown",
            ZooKeeperError.OperationTimeout => "ZooKeeper did not answer in time; the outcome is unknown",
            ZooKeeperError.MarshallingError => "the request or its answer could not be read",
            ZooKeeperError.BadArguments => "ZooKeeper refuses the arguments",
            ZooKeeperError.NoNode => "the znode does not exist",
            ZooKeeperError.NoAuth => "the ACL does not allow it",
            ZooKeeperError.BadVersion => "the version is not the expected one",
            ZooKeeperError.NoChildrenForEphemerals => "an ephemeral znode cannot have children",
            ZooKeeperError.NodeExists => "the znode exists already",
            ZooKeeperError.NotEmpty => "the znode has children",
            ZooKeeperError.SessionExpired => "the ZooKeeper session is over",
            ZooKeeperError.InvalidAcl => "the ACL is not valid",
            ZooKeeperError.AuthFailed => "ZooKeeper refuses the authentication",
            ZooKeeperError.NoWatcher => "there is no such watch",
            ZooKeeperError.ThrottledOperation => "too many requests are waiting already; this one was not carried out",
            ZooKeeperError.Unimplemented => "the server does not know the operation",
            _ => "the ZooKeeper request failed",
        };
        var place = path is null ? "" : $" [{path}]";
        var index = operationIndex is null ? "" : $", operation {operationIndex} of the multi";
        return $"{meaning}{place}{index} ({error}, {(int)error})";
    }
}
