using Fabric.Registry;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>Waits for the registry when a node starts: it may come later, but a wrong password will not become right.</summary>
internal static class RegistryDoor
{
    /// <summary>How long a node that is to fail fast waits.</summary>
    private static readonly TimeSpan FailFastLimit = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan FirstWord = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LaterWords = TimeSpan.FromSeconds(30);

    /// <summary>Waits until the registry has answered, and says so now and then while it does not.</summary>
    /// <returns>False when the node is asked to stop before that.</returns>
    /// <exception cref="NodeException">The password is wrong (77), or the registry was not to be waited for (69).</exception>
    public static async Task<bool> OpenAsync(
        FabricRuntime runtime, FabricRegistry registry, bool failFast, Task stop, ILogger logger)
    {
        using var giveUp = new CancellationTokenSource();
        var opened = registry.OpenedAsync(giveUp.Token);
        var since = runtime.Time.GetTimestamp();
        for (var pause = FirstWord; ; pause = failFast ? FailFastLimit - FirstWord : LaterWords)
        {
            using var patience = new CancellationTokenSource();
            var waited = Task.Delay(pause, runtime.Time, patience.Token);
            var first = await Task.WhenAny(opened, stop, waited);
            await patience.CancelAsync();
            if (first == stop)
            {
                await giveUp.CancelAsync();
                return false;
            }

            if (first == opened)
            {
                await PassAsync(opened, registry);
                return true;
            }

            if (failFast && runtime.Time.GetElapsedTime(since) >= FailFastLimit)
            {
                await giveUp.CancelAsync();
                throw new NodeException(
                    ExitCode.RegistryUnreachable, $"the registry {registry.ConnectString} cannot be reached",
                    "start it, or name another with --zookeeper");
            }

            logger.LogWarning("The registry {Hosts} cannot be reached yet; waiting for it", registry.ConnectString);
        }
    }

    private static async Task PassAsync(Task opened, FabricRegistry registry)
    {
        try
        {
            await opened;
        }
        catch (RegistryPasswordException exception)
        {
            throw new NodeException(
                ExitCode.PermissionDenied, $"the registry {registry.ConnectString} refuses the password",
                $"set {RegistryPassword.Variable}, or write it to registry.password in the data directory", exception);
        }
    }
}
