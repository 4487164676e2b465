using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Membership;

namespace Fabric.Cli.Commands;

/// <summary><c>container-stop</c> (fabric.md §3.5): asks the root, and waits until the container is down (REQ-20).</summary>
internal static class ContainerStopCommand
{
    private static readonly Option<bool> Force = new("--force", "-f") { Description = "Stop even a member of the registry's ensemble." };

    public static Command Create(FabricCommandLine line) => line.Create(
        "container-stop", "Stop containers in order and wait until they are down.",
        [ContainerNames.Argument, Force, ContainerNames.NoWait, ContainerNames.Timeout], RunAsync);

    /// <summary>Asks for a stop and waits until the container is down.</summary>
    /// <exception cref="CliException">The limit passed.</exception>
    public static async Task StopAsync(Invocation invocation, FabricRegistry registry, ContainerInfo container, TimeSpan limit, bool waits)
    {
        var directory = new ContainerDirectory(registry);
        await directory.WishAsync(container.Name, container.Parent!, ContainerWishState.Stopped, invocation.CancellationToken)
            .ConfigureAwait(false);
        if (waits && !await Waiting.UntilAsync(
            invocation.Context.Runtime, limit,
            async () => !await directory.IsAliveAsync(container.Name, invocation.CancellationToken).ConfigureAwait(false),
            invocation.CancellationToken).ConfigureAwait(false))
        {
            throw new CliException(
                ExitCode.Temporary, $"container {container.Name} is not down after {limit.TotalSeconds:0} s",
                null, $"look whether its root {container.Parent} runs: fabric container-list");
        }
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var limit = ContainerNames.LimitOf(invocation);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var directory = new ContainerDirectory(registry);
        var all = await directory.ListAsync(invocation.CancellationToken).ConfigureAwait(false);
        var wanted = ContainerNames.Resolve(all, invocation.Get(ContainerNames.Argument)!);
        await RefuseRootsAsync(invocation, directory, wanted).ConfigureAwait(false);
        var waits = !invocation.Get(ContainerNames.NoWait);
        foreach (var container in wanted)
        {
            if (!container.IsAlive && container.Wish == ContainerWishState.Stopped)
            {
                invocation.Error.WriteLine($"Container {container.Name} is already stopped");
                continue;
            }

            await StopAsync(invocation, registry, container, limit, waits).ConfigureAwait(false);
            if (waits)
            {
                invocation.Out.WriteLine($"Container '{container.Name}' stopped successfully.");
            }
        }

        return ExitCode.Done;
    }

    private static async Task RefuseRootsAsync(Invocation invocation, ContainerDirectory directory, IReadOnlyList<ContainerInfo> wanted)
    {
        if (wanted.FirstOrDefault(container => container.Parent is null) is not { } root)
        {
            return;
        }

        if (!invocation.Get(Force))
        {
            var ensemble = await directory.EnsembleAsync(invocation.CancellationToken).ConfigureAwait(false);
            throw ensemble.Contains(root.Name)
                ? new CliException(
                    ExitCode.BadData,
                    ensemble.Count == 1
                        ? $"{root.Name} is the only remaining ZooKeeper quorum member"
                        : $"{root.Name} is a member of the registry's ensemble",
                    null, "fabric down, or repeat with --force")
                : new CliException(ExitCode.BadData, $"{root.Name} is a root; it supervises its children", null, "fabric down, or repeat with --force");
        }

        throw new CliException(
            ExitCode.BadData, $"{root.Name} is a root; no other process can stop it from here",
            null, root is { ProcessId: { } pid, Host: { } host } ? $"kill -TERM {pid} on {host}; its children keep running" : "fabric down");
    }
}
