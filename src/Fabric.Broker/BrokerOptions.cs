using Fabric.Broker.Security;

namespace Fabric.Broker;

/// <summary>Settings of one broker.</summary>
public sealed record BrokerOptions
{
    private const long MinimumBytes = 64 * 1024;

    /// <summary>For logs and messages to people.</summary>
    public string Name { get; init; } = "default";

    /// <summary>
    /// Messages that are kept in memory only (non-persistent, topics, temporary queues), in bytes. Publishers wait while more are
    /// held; a connection may exceed it by one message, and those that move messages in transactions together by as much again.
    /// </summary>
    /// <value>64 KiB or more; default 64 MiB.</value>
    public long MemoryBytesMax { get; init => field = AtLeast(value, MinimumBytes); } = 64L * 1024 * 1024;

    /// <summary>What the sends of one transaction may hold until it is committed, in bytes. One that exceeds it can only be rolled back.</summary>
    /// <value>64 KiB or more; default 32 MiB.</value>
    public long TransactionBytesMax { get; init => field = AtLeast(value, MinimumBytes); } = 32L * 1024 * 1024;

    /// <summary>What the sends of all open transactions may hold together, in bytes. The one that would exceed it can only be rolled back.</summary>
    /// <value>64 KiB or more; default 256 MiB.</value>
    public long TransactionsBytesMax { get; init => field = AtLeast(value, MinimumBytes); } = 256L * 1024 * 1024;

    /// <summary>How often queues are searched for expired messages.</summary>
    /// <value>Greater than zero; default 30 s, as in ActiveMQ.</value>
    public TimeSpan ExpirySweepInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The queue for messages that could not be delivered.</summary>
    public string DeadLetterQueue { get; init; } = "ActiveMQ.DLQ";

    /// <summary>Destinations of all kinds together. Creating one more is refused.</summary>
    /// <value>Default 100,000: each costs about 1 KiB.</value>
    public int DestinationsMax { get; init => field = (int)AtLeast(value, 1); } = 100_000;

    /// <summary>Connections at a time.</summary>
    public int ConnectionsMax { get; init => field = (int)AtLeast(value, 1); } = 10_000;

    /// <summary>Consumers, producers and sessions of one connection, each.</summary>
    public int ClientObjectsMax { get; init => field = (int)AtLeast(value, 1); } = 10_000;

    /// <summary>Checks users when they connect. The default knows nobody and refuses everybody.</summary>
    public IAuthenticator Authenticator { get; init; } = UserTable.Empty;

    /// <summary>
    /// Whether clients that come over loopback (<see cref="ConnectRequest.IsFromLoopback"/>) may connect without a user and a password. A name
    /// that is given is always checked.
    /// </summary>
    public bool AnonymousFromLoopback { get; init; }

    /// <summary>Says what a user may do, the anonymous one (an empty name) too; null allows everything.</summary>
    public IAuthorizer? Authorizer { get; init; }

    private static long AtLeast(long value, long minimum)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, minimum);
        return value;
    }
}
