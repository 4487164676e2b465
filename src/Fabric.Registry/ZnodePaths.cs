using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Fabric.Registry;

/// <summary>Every znode path of a fabric, once. <c>ZNODES.md</c> describes what they hold.</summary>
public static class ZnodePaths
{
    public const string Fabric = "/fabric";

    public const string Configs = "/fabric/configs";
    public const string DefaultVersion = "/fabric/configs/default-version";
    public const string ConfigContainers = "/fabric/configs/containers";
    public const string Versions = "/fabric/configs/versions";

    public const string Ensemble = "/fabric/configs/ensemble";
    public const string EnsembleUrl = "/fabric/configs/ensemble/url";
    public const string EnsemblePassword = "/fabric/configs/ensemble/password";
    public const string EnsembleProfiles = "/fabric/configs/ensemble/profiles";

    public const string Users = "/fabric/authentication/users";
    public const string AuthenticationDomain = "/fabric/authentication/domain";
    public const string EncryptionEnabled = "/fabric/authentication/encryption.enabled";

    public const string Registry = "/fabric/registry";
    public const string ResolverPolicy = "/fabric/registry/policies/resolver";
    public const string Clusters = "/fabric/registry/clusters";
    public const string Brokers = "/fabric/registry/brokers";
    public const string Alive = "/fabric/registry/containers/alive";
    public const string ContainerConfigs = "/fabric/registry/containers/config";
    public const string Wishes = "/fabric/registry/containers/wishes";

    /// <summary>Present so that <c>cluster-list</c> shows the row that the ancestors show; without members.</summary>
    public const string StatsPlaceholder = "/fabric/registry/clusters/stats/default/elasticsearch.json";

    /// <summary>Prefix of the name of a sequential znode; ZooKeeper appends ten digits.</summary>
    public const string SequencePrefix = "0";

    /// <summary>The version that a container runs.</summary>
    public static string ContainerVersion(string container) => $"{ConfigContainers}/{container}";

    public static string Version(string version) => $"{Versions}/{version}";

    /// <summary>The profiles that a container has in a version.</summary>
    public static string ContainerProfiles(string version, string container) => $"{Versions}/{version}/containers/{container}";

    public static string Profiles(string version) => $"{Versions}/{version}/profiles";

    /// <summary>A profile; those of an ensemble are the same in all versions.</summary>
    public static string Profile(string version, string profile) => profile.StartsWith("fabric-ensemble-", StringComparison.Ordinal)
        ? $"{EnsembleProfiles}/{profile}"
        : $"{Versions}/{version}/profiles/{profile}";

    /// <summary>A file of a profile, <c>PID.properties</c> for a pid.</summary>
    public static string ProfileFile(string version, string profile, string file) => $"{Profile(version, profile)}/{file}";

    /// <summary>The containers of an ensemble, by its number (four digits).</summary>
    public static string EnsembleMembers(string ensemble) => $"{Ensemble}/{ensemble}";

    /// <summary>Exists while the container lives.</summary>
    public static string ContainerAlive(string container) => $"{Alive}/{container}";

    public static string ContainerConfig(string container) => $"{ContainerConfigs}/{container}";

    /// <summary>One fact about a container: <c>ip</c>, <c>parent</c>, <c>resolver</c>…</summary>
    public static string ContainerFact(string container, string fact) => $"{ContainerConfigs}/{container}/{fact}";

    public static string ContainerWish(string container) => $"{Wishes}/{container}";

    public static string ContainerDomains(string container) => $"/fabric/registry/containers/domains/{container}";

    public static string ContainerProvision(string container) => $"/fabric/registry/containers/provision/{container}";

    public static string ContainerStatus(string container) => $"/fabric/registry/containers/status/{container}";

    public static string ProvisionResult(string container) => $"{ContainerProvision(container)}/result";

    public static string ProvisionException(string container) => $"{ContainerProvision(container)}/exception";

    public static string ProcessId(string container) => $"{ContainerStatus(container)}/pid";

    /// <summary>Where the brokers of a group are published in the 6.0 dialect.</summary>
    public static string FuseMqGroup(string group) => $"{Clusters}/fusemq/{group}";

    /// <summary>Where the brokers of a group are published in the 6.3 dialect.</summary>
    public static string AmqGroup(string group) => $"{Clusters}/amq/{group}";

    /// <summary>What a broker's replicas share.</summary>
    public static string Broker(string group, string broker) => $"{Brokers}/{group}/{broker}";

    public static string BrokerEpoch(string group, string broker) => $"{Brokers}/{group}/{broker}/epoch";

    public static string BrokerElection(string group, string broker) => $"{Brokers}/{group}/{broker}/election";

    public static string BrokerForming(string group, string broker) => $"{Brokers}/{group}/{broker}/forming";

    public static string BrokerReplicas(string group, string broker) => $"{Brokers}/{group}/{broker}/replicas";

    public static string BrokerChange(string group, string broker) => $"{Brokers}/{group}/{broker}/change";

    public static string BrokerSlaves(string group, string broker) => $"{Brokers}/{group}/{broker}/slaves";

    public static string BrokerHistory(string group, string broker) => $"{Brokers}/{group}/{broker}/history";

    /// <summary>
    /// Whether a name may stand for a container, profile, group or broker: it starts with a letter or digit, the rest are these
    /// and <c>. _ -</c>, 64 characters at most.
    /// </summary>
    public static bool IsValidName([NotNullWhen(true)] string? name) =>
        name is { Length: > 0 and <= 64 }
        && char.IsAsciiLetterOrDigit(name[0])
        && name.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-');

    /// <summary>Reads the sequence of a member's name: <c>0</c> and digits only. Other names are no members.</summary>
    public static bool TryParseSequence(string name, out long sequence)
    {
        sequence = 0;
        return name.Length > 1 && name[0] == '0'
            && long.TryParse(name.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out sequence);
    }

    /// <summary>The last component of a path.</summary>
    public static string NameOf(string path) => path[(path.LastIndexOf('/') + 1)..];

    /// <summary>The path of the parent; null for the root and its children.</summary>
    public static string? ParentOf(string path)
    {
        var slash = path.LastIndexOf('/');
        return slash <= 0 ? null : path[..slash];
    }
}
