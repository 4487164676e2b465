using Fabric.Simulation.Planted;
using Fabric.Simulation.Running;
using NUnit.Framework;

namespace Fabric.Simulation;

/// <summary>What <c>tests/run</c> simulates. More seeds, other ones, and a closer look: README.md.</summary>
[TestFixture]
internal sealed class SimulationTests
{
    [Test, Order(1)]
    public void A_seed_does_the_same_twice()
    {
        var other = Task.Run(() => Simulate(1, 20, place: 1, compilesAtOnce: true));
        var first = Simulate(1, 20, place: 0, compilesAtOnce: false);
        var second = other.GetAwaiter().GetResult();
        Assert.That(first, Has.Count.EqualTo(20));
        Assert.That(second.Select(result => result.Hash), Is.EqualTo(first.Select(result => result.Hash)));
        Assert.That(first.Select(result => result.Hash).Distinct().Count(), Is.EqualTo(20), "seeds differ");
    }

    [Test, Order(0)]
    public void Every_planted_bug_finds_its_place()
    {
        var root = Hunt.FindRoot();
        var copy = Directory.CreateTempSubdirectory("fabric-planted-");
        try
        {
            PlantedBugs.Read(Path.Combine(root, Hunt.BugsFile)).Plant(root, copy.FullName);
        }
        finally
        {
            copy.Delete(recursive: true);
        }
    }

    [Test, Order(2)]
    public void A_thousand_seeds_keep_every_promise()
    {
        var options = CampaignOptions.Parse(["--seeds", "1..1000"]);
        Assert.That(Campaign.Run(options, TestContext.Out), Is.Zero);
    }

    private static List<SeedResult> Simulate(ulong first, int count, int place, bool compilesAtOnce)
    {
        using var worker = WorkerProcess.Start(new CampaignOptions(), first, count, [], "-", place, compilesAtOnce);
        var results = new List<SeedResult>();
        while (worker.Read() is { } result)
        {
            results.Add(result);
        }

        return results;
    }
}
