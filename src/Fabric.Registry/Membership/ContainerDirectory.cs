using System.Globalization;
using System.Text;
using Fabric.Registry.Discovery;
using Fabric.Registry.Profiles;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Membership;

/// <summary>What is wanted of a container; its parent's root carries it out.</summary>
public enum ContainerWishState
{
    Running,
    Stopped,

    /// <summary>It is to be removed with its directory.</summary>
    Deleted,
}

/// <summary>What is wanted of a container.</summary>
/// <param name="Name">The container.</param>
/// <param name="Parent">The root whose machine it lives on.</param>
/// <param name="State">What is wanted.</param>
/// <param name="Version">Grows with every request, also one for the same state.</param>
public sealed record ContainerWish(string Name, string Parent, ContainerWishState State, long Version);

/// <summary>A container, as the registry shows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Parent">The root that runs it; null for a root.</param>
/// <param name="Version">The version it runs.</param>
/// <param name="IsAlive">Whether its process is connected to the registry.</param>
/// <param name="Profiles">Its profiles.</param>
/// <param name="Provision">How far it is with them: <c>success</c>, <c>error</c>…; null before the first report.</param>
/// <param name="ProvisionError">What failed; null when nothing did.</param>
/// <param name="ProcessId">Of its process; null when it has none.</param>
/// <param name="Host">Where others reach it, resolved.</param>
/// <param name="Wish">What is wanted of it; null for a container that no root manages, and when it cannot be read.</param>
/// <param name="Facts">The rest of its configuration: <c>resolver</c>, <c>http</c>…, as it stands in the registry.</param>
public sealed record ContainerInfo(
    string Name,
    string? Parent,
    string? Version,
    bool IsAlive,
    IReadOnlyList<string> Profiles,
    string? Provision,
    string? ProvisionError,
    int? ProcessId,
    string? Host,
    ContainerWishState? Wish,
    IReadOnlyDictionary<string, string> Facts);

/// <summary>The containers of a fabric. Every call asks the registry; nothing is kept. Thread-safe.</summary>
public sealed class ContainerDirectory(FabricRegistry registry)
{
    private const string ParentFact = "parent";
    private static readonly string[] OwnFacts = [ParentFact, "ip"];

    /// <summary>All containers, by name.</summary>
    public async Task<IReadOnlyList<ContainerInfo>> ListAsync(CancellationToken cancellationToken = default)
    {
        var names = new SortedSet<string>(StringComparer.Ordinal);
        names.UnionWith(await registry.TryGetChildrenAsync(ZnodePaths.ConfigContainers, cancellationToken) ?? []);
        names.UnionWith(await registry.TryGetChildrenAsync(ZnodePaths.ContainerConfigs, cancellationToken) ?? []);
        return await Task.WhenAll(names.Select(name => ReadAsync(name, cancellationToken)));
    }

    /// <summary>One container; null when there is none of this name.</summary>
    public async Task<ContainerInfo?> TryGetAsync(string name, CancellationToken cancellationToken = default) =>
        await ExistsAsync(name, cancellationToken) ? await ReadAsync(name, cancellationToken) : null;

    public async Task<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) =>
        await registry.ExistsAsync(ZnodePaths.ContainerVersion(name), cancellationToken) is not null
        || await registry.ExistsAsync(ZnodePaths.ContainerConfig(name), cancellationToken) is not null;

    public async Task<bool> IsAliveAsync(string name, CancellationToken cancellationToken = default) =>
        await registry.ExistsAsync(ZnodePaths.ContainerAlive(name), cancellationToken) is not null;

    /// <summary>Whether the container is a member of the registry's ensemble.</summary>
    public async Task<bool> IsInEnsembleAsync(string name, CancellationToken cancellationToken = default) =>
        (await EnsembleAsync(cancellationToken)).Contains(name);

    /// <summary>The containers that host the registry; none when it is hosted elsewhere.</summary>
    public async Task<IReadOnlyList<string>> EnsembleAsync(CancellationToken cancellationToken = default) =>
        await registry.TryGetTextAsync(ZnodePaths.Ensemble, cancellationToken) is { Length: > 0 } ensemble
            ? (await registry.TryGetTextAsync(ZnodePaths.EnsembleMembers(ensemble.Trim()), cancellationToken) ?? "")
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : [];

    /// <summary>Creates a child container and asks its parent to run it, all at once: a half of it could neither run nor be made again.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="parent">The root whose machine it is to live on.</param>
    /// <param name="version">The version it is to run.</param>
    /// <param name="profiles">Its profiles.</param>
    /// <param name="cancellationToken">Gives up; it may have happened.</param>
    /// <returns>False when a container of this name exists, or its directory is still to be removed; it is left as it is.</returns>
    public async Task<bool> TryCreateChildAsync(
        string name, string parent, string version, IReadOnlyList<string> profiles, CancellationToken cancellationToken = default)
    {
        if (await IsBeingDeletedAsync(name, cancellationToken))
        {
            return false;
        }

        var profilesPath = ZnodePaths.ContainerProfiles(version, name);
        foreach (var path in new[] { ZnodePaths.ConfigContainers, ZnodePaths.ParentOf(profilesPath)!, ZnodePaths.ContainerConfigs, ZnodePaths.Wishes })
        {
            await registry.EnsureAsync(path, cancellationToken);
        }

        try
        {
            await registry.MultiAsync(
                [
                    Create(ZnodePaths.ContainerVersion(name), Encoding.UTF8.GetBytes(version)),
                    Create(profilesPath, Encoding.UTF8.GetBytes(string.Join(' ', profiles))),
                    await PutAsync(ZnodePaths.ContainerConfig(name), []), // it and what is below are there when the container runs uncreated
                    await PutAsync(ZnodePaths.ContainerFact(name, ParentFact), Encoding.UTF8.GetBytes(parent)),
                    await PutAsync(ZnodePaths.ContainerWish(name), WishOf(parent, ContainerWishState.Running)),
                ],
                cancellationToken);
            return true;
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NodeExists or ZooKeeperError.BadVersion or ZooKeeperError.NoNode)
        {
            return false;
        }

        static MultiOperation Create(string path, byte[] data) => MultiOperation.Create(path, data, RegistryAcls.For(path), CreateMode.Persistent);

        async Task<MultiOperation> PutAsync(string path, byte[] data) =>
            await registry.ExistsAsync(path, cancellationToken) is { } present ? MultiOperation.SetData(path, data, present.Version) : Create(path, data);
    }

    /// <summary>Whether a container of this name was deleted and its root has yet to remove the directory.</summary>
    public async Task<bool> IsBeingDeletedAsync(string name, CancellationToken cancellationToken = default) =>
        await registry.TryGetAsync(ZnodePaths.ContainerWish(name), cancellationToken) is { } content
        && TryReadWish(registry, name, content)?.State == ContainerWishState.Deleted;

    /// <summary>Asks the parent's root for a state. A repeated request counts: it starts a container again that has ended.</summary>
    public async Task WishAsync(string name, string parent, ContainerWishState state, CancellationToken cancellationToken = default)
    {
        var path = ZnodePaths.ContainerWish(name);
        var data = WishOf(parent, state);
        if (!await registry.TryCreateAsync(path, data, cancellationToken))
        {
            await registry.SetAsync(path, data, -1, cancellationToken);
        }
    }

    /// <summary>
    /// Removes everything the registry knows of a container, its wish excepted: that stays as
    /// <see cref="ContainerWishState.Deleted"/> until the root has removed the directory and calls <see cref="ForgetWishAsync"/>.
    /// </summary>
    public async Task DeleteAsync(string name, string? parent, CancellationToken cancellationToken = default)
    {
        if (parent is not null)
        {
            await WishAsync(name, parent, ContainerWishState.Deleted, cancellationToken);
        }

        foreach (var version in await registry.TryGetChildrenAsync(ZnodePaths.Versions, cancellationToken) ?? [])
        {
            await registry.DeleteTreeAsync(ZnodePaths.ContainerProfiles(version, name), cancellationToken);
        }

        await registry.DeleteTreeAsync(ZnodePaths.ContainerDomains(name), cancellationToken);
        await registry.DeleteTreeAsync(ZnodePaths.ContainerProvision(name), cancellationToken);
        await registry.DeleteTreeAsync(ZnodePaths.ContainerStatus(name), cancellationToken);
        await registry.DeleteTreeAsync(ZnodePaths.ContainerVersion(name), cancellationToken);
        await DeleteFactsAsync(name, cancellationToken);
    }

    /// <summary>Its parent goes last and with the container itself: what is left of an interrupted deletion would count as a root, which nobody can delete.</summary>
    private async Task DeleteFactsAsync(string name, CancellationToken cancellationToken)
    {
        var config = ZnodePaths.ContainerConfig(name);
        while (await registry.TryGetChildrenAsync(config, cancellationToken) is { } facts)
        {
            foreach (var fact in facts.Where(fact => fact != ParentFact))
            {
                await registry.DeleteTreeAsync(ZnodePaths.ContainerFact(name, fact), cancellationToken);
            }

            var deletions = new List<MultiOperation> { MultiOperation.Delete(config) };
            if (facts.Contains(ParentFact))
            {
                deletions.Insert(0, MultiOperation.Delete(ZnodePaths.ContainerFact(name, ParentFact)));
            }

            try
            {
                await registry.MultiAsync(deletions, cancellationToken);
                return;
            }
            catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NotEmpty or ZooKeeperError.NoNode)
            {
                // Somebody wrote a fact meanwhile, or deletes too.
            }
        }
    }

    /// <summary>The root has removed a deleted container's directory. A newer wish stays.</summary>
    /// <param name="name">The container.</param>
    /// <param name="version">Of the wish that was carried out.</param>
    /// <param name="cancellationToken">Gives up; it may have happened.</param>
    public async Task ForgetWishAsync(string name, long version, CancellationToken cancellationToken = default)
    {
        var path = ZnodePaths.ContainerWish(name);
        try
        {
            if (await registry.ExistsAsync(path, cancellationToken) is { } stat && stat.Mzxid == version)
            {
                await registry.TryDeleteAsync(path, stat.Version, cancellationToken);
            }
        }
        catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.BadVersion)
        {
            // It is newer since.
        }
    }

    /// <summary>
    /// Tells what is wanted of the containers of a root, at once and whenever it changes. A container that is not in the list is not
    /// wanted and not unwanted (a registry may have lost it): only <see cref="ContainerWishState.Deleted"/> says that it shall go.
    /// </summary>
    /// <param name="registry">What is watched.</param>
    /// <param name="parent">The root.</param>
    /// <param name="changed">Quick, never called concurrently.</param>
    public static IAsyncDisposable WatchWishes(
        FabricRegistry registry, string parent, Action<IReadOnlyList<ContainerWish>> changed) =>
        new RegistryWatch<IReadOnlyList<ContainerWish>>(
            registry, $"wishes for {parent}", (reader, ct) => ReadWishesAsync(registry, reader, parent, ct), changed, ListComparer<ContainerWish>.Instance);

    private static async Task<IReadOnlyList<ContainerWish>> ReadWishesAsync(
        FabricRegistry registry, WatchedReader reader, string parent, CancellationToken cancellationToken) =>
        [.. (await reader.GetDirectoryAsync(ZnodePaths.Wishes, cancellationToken))
            .Select(child => TryReadWish(registry, child.Name, child.Content))
            .OfType<ContainerWish>()
            .Where(wish => wish.Parent == parent)];

    /// <summary>What a znode wishes. Null, with a warning, when it makes no sense: one such must not keep the others from being served.</summary>
    private static ContainerWish? TryReadWish(FabricRegistry registry, string name, ZnodeContent content)
    {
        try
        {
            return Json.Parse(content.Data, ZnodePaths.ContainerWish(name), root => new ContainerWish(
                name, root.GetProperty("parent").GetString()!, StateOf(root.GetProperty("state").GetString()), content.Stat.Mzxid));
        }
        catch (RegistryContentException exception)
        {
            registry.Logger.LogWarning("What is wanted of container {Container} is ignored: {Reason}", name, exception.Message);
            return null;
        }
    }

    private static byte[] WishOf(string parent, ContainerWishState state) => Json.Object(writer =>
    {
        writer.WriteString("parent", parent);
        writer.WriteString("state", NameOf(state));
    });

    private static string NameOf(ContainerWishState state) => state switch
    {
        ContainerWishState.Running => "running",
        ContainerWishState.Stopped => "stopped",
        _ => "deleted",
    };

    private static ContainerWishState StateOf(string? name) => name switch
    {
        "running" => ContainerWishState.Running,
        "stopped" => ContainerWishState.Stopped,
        "deleted" => ContainerWishState.Deleted,
        _ => throw new FormatException($"the state {name} is unknown"),
    };

    private async Task<ContainerInfo> ReadAsync(string name, CancellationToken cancellationToken)
    {
        var version = (await registry.TryGetTextAsync(ZnodePaths.ContainerVersion(name), cancellationToken))?.Trim();
        var profiles = version is null
            ? []
            : ContainerConfiguration.SplitNames(
                await registry.TryGetTextAsync(ZnodePaths.ContainerProfiles(version, name), cancellationToken));
        var facts = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var fact in await registry.TryGetChildrenAsync(ZnodePaths.ContainerConfig(name), cancellationToken) ?? [])
        {
            facts[fact] = await registry.TryGetTextAsync(ZnodePaths.ContainerFact(name, fact), cancellationToken) ?? "";
        }

        var wish = await registry.TryGetAsync(ZnodePaths.ContainerWish(name), cancellationToken);
        return new ContainerInfo(
            name,
            facts.GetValueOrDefault(ParentFact) is { Length: > 0 } parent ? parent : null,
            version,
            await IsAliveAsync(name, cancellationToken),
            profiles,
            Text(await registry.TryGetTextAsync(ZnodePaths.ProvisionResult(name), cancellationToken)),
            Text(await registry.TryGetTextAsync(ZnodePaths.ProvisionException(name), cancellationToken)),
            int.TryParse(await registry.TryGetTextAsync(ZnodePaths.ProcessId(name), cancellationToken), CultureInfo.InvariantCulture, out var pid)
                ? pid : null,
            Text(await ZkText.ExpandAsync(registry, $"${{zk:{name}/ip}}", cancellationToken)),
            wish is null ? null : TryReadWish(registry, name, wish)?.State,
            facts.Where(fact => !OwnFacts.Contains(fact.Key)).ToDictionary(StringComparer.Ordinal));
    }

    private static string? Text(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();
}
