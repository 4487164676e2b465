using Fabric.Runtime;

namespace Fabric.Grpc.Http2;

/// <summary>How our side of a connection behaves.</summary>
internal sealed record Http2Options
{
    public required FabricRuntime Runtime { get; init; }

    /// <summary>
    /// Who waits for the peer goes on inside the loop that reads, and must not block there. Otherwise on the thread pool, one change of threads later.
    /// </summary>
    public required bool RunsInline { get; init; }

    /// <summary>Bytes the peer may send ahead in one stream. 64 KiB to 2 GiB.</summary>
    public required int StreamWindowBytes { get; init; }

    /// <summary>Bytes the peer may send ahead in all streams. At least the stream's window.</summary>
    public required int ConnectionWindowBytes { get; init; }

    /// <summary>A connection silent for so long is pinged; infinite for never.</summary>
    public required TimeSpan KeepAlivePingDelay { get; init; }

    /// <summary>A ping unanswered for so long ends the connection.</summary>
    public required TimeSpan KeepAlivePingTimeout { get; init; }
}
