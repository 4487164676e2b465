using Fabric.Runtime;

namespace Fabric.Grpc.Client;

/// <summary>Settings of a <see cref="GrpcChannel"/>.</summary>
public sealed record GrpcChannelOptions
{
    /// <summary>Largest response message accepted, in bytes. Default 4 MiB, as in other gRPC libraries.</summary>
    public int MessageBytesMax { get; init; } = 4 * 1024 * 1024;

    /// <summary>Bytes the server may send ahead in one stream. 64 KiB to 16 MiB; default 4 MiB.</summary>
    public int StreamWindowBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>How long a connection may take to come up, the server's first word included. Default 2 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>While calls run, a connection silent for so long is pinged. At least 1 s; infinite switches pings off. Default 10 s.</summary>
    public TimeSpan KeepAlivePingDelay { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A ping unanswered for so long ends the connection and its calls. At least 1 s. Default 5 s.</summary>
    public TimeSpan KeepAlivePingTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Who waits for a message goes on inside the loop that reads the connection: a change of threads less for each. Only for users that never
    /// block their thread, and are quick. Default false.
    /// </summary>
    public bool RunsInline { get; init; }

    /// <summary>Network, clock and threads.</summary>
    public FabricRuntime Runtime { get; init; } = FabricRuntime.System;
}

/// <summary>Settings of one call.</summary>
public sealed record GrpcCallOptions
{
    public static GrpcCallOptions None { get; } = new();

    /// <summary>How long the whole call may take; the server is told. Null for no limit.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Goes with the request; null for none.</summary>
    public GrpcMetadata? Metadata { get; init; }
}
