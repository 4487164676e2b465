using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.ZooKeeper.Server;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>The registry that a root hosts: a ZooKeeper server of one node, with its data below the root's directory.</summary>
internal sealed class HostedRegistry : IAsyncDisposable
{
    private readonly ZooKeeperServer _server;

    private HostedRegistry(ZooKeeperServer server, string connectString) => (_server, ConnectString) = (server, connectString);

    /// <summary>Where this machine's processes find it.</summary>
    public string ConnectString { get; }

    /// <summary>Fails when the registry had to stop because its disk failed; never ends otherwise.</summary>
    public Task Failed => _server.Failed;

    /// <exception cref="NodeException">Its port is in use, or its directory cannot be used (exit code 74).</exception>
    public static async Task<HostedRegistry> StartAsync(FabricRuntime runtime, NodeOptions options, ILoggerFactory loggers)
    {
        var serverOptions = new ZooKeeperServerOptions
        {
            DataDirectory = options.RegistryDirectory,
            Host = options.BindHost,
            Port = options.RegistryPort,
        };
        try
        {
            var server = await ZooKeeperServer.StartAsync(runtime, serverOptions, loggers.CreateLogger("zookeeper"));
            var host = options.ListensEverywhere ? "127.0.0.1" : options.BindHost;
            return new HostedRegistry(server, $"{host}:{server.Port}");
        }
        catch (DirectoryInUseException exception)
        {
            throw new NodeException(ExitCode.LocalFailure, exception.Message, "stop that process", exception);
        }
        catch (IOException exception)
        {
            throw new NodeException(
                ExitCode.LocalFailure, $"the registry cannot be started: {exception.Message}",
                "choose other ports with --port-offset, or name a running registry with --zookeeper", exception);
        }
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
