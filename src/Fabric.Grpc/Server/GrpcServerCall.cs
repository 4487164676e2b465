namespace Fabric.Grpc.Server;

/// <summary>What a method's body knows of the call it serves. Used by the task of the body.</summary>
public sealed class GrpcServerCall
{
    private readonly Func<GrpcMetadata, Task> _start;

    internal GrpcServerCall(Func<GrpcMetadata, Task> start, CancellationToken cancellationToken) =>
        (_start, CancellationToken) = (start, cancellationToken);

    /// <summary>The path of the method: <c>/service/name</c>.</summary>
    public required string Path { get; init; }

    /// <summary>The caller's address as <c>host:port</c>.</summary>
    public required string Peer { get; init; }

    /// <summary>What the caller sent beside the request.</summary>
    public required GrpcMetadata Metadata { get; init; }

    /// <summary>How long the caller waits, counted from the start of the call; null when it has not said.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Cancelled when the caller is gone or has cancelled, its deadline has passed, or the server stops.</summary>
    public CancellationToken CancellationToken { get; }

    /// <summary>Sent with the status at the end.</summary>
    public GrpcMetadata Trailers { get; } = new();

    /// <summary>Sends the response's metadata now; without it an empty one goes with the first message.</summary>
    /// <exception cref="InvalidOperationException">It has gone already.</exception>
    public Task StartAsync(GrpcMetadata metadata) => _start(metadata);
}
