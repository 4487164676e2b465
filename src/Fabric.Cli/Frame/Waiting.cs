using Fabric.Runtime;

namespace Fabric.Cli.Frame;

/// <summary>Waits for a condition that a process elsewhere makes true.</summary>
internal static class Waiting
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>Asks until the answer is yes.</summary>
    /// <returns>False when the limit passed first.</returns>
    public static async Task<bool> UntilAsync(
        FabricRuntime runtime, TimeSpan limit, Func<Task<bool>> condition, CancellationToken cancellationToken)
    {
        var start = runtime.Time.GetTimestamp();
        while (!await condition().ConfigureAwait(false))
        {
            if (runtime.Time.GetElapsedTime(start) >= limit)
            {
                return false;
            }

            await Task.Delay(Interval, runtime.Time, cancellationToken).ConfigureAwait(false);
        }

        return true;
    }
}
