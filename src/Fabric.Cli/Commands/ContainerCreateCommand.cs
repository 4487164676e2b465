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
        }

        foreach (var name in names)
        {
            await directory.TryCreateChildAsync(name, parent, version, profiles, invocation.CancellationToken).ConfigureAwait(false);
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
