using Fabric.Registry.Profiles;
using Fabric.Replication;
using Fabric.Store.Journal;

namespace Fabric.Server.Node;

/// <summary>What a profile says about one broker, as this container has to run it.</summary>
internal sealed record BrokerConfiguration
{
    /// <summary>Name of the configuration that makes a container run a broker, without the broker's own name.</summary>
    public const string PidPrefix = BrokerProfile.PidPrefix;

    /// <summary>The same in the registry of the ancestor's later versions.</summary>
    public const string LaterPidPrefix = "io.fabric8.mq.fabric.server-";

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

    /// <summary>Whether clients that come over loopback may connect without a user and a password.</summary>
    public bool AnonymousFromLoopback { get; init; }

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
        BrokerSettings settings;
        try
        {
            settings = BrokerSettings.Read(pid.StartsWith(PidPrefix, StringComparison.Ordinal) ? pid[PidPrefix.Length..] : pid[LaterPidPrefix.Length..], values);
        }
        catch (FormatException exception)
        {
            throw new NodeException(ExitCode.BadConfiguration, $"{pid}: {exception.Message}", "fabric mq-create BROKER --property KEY=VALUE", exception);
        }

        var journal = new JournalOptions
        {
            Directory = DirectoryFor(settings.Data ?? Path.Combine("data", settings.Broker), container, dataDirectory),
        };
        return new BrokerConfiguration
        {
            Broker = settings.Broker,
            Group = settings.Group,
            Journal = journal with
            {
                SegmentBytes = settings.SegmentBytes ?? journal.SegmentBytes,
                CheckpointBytes = settings.CheckpointBytes ?? journal.CheckpointBytes,
                RetainedBytesMax = settings.RetainedBytes ?? journal.RetainedBytesMax,
            },
            Replicas = settings.Replicas,
            Sync = settings.Sync.Aggregate(default(SyncPolicy), (policy, name) => policy | PolicyOf(name)),
            Weight = settings.Weight,
            OpenWirePort = settings.OpenWirePort,
            AnonymousFromLoopback = settings.AnonymousFromLoopback,
            UnknownConnectors = settings.UnknownConnectors,
        };
    }

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

    private static SyncPolicy PolicyOf(string name) => name switch
    {
        "local_mem" => SyncPolicy.LocalMem,
        "local_disk" => SyncPolicy.LocalDisk,
        "remote_mem" => SyncPolicy.RemoteMem,
        "remote_disk" => SyncPolicy.RemoteDisk,
        "quorum_mem" => SyncPolicy.QuorumMem,
        _ => SyncPolicy.QuorumDisk,
    };

    private static object Key(BrokerConfiguration configuration) => (
        configuration.Broker, configuration.Group, configuration.Journal, configuration.BatchBytesMax, configuration.UnsyncedBytesMax, configuration.Replicas,
        configuration.Sync, configuration.Weight, configuration.OpenWirePort, configuration.AnonymousFromLoopback, string.Join(' ', configuration.UnknownConnectors));
}
