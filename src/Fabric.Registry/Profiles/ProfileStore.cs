using System.Text;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Registry.Profiles;

/// <summary>Attributes of a profile: the text of its znode.</summary>
/// <param name="Parents">Profiles it builds on, the strongest last.</param>
/// <param name="IsAbstract">Whether it may only be a parent.</param>
/// <param name="IsHidden">Whether lists leave it out.</param>
public sealed record ProfileAttributes(IReadOnlyList<string> Parents, bool IsAbstract = false, bool IsHidden = false)
{
    public static ProfileAttributes None { get; } = new([]);

    /// <summary>Reads the znode's text: properties, or in old fabrics a bare list of parents.</summary>
    public static ProfileAttributes Parse(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return None;
        }

        if (!text.Contains('=', StringComparison.Ordinal))
        {
            return new ProfileAttributes(ContainerConfiguration.SplitNames(text));
        }

        var file = PropertiesFile.Parse(text);
        return new ProfileAttributes(ContainerConfiguration.SplitNames(file["parents"]), file["abstract"] == "true", file["hidden"] == "true");
    }

    /// <summary>The znode's text.</summary>
    public string Format()
    {
        var file = new PropertiesFile();
        file["parents"] = Parents.Count > 0 ? string.Join(' ', Parents) : null;
        file["abstract"] = IsAbstract ? "true" : null;
        file["hidden"] = IsHidden ? "true" : null;
        return file.Format(null);
    }
}

/// <summary>Versions and profiles. Every call asks the registry; nothing is kept. Thread-safe.</summary>
public sealed class ProfileStore(FabricRegistry registry)
{
    /// <summary>The version that new containers run.</summary>
    /// <exception cref="RegistryContentException">There is no fabric in this registry.</exception>
    public async Task<string> DefaultVersionAsync(CancellationToken cancellationToken = default) =>
        await registry.TryGetTextAsync(ZnodePaths.DefaultVersion, cancellationToken) is { Length: > 0 } version
            ? version.Trim()
            : throw new RegistryContentException($"there is no fabric in the registry at {registry.ConnectString}");

    public async Task<bool> VersionExistsAsync(string version, CancellationToken cancellationToken = default) =>
        await registry.ExistsAsync(ZnodePaths.Version(version), cancellationToken) is not null;

    public async Task<bool> ExistsAsync(string version, string profile, CancellationToken cancellationToken = default) =>
        await registry.ExistsAsync(ZnodePaths.Profile(version, profile), cancellationToken) is not null;

    /// <summary>A profile's attributes; null when there is no such profile.</summary>
    public async Task<ProfileAttributes?> TryReadAsync(string version, string profile, CancellationToken cancellationToken = default) =>
        await registry.TryGetAsync(ZnodePaths.Profile(version, profile), cancellationToken) is { } content
            ? ProfileAttributes.Parse(content.Text)
            : null;

    /// <summary>Creates a profile.</summary>
    /// <returns>False when it exists; it is left as it is.</returns>
    public Task<bool> TryCreateAsync(
        string version, string profile, ProfileAttributes attributes, CancellationToken cancellationToken = default) =>
        registry.TryCreateAsync(ZnodePaths.Profile(version, profile), attributes.Format(), cancellationToken);

    /// <summary>A pid of a profile itself, without its parents'; null when there is none.</summary>
    public async Task<PropertiesFile?> TryReadPidAsync(
        string version, string profile, string pid, CancellationToken cancellationToken = default) =>
        await registry.TryGetTextAsync(PathOf(version, profile, pid), cancellationToken) is { } text ? PropertiesFile.Parse(text) : null;

    /// <summary>Writes a pid of a profile. Containers that have the profile follow at once.</summary>
    public Task WritePidAsync(
        string version, string profile, string pid, PropertiesFile properties, CancellationToken cancellationToken = default) =>
        registry.PutAsync(
            PathOf(version, profile, pid),
            properties.Format(PropertiesFile.DateComment(registry.Runtime.Time.GetUtcNow())),
            cancellationToken);

    /// <summary>The profiles of a container; null when the registry does not know it.</summary>
    public async Task<IReadOnlyList<string>?> TryReadAssignmentAsync(string container, CancellationToken cancellationToken = default) =>
        await registry.TryGetTextAsync(ZnodePaths.ContainerVersion(container), cancellationToken) is { } version
            ? ContainerConfiguration.SplitNames(
                await registry.TryGetTextAsync(ZnodePaths.ContainerProfiles(version.Trim(), container), cancellationToken))
            : null;

    /// <summary>Adds a profile to those of a container.</summary>
    /// <returns>False when it had it.</returns>
    /// <exception cref="RegistryContentException">The registry does not know the container.</exception>
    public Task<bool> TryAssignAsync(string container, string profile, CancellationToken cancellationToken = default) =>
        TryChangeAssignmentAsync(container, profiles => profiles.Contains(profile) ? null : [.. profiles, profile], cancellationToken);

    /// <summary>Takes a profile from those of a container.</summary>
    /// <returns>False when it had it not.</returns>
    /// <exception cref="RegistryContentException">The registry does not know the container.</exception>
    public Task<bool> TryUnassignAsync(string container, string profile, CancellationToken cancellationToken = default) =>
        TryChangeAssignmentAsync(container, profiles => profiles.Contains(profile) ? [.. profiles.Where(other => other != profile)] : null, cancellationToken);

    /// <param name="container">Whose.</param>
    /// <param name="change">Gives the new list; null to leave it as it is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    private async Task<bool> TryChangeAssignmentAsync(
        string container, Func<IReadOnlyList<string>, IReadOnlyList<string>?> change, CancellationToken cancellationToken)
    {
        var version = await registry.TryGetTextAsync(ZnodePaths.ContainerVersion(container), cancellationToken)
            ?? throw new RegistryContentException($"container {container} does not exist");
        var path = ZnodePaths.ContainerProfiles(version.Trim(), container);
        while (true)
        {
            var content = await registry.TryGetAsync(path, cancellationToken);
            if (change(ContainerConfiguration.SplitNames(content?.Text)) is not { } profiles)
            {
                return false;
            }

            var text = string.Join(' ', profiles);
            try
            {
                if (content is null ? await registry.TryCreateAsync(path, text, cancellationToken) : await SetAsync(content.Stat.Version))
                {
                    return true;
                }
            }
            catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.BadVersion or ZooKeeperError.NoNode)
            {
                // Somebody else changed the list: change theirs.
            }

            async Task<bool> SetAsync(int expectedVersion)
            {
                await registry.SetAsync(path, Encoding.UTF8.GetBytes(text), expectedVersion, cancellationToken);
                return true;
            }
        }
    }

    private static string PathOf(string version, string profile, string pid) =>
        ZnodePaths.ProfileFile(version, profile, $"{pid}.properties");
}
