using System.Diagnostics;
using Fabric.Cluster.Tests.Traffic;
using Fabric.Interop.Tests.ZooKeeper;

namespace Fabric.Cluster.Tests;

/// <summary>The registry decides who becomes master; it is not needed for staying it.</summary>
[TestFixture]
internal sealed class RegistryOutageTests
{
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    [Test]
    public async Task A_minute_without_the_embedded_registry_fails_no_send_and_changes_no_role()
    {
        await using var fabric = await DevelopmentFabric.StartAsync();
        await OutliveAsync(
            fabric,
            () =>
            {
                Processes.Kill(fabric.RootProcessId);
                return Task.CompletedTask;
            },
            fabric.UpAsync);
    }

    [Test]
    public async Task A_minute_without_Apache_ZooKeeper_fails_no_send_and_changes_no_role()
    {
        await using var zooKeeper = new ApacheZooKeeper();
        await zooKeeper.StartAsync();
        await using var fabric = await DevelopmentFabric.StartAsync($"localhost:{zooKeeper.Port}");
        await OutliveAsync(fabric, zooKeeper.StopAsync, zooKeeper.StartAsync);
    }

    private static async Task OutliveAsync(DevelopmentFabric fabric, Func<Task> stop, Func<Task> start)
    {
        var before = await fabric.HealthyAsync(Healing);
        await using var traffic = await ConfirmedTraffic.StartAsync(fabric, "outage");
        var stopped = Texts.Now;
        await stop();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Outage; await Task.Delay(TimeSpan.FromSeconds(1)))
        {
            await traffic.ProgressAsync(Healing);
        }

        await start();
        var after = await fabric.HealthyAsync(Healing);
        Assert.That((after.Master, after.Epoch), Is.EqualTo((before.Master, before.Epoch)));
        await traffic.ProgressAsync(Healing);
        var (java, dotnet) = traffic.LongestGapsSince(stopped);
        TestContext.Out.WriteLine($"longest time between two confirmations: Java {java.TotalMilliseconds} ms, .NET {dotnet.TotalMilliseconds} ms");
        await traffic.VerifyAsync();
    }
}
