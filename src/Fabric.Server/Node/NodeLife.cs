using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Admin;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>The order in which a node starts and stops.</summary>
internal sealed class NodeLife(
    FabricRuntime runtime, IProcesses processes, NodeOptions options, string? password, ILoggerFactory loggers)
{
    private readonly DateTimeOffset _startedAt = runtime.Time.GetUtcNow();
    private readonly long _started = runtime.Time.GetTimestamp();
    private volatile bool _stopping;

    /// <summary>Runs the node until it is asked to stop, and stops it.</summary>
    /// <exception cref="NodeException">It cannot run.</exception>
    public async Task RunAsync(Task<StopKind> stop)
    {
        await using var admin = await AdminServer.StartAsync(
            options.BindHost, options.EffectiveAdminPort, Status, loggers, CancellationToken.None);
        await stop;
        _stopping = true;
        _ = password;
    }

    private NodeStatus Status() => new()
    {
        Container = options.Name,
        Root = options.IsRoot,
        Version = NodeVersion.Text,
        ProcessId = processes.Self.Id,
        StartedAt = _startedAt,
        UptimeSeconds = runtime.Time.GetElapsedTime(_started).TotalSeconds,
        Stopping = _stopping,
        Registry = new RegistryStatus(options.ZooKeeper ?? "", false, options.HostsRegistry),
        Brokers = [],
        Containers = [],
    };
}
