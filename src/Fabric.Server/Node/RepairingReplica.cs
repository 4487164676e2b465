using Fabric.Replication;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>What runs in the place of a broker's replica while its journal is damaged: the repair, and the broker's place in its group, so that people see that it is not gone.</summary>
internal sealed class RepairingReplica : IAsyncDisposable
{
    private readonly IBrokerPresence _presence;

    private RepairingReplica(ReplicaRepair repair, IBrokerPresence presence) => (Repair, _presence) = (repair, presence);

    public ReplicaRepair Repair { get; }

    /// <summary>Starts it. Its failures are those of <see cref="ReplicaRepair.StartAsync"/>.</summary>
    /// <param name="services">What the brokers of the node share.</param>
    /// <param name="configuration">Of this one.</param>
    /// <param name="isFirst">Whether it is the container's first broker.</param>
    /// <param name="damage">What is lost where.</param>
    /// <param name="logger">Of this broker.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<RepairingReplica> StartAsync(
        NodeServices services, BrokerConfiguration configuration, bool isFirst, string damage, ILogger logger, CancellationToken cancellationToken)
    {
        var ties = services.Surroundings.Tie(configuration, isFirst, logger);
        try
        {
            var options = RunningReplica.OptionsOf(services.Options, configuration);
            return new RepairingReplica(
                await ReplicaRepair.StartAsync(services.Runtime, options, damage, ties.Link, ties.Coordinator, logger, cancellationToken), ties.Presence);
        }
        catch
        {
            await ties.Presence.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Repair.DisposeAsync();
        await _presence.DisposeAsync();
    }
}
