using System.Text.Json;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Client;

/// <summary>What a client needs beside its URL. What is set here wins over the same option in the URL. Immutable.</summary>
public sealed record FabricClientOptions
{
    /// <summary>Default of <see cref="MaxInFlight"/>.</summary>
    public const int DefaultMaxInFlight = 1000;

    /// <summary>Who connects; null for the URL's <c>jms.userName</c>, else nobody.</summary>
    public string? UserName { get; init; }

    /// <summary>The user's password; never logged and never part of an error.</summary>
    public string? Password { get; init; }

    /// <summary>
    /// Names the client to brokers; needed for durable subscriptions, and only one connection may have it at a time. Null for an
    /// id that is made up.
    /// </summary>
    public string? ClientId { get; init; }

    /// <summary>
    /// ZooKeeper hosts for <c>discovery:fabric:</c> URLs, as <c>h1:2181,h2:2181</c>. Null for the URL's <c>zookeeper</c> option, else
    /// the environment variable <c>FABRIC_ZOOKEEPER</c>, else <c>localhost:2181</c>.
    /// </summary>
    public string? ZooKeeper { get; init; }

    /// <summary>Password of the registry in ZooKeeper, for <c>discovery:fabric:</c> URLs; null when reading needs none.</summary>
    public string? ZooKeeperPassword { get; init; }

    /// <summary>Sends that may await their confirmation at a time; more wait their turn. 1 to 1,000,000; default 1000.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public int MaxInFlight
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 1_000_000);
            field = value;
        }
    }

    = DefaultMaxInFlight;

    /// <summary>How long <see cref="IFabricClient.RequestAsync"/> waits for an answer; default 30 s.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public TimeSpan RequestTimeout
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            field = value;
        }
    }

    = TimeSpan.FromSeconds(30);

    /// <summary>For bodies that are sent and read as JSON; null for the web defaults (camel case).</summary>
    public JsonSerializerOptions? Json { get; init; }

    /// <summary>Where the client logs; null for nowhere. Event ids: 1000s connection, 2000s producers, 3000s consumers, 4000s discovery.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>Clock, network and randomness; another one than the machine's is for tests and simulations.</summary>
    public FabricRuntime Runtime { get; init; } = FabricRuntime.System;

    /// <summary>Shows no password.</summary>
    public override string ToString() => $"FabricClientOptions {{ UserName = {UserName}, ClientId = {ClientId}, MaxInFlight = {MaxInFlight} }}";
}
