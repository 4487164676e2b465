using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Admin;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>The order in which a node of a fabric starts and stops.</summary>
internal sealed class NodeLife(
    FabricRuntime runtime, IProcesses processes, NodeOptions options, ILoggerFactory loggers)
{
    /// <summary>Runs the node until it is asked to stop, and stops it.</summary>
    /// <exception cref="NodeException">It cannot run.</exception>
    public async Task RunAsync(StopRequests stop)
    {
        var board = new NodeBoard(runtime, processes, options);
        await using var admin = await AdminServer.StartAsync(
            options.BindHost, options.EffectiveAdminPort, board.Read, loggers, CancellationToken.None);
        await stop.Requested;
        board.ShowStopping();
    }
}
