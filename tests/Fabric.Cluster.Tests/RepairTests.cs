using System.Globalization;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests;

/// <summary>A replica whose disk has changed something by itself.</summary>
[TestFixture, Platform("Linux")]
internal sealed class RepairTests
{
    private const int SegmentBytes = 65536;
    private const int DamagedAt = 4096 + 20_000;
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    [Test]
    public async Task A_replica_with_a_flipped_bit_repairs_its_journal_by_itself_and_can_lead_with_it()
    {
        await using var containers = await OwnContainers.StartAsync(new OwnContainersOptions
        {
            Properties = new Dictionary<string, string> { ["segment-bytes"] = $"{SegmentBytes}" },
        });
        var (master, _, _) = await containers.HealthyAsync();
        var victim = OwnContainers.Names.First(name => name != master);
        var other = OwnContainers.Names.Single(name => name != master && name != victim);
        await using var traffic = await ConfirmedTraffic.StartAsync(containers.FailoverUrl, containers.FailoverUrl, "repaired", padding: 4000);
        await Processes.EventuallyAsync(() => Task.FromResult(LastOf(containers, victim)), last => last > 6 * SegmentBytes, Healing, "segments gather");
        await StopAsync(containers, victim);

        Flip(SegmentOf(containers, victim));
        Assert.That((await VerifyAsync(containers, victim)).ExitCode, Is.Not.Zero);
        containers.Start(victim);
        await Processes.EventuallyAsync(() => containers.RoleOfAsync(victim), role => role == "slave", Healing, "it follows again");
        await containers.HealthyAsync();
        Assert.That(Directory.GetFiles(containers.JournalOf(victim), "journal.damaged"), Is.Empty);
        var verified = await VerifyAsync(containers, victim);
        Assert.That(verified.ExitCode, Is.Zero, verified.ToString());

        // The other one falls behind a little, so that the one with the copy is the best when the master dies.
        await StopAsync(containers, other);
        await traffic.ProgressAsync(Healing);
        await StopAsync(containers, master);
        containers.Start(other);
        await containers.HealthyAsync(slaves: 1, name => name == victim);
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

    private static Task<Outcome> VerifyAsync(OwnContainers containers, string name) =>
        Processes.RunAsync(Fabricd.CommandLine, ["journal-verify", containers.JournalOf(name)], Healing);

    /// <summary>One that has a record where the bit is to flip: one in which a long batch found no room any more is short.</summary>
    private static string SegmentOf(OwnContainers containers, string name)
    {
        var segments = Directory.GetFiles(containers.JournalOf(name), "journal-*.seg").Order(StringComparer.Ordinal).ToList();
        return segments.Zip(segments.Skip(1)).First(pair => FirstOf(pair.Second) - FirstOf(pair.First) > 2 * DamagedAt).First;
    }

    private static void Flip(string path)
    {
        using var file = File.Open(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = DamagedAt;
        var sound = file.ReadByte();
        file.Position = DamagedAt;
        file.WriteByte((byte)(sound ^ 0x10));
    }

    private static long FirstOf(string path) => long.Parse(Path.GetFileName(path).AsSpan(8, 20), CultureInfo.InvariantCulture);

    private static long LastOf(OwnContainers containers, string name) => Directory.GetFiles(containers.JournalOf(name), "journal-*.seg")
        .Select(FirstOf).DefaultIfEmpty(0).Max();
}
