namespace Fabric.Server.Admin;

/// <summary>
/// Judges a node's status. Readiness is a legitimate role, not mastership: a rolling restart waits for it, and would hang if slaves
/// were not ready. A slave that copies its master's journal is not ready: it holds nothing yet that the next restart could rely on.
/// </summary>
internal static class Health
{
    /// <summary>Whether every broker serves as master or follows one, and the node is not on its way down.</summary>
    public static HealthReport Ready(NodeStatus status)
    {
        var checks = new List<HealthCheck>
        {
            new("node", !status.Stopping, status.Stopping ? "stopping" : "running"),
        };

        // A fabric outlives the absence of its registry; only what was never registered is not ready without it.
        checks.AddRange(status.Brokers.Select(broker => new HealthCheck(
            $"broker {broker.Broker}",
            broker is { Role: "master", Serving: true } or { Role: "slave" },
            broker.Failure ?? broker.Role + (broker is { Role: "master", Serving: false } ? ", connectors not open yet" : ""))));
        return Report(checks);
    }

    /// <summary>Whether this node serves clients for at least one broker: for load balancers that know only yes and no.</summary>
    public static HealthReport Master(NodeStatus status) => status.Brokers.Count == 0
        ? Report([new HealthCheck("broker", false, "this container runs no broker")])
        : new HealthReport(
            status.Brokers.Any(broker => broker.Serving),
            [.. status.Brokers.Select(broker => new HealthCheck($"broker {broker.Broker}", broker.Serving, broker.Role))]);

    private static HealthReport Report(IReadOnlyList<HealthCheck> checks) => new(checks.All(check => check.Ok), checks);
}
