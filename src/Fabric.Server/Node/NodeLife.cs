using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Admin;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>
/// The order in which a node of a fabric starts and stops. What is started last is stopped first, so that at each moment everything
/// that a part needs is there: the brokers hand over while the registry still knows them, and the registry goes last.
/// </summary>
internal sealed class NodeLife(
    FabricRuntime runtime, IProcesses processes, NodeOptions options, string? password, ILoggerFactory loggers)
{
    private readonly ILogger _logger = loggers.CreateLogger("node");

    /// <summary>Runs the node until it is asked to stop, and stops it.</summary>
    /// <exception cref="NodeException">It cannot run, or not any more.</exception>
    public async Task RunAsync(StopRequests stop)
    {
        // 1. The management port: whoever looks sees the node from its first to its last moment.
        var board = new NodeBoard(runtime, processes, options);
        await using var admin = await AdminServer.StartAsync(
            options.BindHost, options.EffectiveAdminPort, board.Read, loggers, CancellationToken.None);

        // 2. A root's own registry.
        await using var hosted = options.HostsRegistry ? await HostedRegistry.StartAsync(runtime, options, loggers) : null;

        // 3. The way to the registry, which everything below needs; waits until there is one.
        var hosts = hosted?.ConnectString ?? options.ZooKeeper!;
        var secret = password ?? RegistryOptions.DefaultPassword;
        await using var registry = FabricRegistry.Open(
            runtime, new RegistryOptions { ConnectString = hosts, Password = secret }, loggers.CreateLogger("registry"));
        board.Show(hosts, () => registry.Session.IsConnected);
        if (!await RegistryDoor.OpenAsync(runtime, registry, options.FailFast, stop.Requested, _logger))
        {
            return;
        }

        // 4. The fabric itself, when this root is its first.
        if (options.IsRoot && !await FabricFoundation.LayAsync(runtime, registry, options, secret, stop.Requested, _logger))
        {
            return;
        }

        // 5. Who we are, and who may connect.
        await using var presence = new ContainerPresence(registry, Registration(admin.Port));
        await using var users = new RegistryUsers(registry, _logger);

        // 6. The brokers, as the profiles say. Stopped in this order: no more changes, then masters hand over, then all of it closes.
        var surroundings = new FabricSurroundings(runtime, options, registry);
        await using var provisioner = new Provisioner(new NodeServices(runtime, options, users, surroundings, loggers), registry, presence);
        board.Show(provisioner.Brokers);

        // 7. The containers of this machine. They outlive us, unless we are asked to stop them too.
        await using var machine = options.IsRoot ? new Machine(runtime, processes, options, registry, hosts, secret, loggers) : null;
        if (machine is not null)
        {
            board.Show(machine.Supervisor);
        }

        await Task.WhenAny(stop.Requested, hosted?.Failed ?? stop.Requested);
        board.ShowStopping();
        if (hosted is { Failed.IsFaulted: true })
        {
            throw new NodeException(ExitCode.LocalFailure, $"the registry failed: {hosted.Failed.Exception.InnerException?.Message}");
        }

        if (machine is not null && await stop.Requested == StopKind.NodeAndContainers)
        {
            await machine.StopContainersAsync();
        }
    }

    private ContainerRegistration Registration(int adminPort) => new()
    {
        Name = options.Name,
        Parent = options.Parent,
        Host = options.EffectiveAdvertisedHost,
        ProcessId = processes.Self.Id,
        Facts = new Dictionary<string, string>
        {
            ["http"] = $"http://${{zk:{options.Name}/ip}}:{adminPort}",
            ["bindaddress"] = options.BindHost,
        },
    };
}
