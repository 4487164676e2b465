using System.Diagnostics;

namespace Fabric.Simulation.Running;

/// <summary>Runs many seeds in several processes, looks closer at what failed, and says what came out.</summary>
internal sealed class Campaign(CampaignOptions options, TextWriter output)
{
    /// <summary>Failed seeds that are shrunk; the others are only named.</summary>
    private const int ShrunkMax = 3;

    private readonly List<SeedResult> _failed = [];

    /// <summary>What failed, in the order in which it did.</summary>
    public IReadOnlyList<SeedResult> Failed => _failed;

    /// <summary>Seeds that were simulated.</summary>
    public long Ran => _passed + _failed.Count;

    private long _passed;
    private long _steps;
    private double _virtualSeconds;

    /// <returns>The exit code: 0 when every seed passed.</returns>
    public static int Run(CampaignOptions options, TextWriter output) => new Campaign(options, output).Run();

    private int Run()
    {
        var clock = Stopwatch.StartNew();
        if (options.Seed is { } seed)
        {
            return RunOne(seed);
        }

        RunAll();
        output.WriteLine(
            $"{_passed} seeds passed, {_failed.Count} failed; {_steps} steps, {_virtualSeconds / 3600:F1} simulated hours in {clock.Elapsed.TotalSeconds:F0} s");
        foreach (var result in _failed.Take(ShrunkMax))
        {
            Explain(result);
        }

        return _failed.Count == 0 ? 0 : 1;
    }

    /// <summary>Runs one seed twice: it must do the same both times.</summary>
    private int RunOne(ulong seed)
    {
        var first = Single(seed, options.Without, options.TraceFile ?? "-");
        var second = Single(seed, options.Without, "-");
        output.WriteLine(first);
        if (first.Hash != second.Hash)
        {
            output.WriteLine($"seed {seed} is not the same twice: {first.Hash} and {second.Hash}");
            return 1;
        }

        if (!first.Passed && options.Shrink)
        {
            Explain(first);
        }

        return first.Passed ? 0 : 1;
    }

    public void RunAll()
    {
        var next = options.First;
        var gate = new Lock();
        var end = options.First + (ulong)options.Count;
        var clock = Stopwatch.StartNew();

        void Work(int place)
        {
            while (true)
            {
                ulong from;
                int count;
                lock (gate)
                {
                    if (next >= end || clock.Elapsed > options.Limit || (options.StopsAtFirst && _failed.Count > 0))
                    {
                        return;
                    }

                    from = next;
                    count = (int)Math.Min((ulong)options.Portion, end - from);
                    next += (ulong)count;
                }

                RunPortion(from, count, place, gate);
            }
        }

        var threads = Enumerable.Range(0, options.Jobs).Select(place => new Thread(() => Work(place))).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
    }

    private void RunPortion(ulong from, int count, int place, Lock gate)
    {
        using var worker = WorkerProcess.Start(options, from, count, [], "-", place);
        var expected = from;
        while (worker.Read() is { } result)
        {
            lock (gate)
            {
                Take(result);
            }

            expected = result.Seed + 1;
            if (options.StopsAtFirst && !result.Passed)
            {
                worker.Kill();
                return;
            }
        }

        if (expected < from + (ulong)count)
        {
            lock (gate)
            {
                if (_failed.All(result => result.Seed != expected - 1 || result.Word != "stuck"))
                {
                    Take(new SeedResult(expected, "died", "", 0, 0, 0, worker.Errors(), []));
                    expected++;
                }
            }

            if (expected < from + (ulong)count && !options.StopsAtFirst)
            {
                RunPortion(expected, (int)(from + (ulong)count - expected), place, gate);
            }
        }
    }

    private void Take(SeedResult result)
    {
        if (result.Passed)
        {
            _passed++;
        }
        else
        {
            _failed.Add(result);
            output.WriteLine(result);
        }

        if (options.Verbose && result.Passed)
        {
            output.WriteLine(result);
        }

        _steps += result.Steps;
        _virtualSeconds += result.VirtualSeconds;
    }

    /// <summary>Leaves out faults one after the other as long as the seed still fails, and writes a trace of what remains.</summary>
    private void Explain(SeedResult result)
    {
        if (result.Word == "died")
        {
            return;
        }

        var without = new SortedSet<int>(options.Without);
        foreach (var number in result.FaultNumbers)
        {
            without.Add(number);
            if (Single(result.Seed, without, "-").Passed)
            {
                without.Remove(number);
            }
        }

        var file = options.TraceFile ?? Path.Combine(Path.GetTempPath(), $"fabric-simulation-{result.Seed}.trace");
        var shrunk = Single(result.Seed, without, file);
        output.WriteLine($"\nshrunk: --seed {result.Seed}{(without.Count == 0 ? "" : $" --without {string.Join(',', without)}")}");
        foreach (var fault in shrunk.Faults)
        {
            output.WriteLine($"  {fault}");
        }

        output.WriteLine($"  {shrunk.What.Replace("\\n", "\n  ")}\n  trace: {file}");
    }

    private SeedResult Single(ulong seed, IReadOnlyCollection<int> without, string trace)
    {
        using var worker = WorkerProcess.Start(options, seed, 1, without, trace);
        return worker.Read() ?? new SeedResult(seed, "died", "", 0, 0, 0, worker.Errors(), []);
    }
}

/// <summary>What came out of a seed.</summary>
internal sealed record SeedResult(
    ulong Seed, string Word, string Hash, long Steps, double VirtualSeconds, long Milliseconds, string What, IReadOnlyList<string> Faults)
{
    public bool Passed => Word == "ok";

    /// <summary>The oracle that caught it, or what else became of it.</summary>
    public string Verdict => System.Text.RegularExpressions.Regex.Match(What, "O[0-9]+") is { Success: true } oracle ? oracle.Value : Word == "failed" ? "exception" : Word;

    public IEnumerable<int> FaultNumbers => Faults.Select(fault => int.Parse(fault.Split('#')[1].Split(' ')[0]));

    public static SeedResult Parse(string line)
    {
        var parts = line.Split('\t');
        return new SeedResult(
            ulong.Parse(parts[0]), parts[1], parts[2], long.Parse(parts[3]), double.Parse(parts[4]), long.Parse(parts[5]), parts[6],
            parts[7].Length == 0 ? [] : parts[7].Split(" | "));
    }

    public override string ToString() =>
        $"seed {Seed} {Word}, trace {Hash}, {Steps} steps, {VirtualSeconds:F1} s simulated in {Milliseconds} ms: {What.Replace("\\n", "\n    ")}";
}

/// <summary>A process whose pool has one thread, which is what makes a world repeat itself.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _errors;

    /// <summary>Seeds from which on it pays to compile everything at once.</summary>
    private const int CompilesAtOnceMin = 40;

    private WorkerProcess(Process process) => (_process, _errors) = (process, process.StandardError.ReadToEndAsync());

    /// <param name="options">The program, and what is planted in it.</param>
    /// <param name="seed">The first.</param>
    /// <param name="count">Of seeds.</param>
    /// <param name="without">Numbers of faults that are left out.</param>
    /// <param name="trace">A file, or "-".</param>
    /// <param name="place">Which of those that run at a time it is: each stays on a processor of its own.</param>
    /// <param name="compilesAtOnce">Whether code is compiled once, as fast code, which changes no seed; null to let the number of seeds decide.</param>
    public static WorkerProcess Start(
        CampaignOptions options, ulong seed, int count, IReadOnlyCollection<int> without, string trace, int place = 0, bool? compilesAtOnce = null)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            options.Program, "worker", $"{seed}", $"{count}", without.Count == 0 ? "-" : string.Join(',', without), trace, $"{place}",
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DOTNET_ThreadPool_ForceMinWorkerThreads"] = "1";
        start.Environment["DOTNET_ThreadPool_ForceMaxWorkerThreads"] = "1";
        start.Environment["DOTNET_PROCESSOR_COUNT"] = "1";
        start.Environment["DOTNET_gcServer"] = "0";
        start.Environment["DOTNET_TC_DelaySingleProcMultiplier"] = "1"; // with one processor the compiler would wait ten times as long before it makes code fast: 45 s became 36 for a hundred seeds
        if (compilesAtOnce ?? count >= CompilesAtOnceMin)
        {
            // Everything compiled once, as fast code: 4 s more at the start, a third less for each seed; 300 seeds took 72 s, not 92.
            start.Environment["DOTNET_TieredCompilation"] = "0";
            start.Environment["DOTNET_ReadyToRun"] = "0";
        }

        start.Environment[Planted.PlantedBugs.Variable] = options.AliveBug ?? "";
        return new WorkerProcess(Process.Start(start) ?? throw new InvalidOperationException("dotnet cannot be started"));
    }

    /// <summary>The next result; null when the process has ended.</summary>
    public SeedResult? Read()
    {
        while (_process.StandardOutput.ReadLine() is { } line)
        {
            if (line.Count(letter => letter == '\t') == 7)
            {
                return SeedResult.Parse(line);
            }
        }

        _process.WaitForExit();
        return null;
    }

    /// <summary>What it said when it died.</summary>
    public string Errors() => _errors.GetAwaiter().GetResult().ReplaceLineEndings("\\n");

    public void Kill() => _process.Kill();

    public void Dispose() => _process.Dispose();
}
