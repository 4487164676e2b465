using Fabric.Registry;
using Fabric.Runtime;

namespace Fabric.Cli.Frame;

/// <summary>Waits for a condition that a process elsewhere makes true.</summary>
internal static class Waiting
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>Asks until the answer is yes, also while the registry is away now and then: what is waited for goes on without it.</summary>
    /// <returns>False when the limit passed first.</returns>
    /// <exception cref="RegistryUnavailableException">The limit passed, and the registry was away at the end.</exception>
    public static async Task<bool> UntilAsync(
        FabricRuntime runtime, TimeSpan limit, Func<Task<bool>> condition, CancellationToken cancellationToken)
    {
        var start = runtime.Time.GetTimestamp();
        while (true)
        {
            try
            {
                if (await condition().ConfigureAwait(false))
                {
                    return true;
                }

                if (runtime.Time.GetElapsedTime(start) >= limit)
                {
                    return false;
                }
            }
            catch (RegistryUnavailableException) when (runtime.Time.GetElapsedTime(start) < limit)
            {
            }

            await Task.Delay(Interval, runtime.Time, cancellationToken).ConfigureAwait(false);
        }
    }
}
