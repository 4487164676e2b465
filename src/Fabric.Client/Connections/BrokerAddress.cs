using System.Net.Security;
using Fabric.Protocols.OpenWire;

namespace Fabric.Client.Connections;

/// <summary>What one broker's address says beside host and port. Set while the URL is read, not changed afterwards.</summary>
internal sealed class TransportOptions
{
    public static OptionTable<TransportOptions> Table { get; } = new()
    {
        {
            "connectionTimeout", (options, value) =>
            {
                var timeout = value.ToMilliseconds();
                options.ConnectionTimeout = timeout > TimeSpan.Zero ? timeout : Timeout.InfiniteTimeSpan;
            }
        },
        { "useInactivityMonitor", (options, value) => options.UseInactivityMonitor = value.ToBoolean() },
        { "verifyHostName", (options, value) => options.VerifyHostName = value.ToBoolean() },
        { "wireFormat.version", (options, value) => options.Offer = options.Offer with { Version = value.ToInt32(10, 12) } },
        {
            "wireFormat.maxInactivityDuration",
            (options, value) => options.Offer = options.Offer with { MaxInactivityDuration = value.ToInt32(0) }
        },
        {
            "wireFormat.maxInactivityDurationInitalDelay",
            (options, value) => options.Offer = options.Offer with { MaxInactivityDurationInitialDelay = value.ToInt32(0) }
        },
        {
            "wireFormat.maxInactivityDurationInitialDelay",
            (options, value) => options.Offer = options.Offer with { MaxInactivityDurationInitialDelay = value.ToInt32(0) }
        },
        { "wireFormat.maxFrameSize", (options, value) => options.Offer = options.Offer with { MaxFrameSize = value.ToInt64() } },
        {
            "wireFormat.stackTraceEnabled",
            (options, value) => options.Offer = options.Offer with { StackTraceEnabled = value.ToBoolean() }
        },
        { "wireFormat.host", (options, value) => options.Offer = options.Offer with { Host = value.Text } },
        {
            // How Java's sockets, threads and codec are tuned: ours are not tuned by these, and the peer sees no difference.
            "soTimeout", "soWriteTimeout", "soLinger", "keepAlive", "tcpNoDelay", "socketBufferSize", "ioBufferSize", "closeAsync",
            "useLocalHost", "diffServ", "typeOfService", "minmumWireFormatVersion", "useKeepAlive", "keepAliveResponseRequired",
            "ignoreRemoteWireFormat", "ignoreAllWireFormatInfo", "connectAttemptTimeout", "readCheckTime", "writeCheckTime",
            "initialDelayTime", "trace", "logWriterName", "dynamicManagement", "startLogging", "jmxPort", "enabledProtocols",
            "enabledCipherSuites", "receiveBufferSize", "sendBufferSize", "wireFormat.tcpNoDelayEnabled", "wireFormat.cacheEnabled",
            "wireFormat.cacheSize", "wireFormat.tightEncodingEnabled", "wireFormat.sizePrefixDisabled", "wireFormat.maxFrameSizeEnabled",
            "wireFormat.providerName", "wireFormat.providerVersion", "wireFormat.platformDetails", "wireFormat.includePlatformDetails"
        },
    };

    /// <summary>For TCP, TLS and the agreement on the wire format together.</summary>
    public TimeSpan ConnectionTimeout { get; private set; } = TimeSpan.FromSeconds(30);

    private bool UseInactivityMonitor { get; set; } = true;

    public bool VerifyHostName { get; private set; } = true;

    private WireFormat Offer { get; set; } = WireFormat.Default;

    public WireFormat CreateOffer(string host) => Offer with
    {
        Host = Offer.Host ?? host,
        ProviderName = "Fabric",
        PlatformDetails = ".NET",
        MaxInactivityDuration = UseInactivityMonitor ? Offer.MaxInactivityDuration : 0,
    };
}

/// <summary>One broker to connect to.</summary>
/// <param name="Scheme"><c>tcp</c> or <c>ssl</c>.</param>
/// <param name="Host">Name or literal address.</param>
/// <param name="Port">1 to 65535.</param>
/// <param name="Options">The rest; no part of the identity.</param>
internal sealed record BrokerAddress(string Scheme, string Host, int Port, TransportOptions Options)
{
    public const int DefaultPort = 61616;
    public const int DefaultTlsPort = 61617;

    public bool Equals(BrokerAddress? other) =>
        other is not null && Scheme == other.Scheme && Port == other.Port
        && string.Equals(Host, other.Host, StringComparison.OrdinalIgnoreCase);

    public override int GetHashCode() => HashCode.Combine(Scheme, Port, StringComparer.OrdinalIgnoreCase.GetHashCode(Host));

    /// <summary>The address without options, which may hold secrets.</summary>
    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) && !Host.StartsWith('[')
        ? $"{Scheme}://[{Host}]:{Port}"
        : $"{Scheme}://{Host}:{Port}";

    /// <summary>TLS as the address asks for it; null for plain TCP.</summary>
    public SslClientAuthenticationOptions? CreateTls()
    {
        if (Scheme != "ssl")
        {
            return null;
        }

        var tls = new SslClientAuthenticationOptions { TargetHost = Host };
        if (!Options.VerifyHostName)
        {
            // The chain must still be trusted; only the name may differ.
            tls.RemoteCertificateValidationCallback = (_, _, _, errors) =>
                (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None;
        }

        return tls;
    }
}
