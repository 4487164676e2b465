using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Membership;

namespace Fabric.Cli.Commands;

/// <summary><c>container-start</c> (fabric.md §3.5): asks the root, and waits until the container lives and is provisioned (REQ-20).</summary>
internal static class ContainerStartCommand
{
    public static Command Create(FabricCommandLine line) => line.Create(
        "container-start", "Start containers and wait until they are up.",
        [ContainerNames.Argument, ContainerNames.NoWait, ContainerNames.Timeout], RunAsync);

    /// <summary>Waits until a container lives and has what its profiles say.</summary>
    /// <exception cref="CliException">The limit passed, or it failed.</exception>
    public static async Task WaitUntilUpAsync(
        Invocation invocation, FabricRegistry registry, string name, TimeSpan limit, bool provisioned = true)
    {
        var directory = new ContainerDirectory(registry);
        ContainerInfo? last = null;
        var isUp = await Waiting.UntilAsync(invocation.Context.Runtime, limit, async () =>
        {
            last = await directory.TryGetAsync(name, invocation.CancellationToken).ConfigureAwait(false);
            return last is { IsAlive: true } && (!provisioned || last.Provision == "success");
        }, invocation.CancellationToken).ConfigureAwait(false);
        if (!isUp)
        {
            throw new CliException(
                ExitCode.Temporary,
                $"container {name} is not up after {limit.TotalSeconds:0} s: {(last is null ? "it does not exist" : ContainerListCommand.StatusOf(last))}",
                last?.ProvisionError,
                last is { IsAlive: false } ? "look into its log directory on its machine, and whether its root runs" : $"fabric container-info {name}");
        }
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var limit = ContainerNames.LimitOf(invocation);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var directory = new ContainerDirectory(registry);
        var all = await directory.ListAsync(invocation.CancellationToken).ConfigureAwait(false);
        var wanted = ContainerNames.Resolve(all, invocation.Get(ContainerNames.Argument)!);
        foreach (var root in wanted.Where(container => container is { Parent: null, IsAlive: false }))
        {
            throw new CliException(
                ExitCode.BadData, $"container {root.Name} is a root; nobody can start it from here", null, "fabric up, or fabricd run --root on its machine");
        }

        var started = new List<ContainerInfo>();
        foreach (var container in wanted)
        {
            if (container.IsAlive && container.Wish != ContainerWishState.Stopped)
            {
                invocation.Error.WriteLine($"Container {container.Name} is already started");
                if (container is { Parent: { } parent, Wish: ContainerWishState.Running })
                {
                    // It may have died since: the registry learns that when its session ends. Its root knows, and may be waiting before it starts it again.
                    await directory.WishAsync(container.Name, parent, ContainerWishState.Running, invocation.CancellationToken).ConfigureAwait(false);
                }

                continue;
            }

            await directory.WishAsync(container.Name, container.Parent!, ContainerWishState.Running, invocation.CancellationToken)
                .ConfigureAwait(false);
            started.Add(container);
        }

        foreach (var container in started.Where(_ => !invocation.Get(ContainerNames.NoWait)))
        {
            await WaitUntilUpAsync(invocation, registry, container.Name, limit).ConfigureAwait(false);
            invocation.Out.WriteLine($"Container '{container.Name}' started successfully.");
        }

        return ExitCode.Done;
    }
}
