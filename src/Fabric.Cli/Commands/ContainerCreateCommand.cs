using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Client.Connections;
using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;

namespace Fabric.Cli.Commands;

/// <summary><c>container-create</c>: children of a root (fabric.md §3.3).</summary>
internal static class ContainerCreateCommand
{
    private static readonly Argument<string[]> Names = new("NAME") { Arity = ArgumentArity.OneOrMore, Description = "Names of the new containers." };

    private static readonly Option<string[]> Profiles = new("--profile")
    {
        Description = "A profile of the containers; may be repeated. Default: default.",
        HelpName = "PROFILE",
    };

    private static readonly Option<string?> Version = new("--version") { Description = "Default: the fabric's default version.", HelpName = "VERSION" };

    public static Option<string?> Parent { get; } = new("--parent")
    {
        Description = "The root that is to run them. Default: the only one there is, or root.",
        HelpName = "ROOT",
    };

    public static Command Create(FabricCommandLine line) => line.Create(
        "container-create", "Create containers and wait until they are up.",
        [Names, Profiles, Version, Parent, ContainerNames.NoWait, ContainerNames.Timeout], RunAsync);

    /// <summary>The root that new containers go to.</summary>
    /// <exception cref="CliException">There is none, or it has to be named.</exception>
    public static async Task<string> ParentAsync(Invocation invocation, ContainerDirectory directory)
    {
        var roots = (await directory.ListAsync(invocation.CancellationToken).ConfigureAwait(false))
            .Where(container => container.Parent is null)
            .ToArray();
        if (invocation.Get(Parent) is { } name)
        {
            return roots.Any(root => root.Name == name) ? name : throw new CliException(
                ExitCode.BadData, $"there is no root {name}", null, NearestName.Find(name, roots.Select(root => root.Name)) ?? "fabric container-list");
        }

        var candidates = roots.Where(root => root.IsAlive).ToArray();
        return candidates.Length == 1 ? candidates[0].Name
            : candidates.FirstOrDefault(root => root.Name == "root")?.Name
            ?? throw new CliException(
                candidates.Length == 0 ? ExitCode.Temporary : ExitCode.Usage,
                candidates.Length == 0 ? "no root runs that could start a container" : "there are several roots; one has to be named",
                null, candidates.Length == 0 ? "fabric up" : $"--parent {candidates[0].Name}");
    }

    /// <exception cref="CliException">It cannot be a container's name.</exception>
    public static void CheckName(string name)
    {
        if (!ZnodePaths.IsValidName(name))
        {
            throw new CliException(
                ExitCode.Usage, $"Container name '{name}' is invalid", "names are made of letters, digits, dots, dashes and underscores, 64 at most");
        }
    }

    /// <summary>Creates a container whose name was free a moment ago.</summary>
    /// <exception cref="CliException">It is not free any more.</exception>
    public static async Task CreateChildAsync(
        ContainerDirectory directory, string name, string parent, string version, IReadOnlyList<string> profiles, CancellationToken cancellationToken)
    {
        if (!await directory.TryCreateChildAsync(name, parent, version, profiles, cancellationToken).ConfigureAwait(false))
        {
            await CheckIsGoneAsync(directory, name, cancellationToken).ConfigureAwait(false);
            throw new CliException(ExitCode.Exists, $"A container with name {name} already exists.");
        }
    }

    /// <summary>Refuses the name of a container whose directory is still there: the new one would begin with the old one's messages.</summary>
    /// <exception cref="CliException">It is.</exception>
    public static async Task CheckIsGoneAsync(ContainerDirectory directory, string name, CancellationToken cancellationToken)
    {
        if (await directory.IsBeingDeletedAsync(name, cancellationToken).ConfigureAwait(false))
        {
            throw new CliException(
                ExitCode.Temporary, $"the directory of the deleted container {name} has not been removed yet", "its root does it as soon as it runs",
                "fabric container-list shows whether the root is alive");
        }
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var limit = ContainerNames.LimitOf(invocation);
        var names = invocation.Get(Names)!.Distinct(StringComparer.Ordinal).ToArray();
        Array.ForEach(names, CheckName);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var directory = new ContainerDirectory(registry);
        var store = new ProfileStore(registry);
        var version = invocation.Get(Version) ?? await store.DefaultVersionAsync(invocation.CancellationToken).ConfigureAwait(false);
        var profiles = invocation.Get(Profiles) is { Length: > 0 } given ? given : ["default"];
        foreach (var profile in profiles)
        {
            await CheckProfileAsync(store, version, profile, invocation.CancellationToken).ConfigureAwait(false);
        }

        var parent = await ParentAsync(invocation, directory).ConfigureAwait(false);
        foreach (var name in names)
        {
            if (await directory.ExistsAsync(name, invocation.CancellationToken).ConfigureAwait(false))
            {
                throw new CliException(ExitCode.Exists, $"A container with name {name} already exists.");
            }

            await CheckIsGoneAsync(directory, name, invocation.CancellationToken).ConfigureAwait(false);
        }

        foreach (var name in names)
        {
            await CreateChildAsync(directory, name, parent, version, profiles, invocation.CancellationToken).ConfigureAwait(false);
        }

        foreach (var name in names.Where(_ => !invocation.Get(ContainerNames.NoWait)))
        {
            await ContainerStartCommand.WaitUntilUpAsync(invocation, registry, name, limit).ConfigureAwait(false);
        }

        invocation.Out.WriteLine("The following containers have been created successfully:");
        Array.ForEach(names, name => invocation.Out.WriteLine($"\tContainer: {name}."));
        return ExitCode.Done;
    }

    private static async Task CheckProfileAsync(ProfileStore store, string version, string profile, CancellationToken cancellationToken)
    {
        var attributes = await store.TryReadAsync(version, profile, cancellationToken).ConfigureAwait(false)
            ?? throw new CliException(ExitCode.BadData, $"profile {profile} does not exist in version {version}");
        if (attributes.IsAbstract)
        {
            throw new CliException(ExitCode.BadData, $"profile {profile} is abstract: it can only be the parent of others");
        }
    }
}
