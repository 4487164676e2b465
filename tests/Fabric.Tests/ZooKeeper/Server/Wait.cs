namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>Waits for a condition, not for a time.</summary>
internal static class Wait
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    /// <exception cref="TimeoutException">It did not become true within half a minute.</exception>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var timeout = new CancellationTokenSource(Deadline);
        while (!await condition())
        {
            if (timeout.IsCancellationRequested)
            {
                throw new TimeoutException("the condition did not become true");
            }

            await Task.Delay(Pause, CancellationToken.None);
        }
    }
}
