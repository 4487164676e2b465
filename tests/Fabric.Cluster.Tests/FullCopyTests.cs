using System.Globalization;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests;

/// <summary>A replica that was away for so long that the others have cleaned away what it lacks.</summary>
[TestFixture, Platform("Linux")]
internal sealed class FullCopyTests
{
    private const int SegmentBytes = 65536;
    private const int CopiedBytes = 24 * 1024 * 1024;
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    [Test]
    public async Task A_replica_too_far_behind_copies_the_journal_dies_meanwhile_and_can_lead_with_it()
    {
        await using var containers = await OwnContainers.StartAsync(new OwnContainersOptions
        {
            Properties = new Dictionary<string, string>
            {
                ["segment-bytes"] = $"{SegmentBytes}", ["checkpoint-bytes"] = $"{4 * SegmentBytes}", ["retained-bytes"] = "0",
            },
        });
        var (master, _, _) = await containers.HealthyAsync();
        var late = OwnContainers.Names.First(name => name != master);
        var other = OwnContainers.Names.Single(name => name != master && name != late);
        await StopAsync(containers, late);
        await LeaveBehindAsync(containers, late, [master, other]);

        // What is not consumed makes the copy long enough to be interrupted.
        await using var traffic = await ConfirmedTraffic.StartAsync(containers.FailoverUrl, containers.FailoverUrl, "copied", padding: 16_000);
        var from = LastOf(containers, master);
        await Processes.EventuallyAsync(() => Task.FromResult(LastOf(containers, master)), at => at - from > CopiedBytes, Healing, "a backlog gathers");
        containers.Start(late);
        var state = Path.Combine(containers.JournalOf(late), "copy", "copy.state");
        await SeeAsync(state);
        await StopAsync(containers, late);
        Assert.That(File.Exists(state), Is.True, "it died in the middle of the copy");
        Assert.That(File.Exists(Path.Combine(containers.JournalOf(late), "copy.switch")), Is.False, "it died before the switch");

        containers.Start(late);
        await containers.HealthyAsync();
        Assert.That(FirstOf(containers, late), Is.GreaterThan(0), "it begins where the copy began");
        Assert.That(File.Exists(state), Is.False);

        // The other one falls behind a little, so that the one with the copy is the best when the master dies.
        await StopAsync(containers, other);
        await traffic.ProgressAsync(Healing);
        await StopAsync(containers, master);
        containers.Start(other);
        await containers.HealthyAsync(slaves: 1, name => name == late);
        await traffic.ProgressAsync(Healing);
        containers.Start(master);
        await containers.HealthyAsync();
        await traffic.VerifyAsync();
    }

    private static async Task StopAsync(OwnContainers containers, string name)
    {
        containers.Kill(name);
        await containers.EndAsync(name);
    }

    /// <summary>Sends and consumes until the others have cleaned away what the one that is away will need.</summary>
    private static async Task LeaveBehindAsync(OwnContainers containers, string late, string[] others)
    {
        var end = LastOf(containers, late) + SegmentBytes;
        for (var round = 1; others.Any(name => FirstOf(containers, name) <= end); round++)
        {
            Assert.That(round, Is.LessThan(20), "old segments go");
            await using var traffic = await ConfirmedTraffic.StartAsync(containers.FailoverUrl, containers.FailoverUrl, $"cleaned.{round}", padding: 4000);
            await traffic.VerifyAsync();
        }
    }

    private static async Task SeeAsync(string path)
    {
        using var limit = new CancellationTokenSource(Healing);
        while (!File.Exists(path))
        {
            limit.Token.ThrowIfCancellationRequested();
            await Task.Yield(); // as quickly as can be: what is waited for does not stay for long
        }
    }

    private static long FirstOf(OwnContainers containers, string name) => PositionsOf(containers, name).DefaultIfEmpty(0).Min();

    private static long LastOf(OwnContainers containers, string name) => PositionsOf(containers, name).DefaultIfEmpty(0).Max();

    private static IEnumerable<long> PositionsOf(OwnContainers containers, string name) =>
        Directory.GetFiles(containers.JournalOf(name), "journal-*.seg").Select(path => long.Parse(Path.GetFileName(path).AsSpan(8, 20), CultureInfo.InvariantCulture));
}
