namespace Fabric.Replication.Grpc;

/// <summary>Settings of a <see cref="GrpcReplicaLink"/>.</summary>
public sealed record GrpcReplicaLinkOptions
{
    /// <summary>Where to listen: an IP address, a host name, or <c>0.0.0.0</c> for all. Default: this machine only.</summary>
    public string BindHost { get; init; } = "127.0.0.1";

    /// <summary>0 to 65535. Default 0: the system chooses, and the registry tells the others.</summary>
    public int Port { get; init; }

    /// <summary>The host under which the other replicas find this one.</summary>
    public string AdvertisedHost { get; init; } = "127.0.0.1";

    /// <summary>Largest message accepted, in bytes; must exceed the batches of every replica. Default 4 MiB.</summary>
    public int MessageBytesMax { get; init; } = 4 * 1024 * 1024;

    /// <summary>How long a connection to another replica may take to come up. Default 1 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Silence after which a connection is pinged. At least 1 s; default 5 s. Heartbeats of the stream notice a silent master sooner; this
    /// notices a silent slave.
    /// </summary>
    public TimeSpan KeepAlivePingDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the answer to a ping may take. At least 1 s; default 5 s.</summary>
    public TimeSpan KeepAlivePingTimeout { get; init; } = TimeSpan.FromSeconds(5);
}
