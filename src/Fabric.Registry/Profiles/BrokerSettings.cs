using System.Globalization;

namespace Fabric.Registry.Profiles;

/// <summary>
/// The keys of a broker's profile that this version reads, as values (fabric.md §3.7). Who writes a profile and who runs it read it here, so that
/// nothing is accepted that no container can run.
/// </summary>
public sealed record BrokerSettings
{
    /// <summary>The most replicas that a broker can have.</summary>
    public const int ReplicasMax = 9;

    /// <summary>The connector that this version has.</summary>
    public const string OpenWire = "openwire";

    /// <summary>The key that says who may connect without a user and a password: <c>none</c>, the default, or <see cref="Loopback"/>.</summary>
    public const string AnonymousAccess = "anonymous-access";

    /// <summary>Clients that come over loopback.</summary>
    public const string Loopback = "loopback";

    private static readonly string[] SyncNames = ["local_mem", "local_disk", "remote_mem", "remote_disk", "quorum_mem", "quorum_disk"];

    /// <summary>The logical broker: all its replicas have the same name.</summary>
    public required string Broker { get; init; }

    /// <summary>The group that clients discover it in.</summary>
    public required string Group { get; init; }

    /// <summary>How many replicas the broker has, 1 to <see cref="ReplicasMax"/>; 1 when it stands alone.</summary>
    public required int Replicas { get; init; }

    /// <summary>Directory of the journal, as it stands in the profile; null for the default.</summary>
    public required string? Data { get; init; }

    /// <summary>Names of what has to be done before a record is committed, at least one: <c>local_</c>, <c>remote_</c>, <c>quorum_</c> with <c>mem</c> or <c>disk</c>.</summary>
    public required IReadOnlyList<string> Sync { get; init; }

    /// <summary>Tie-break between equal replicas, higher wins.</summary>
    public required int Weight { get; init; }

    /// <summary>OpenWire port while master; null when the profile leaves it to the container.</summary>
    public required int? OpenWirePort { get; init; }

    /// <summary>Bytes of a segment of the journal; null for the default.</summary>
    public required long? SegmentBytes { get; init; }

    /// <summary>Bytes after which a checkpoint is taken; null for the default.</summary>
    public required long? CheckpointBytes { get; init; }

    /// <summary>Bytes of dead messages that are kept for replicas that are away; null for the default.</summary>
    public required long? RetainedBytes { get; init; }

    /// <summary>Whether clients that come over loopback may connect without a user and a password.</summary>
    public required bool AnonymousFromLoopback { get; init; }

    /// <summary>Connectors that the profile names and this version does not have; worth a warning.</summary>
    public required IReadOnlyList<string> UnknownConnectors { get; init; }

    /// <summary>Reads the settings.</summary>
    /// <param name="broker">The broker's name unless <c>broker-name</c> says otherwise.</param>
    /// <param name="values">The profile's keys and values. A blank value counts as none; keys that are not known are skipped.</param>
    /// <exception cref="FormatException">A value cannot be used; the message names the key, the value and what it may be.</exception>
    public static BrokerSettings Read(string broker, IReadOnlyDictionary<string, string> values)
    {
        var name = Value("broker-name") ?? broker;
        var group = Value("group") ?? "default";
        if (!ZnodePaths.IsValidName(name) || !ZnodePaths.IsValidName(group))
        {
            throw new FormatException($"broker-name={name} and group={group} must be made of letters, digits, dots, dashes and underscores");
        }

        var kind = Value("kind") ?? "MasterSlave";
        var replicas = Number("replicas", 1, ReplicasMax) ?? 3;
        return new BrokerSettings
        {
            Broker = name,
            Group = group,
            Data = Value("data"),
            Replicas = kind switch
            {
                BrokerProfile.Replicated => replicas,
                BrokerProfile.StandAlone => 1,
                _ => throw new FormatException($"kind={kind} is not supported; use Replicated (its replicas need no shared directory) or StandAlone"),
            },
            Sync = ReadSync(Value("sync") ?? "quorum_disk"),
            Weight = Number("weight", 0, 1_000_000) ?? 1,
            OpenWirePort = Number("openwire-port", 0, ushort.MaxValue),
            SegmentBytes = Size("segment-bytes", 64 * 1024, 1L << 30),
            CheckpointBytes = Size("checkpoint-bytes", 64 * 1024, 1L << 36),
            RetainedBytes = Size("retained-bytes", 0, 1L << 50),
            AnonymousFromLoopback = (Value(AnonymousAccess) ?? "none") switch
            {
                "none" => false,
                Loopback => true,
                var access => throw new FormatException($"{AnonymousAccess}={access} is neither none nor {Loopback}"),
            },
            UnknownConnectors = [.. (Value("connectors") ?? OpenWire)
                .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Where(connector => connector != OpenWire)],
        };

        string? Value(string key) => values.TryGetValue(key, out var value) && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;

        int? Number(string key, int least, int most) => Value(key) is not { } text ? null
            : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number
            : throw new FormatException($"{key}={text} is not a number from {least} to {most}");

        long? Size(string key, long least, long most) => Value(key) is not { } text ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size >= least && size <= most ? size
            : throw new FormatException($"{key}={text} is not a number of bytes from {least} to {most}");
    }

    private static string[] ReadSync(string text)
    {
        var names = text.Split([' ', ',', '+'], StringSplitOptions.RemoveEmptyEntries);
        var wrong = names.FirstOrDefault(name => !SyncNames.Contains(name, StringComparer.Ordinal));
        return wrong is null && names.Length > 0 ? names
            : throw new FormatException($"sync={text}: {wrong ?? text} is not one of {string.Join(", ", SyncNames)}");
    }
}
