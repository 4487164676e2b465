using Fabric.Simulation.Cluster;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Running;

/// <summary>
/// Simulates seeds one after the other, in a process whose pool has one thread. Arguments: first seed, number of seeds, faults to leave out (or "-"), file
/// for the trace (or "-"), which of the processors it stays on. Writes a line for each seed: <c>seed ok|failed hash milliseconds text</c>, parted by tabs.
/// </summary>
internal static class Worker
{
    /// <summary>Real time without a step after which a world is stuck: two of its threads wait for each other. Others may have the processors for long.</summary>
    private static readonly TimeSpan StuckAfter = TimeSpan.FromMinutes(5);

    private const int StuckCode = 3;

    private static World? _world;

    public static int Run(string[] arguments)
    {
        var (first, count) = (ulong.Parse(arguments[0]), int.Parse(arguments[1]));
        var without = arguments[2] == "-" ? [] : arguments[2].Split(',').Select(int.Parse).ToHashSet();
        StayOn(int.Parse(arguments[4]));
        using var text = arguments[3] == "-" ? null : new StreamWriter(arguments[3]);
        new Thread(Watch) { IsBackground = true }.Start();
        for (var seed = first; seed < first + (ulong)count; seed++)
        {
            RunSeed(seed, without, text);
        }

        return 0;
    }

    /// <summary>Of a world's threads only one runs at a time; that the next one runs where the last one did saves a third of the time and more.</summary>
    private static void StayOn(int place)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsWindows())
        {
            return;
        }

        using var process = System.Diagnostics.Process.GetCurrentProcess();
        var allowed = (ulong)process.ProcessorAffinity;
        var chosen = Enumerable.Range(0, 64).Where(number => (allowed >> number & 1) != 0).ToList() is { Count: > 0 } numbers
            ? numbers[place % numbers.Count]
            : 0;
        process.ProcessorAffinity = (nint)(1UL << chosen);
    }

    private static void RunSeed(ulong seed, HashSet<int> without, StreamWriter? text)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var world = new World(seed, new Trace(text));
        var scenario = new Scenario(world, without);
        Volatile.Write(ref _world, world);
        var (word, what) = ("ok", "");
        try
        {
            world.Run(scenario.RunAsync);
            what = scenario.Summary;
        }
        catch (Exception exception)
        {
            (word, what) = ("failed", $"at {world.Now.TotalSeconds:F3} s: {(exception is OracleException ? exception.Message : exception.ToString())}");
        }

        text?.WriteLine(what);
        Report(seed, word, world, clock.ElapsedMilliseconds, what, scenario);
    }

    private static void Report(ulong seed, string word, World world, long milliseconds, string what, Scenario scenario)
    {
        var faults = string.Join(" | ", scenario.Faults);
        Console.Out.WriteLine(
            $"{seed}\t{word}\t{world.Trace.Hash:x16}\t{world.Steps}\t{world.Now.TotalSeconds:F1}\t{milliseconds}\t{what.ReplaceLineEndings("\\n")}\t{faults}");
        Console.Out.Flush();
    }

    /// <summary>On a thread of its own: the pool's only thread belongs to the world.</summary>
    private static void Watch()
    {
        var (last, lastWorld) = (-1L, default(World));
        while (true)
        {
            Thread.Sleep(StuckAfter);
            var world = Volatile.Read(ref _world);
            if (world is not null && ReferenceEquals(world, lastWorld) && world.Steps == last)
            {
                Console.Out.WriteLine(
                    $"{world.Seed}\tstuck\t{world.Trace.Hash:x16}\t{last}\t{world.Now.TotalSeconds:F1}\t0\ttwo threads wait for each other\t");
                Console.Out.Flush();
                foreach (var host in world.Hosts)
                {
                    foreach (var fiber in host.Process?.Fibers ?? [])
                    {
                        world.Trace.Line(world.Now, host.Name, $"{fiber}");
                    }
                }

                world.Trace.Flush();
                Environment.Exit(StuckCode);
            }

            (last, lastWorld) = (world?.Steps ?? 0, world);
        }
    }
}
