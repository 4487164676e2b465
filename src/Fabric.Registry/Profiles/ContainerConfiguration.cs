using Fabric.Registry.Discovery;

namespace Fabric.Registry.Profiles;

/// <summary>What the profiles of a container come to (fabric.md §1.6).</summary>
/// <param name="Version">The version it runs; null when the registry does not know the container.</param>
/// <param name="Profiles">Its profiles, in their order.</param>
/// <param name="Pids">Keys and values of every pid, references to znodes expanded.</param>
public sealed record ContainerConfiguration(
    string? Version, IReadOnlyList<string> Profiles, IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Pids)
{
    private const string Deleted = "#deleted#";

    public bool Equals(ContainerConfiguration? other) =>
        other is not null && Version == other.Version && Profiles.SequenceEqual(other.Profiles)
        && Pids.Count == other.Pids.Count
        && Pids.All(pid => other.Pids.TryGetValue(pid.Key, out var values) && AreSame(pid.Value, values));

    public override int GetHashCode() => HashCode.Combine(Version, Profiles.Count, Pids.Count);

    /// <summary>What the registry says now.</summary>
    public static Task<ContainerConfiguration> ReadAsync(
        FabricRegistry registry, string container, CancellationToken cancellationToken = default) =>
        ReadAsync(new DirectReader(registry), container, cancellationToken);

    /// <summary>
    /// Tells what a container is to run, at once and whenever a profile, an assignment or a version changes it. Works while the registry
    /// is away: then the first call comes when it is there.
    /// </summary>
    /// <param name="registry">What is watched.</param>
    /// <param name="container">The container.</param>
    /// <param name="changed">Quick, never called concurrently.</param>
    public static IAsyncDisposable Watch(FabricRegistry registry, string container, Action<ContainerConfiguration> changed) =>
        new RegistryWatch<ContainerConfiguration>(
            registry, $"configuration of {container}", (reader, ct) => ReadAsync(reader, container, ct), changed);

    internal static async Task<ContainerConfiguration> ReadAsync(IZnodeReader reader, string container, CancellationToken cancellationToken)
    {
        var version = (await reader.GetTextAsync(ZnodePaths.ContainerVersion(container), cancellationToken))?.Trim();
        if (string.IsNullOrEmpty(version))
        {
            return new ContainerConfiguration(null, [], new Dictionary<string, IReadOnlyDictionary<string, string>>());
        }

        var profiles = SplitNames(await reader.GetTextAsync(ZnodePaths.ContainerProfiles(version, container), cancellationToken));
        var pids = new SortedDictionary<string, Dictionary<string, string>>(StringComparer.Ordinal);
        var overlay = new Overlay(reader, version, pids);
        foreach (var profile in profiles)
        {
            await overlay.AddAsync(profile, cancellationToken);
        }

        return new ContainerConfiguration(
            version, profiles,
            pids.ToDictionary(pid => pid.Key, IReadOnlyDictionary<string, string> (pid) => pid.Value, StringComparer.Ordinal));
    }

    /// <summary>Names in a list separated by blanks.</summary>
    internal static IReadOnlyList<string> SplitNames(string? text) =>
        text?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static bool AreSame(IReadOnlyDictionary<string, string> left, IReadOnlyDictionary<string, string> right) =>
        left.Count == right.Count && left.All(pair => right.TryGetValue(pair.Key, out var value) && value == pair.Value);

    /// <summary>Lays profiles over each other: parents first, and what comes later wins.</summary>
    private sealed class Overlay(IZnodeReader reader, string version, SortedDictionary<string, Dictionary<string, string>> pids)
    {
        private const string PidSuffix = ".properties";
        private readonly HashSet<string> _added = new(StringComparer.Ordinal);

        public async Task AddAsync(string profile, CancellationToken cancellationToken)
        {
            if (!_added.Add(profile))
            {
                return; // a second way to the same parent, or a circle of them
            }

            var path = ZnodePaths.Profile(version, profile);
            var attributes = ProfileAttributes.Parse(await reader.GetTextAsync(path, cancellationToken));
            foreach (var parent in attributes.Parents)
            {
                await AddAsync(parent, cancellationToken);
            }

            foreach (var file in await reader.GetChildrenAsync(path, cancellationToken))
            {
                if (file.EndsWith(PidSuffix, StringComparison.Ordinal)
                    && await reader.GetTextAsync($"{path}/{file}", cancellationToken) is { } text)
                {
                    await AddPidAsync(file[..^PidSuffix.Length], PropertiesFile.Parse(text), cancellationToken);
                }
            }
        }

        private async Task AddPidAsync(string pid, PropertiesFile file, CancellationToken cancellationToken)
        {
            if (!pids.TryGetValue(pid, out var values))
            {
                pids.Add(pid, values = new Dictionary<string, string>(StringComparer.Ordinal));
            }

            if (file[Deleted] is not null)
            {
                values.Clear();
            }

            foreach (var (key, value) in file.Properties.Where(property => property.Key != Deleted))
            {
                if (value == Deleted)
                {
                    values.Remove(key);
                }
                else
                {
                    values[key] = value.Contains("${zk:", StringComparison.Ordinal)
                        ? await ZkText.ExpandAsync(value, znode => reader.GetTextAsync(znode, cancellationToken))
                        : value;
                }
            }
        }
    }
}
