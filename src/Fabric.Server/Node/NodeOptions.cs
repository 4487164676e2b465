using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>What a node is told when it starts; everything else it learns from the registry.</summary>
internal sealed record NodeOptions
{
    /// <summary>First port of each kind; <see cref="PortOffset"/> is added.</summary>
    public const int RegistryPortBase = 2181;

    /// <inheritdoc cref="RegistryPortBase"/>
    public const int OpenWirePortBase = 61616;

    /// <summary>The first container's management port; a root's is one below.</summary>
    public const int AdminPortBase = 8161;

    /// <summary>Most that <see cref="PortOffset"/> may be: 61616 and a few more must stay below 65536.</summary>
    public const int PortOffsetMax = 3800;

    /// <summary>The container's name: letters, digits, <c>.</c>, <c>-</c> and <c>_</c>, at most 64.</summary>
    public required string Name { get; init; }

    /// <summary>Absolute path.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Whether this node hosts the registry and the machine's containers.</summary>
    public bool IsRoot { get; init; }

    /// <summary>The root that started it and looks after it; null for a container that somebody else runs.</summary>
    public string? Parent { get; init; }

    /// <summary>Hosts of the registry, <c>host:port,…</c>; null for a root that hosts it itself.</summary>
    public string? ZooKeeper { get; init; }

    /// <summary>Added to every well-known port, 0 to <see cref="PortOffsetMax"/>. Default 0.</summary>
    public int PortOffset { get; init; }

    /// <summary>Address that everything listens on. Default 127.0.0.1: reachable from outside only when asked for.</summary>
    public string BindHost { get; init; } = "127.0.0.1";

    /// <summary>Host name or address that others are told; null for <see cref="BindHost"/>, or this machine's name when that is no single address.</summary>
    public string? AdvertisedHost { get; init; }

    /// <summary>Management port, 0 to 65535, 0 for any; null for the base port with the offset.</summary>
    public int? AdminPort { get; init; }

    /// <summary>OpenWire port of the container's first broker, 0 to 65535, 0 for any; null for the base port with the offset.</summary>
    public int? OpenWirePort { get; init; }

    /// <summary>Whether to leave the terminal and write to <c>log/fabricd.out</c>.</summary>
    public bool Detached { get; init; }

    /// <summary>Whether to end with <see cref="ExitCode.RegistryUnreachable"/> instead of waiting for the registry.</summary>
    public bool FailFast { get; init; }

    /// <summary>Least severity that is logged. Default Information.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Information;

    public bool HostsRegistry => IsRoot && ZooKeeper is null;

    /// <summary>The port of the embedded registry.</summary>
    public int RegistryPort => RegistryPortBase + PortOffset;

    /// <summary>The port that is bound for management.</summary>
    public int EffectiveAdminPort => AdminPort ?? AdminPortBase + PortOffset - (IsRoot ? 1 : 0);

    /// <summary>The port that the first broker's OpenWire connector is bound to, unless its profile names one.</summary>
    public int EffectiveOpenWirePort => OpenWirePort ?? OpenWirePortBase + PortOffset;

    /// <summary>What clients and other containers connect to.</summary>
    public string EffectiveAdvertisedHost => AdvertisedHost ?? (ListensEverywhere ? Environment.MachineName : BindHost);

    /// <summary>Whether it listens on all addresses of the machine.</summary>
    public bool ListensEverywhere => BindHost is "0.0.0.0" or "*" or "::" or "[::]";

    public string LogDirectory => Path.Combine(DataDirectory, "log");

    public string RegistryDirectory => Path.Combine(DataDirectory, "registry");

    public string ContainersDirectory => Path.Combine(DataDirectory, "containers");

    public string PasswordFile => PasswordFileOf(DataDirectory);

    /// <summary>Where a detached process writes what it prints.</summary>
    public string OutputFile => Path.Combine(LogDirectory, "fabricd.out");

    public static string PasswordFileOf(string dataDirectory) => Path.Combine(dataDirectory, "registry.password");
}
