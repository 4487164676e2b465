using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Admin;
using Fabric.Server.Supervision;

namespace Fabric.Server.Node;

/// <summary>What a node is doing, put together for the management port from its parts as they come and go. Thread-safe.</summary>
internal sealed class NodeBoard(FabricRuntime runtime, IProcesses processes, NodeOptions options)
{
    private readonly DateTimeOffset _startedAt = runtime.Time.GetUtcNow();
    private readonly long _started = runtime.Time.GetTimestamp();
    private volatile Func<bool>? _registryIsConnected;
    private volatile BrokerSet? _brokers;
    private volatile Supervisor? _supervisor;
    private volatile bool _stopping;
    private volatile string _registryHosts = "";

    public void Show(string registryHosts, Func<bool> registryIsConnected) =>
        (_registryHosts, _registryIsConnected) = (registryHosts, registryIsConnected);

    public void Show(BrokerSet brokers) => _brokers = brokers;

    public void Show(Supervisor supervisor) => _supervisor = supervisor;

    public void ShowStopping() => _stopping = true;

    public NodeStatus Read() => new()
    {
        Container = options.Name,
        Root = options.IsRoot,
        Version = NodeVersion.Text,
        ProcessId = processes.Self.Id,
        StartedAt = _startedAt,
        UptimeSeconds = runtime.Time.GetElapsedTime(_started).TotalSeconds,
        Stopping = _stopping,
        Registry = new RegistryStatus(_registryHosts, _registryIsConnected?.Invoke() ?? false, options.HostsRegistry),
        Brokers = _brokers?.Status ?? [],
        Containers = [.. (_supervisor?.Status ?? []).Select(status => new ContainerStatus(
            status.Name, status.Activity.ToString().ToLowerInvariant(), status.ProcessId, status.Restarts, status.LastExit))],
    };
}
