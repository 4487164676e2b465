namespace Fabric.ZooKeeper.Server;

/// <summary>How the embedded ZooKeeper server runs. Immutable; every limit has a default.</summary>
public sealed record ZooKeeperServerOptions
{
    private const int TicksOfMinSessionTimeout = 2;
    private const int TicksOfMaxSessionTimeout = 20;

    /// <summary>Absolute path of the directory that holds log and snapshots; created when it is absent. One server per directory.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Address to listen on. The default admits this machine only; <c>0.0.0.0</c> admits everybody.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>TCP port, 0 to 65535; with 0 the system chooses (see <see cref="ZooKeeperServer.Port"/>).</summary>
    public int Port { get; init; } = 2181;

    /// <summary>
    /// Unit of session timeouts, positive. A session ends between its timeout and its timeout plus one tick after the
    /// client was heard last.
    /// </summary>
    public TimeSpan TickTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Shortest session timeout that a client is granted. Null: two ticks.</summary>
    public TimeSpan? MinSessionTimeout { get; init; }

    /// <summary>Longest session timeout that a client is granted. Null: twenty ticks.</summary>
    public TimeSpan? MaxSessionTimeout { get; init; }

    /// <summary>Largest frame accepted from a client, in bytes (jute.maxbuffer, inclusive). A longer one closes its connection.</summary>
    public int FrameLengthMax { get; init; } = Jute.JuteFrame.DefaultServerLengthMax;

    /// <summary>Most connections at once; further ones are closed at once.</summary>
    public int ConnectionsMax { get; init; } = 1024;

    /// <summary>
    /// Most connections at once from one address. Apache ZooKeeper allows 60; a whole fabric and its clients on one machine
    /// share one address, so the default is higher.
    /// </summary>
    public int ConnectionsPerHostMax { get; init; } = 256;

    /// <summary>
    /// Requests of one connection that may wait for their answer; the server reads no further request of that connection
    /// until one is answered.
    /// </summary>
    public int OutstandingRequestsMax { get; init; } = 1000;

    /// <summary>
    /// Bytes of answers and events that may wait for one connection to take them. A connection that takes none while
    /// watch events pile up beyond this is cut; its session lives on.
    /// </summary>
    public int OutgoingBytesMax { get; init; } = 8 * 1024 * 1024;

    /// <summary>Most sessions at once; a client that asks for a further one is disconnected.</summary>
    public int SessionsMax { get; init; } = 10_000;

    /// <summary>Most paths one connection may watch; a request that would exceed it fails with ThrottledOperation (-127).</summary>
    public int WatchesPerConnectionMax { get; init; } = 100_000;

    /// <summary>
    /// Most bytes of paths and data in the whole tree, which is kept in memory; a write that would exceed it fails with
    /// QuotaExceeded (-125).
    /// </summary>
    public long DataBytesMax { get; init; } = 256 * 1024 * 1024;

    /// <summary>Bytes of log after which a snapshot is written and the log goes on in a new segment.</summary>
    public long SegmentBytesMax { get; init; } = 8 * 1024 * 1024;

    /// <summary>Snapshots kept, at least 1; log segments older than the oldest of them are deleted.</summary>
    public int SnapshotsKept { get; init; } = 3;

    /// <summary>How often empty containers and outlived TTL znodes are looked for.</summary>
    public TimeSpan ContainerCheckInterval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Identity (<c>super:BASE64(SHA1(…))</c>) of the digest user whom no ACL stops. Null: there is none.
    /// </summary>
    public string? SuperDigest { get; init; }

    /// <summary>The shortest timeout in force, in milliseconds.</summary>
    internal int MinSessionTimeoutMs =>
        (int)(MinSessionTimeout ?? TickTime * TicksOfMinSessionTimeout).TotalMilliseconds;

    /// <summary>The longest timeout in force, in milliseconds.</summary>
    internal int MaxSessionTimeoutMs =>
        (int)(MaxSessionTimeout ?? TickTime * TicksOfMaxSessionTimeout).TotalMilliseconds;

    /// <summary>Throws unless all values are in range.</summary>
    /// <exception cref="ArgumentException">The message names the option.</exception>
    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrEmpty(DataDirectory);
        ArgumentException.ThrowIfNullOrEmpty(Host);
        ArgumentOutOfRangeException.ThrowIfNegative(Port);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Port, ushort.MaxValue);
        ArgumentOutOfRangeException.ThrowIfLessThan(TickTime, TimeSpan.FromMilliseconds(10));
        ArgumentOutOfRangeException.ThrowIfLessThan(MinSessionTimeoutMs, 1, nameof(MinSessionTimeout));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxSessionTimeoutMs, MinSessionTimeoutMs, nameof(MaxSessionTimeout));
        ArgumentOutOfRangeException.ThrowIfLessThan(FrameLengthMax, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(ConnectionsMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(ConnectionsPerHostMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(OutstandingRequestsMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(OutgoingBytesMax, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(SessionsMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(WatchesPerConnectionMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(DataBytesMax, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(SegmentBytesMax, 4096);
        ArgumentOutOfRangeException.ThrowIfLessThan(SnapshotsKept, 1);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(ContainerCheckInterval, TimeSpan.Zero);
    }
}
