namespace Fabric.Grpc;

/// <summary>How a call ended: the codes of the gRPC specification. Numbers are those on the wire.</summary>
public enum GrpcStatusCode
{
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// <summary>How a call ended, with words for people.</summary>
/// <param name="Code">The code.</param>
/// <param name="Detail">Any text; it travels percent-encoded.</param>
public readonly record struct GrpcStatus(GrpcStatusCode Code, string Detail)
{
    public static GrpcStatus Ok { get; } = new(GrpcStatusCode.Ok, string.Empty);

    public override string ToString() => string.IsNullOrEmpty(Detail) ? Code.ToString() : $"{Code}: {Detail}";
}

/// <summary>
/// A call ended otherwise than well. A client catches it; a service throws it to choose the status that its caller sees.
/// </summary>
public sealed class GrpcException : Exception
{
    public GrpcException(GrpcStatus status, GrpcMetadata? trailers = null, Exception? innerException = null)
        : base(status.ToString(), innerException)
    {
        Status = status;
        Trailers = trailers ?? new GrpcMetadata();
    }

    public GrpcException(GrpcStatusCode code, string detail, Exception? innerException = null)
        : this(new GrpcStatus(code, detail), null, innerException)
    {
    }

    public GrpcStatus Status { get; }

    public GrpcStatusCode Code => Status.Code;

    /// <summary>Metadata that came with the status, or that is to go with it.</summary>
    public GrpcMetadata Trailers { get; }
}
