using System.Globalization;
using Fabric.Registry.Profiles;

namespace Fabric.Registry;

/// <summary>
/// Writes what a new fabric's registry holds (fabric.md §1.2, §1.6). What exists is left as it is, so it may be repeated, also after a
/// crash in its middle.
/// </summary>
public sealed record FabricCreation
{
    /// <summary>The first version.</summary>
    public const string FirstVersion = "1.0";

    private const string EnsembleId = "0000";
    private const string ServerPid = "org.fusesource.fabric.zookeeper.server";

    /// <summary>The container that creates the fabric. Default <c>root</c>.</summary>
    public string Root { get; init; } = "root";

    /// <summary>Where the registry is when it is not in the root: a connect string. Null for the root's own.</summary>
    public string? ExternalRegistry { get; init; }

    /// <summary>Client port of the root's own registry.</summary>
    public int RegistryPort { get; init; } = 2181;

    /// <summary>The registry's password; the one the connection was made with.</summary>
    public required string Password { get; init; }

    /// <summary>Users to begin with; null leaves the list to others.</summary>
    public UserList? Users { get; init; }

    /// <summary>Writes it.</summary>
    public async Task CreateAsync(FabricRegistry registry, CancellationToken cancellationToken = default)
    {
        async Task PutAsync(string path, string text) => await registry.TryCreateAsync(path, text, cancellationToken);

        foreach (var path in new[] { ZnodePaths.Alive, ZnodePaths.ContainerConfigs, ZnodePaths.Wishes, ZnodePaths.Brokers })
        {
            await registry.EnsureAsync(path, cancellationToken);
        }

        await WriteEnsembleAsync(PutAsync);
        await WriteProfilesAsync(registry, cancellationToken);
        await PutAsync(ZnodePaths.ResolverPolicy, "localhostname");
        await PutAsync(ZnodePaths.AuthenticationDomain, "karaf");
        await PutAsync(ZnodePaths.EncryptionEnabled, "true");
        if (Users is not null)
        {
            await PutAsync(ZnodePaths.Users, Users.Format());
        }

        await PutAsync(ZnodePaths.StatsPlaceholder, """{"note":"a group without members"}""");
        await PutAsync(ZnodePaths.ContainerVersion(Root), FirstVersion);
        await PutAsync(
            ZnodePaths.ContainerProfiles(FirstVersion, Root),
            ExternalRegistry is null ? $"fabric fabric-ensemble-{EnsembleId}-1" : "fabric");

        // Last: a registry that has a default version has a fabric.
        await PutAsync(ZnodePaths.DefaultVersion, FirstVersion);
    }

    /// <summary>Whether the registry holds a fabric.</summary>
    public static async Task<bool> ExistsAsync(FabricRegistry registry, CancellationToken cancellationToken = default) =>
        await registry.ExistsAsync(ZnodePaths.DefaultVersion, cancellationToken) is not null;

    private async Task WriteEnsembleAsync(Func<string, string, Task> putAsync)
    {
        await putAsync(ZnodePaths.Ensemble, EnsembleId);
        await putAsync(ZnodePaths.EnsembleMembers(EnsembleId), ExternalRegistry is null ? Root : "");
        await putAsync(
            ZnodePaths.EnsembleUrl,
            ExternalRegistry ?? string.Create(CultureInfo.InvariantCulture, $"${{zk:{Root}/ip}}:{RegistryPort}"));
        await putAsync(ZnodePaths.EnsemblePassword, Password);
        if (ExternalRegistry is not null)
        {
            return;
        }

        var shared = $"fabric-ensemble-{EnsembleId}";
        await putAsync(ZnodePaths.Profile(FirstVersion, shared), new ProfileAttributes([], IsAbstract: true, IsHidden: true).Format());
        await putAsync(
            ZnodePaths.ProfileFile(FirstVersion, shared, $"{ServerPid}-{EnsembleId}.properties"),
            Text(("tickTime", "2000"), ("initLimit", "10"), ("syncLimit", "5"), ("dataDir", "registry")));
        await putAsync(ZnodePaths.Profile(FirstVersion, $"{shared}-1"), new ProfileAttributes([shared], IsHidden: true).Format());
        await putAsync(
            ZnodePaths.ProfileFile(FirstVersion, $"{shared}-1", $"{ServerPid}-{EnsembleId}.properties"),
            Text(("clientPort", RegistryPort.ToString(CultureInfo.InvariantCulture)), ("server.id", "1")));
    }

    private static async Task WriteProfilesAsync(FabricRegistry registry, CancellationToken cancellationToken)
    {
        async Task ProfileAsync(string profile, ProfileAttributes attributes, params (string File, string Text)[] files)
        {
            await registry.TryCreateAsync(ZnodePaths.Profile(FirstVersion, profile), attributes.Format(), cancellationToken);
            foreach (var (file, text) in files)
            {
                await registry.TryCreateAsync(ZnodePaths.ProfileFile(FirstVersion, profile, file), text, cancellationToken);
            }
        }

        var template = $"{BrokerProfile.TemplatePid}.properties";
        var config = $"zk:{ZnodePaths.ProfileFile(FirstVersion, "mq-base", "broker.xml")}";
        await ProfileAsync("default", ProfileAttributes.None, ("org.fusesource.fabric.zookeeper.properties", Text(
            ("zookeeper.url", $"${{zk:{ZnodePaths.EnsembleUrl}}}"), ("zookeeper.password", $"${{zk:{ZnodePaths.EnsemblePassword}}}"))));
        await ProfileAsync("karaf", new ProfileAttributes(["default"]));
        await ProfileAsync("fabric", new ProfileAttributes(["karaf"]));
        await ProfileAsync(
            "mq-base", new ProfileAttributes(["karaf"], IsAbstract: true),
            ("broker.xml", BrokerXml),
            (template, Text(("connectors", "openwire"), ("config", config), ("group", "default"), ("standby.pool", "default"))));
        await ProfileAsync(
            "mq-replicated", new ProfileAttributes(["mq-base"], IsAbstract: true),
            (template, Text(
                ("connectors", "openwire"), ("config", config), ("group", "default"), ("standby.pool", "default"),
                ("kind", BrokerProfile.Replicated), ("replicas", "3"))));
    }

    private static string Text(params (string Key, string Value)[] properties) =>
        new PropertiesFile(properties.Select(property => KeyValuePair.Create(property.Key, property.Value))).Format(null);

    /// <summary>What the <c>config</c> key of brokers names. The connectors it lists are those whose URLs are published.</summary>
    private const string BrokerXml = """
        <?xml version="1.0" encoding="UTF-8"?>
        <beans xmlns="http://www.springframework.org/schema/beans">
          <broker xmlns="http://activemq.apache.org/schema/core" brokerName="${broker-name}" dataDirectory="${data}">
            <transportConnectors>
              <transportConnector name="openwire" uri="tcp://0.0.0.0:0"/>
            </transportConnectors>
          </broker>
        </beans>

        """;
}
