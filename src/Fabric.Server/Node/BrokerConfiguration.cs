using System.Globalization;
using Fabric.Replication;
using Fabric.Store.Journal;

namespace Fabric.Server.Node;

/// <summary>What a profile says about one broker, as this container has to run it.</summary>
internal sealed record BrokerConfiguration
{
    /// <summary>Name of the configuration that makes a container run a broker, without the broker's own name.</summary>
    public const string PidPrefix = "org.fusesource.mq.fabric.server-";

    /// <summary>The same in the registry of the ancestor's later versions.</summary>
    public const string LaterPidPrefix = "io.fabric8.mq.fabric.server-";

    private const string OpenWire = "openwire";

    /// <summary>Whether a configuration of this name makes a container run a broker.</summary>
    public static bool IsBroker(string pid) =>
        pid.StartsWith(PidPrefix, StringComparison.Ordinal) || pid.StartsWith(LaterPidPrefix, StringComparison.Ordinal);

    /// <summary>The logical broker: all its replicas have the same name.</summary>
    public required string Broker { get; init; }

    /// <summary>The group that clients discover it in.</summary>
    public required string Group { get; init; }

    /// <summary>Of this replica's journal; no other replica of the machine has its directory.</summary>
    public required JournalOptions Journal { get; init; }

    /// <summary>Largest batch that is sent to a slave, in bytes.</summary>
    public int BatchBytesMax { get; init; } = ReplicaOptions.DefaultBatchBytesMax;

    /// <summary>Received bytes that may wait for a slave's disk before it takes no more.</summary>
    public long UnsyncedBytesMax { get; init; } = ReplicaOptions.DefaultUnsyncedBytesMax;

    /// <summary>How many replicas the broker has, 1 to <see cref="ReplicaSet.MembersMax"/>.</summary>
    public required int Replicas { get; init; }

    /// <summary>What makes a record committed.</summary>
    public required SyncPolicy Sync { get; init; }

    /// <summary>Tie-break between equal replicas, higher wins.</summary>
    public required int Weight { get; init; }

    /// <summary>OpenWire port while master; null when the profile leaves it to the container.</summary>
    public required int? OpenWirePort { get; init; }

    /// <summary>Connectors that the profile names and this version does not have; worth a warning.</summary>
    public required IReadOnlyList<string> UnknownConnectors { get; init; }

    public bool Equals(BrokerConfiguration? other) => other is not null && Key(this).Equals(Key(other));

    public override int GetHashCode() => Key(this).GetHashCode();

    /// <summary>Reads the configuration.</summary>
    /// <param name="pid">Its name, which ends in the broker's name unless <c>broker-name</c> says otherwise.</param>
    /// <param name="values">Its keys and values.</param>
    /// <param name="container">Who reads it.</param>
    /// <param name="dataDirectory">The container's directory.</param>
    /// <exception cref="NodeException">A value cannot be used (exit code 78).</exception>
    public static BrokerConfiguration Read(
        string pid, IReadOnlyDictionary<string, string> values, string container, string dataDirectory)
    {
        var instance = pid.StartsWith(PidPrefix, StringComparison.Ordinal) ? pid[PidPrefix.Length..] : pid[LaterPidPrefix.Length..];
        string Value(string key, string otherwise) =>
            values.TryGetValue(key, out var value) && !string.IsNullOrWhiteSpace(value) ? value.Trim() : otherwise;
        int Number(string key, int otherwise, int least, int most)
        {
            var text = Value(key, otherwise.ToString(CultureInfo.InvariantCulture));
            return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                && number >= least && number <= most
                    ? number
                    : throw Wrong(pid, $"{key}={text} is not a number from {least} to {most}");
        }

        long Size(string key, long otherwise, long least, long most)
        {
            var text = Value(key, otherwise.ToString(CultureInfo.InvariantCulture));
            return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size >= least && size <= most
                ? size
                : throw Wrong(pid, $"{key}={text} is not a number of bytes from {least} to {most}");
        }

        var broker = Value("broker-name", instance);
        var group = Value("group", "default");
        if (!CommandLine.IsContainerName(broker) || !CommandLine.IsContainerName(group))
        {
            throw Wrong(pid, $"broker-name={broker} and group={group} must be made of letters, digits, dots, dashes and underscores");
        }

        var connectors = Value("connectors", OpenWire).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return new BrokerConfiguration
        {
            Broker = broker,
            Group = group,
            Journal = ReadJournal(DirectoryFor(Value("data", Path.Combine("data", broker)), container, dataDirectory), Size),
            Replicas = ReplicasFor(pid, Value("kind", "MasterSlave"), Number("replicas", 3, 1, ReplicaSet.MembersMax)),
            Sync = ReadSync(pid, Value("sync", "quorum_disk")),
            Weight = Number("weight", 1, 0, 1_000_000),
            OpenWirePort = values.ContainsKey("openwire-port") ? Number("openwire-port", 0, 0, ushort.MaxValue) : null,
            UnknownConnectors = [.. connectors.Where(connector => connector != OpenWire)],
        };
    }

    private static JournalOptions ReadJournal(string directory, Func<string, long, long, long, long> size)
    {
        var defaults = new JournalOptions { Directory = directory };
        return defaults with
        {
            SegmentBytes = size("segment-bytes", defaults.SegmentBytes, 64 * 1024, 1L << 30),
            CheckpointBytes = size("checkpoint-bytes", defaults.CheckpointBytes, 64 * 1024, 1L << 36),
            RetainedBytesMax = size("retained-bytes", defaults.RetainedBytesMax, 0, 1L << 50),
        };
    }

    private static int ReplicasFor(string pid, string kind, int replicas) => kind switch
    {
        "Replicated" => replicas,
        "StandAlone" => 1,
        _ => throw Wrong(pid, $"kind={kind} is not supported; use Replicated (its replicas need no shared directory) or StandAlone"),
    };

    /// <summary>
    /// Replicas never share a directory: an absolute path, which all containers read alike, gets one directory per container below
    /// it; a relative path is below the container's own directory anyway.
    /// </summary>
    private static string DirectoryFor(string data, string container, string dataDirectory)
    {
        const string RuntimeData = "${runtime.data}";
        if (data.StartsWith(RuntimeData, StringComparison.Ordinal))
        {
            data = Path.Combine("data", data[RuntimeData.Length..].TrimStart('/'));
        }

        return Path.IsPathRooted(data) ? Path.Combine(data, container) : Path.GetFullPath(data, dataDirectory);
    }

    private static SyncPolicy ReadSync(string pid, string text)
    {
        var policy = default(SyncPolicy);
        foreach (var name in text.Split([' ', ',', '+'], StringSplitOptions.RemoveEmptyEntries))
        {
            policy |= name switch
            {
                "local_mem" => SyncPolicy.LocalMem,
                "local_disk" => SyncPolicy.LocalDisk,
                "remote_mem" => SyncPolicy.RemoteMem,
                "remote_disk" => SyncPolicy.RemoteDisk,
                "quorum_mem" => SyncPolicy.QuorumMem,
                "quorum_disk" => SyncPolicy.QuorumDisk,
                _ => throw Wrong(pid, $"sync={text}: {name} is not one of local_mem, local_disk, remote_mem, remote_disk, quorum_mem, quorum_disk"),
            };
        }

        return policy;
    }

    private static NodeException Wrong(string pid, string what) => new(ExitCode.BadConfiguration, $"{pid}: {what}", "fabric profile-display");

    private static object Key(BrokerConfiguration configuration) => (
        configuration.Broker, configuration.Group, configuration.Journal, configuration.BatchBytesMax, configuration.UnsyncedBytesMax, configuration.Replicas,
        configuration.Sync, configuration.Weight, configuration.OpenWirePort, string.Join(' ', configuration.UnknownConnectors));
}
