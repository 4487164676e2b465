using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Election;
using Fabric.Registry.Membership;

namespace Fabric.Cli.Commands;

/// <summary><c>container-delete</c>: stops a container and removes it with its directory (fabric.md §3.5).</summary>
internal static class ContainerDeleteCommand
{
    private static readonly Option<bool> Force = new("--force", "-f") { Description = "Delete even a copy of a broker's messages." };

    public static Command Create(FabricCommandLine line) => line.Create(
        "container-delete", "Stop containers and remove them with their directories.",
        [ContainerNames.Argument, Force, ContainerNames.NoWait, ContainerNames.Timeout], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var limit = ContainerNames.LimitOf(invocation);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var directory = new ContainerDirectory(registry);
        var all = await directory.ListAsync(invocation.CancellationToken).ConfigureAwait(false);
        var wanted = ContainerNames.Resolve(all, invocation.Get(ContainerNames.Argument)!);
        foreach (var container in wanted)
        {
            await CheckAsync(invocation, registry, container, all).ConfigureAwait(false);
        }

        foreach (var container in wanted)
        {
            await DeleteAsync(invocation, registry, container, limit).ConfigureAwait(false);
        }

        return ExitCode.Done;
    }

    private static async Task CheckAsync(
        Invocation invocation, FabricRegistry registry, ContainerInfo container, IReadOnlyList<ContainerInfo> all)
    {
        if (container.Parent is null)
        {
            throw container.IsAlive || all.Any(child => child.Parent == container.Name)
                ? new CliException(ExitCode.BadData, $"{container.Name} is a root that runs or has children", null, "delete its children and stop it first")
                : new CliException(ExitCode.BadData, $"{container.Name} is a root; remove its directory on its machine");
        }

        if (!invocation.Get(Force) && await ReplicaOfAsync(registry, container.Name, invocation.CancellationToken).ConfigureAwait(false) is { } broker)
        {
            throw new CliException(
                ExitCode.BadData, $"container {container.Name} holds a copy of the messages of broker {broker}",
                "without it the broker has one replica less, for good", "repeat with --force if that is what you want");
        }
    }

    private static async Task DeleteAsync(Invocation invocation, FabricRegistry registry, ContainerInfo container, TimeSpan limit)
    {
        var directory = new ContainerDirectory(registry);
        if (container.IsAlive)
        {
            await ContainerStopCommand.StopAsync(invocation, registry, container, limit, waits: true).ConfigureAwait(false);
        }

        await directory.DeleteAsync(container.Name, container.Parent, invocation.CancellationToken).ConfigureAwait(false);
        var waits = !invocation.Get(ContainerNames.NoWait);
        if (waits && !await Waiting.UntilAsync(
            invocation.Context.Runtime, limit,
            async () => await registry.ExistsAsync(ZnodePaths.ContainerWish(container.Name), invocation.CancellationToken).ConfigureAwait(false) is null,
            invocation.CancellationToken).ConfigureAwait(false))
        {
            throw new CliException(
                ExitCode.Temporary, $"the directory of container {container.Name} has not been removed after {limit.TotalSeconds:0} s",
                $"its root {container.Parent} does it as soon as it runs");
        }

        invocation.Out.WriteLine($"Container '{container.Name}' deleted.");
    }

    private static async Task<string?> ReplicaOfAsync(FabricRegistry registry, string container, CancellationToken cancellationToken)
    {
        foreach (var group in await registry.TryGetChildrenAsync(ZnodePaths.Brokers, cancellationToken).ConfigureAwait(false) ?? [])
        {
            foreach (var broker in await registry.TryGetChildrenAsync($"{ZnodePaths.Brokers}/{group}", cancellationToken).ConfigureAwait(false) ?? [])
            {
                var set = await BrokerElection.ReadReplicaSetAsync(registry, group, broker, cancellationToken).ConfigureAwait(false);
                if (set?.Members.Any(member => member.Container == container) == true)
                {
                    return broker;
                }
            }
        }

        return null;
    }
}
