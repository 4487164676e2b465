using System.Globalization;

namespace Fabric.Registry.Profiles;

/// <summary>What <c>mq-create</c> asks for (fabric.md §3.7); <see cref="BrokerSettings"/> is what a container reads of it. Null leaves a key as the profile or its template has it.</summary>
public sealed record BrokerProfile
{
    /// <summary>A pid of this name, with the broker's behind it, makes a container run the broker.</summary>
    public const string PidPrefix = "org.fusesource.mq.fabric.server-";

    /// <summary>The pid that new brokers are copied from.</summary>
    public const string TemplatePid = "org.fusesource.mq.fabric.template";

    /// <summary>The kind whose replicas hold copies of one journal.</summary>
    public const string Replicated = "Replicated";

    /// <summary>The kind with one copy.</summary>
    public const string StandAlone = "StandAlone";

    /// <summary>The broker's name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// The profile that is written; null for one of the broker's name, or <c>mq-broker-GROUP.NAME</c> when that name belongs to a profile
    /// that is no broker's (a broker may be called <c>default</c>).
    /// </summary>
    public string? Profile { get; init; }

    /// <summary>Its parent; null for <c>mq-replicated</c> or <c>mq-base</c>, by kind.</summary>
    public string? ParentProfile { get; init; }

    /// <summary>The version it is written in.</summary>
    public required string Version { get; init; }

    public string? Group { get; init; }

    /// <summary><c>Replicated</c> or <c>StandAlone</c>.</summary>
    public string? Kind { get; init; }

    /// <summary>How many replicas, 1 to <see cref="BrokerSettings.ReplicasMax"/>.</summary>
    public int? Replicas { get; init; }

    /// <summary>Directory of the journal; null for one of the broker's name in each container's own.</summary>
    public string? Data { get; init; }

    /// <summary>A file of the parent profile.</summary>
    public string? Config { get; init; }

    /// <summary>Groups to which the broker builds network connections.</summary>
    public IReadOnlyList<string> Networks { get; init; } = [];

    public string? NetworksUserName { get; init; }

    public string? NetworksPassword { get; init; }

    public int? MinimumInstances { get; init; }

    /// <summary>Ports by connector name.</summary>
    public IReadOnlyDictionary<string, int> Ports { get; init; } = new Dictionary<string, int>();

    /// <summary>Any other keys; they win.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether the profile exists, so that <see cref="WriteAsync"/> would change it.</summary>
    public async Task<bool> ExistsAsync(FabricRegistry registry, CancellationToken cancellationToken = default)
    {
        var (profiles, pid) = (new ProfileStore(registry), PidPrefix + Name);
        var profile = Profile ?? await DefaultProfileAsync(profiles, pid, cancellationToken);
        return await profiles.TryReadPidAsync(Version, profile, pid, cancellationToken) is not null;
    }

    /// <summary>Creates the profile, or changes the keys named here in one that exists.</summary>
    /// <returns>The profile's name.</returns>
    /// <exception cref="RegistryContentException">The version or the parent profile does not exist.</exception>
    /// <exception cref="FormatException">No container could run what the profile would say; nothing has been written.</exception>
    public async Task<string> WriteAsync(FabricRegistry registry, CancellationToken cancellationToken = default)
    {
        var profiles = new ProfileStore(registry);
        if (!await profiles.VersionExistsAsync(Version, cancellationToken))
        {
            throw new RegistryContentException($"version {Version} does not exist");
        }

        var pid = PidPrefix + Name;
        var profile = Profile ?? await DefaultProfileAsync(profiles, pid, cancellationToken);
        var parent = ParentProfile ?? (Kind == Replicated ? "mq-replicated" : "mq-base");
        if (await profiles.TryReadAsync(Version, parent, cancellationToken) is null)
        {
            throw new RegistryContentException($"profile {parent} does not exist in version {Version}");
        }

        var properties = await profiles.TryReadPidAsync(Version, profile, pid, cancellationToken)
            ?? await TemplateAsync(profiles, parent, cancellationToken);
        Fill(properties);
        BrokerSettings.Read(Name, new Dictionary<string, string>(properties.Properties));
        await profiles.TryCreateAsync(Version, profile, new ProfileAttributes([parent]), cancellationToken);
        await profiles.WritePidAsync(Version, profile, pid, properties, cancellationToken);
        return profile;
    }

    private async Task<string> DefaultProfileAsync(ProfileStore profiles, string pid, CancellationToken cancellationToken) =>
        await profiles.ExistsAsync(Version, Name, cancellationToken)
        && await profiles.TryReadPidAsync(Version, Name, pid, cancellationToken) is null
            ? $"mq-broker-{Group ?? "default"}.{Name}"
            : Name;

    private async Task<PropertiesFile> TemplateAsync(ProfileStore profiles, string parent, CancellationToken cancellationToken)
    {
        // A parent of one's own need not bring a template: the first one up the line counts.
        for (var (ancestor, depth) = (parent, 0); depth < 16; depth++)
        {
            if (await profiles.TryReadPidAsync(Version, ancestor, TemplatePid, cancellationToken) is { } template)
            {
                return template;
            }

            if (await profiles.TryReadAsync(Version, ancestor, cancellationToken) is not { Parents: [var next, ..] })
            {
                break;
            }

            ancestor = next;
        }

        return new PropertiesFile();
    }

    private void Fill(PropertiesFile properties)
    {
        properties["broker-name"] = Name;
        properties["data"] = Data ?? properties["data"] ?? $"${{runtime.data}}{Name}";
        Set("group", Group);
        Set("kind", Kind);
        Set("replicas", Replicas?.ToString(CultureInfo.InvariantCulture));
        Set("minimumInstances", MinimumInstances?.ToString(CultureInfo.InvariantCulture));
        Set("network", Networks.Count > 0 ? string.Join(',', Networks) : null);
        Set("network.userName", NetworksUserName);
        Set("network.password", NetworksPassword);
        Set("config", Config is null ? null : $"zk:{ZnodePaths.ProfileFile(Version, ParentProfile ?? "mq-base", Config)}");
        foreach (var (connector, port) in Ports)
        {
            properties[$"{connector}-port"] = port.ToString(CultureInfo.InvariantCulture);
        }

        foreach (var (key, value) in Properties)
        {
            properties[key] = value;
        }

        void Set(string key, string? value) => properties[key] = value ?? properties[key];
    }
}
