using System.Net.Security;
using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>Settings of one client. Immutable.</summary>
public sealed record ZooKeeperClientOptions
{
    /// <summary>
    /// <c>host1:port1,host2:port2/chroot</c>; the port defaults to 2181, an IPv6 address stands in brackets, the chroot is optional
    /// and need not exist.
    /// </summary>
    public required string ConnectString { get; init; }

    /// <summary>Session timeout to ask for, 1 ms to 24 days; the server may grant another. Default 10 s.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public TimeSpan SessionTimeout
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.FromMilliseconds(1));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, TimeSpan.FromMilliseconds(int.MaxValue));
            field = value;
        }
    } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// TLS towards the servers' secure port; null for plain text. A <c>TargetHost</c> that is not set becomes the name of the server
    /// that is being connected to, so that each one of several is checked against its own certificate.
    /// </summary>
    public SslClientAuthenticationOptions? Tls { get; init; }

    /// <summary>
    /// Requests that may be under way or wait for a connection at one time; one more fails with
    /// <see cref="ZooKeeperError.ThrottledOperation"/>. Default 10,000: a client that far ahead of its servers does not need more, it
    /// needs to be told.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less than 1.</exception>
    public int RequestsMax
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = 10_000;

    /// <summary>What those requests may hold together, in bytes; the same error. Default 64 MiB.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less than 1.</exception>
    public long RequestsBytesMax
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = 64 * 1024 * 1024;

    /// <summary>
    /// Largest request that the servers take (their <c>jute.maxbuffer</c>), in bytes. A larger one is refused here with
    /// <see cref="ArgumentException"/>; a server would close the connection without a word. Default 1,048,575, theirs.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less than 1.</exception>
    public int RequestBytesMax
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = JuteFrame.DefaultServerLengthMax;

    /// <summary>
    /// Largest answer accepted, in bytes. A read whose answer is larger fails with <see cref="ZooKeeperError.MarshallingError"/>, and the
    /// connection is made anew. Default 4 MiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less than 1,024.</exception>
    public int FrameBytesMax
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1024);
            field = value;
        }
    } = JuteFrame.DefaultClientLengthMax;
}
