using Fabric.Registry;
using Fabric.Simulation.Kernel;
using Fabric.ZooKeeper.Server;

namespace Fabric.Simulation.Cluster;

/// <summary>The registry: the embedded ZooKeeper server on a host of its own.</summary>
internal sealed class SimulatedRegistry(Host host)
{
    public const int Port = 2181;
    public const string DataDirectory = "/registry";

    public Host Host { get; } = host;

    public string ConnectString { get; } = $"{host.Address}:{Port}";

    public void Start()
    {
        var process = Host.Start();
        process.Context.Post(async _ => await RunAsync(process), null);
    }

    /// <summary>Writes what a new fabric's registry holds.</summary>
    public async Task LayFoundationAsync()
    {
        var control = Host.World.Control;
        using var loggers = new TraceLoggers(control);
        await using var registry = FabricRegistry.Open(
            control.Runtime, new RegistryOptions { ConnectString = ConnectString }, loggers.CreateLogger("registry"));
        await registry.OpenedAsync(CancellationToken.None);
        var creation = new FabricCreation { Root = "root", ExternalRegistry = ConnectString, RegistryPort = Port, Password = RegistryOptions.DefaultPassword };
        await creation.CreateAsync(registry);
    }

    private async Task RunAsync(Process process)
    {
        using var loggers = new TraceLoggers(process);
        await ZooKeeperServer.StartAsync(
            process.Runtime,
            new ZooKeeperServerOptions { DataDirectory = DataDirectory, Host = Host.Address, Port = Port },
            loggers.CreateLogger("zookeeper"));
    }
}
