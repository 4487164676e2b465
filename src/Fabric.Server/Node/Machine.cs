using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Registry.Membership;
using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Supervision;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>The containers of a root's machine: the registry's wishes, carried out.</summary>
internal sealed class Machine : IAsyncDisposable
{
    /// <summary>How long a stop may wait for the registry to say who is master; without it the order is only slower.</summary>
    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(1);

    private readonly FabricRuntime _runtime;
    private readonly FabricRegistry _registry;
    private readonly ILogger _logger;
    private readonly IAsyncDisposable _watch;

    /// <param name="runtime">The outside world.</param>
    /// <param name="processes">The machine's processes.</param>
    /// <param name="options">The root's.</param>
    /// <param name="registry">Whose wishes are carried out.</param>
    /// <param name="hosts">Where the containers find the registry.</param>
    /// <param name="password">The registry's.</param>
    /// <param name="loggers">Told what happens to the containers.</param>
    public Machine(
        FabricRuntime runtime,
        IProcesses processes,
        NodeOptions options,
        FabricRegistry registry,
        string hosts,
        string password,
        ILoggerFactory loggers)
    {
        (_runtime, _registry, _logger) = (runtime, registry, loggers.CreateLogger("supervisor"));
        var programs = new ContainerPrograms(runtime, processes, options, hosts, password);
        var directory = new ContainerDirectory(registry);
        Supervisor = new Supervisor(runtime, programs, want => directory.ForgetWishAsync(want.Name, want.Version), _logger);
        _watch = ContainerDirectory.WatchWishes(registry, options.Name, OnWishes);
    }

    public Supervisor Supervisor { get; }

    /// <summary>
    /// Stops all containers, slaves first: a master without slaves has nobody to hand over to and ends at once, while the other
    /// way round every one of them would take over in turn.
    /// </summary>
    public async Task StopContainersAsync()
    {
        await _watch.DisposeAsync();
        await Supervisor.StopAllAsync(await MastersAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        await Supervisor.DisposeAsync();
    }

    private void OnWishes(IReadOnlyList<ContainerWish> wishes) => Supervisor.Apply([.. wishes
        .Where(wish => CommandLine.IsContainerName(wish.Name))
        .Select(wish => new WantedContainer(wish.Name, StateOf(wish.State), wish.Version))]);

    private static WantedState StateOf(ContainerWishState state) => state switch
    {
        ContainerWishState.Running => WantedState.Running,
        ContainerWishState.Stopped => WantedState.Stopped,
        _ => WantedState.Removed,
    };

    private async Task<HashSet<string>> MastersAsync()
    {
        using var limit = new CancellationTokenSource(AskLimit, _runtime.Time);
        try
        {
            var clusters = await ClusterList.ReadAsync(_registry, null, limit.Token);
            return [.. clusters.SelectMany(cluster => cluster.Brokers).SelectMany(broker => broker.MasterContainers)];
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or RegistryContentException)
        {
            _logger.LogInformation("Who is master cannot be asked ({Reason}); all containers stop together", exception.Message);
            return [];
        }
    }
}
