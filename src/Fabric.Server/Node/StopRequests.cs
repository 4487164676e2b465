using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>What a signal asks of the node.</summary>
internal enum StopKind
{
    /// <summary>This node.</summary>
    Node,

    /// <summary>A root's containers, then the root.</summary>
    NodeAndContainers,
}

/// <summary>
/// Turns signals into one request to stop: SIGTERM and SIGINT stop the node, SIGUSR2 its containers too. After the first, any of
/// them ends the process at once: whoever signals twice does not want to wait.
/// </summary>
internal sealed class StopRequests : IDisposable
{
    /// <summary>SIGUSR2, which has no name in <see cref="PosixSignal"/> because its number differs between systems.</summary>
    public static readonly int UserSignal2 = OperatingSystem.IsLinux() ? 12 : 31;

    private readonly TaskCompletionSource<StopKind> _requested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ILogger _logger;
    private readonly List<PosixSignalRegistration> _registrations = [];

    public StopRequests(ILogger logger)
    {
        _logger = logger;
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => OnSignal(context, StopKind.Node, 143)));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, context => OnSignal(context, StopKind.Node, 130)));
        if (!OperatingSystem.IsWindows())
        {
            _registrations.Add(PosixSignalRegistration.Create(
                (PosixSignal)UserSignal2, context => OnSignal(context, StopKind.NodeAndContainers, 128 + UserSignal2)));
        }
    }

    /// <summary>Ends when somebody asks for a stop.</summary>
    public Task<StopKind> Requested => _requested.Task;

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void OnSignal(PosixSignalContext context, StopKind kind, int exitCode)
    {
        context.Cancel = true; // the runtime would end the process itself
        if (_requested.TrySetResult(kind))
        {
            _logger.LogInformation("Asked to stop by signal {Signal}", context.Signal);
            return;
        }

        _logger.LogWarning("Asked again by signal {Signal}; ending at once", context.Signal);
        Environment.Exit(exitCode);
    }
}
