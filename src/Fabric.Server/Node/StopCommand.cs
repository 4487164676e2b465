using Fabric.Runtime;
using Fabric.Runtime.Processes;

namespace Fabric.Server.Node;

/// <summary>
/// <c>fabricd stop</c>: ends the node of a data directory and, if it is a root's, the containers below it, whether the root lives or
/// not. Works from pid files alone, so it needs no registry and no password.
/// </summary>
internal static class StopCommand
{
    private static readonly TimeSpan LastChance = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan KillLimit = TimeSpan.FromSeconds(5);

    /// <summary>Asks, waits, and kills what is left when the limit has passed.</summary>
    public static async Task<ExitCode> RunAsync(FabricRuntime runtime, IProcesses processes, Request.Stop request)
    {
        var containers = Path.Combine(request.DataDirectory, "containers");
        var isRoot = Directory.Exists(containers);
        using var root = Find(runtime, processes, request.DataDirectory);
        var since = runtime.Time.GetTimestamp();
        if (root is not null)
        {
            Ask(root, isRoot);
            if (!await EndedAsync(runtime, [root], request.Limit))
            {
                Console.Error.WriteLine($"{request.DataDirectory} did not stop within {request.Limit.TotalSeconds} s and is killed");
                root.Kill();
                await EndedAsync(runtime, [root], KillLimit);
            }
        }

        // Whatever is still there has no living root: an orphan, or a root that did not listen.
        var orphans = isRoot
            ? Directory.EnumerateDirectories(containers).Select(path => Find(runtime, processes, path)).OfType<ISupervisedProcess>().ToArray()
            : [];
        Array.ForEach(orphans, orphan => orphan.Terminate());
        if (!await EndedAsync(runtime, orphans, Left(runtime, since, request.Limit)))
        {
            Array.ForEach(orphans, orphan => orphan.Kill());
            await EndedAsync(runtime, orphans, KillLimit);
        }

        var stopped = orphans.Length + (root is null ? 0 : 1);
        Console.Out.WriteLine(stopped == 0 ? "nothing runs here" : "stopped");
        return ExitCode.Done;
    }

    private static ISupervisedProcess? Find(FabricRuntime runtime, IProcesses processes, string directory) =>
        PidFile.Read(runtime.Disk, directory) is { } identity ? processes.Find(identity) : null;

    private static void Ask(ISupervisedProcess process, bool withContainers)
    {
        if (withContainers)
        {
            process.Signal(StopRequests.UserSignal2);
        }
        else
        {
            process.Terminate();
        }
    }

    private static TimeSpan Left(FabricRuntime runtime, long since, TimeSpan limit)
    {
        var left = limit - runtime.Time.GetElapsedTime(since);
        return left > LastChance ? left : LastChance;
    }

    private static async Task<bool> EndedAsync(FabricRuntime runtime, IReadOnlyCollection<ISupervisedProcess> ending, TimeSpan limit)
    {
        try
        {
            await Task.WhenAll(ending.Select(process => process.Ended)).WaitAsync(limit, runtime.Time);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
