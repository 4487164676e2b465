using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Fabric.Server.Admin;

/// <summary>What a node is doing: the body of <c>GET /api/v1/status</c>. Fields are only ever added.</summary>
internal sealed record NodeStatus
{
    public int SchemaVersion { get; } = 1;

    public required string Container { get; init; }

    public required bool Root { get; init; }

    public required string Version { get; init; }

    public required int ProcessId { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public required double UptimeSeconds { get; init; }

    /// <summary>Whether it is on its way down.</summary>
    public required bool Stopping { get; init; }

    public required RegistryStatus Registry { get; init; }

    public required IReadOnlyList<BrokerStatus> Brokers { get; init; }

    /// <summary>The containers that a root looks after; empty for others.</summary>
    public required IReadOnlyList<ContainerStatus> Containers { get; init; }
}

/// <summary>The node's connection to the registry.</summary>
/// <param name="Hosts">Where it looks for it.</param>
/// <param name="Connected">Whether it has it.</param>
/// <param name="Hosted">Whether this node hosts it.</param>
internal sealed record RegistryStatus(string Hosts, bool Connected, bool Hosted);

/// <summary>One broker's replica on this node.</summary>
internal sealed record BrokerStatus
{
    public required string Broker { get; init; }

    public required string Group { get; init; }

    /// <summary><c>master</c>, <c>slave</c>, <c>electing</c>, …, <c>copying</c>, <c>repairing</c> while its journal is damaged, or <c>starting</c> before the replica runs and <c>failed</c> after it ended.</summary>
    public required string Role { get; init; }

    public required long Epoch { get; init; }

    /// <summary>The container that leads, if known.</summary>
    public required string? Master { get; init; }

    /// <summary>Whether its connectors are open.</summary>
    public required bool Serving { get; init; }

    /// <summary>Where clients connect; empty unless it serves.</summary>
    public required IReadOnlyList<string> Services { get; init; }

    /// <summary>End of the journal, in bytes.</summary>
    public required long EndPosition { get; init; }

    /// <summary>End of what is committed, as known here, in bytes.</summary>
    public required long CommittedPosition { get; init; }

    /// <summary>The slaves, if it is master.</summary>
    public required IReadOnlyList<SlaveStatus> Slaves { get; init; }

    /// <summary>Why it is out of order; null when it is not.</summary>
    public required string? Failure { get; init; }

    /// <summary>Client connections.</summary>
    public required int Connections { get; init; }

    public required IReadOnlyList<DestinationStatus> Destinations { get; init; }
}

/// <summary>How far a slave is, seen by its master.</summary>
/// <param name="Container">Where it runs.</param>
/// <param name="Attached">Whether its stream is up.</param>
/// <param name="LagBytes">What it has not yet synced; null when it is not attached.</param>
internal sealed record SlaveStatus(string Container, bool Attached, long? LagBytes);

/// <summary>Counts of one destination.</summary>
/// <param name="Name">Its name with its kind: <c>queue://A</c>.</param>
/// <param name="Pending">Messages waiting or in flight.</param>
/// <param name="InFlight">Of these, dispatched and not acknowledged.</param>
/// <param name="Consumers">Consumers at present.</param>
/// <param name="Enqueued">Messages taken in since this mastership began.</param>
/// <param name="Dequeued">Messages acknowledged since this mastership began.</param>
internal sealed record DestinationStatus(string Name, long Pending, long InFlight, int Consumers, long Enqueued, long Dequeued);

/// <summary>A container that a root looks after.</summary>
/// <param name="Container">Its name.</param>
/// <param name="Activity">stopped, running, stopping, pausing or held.</param>
/// <param name="ProcessId">While it has a process.</param>
/// <param name="Restarts">How often it was started again after an unasked end.</param>
/// <param name="LastExit">How its last process ended.</param>
internal sealed record ContainerStatus(string Container, string Activity, int? ProcessId, int Restarts, string? LastExit);

/// <summary>The outcome of one health check.</summary>
/// <param name="Check">What was looked at.</param>
/// <param name="Ok">Whether it is as it should be.</param>
/// <param name="Detail">Why it is not, or what was seen.</param>
internal sealed record HealthCheck(string Check, bool Ok, string Detail);

/// <summary>The body of every <c>/health</c> answer.</summary>
internal sealed record HealthReport(bool Ok, IReadOnlyList<HealthCheck> Checks);

/// <summary>RFC 9457 problem details.</summary>
internal sealed record Problem(string Type, string Title, int Status);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(HealthReport))]
[JsonSerializable(typeof(Problem))]
internal sealed partial class AdminJson : JsonSerializerContext;

/// <summary>How the bodies are written: for people too, so indented, and without escapes that only HTML would need.</summary>
/// <remarks>Apart from the context, whose generated half must have been initialized before its options can be copied.</remarks>
internal static class AdminFormat
{
    public static AdminJson Readable { get; } = new(new JsonSerializerOptions(AdminJson.Default.Options)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
