using Fabric.Runtime;

namespace Fabric.Grpc.Server;

/// <summary>Settings of a <see cref="GrpcServer"/>. The defaults suit few peers on a fast network that move large batches.</summary>
public sealed record GrpcServerOptions
{
    /// <summary>Largest request message accepted, in bytes. Default 4 MiB, as in other gRPC libraries.</summary>
    public int MessageBytesMax { get; init; } = 4 * 1024 * 1024;

    /// <summary>Bytes a peer may send ahead in one stream. 64 KiB to 2 GiB; default 4 MiB.</summary>
    public int StreamWindowBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Bytes a peer may send ahead in all streams of a connection. At least the stream's window; default 8 MiB.</summary>
    public int ConnectionWindowBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>Connections accepted at a time; further ones are closed at once. Default 1,000.</summary>
    public int ConnectionsMax { get; init; } = 1000;

    /// <summary>Calls at a time in one connection; the peer queues further ones, or they are refused. Default 100.</summary>
    public int CallsPerConnectionMax { get; init; } = 100;

    /// <summary>A connection silent for so long is pinged. At least 1 s; infinite switches pings off. Default 10 s.</summary>
    public TimeSpan KeepAlivePingDelay { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A ping unanswered for so long ends the connection and its calls. At least 1 s. Default 5 s.</summary>
    public TimeSpan KeepAlivePingTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long running calls may take to end when the server stops; then they are cut. Default 1 s.</summary>
    public TimeSpan StopLimit { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Who waits for a message goes on inside the loop that reads the connection: a change of threads less for each. Only for users that never
    /// block their thread, and are quick. Default false.
    /// </summary>
    public bool RunsInline { get; init; }

    /// <summary>Network, clock and threads.</summary>
    public FabricRuntime Runtime { get; init; } = FabricRuntime.System;
}
