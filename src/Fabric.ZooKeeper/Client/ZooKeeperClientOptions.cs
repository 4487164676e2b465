using System.Net.Security;

namespace Fabric.ZooKeeper.Client;

/// <summary>Settings of one client. Immutable.</summary>
public sealed record ZooKeeperClientOptions
{
    /// <summary>
    /// <c>host1:port1,host2:port2/chroot</c>; the port defaults to 2181, an IPv6 address stands in brackets, the chroot is optional
    /// and need not exist.
    /// </summary>
    public required string ConnectString { get; init; }

    /// <summary>Session timeout to ask for; the server may grant another. Default 10 s.</summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>TLS towards the servers' secure port; null for plain text.</summary>
    public SslClientAuthenticationOptions? Tls { get; init; }

    /// <summary>
    /// Requests that may be under way or wait for a connection at one time; one more fails. Default 10,000: a client that far ahead
    /// of its servers does not need more, it needs to be told.
    /// </summary>
    public int RequestsMax { get; init; } = 10_000;

    /// <summary>Largest answer accepted, in bytes. Default 4 MiB, Java's.</summary>
    public int FrameBytesMax { get; init; } = Jute.JuteFrame.DefaultClientLengthMax;
}
