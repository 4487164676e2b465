using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// How the two sides of a connection talk: what one side offers, and, after <see cref="Negotiate"/>, what both use
/// (reference §1.3, §1.4). The two computations are symmetric, so nothing confirms them.
/// </summary>
public sealed record WireFormat
{
    private const int PropertyCountMax = 64;
    private const int PropertyTextMax = 512;
    private const int CacheSizeForZero = 16383;

    /// <summary>What a Fabric broker or client offers: version 12, loose, no cache, no stack traces, frames up to 100 MiB.</summary>
    public static WireFormat Default { get; } = new();

    /// <summary>1 to 12.</summary>
    public int Version { get; init; } = OpenWireCodec.VersionMax;

    public bool StackTraceEnabled { get; init; }

    public bool TcpNoDelayEnabled { get; init; } = true;

    /// <summary>The object cache; this codec has none, so it is never offered.</summary>
    public bool CacheEnabled { get; init; }

    public int CacheSize { get; init; } = 1024;

    /// <summary>The tight encoding; this codec has none, so it is never offered.</summary>
    public bool TightEncodingEnabled { get; init; }

    public bool SizePrefixDisabled { get; init; }

    /// <summary>Milliseconds without a sign of the peer after which the connection is given up; 0 means never.</summary>
    public long MaxInactivityDuration { get; init; } = 30_000;

    /// <summary>Milliseconds before the inactivity monitor starts.</summary>
    public long MaxInactivityDurationInitialDelay { get; init; } = 10_000;

    /// <summary>Largest frame, in bytes after the size field; 0 means no opinion.</summary>
    public long MaxFrameSize { get; init; } = 104_857_600;

    /// <summary>The part of the URL a client connected to, or null.</summary>
    public string? Host { get; init; }

    public string? ProviderName { get; init; }

    public string? ProviderVersion { get; init; }

    public string? PlatformDetails { get; init; }

    /// <summary>The offer as a command.</summary>
    public WireFormatInfo ToInfo()
    {
        var properties = new Dictionary<string, object?>
        {
            ["StackTraceEnabled"] = StackTraceEnabled,
            ["TcpNoDelayEnabled"] = TcpNoDelayEnabled,
            ["CacheEnabled"] = CacheEnabled,
            ["CacheSize"] = CacheSize,
            ["TightEncodingEnabled"] = TightEncodingEnabled,
            ["SizePrefixDisabled"] = SizePrefixDisabled,
            ["MaxInactivityDuration"] = MaxInactivityDuration,
            ["MaxInactivityDurationInitalDelay"] = MaxInactivityDurationInitialDelay,
            ["MaxFrameSize"] = MaxFrameSize,
            ["MaxFrameSizeEnabled"] = true,
        };
        AddText(properties, "Host", Host);
        AddText(properties, "ProviderName", ProviderName);
        AddText(properties, "ProviderVersion", ProviderVersion);
        AddText(properties, "PlatformDetails", PlatformDetails);
        return new WireFormatInfo
        {
            Version = Version,
            MarshalledProperties = PrimitiveMarshaller.WriteMap(properties),
        };
    }

    /// <summary>A peer's offer. What is missing is false or 0; unknown entries are ignored.</summary>
    /// <exception cref="ProtocolException">The magic or a value's type is wrong, or the map is larger than any honest one.</exception>
    public static WireFormat FromInfo(WireFormatInfo info)
    {
        if (!info.Magic.AsSpan().SequenceEqual(WireFormatInfo.ExpectedMagic))
        {
            throw new ProtocolException("the peer does not speak OpenWire: its first frame lacks the magic ActiveMQ");
        }

        var properties = PrimitiveMarshaller.ReadMap(info.MarshalledProperties);
        if (properties.Count > PropertyCountMax)
        {
            throw new ProtocolException($"WireFormatInfo has {properties.Count} properties; at most {PropertyCountMax} are accepted");
        }

        return new WireFormat
        {
            Version = info.Version,
            StackTraceEnabled = Get<bool>(properties, "StackTraceEnabled"),
            TcpNoDelayEnabled = Get<bool>(properties, "TcpNoDelayEnabled"),
            CacheEnabled = Get<bool>(properties, "CacheEnabled"),
            CacheSize = Get<int>(properties, "CacheSize"),
            TightEncodingEnabled = Get<bool>(properties, "TightEncodingEnabled"),
            SizePrefixDisabled = Get<bool>(properties, "SizePrefixDisabled"),
            MaxInactivityDuration = Get<long>(properties, "MaxInactivityDuration"),

            // Java misspells the key; the .NET client does not. A peer has one of them.
            MaxInactivityDurationInitialDelay = Math.Max(
                Get<long>(properties, "MaxInactivityDurationInitalDelay"),
                Get<long>(properties, "MaxInactivityDurationInitialDelay")),
            MaxFrameSize = Get<long>(properties, "MaxFrameSize"),
            Host = GetText(properties, "Host"),
            ProviderName = GetText(properties, "ProviderName"),
            ProviderVersion = GetText(properties, "ProviderVersion"),
            PlatformDetails = GetText(properties, "PlatformDetails"),
        };
    }

    /// <summary>What both sides use when this side made this offer and the other side that.</summary>
    /// <exception cref="ProtocolException">The peer's version is not a positive number.</exception>
    public WireFormat Negotiate(WireFormat remote)
    {
        if (remote.Version <= 0)
        {
            throw new ProtocolException($"the peer offers OpenWire version {remote.Version}");
        }

        var cache = CacheEnabled && remote.CacheEnabled;
        var cacheSize = Math.Min(CacheSize, remote.CacheSize);
        return new WireFormat
        {
            Version = Math.Min(Version, remote.Version),
            StackTraceEnabled = StackTraceEnabled && remote.StackTraceEnabled,
            TcpNoDelayEnabled = TcpNoDelayEnabled && remote.TcpNoDelayEnabled,
            CacheEnabled = cache,
            CacheSize = !cache ? 0 : cacheSize == 0 ? CacheSizeForZero : cacheSize,
            TightEncodingEnabled = TightEncodingEnabled && remote.TightEncodingEnabled,
            SizePrefixDisabled = SizePrefixDisabled && remote.SizePrefixDisabled,
            MaxInactivityDuration = Math.Max(0, Math.Min(MaxInactivityDuration, remote.MaxInactivityDuration)),
            MaxInactivityDurationInitialDelay =
                Math.Max(0, Math.Min(MaxInactivityDurationInitialDelay, remote.MaxInactivityDurationInitialDelay)),
            MaxFrameSize = SmallerPositive(MaxFrameSize, remote.MaxFrameSize),
            Host = remote.Host,
            ProviderName = remote.ProviderName,
            ProviderVersion = remote.ProviderVersion,
            PlatformDetails = remote.PlatformDetails,
        };
    }

    private static long SmallerPositive(long one, long other) =>
        one <= 0 ? Math.Max(other, 0) : other <= 0 ? one : Math.Min(one, other);

    private static T Get<T>(Dictionary<string, object?> properties, string key)
        where T : struct => properties.GetValueOrDefault(key) switch
        {
            null => default,
            T value => value,
            var value => throw new ProtocolException($"{key} of WireFormatInfo is a {value.GetType().Name}, not a {typeof(T).Name}"),
        };

    /// <summary>A text that only informs: another type is as good as none, an overlong one is cut.</summary>
    private static string? GetText(Dictionary<string, object?> properties, string key) =>
        properties.GetValueOrDefault(key) is string text ? text[..Math.Min(text.Length, PropertyTextMax)] : null;

    private static void AddText(Dictionary<string, object?> properties, string key, string? value)
    {
        if (value is not null)
        {
            properties[key] = value;
        }
    }
}
