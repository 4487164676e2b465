using System.Net.Security;

namespace Fabric.Registry;

/// <summary>How to reach a fabric's registry.</summary>
public sealed record RegistryOptions
{
    /// <summary>The password that the ancestors' clients assume.</summary>
    public const string DefaultPassword = "admin";

    /// <summary>Where the ancestors' clients look.</summary>
    public const string DefaultConnectString = "localhost:2181";

    /// <summary>The user name of the digest.</summary>
    internal const string User = "fabric";

    /// <summary>Hosts, <c>host:port[,host:port…][/chroot]</c>.</summary>
    /// <exception cref="FormatException">They are not of that form. Said here, because a connection would try them for ever.</exception>
    public string ConnectString
    {
        get;
        init
        {
            ZooKeeper.Client.ConnectString.Parse(value);
            field = value;
        }
    } = DefaultConnectString;

    /// <summary>The ensemble's password. Never logged, never part of an error.</summary>
    public string Password { get; init; } = DefaultPassword;

    /// <summary>How long the registry keeps our ephemeral znodes after it last heard of us. Default 10 s; the server may bound it.</summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long <see cref="FabricRegistry.ConnectAsync"/> tries; <see cref="Timeout.InfiniteTimeSpan"/> for ever. Default 15 s.
    /// </summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>TLS towards the registry; null for none.</summary>
    public SslClientAuthenticationOptions? Tls { get; init; }

    /// <summary>Leaves the password out.</summary>
    public override string ToString() => $"registry {ConnectString}";
}
