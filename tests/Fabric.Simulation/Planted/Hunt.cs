using System.Diagnostics;
using Fabric.Simulation.Running;

namespace Fabric.Simulation.Planted;

/// <summary>Plants each bug and looks how many seeds it takes to catch it: what the simulator is worth.</summary>
internal static class Hunt
{
    public const string BugsFile = "tests/Fabric.Simulation/Planted/bugs.txt";

    /// <returns>The exit code: 0 when all were caught.</returns>
    public static int Run(CampaignOptions options, TextWriter output)
    {
        var root = FindRoot();
        var planted = PlantedBugs.Read(Path.Combine(root, BugsFile));
        var wanted = planted.Bugs.Where(bug => options.Planted is ["all"] || options.Planted.Contains(bug.Name)).ToList();
        if (wanted.Count == 0)
        {
            throw new FormatException($"no such bug; there are {string.Join(", ", planted.Bugs.Select(bug => bug.Name))}");
        }

        var copy = Directory.CreateTempSubdirectory("fabric-planted-").FullName;
        try
        {
            planted.Plant(root, copy);
            var program = Build(copy);
            output.WriteLine($"{"bug",-30}{"caught by",-12}{"seed",8}{"seeds",8}{"seconds",9}");
            var caught = wanted.Count(bug => Catch(bug, program, options, output));
            output.WriteLine($"{caught} of {wanted.Count} planted bugs caught");
            return caught == wanted.Count ? 0 : 1;
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    private static bool Catch(PlantedBug bug, string program, CampaignOptions options, TextWriter output)
    {
        var clock = Stopwatch.StartNew();
        var campaign = new Campaign(options with { StopsAtFirst = true, Program = program, AliveBug = bug.Name }, TextWriter.Null);
        campaign.RunAll();
        var first = campaign.Failed.Count > 0 ? campaign.Failed[0] : null;
        output.WriteLine(string.Create(System.Globalization.CultureInfo.InvariantCulture,
            $"{bug.Name,-30}{first?.Verdict ?? "NOT CAUGHT",-12}{first?.Seed.ToString() ?? "-",8}{campaign.Ran,8}{clock.Elapsed.TotalSeconds,9:F0}   {bug.What}"));
        return first is not null;
    }

    private static string Build(string copy)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        string[] arguments =
        [
            "build", Path.Combine(copy, "tests/Fabric.Simulation"), "-c", "Release", "-v", "quiet", "-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false",
            "-p:TreatWarningsAsErrors=false",
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var build = Process.Start(start)!;
        var said = build.StandardOutput.ReadToEnd();
        build.WaitForExit();
        return build.ExitCode == 0
            ? Path.Combine(copy, "tests/Fabric.Simulation/bin/Release/net10.0/Fabric.Simulation.dll")
            : throw new InvalidOperationException($"the copy with the planted bugs does not build:\n{said}");
    }

    /// <summary>The checkout that this program was built in.</summary>
    public static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Fabric.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException("planted bugs need a checkout");
    }
}
