using Fabric.Registry;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>Writes what a new fabric's registry holds, when this root is the first to see it. Repeated starts change nothing.</summary>
internal static class FabricFoundation
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    /// <param name="runtime">The clock.</param>
    /// <param name="registry">Where to write; waited for when it goes away meanwhile.</param>
    /// <param name="options">The root's.</param>
    /// <param name="password">The registry's.</param>
    /// <param name="stop">Ends the waiting.</param>
    /// <param name="logger">Told what happens.</param>
    /// <returns>False when the node is asked to stop before it is done.</returns>
    /// <exception cref="NodeException">The registry does not let us (exit code 77).</exception>
    public static async Task<bool> LayAsync(
        FabricRuntime runtime, FabricRegistry registry, NodeOptions options, string password, Task stop, ILogger logger)
    {
        var creation = new FabricCreation
        {
            Root = options.Name,
            ExternalRegistry = options.ZooKeeper,
            RegistryPort = options.RegistryPort,
            Password = password,
        };
        while (!stop.IsCompleted)
        {
            try
            {
                var existed = await FabricCreation.ExistsAsync(registry);
                await creation.CreateAsync(registry);
                if (!existed)
                {
                    logger.LogInformation("Created a new fabric in the registry {Hosts}", registry.ConnectString);
                }

                return true;
            }
            catch (RegistryUnavailableException exception)
            {
                logger.LogWarning("The fabric cannot be looked at yet: {Reason}", exception.Message);
                await Task.WhenAny(stop, Task.Delay(RetryPause, runtime.Time));
            }
            catch (RegistryPasswordException exception)
            {
                throw new NodeException(ExitCode.PermissionDenied, exception.Message, "use the password that the fabric was created with", exception);
            }
        }

        return false;
    }
}
