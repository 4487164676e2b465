namespace Fabric.Simulation.Running;

/// <summary>What to simulate.</summary>
internal sealed record CampaignOptions
{
    public const string Usage = """
        usage: Fabric.Simulation [--seeds FIRST..LAST] [--jobs N] [--limit SECONDS] [--first] [--verbose]
               Fabric.Simulation --seed N [--without I,J] [--trace FILE] [--shrink]
               Fabric.Simulation --planted all|NAME,NAME [--seeds FIRST..LAST] [--jobs N]

          --seeds     simulate these; 1..1000 unless said otherwise
          --jobs      processes at a time; one for each processor unless said otherwise
          --limit     begin no more seeds after so long
          --first     stop at the first seed that fails
          --verbose   a line for each seed that passes, too
          --seed      simulate one, twice, and compare
          --without   leave out the faults with these numbers
          --trace     write down what happens
          --shrink    when it fails, leave out faults as long as it still fails
          --planted   plant bugs into a copy of the source, one after the other, and see whether they are caught
        """;

    public ulong First { get; private init; } = 1;

    public long Count { get; private init; } = 1000;

    public ulong? Seed { get; private init; }

    public int Jobs { get; private init; } = Environment.ProcessorCount;

    public TimeSpan Limit { get; private init; } = TimeSpan.MaxValue;

    public bool StopsAtFirst { get; init; }

    public bool Verbose { get; private init; }

    public bool Shrink { get; private init; }

    /// <summary>Bugs to plant; "all" for all of them, none for a campaign without.</summary>
    public IReadOnlyList<string> Planted { get; private init; } = [];

    /// <summary>The program that simulates; with planted bugs another one than this.</summary>
    public string Program { get; init; } = typeof(CampaignOptions).Assembly.Location;

    /// <summary>The planted bug that is alive in it.</summary>
    public string? AliveBug { get; init; }

    public IReadOnlyCollection<int> Without { get; private init; } = [];

    public string? TraceFile { get; private init; }

    /// <summary>Seeds that one process simulates before a fresh one goes on.</summary>
    /// <remarks>A fresh process compiles for some six seconds: there are two for each job, so that none is idle for long at the end.</remarks>
    public int Portion => (int)Math.Clamp(Count / Jobs / 2, 1, StopsAtFirst ? 50 : 500);

    /// <exception cref="FormatException">An option is unknown or has no sensible value.</exception>
    public static CampaignOptions Parse(string[] arguments)
    {
        var options = new CampaignOptions();
        for (var i = 0; i < arguments.Length; i++)
        {
            string Value() => ++i < arguments.Length ? arguments[i] : throw new FormatException($"{arguments[i - 1]} needs a value");
            options = arguments[i] switch
            {
                "--seeds" => options.WithSeeds(Value()),
                "--seed" => options with { Seed = ulong.Parse(Value()) },
                "--jobs" => options with { Jobs = Math.Max(1, int.Parse(Value())) },
                "--limit" => options with { Limit = TimeSpan.FromSeconds(double.Parse(Value())) },
                "--planted" => options with { Planted = Value().Split(',') },
                "--first" => options with { StopsAtFirst = true },
                "--verbose" => options with { Verbose = true },
                "--shrink" => options with { Shrink = true },
                "--without" => options with { Without = [.. Value().Split(',').Select(int.Parse)] },
                "--trace" => options with { TraceFile = Path.GetFullPath(Value()) },
                var other => throw new FormatException($"unknown option {other}"),
            };
        }

        return options;
    }

    private CampaignOptions WithSeeds(string range)
    {
        var bounds = range.Split("..");
        if (bounds.Length != 2 || !ulong.TryParse(bounds[0], out var first) || !ulong.TryParse(bounds[1], out var last) || last < first)
        {
            throw new FormatException($"{range} is not a range like 1..1000");
        }

        return this with { First = first, Count = (long)(last - first) + 1 };
    }
}
