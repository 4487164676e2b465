using System.Diagnostics;
using Fabric.Client;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests;

/// <summary>
/// A master that does not run for longer than its lease and its session (SIGSTOP, or a virtual machine that was moved): it comes back in the belief
/// that it leads, with requests of its clients in its sockets.
/// </summary>
[TestFixture, Platform("Linux")]
internal sealed class PausedMasterTests
{
    private const int SigCont = 18;
    private const int SigStop = 19;
    private const int LateSends = 50;
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    /// <summary>Clients that notice a silent broker before the user does; the stock limit is half a minute.</summary>
    private const string Impatient = "wireFormat.maxInactivityDuration=2000";

    [TestCase(12, TestName = "{m}(for 12 s, longer than the session)")]
    [TestCase(30, TestName = "{m}(for 30 s)", Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    public async Task A_paused_master_is_replaced_and_confirms_nothing_when_it_goes_on(int seconds)
    {
        await using var fabric = await DevelopmentFabric.StartAsync();
        var before = await fabric.HealthyAsync(Healing);
        var url = fabric.FailoverUrlWith(Impatient);
        await using var traffic = await ConfirmedTraffic.StartAsync(url, url, "paused");
        var paused = await fabric.ProcessIdAsync(before.Master!);
        await using var loyal = new FabricClient(
            $"tcp://localhost:{fabric.OpenWirePort(before.Master![^1] - '0')}",
            new FabricClientOptions { UserName = "admin", Password = "admin" });
        await loyal.SendAsync(Destination.Queue("paused.loyal"), "connected");

        var clock = Stopwatch.StartNew();
        var moment = Texts.Now;
        Fabricd.SendSignal(paused, SigStop);
        ClusterRow during;
        List<Task<bool>> late;
        try
        {
            late = [.. Enumerable.Range(0, LateSends).Select(i => IsConfirmedAsync(loyal, $"late {i}"))];
            during = await Processes.EventuallyAsync(
                fabric.ClusterAsync,
                row => row.Master is not null && row.Master != before.Master && row.Epoch > before.Epoch && row.Services.Count == 1,
                Healing,
                "another master alone, once the session of the paused one is over");
            await traffic.ProgressAsync(Healing);
            await Processes.EventuallyAsync(
                () => Task.FromResult(clock.Elapsed), elapsed => elapsed.TotalSeconds >= seconds, TimeSpan.FromSeconds(seconds + 5), "the pause is over");
        }
        finally
        {
            Fabricd.SendSignal(paused, SigCont);
        }

        var after = await fabric.HealthyAsync(Healing);
        await traffic.ProgressAsync(Healing);
        Assert.Multiple(() =>
        {
            Assert.That(during.Master, Is.Not.EqualTo(before.Master));
            Assert.That((after.Master, after.Epoch), Is.EqualTo((during.Master, during.Epoch)), "the paused one takes nothing back");
            Assert.That(after.Slaves.Select(slave => slave.Container), Does.Contain(before.Master));
        });
        Assert.That(await fabric.ProcessIdAsync(before.Master!), Is.EqualTo(paused), "it is the same process that follows now");
        await loyal.DisposeAsync();
        Assert.That(await Task.WhenAll(late), Has.None.True, "what reached it during the pause is not confirmed");
        var (java, dotNet) = traffic.LongestGapsSince(moment);
        await TestContext.Out.WriteLineAsync($"longest time between two confirmations: Java {java.TotalMilliseconds:0} ms, .NET {dotNet.TotalMilliseconds:0} ms");
        await traffic.VerifyAsync();
    }

    private static async Task<bool> IsConfirmedAsync(FabricClient client, string text)
    {
        try
        {
            await client.SendAsync(Destination.Queue("paused.loyal"), text);
            return true;
        }
        catch (Exception exception) when (exception is FabricException or ObjectDisposedException)
        {
            return false;
        }
    }
}
