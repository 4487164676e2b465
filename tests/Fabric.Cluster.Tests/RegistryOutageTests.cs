using System.Diagnostics;
using Fabric.Cluster.Tests.Traffic;
using Fabric.Interop.Tests.ZooKeeper;

namespace Fabric.Cluster.Tests;

/// <summary>
/// The registry decides who becomes master; it is not needed for staying it, also for longer than its sessions (10 s) live. Both kinds wait
/// most of the time, and do so at the same time.
/// </summary>
[TestFixture, Parallelizable(ParallelScope.Children)]
internal sealed class RegistryOutageTests
{
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    [TestCase(15)]
    [TestCase(60, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    [TestCase(300, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    public async Task Seconds_without_the_embedded_registry_fail_no_send_and_change_no_role(int seconds)
    {
        await using var fabric = await DevelopmentFabric.StartAsync();
        await OutliveAsync(
            fabric,
            TimeSpan.FromSeconds(seconds),
            () =>
            {
                Processes.Kill(fabric.RootProcessId);
                return Task.CompletedTask;
            },
            fabric.UpAsync);
    }

    [TestCase(15)]
    [TestCase(60, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    [TestCase(300, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    public async Task Seconds_without_Apache_ZooKeeper_fail_no_send_and_change_no_role(int seconds)
    {
        await using var zooKeeper = new ApacheZooKeeper();
        await zooKeeper.StartAsync();
        await using var fabric = await DevelopmentFabric.StartAsync($"localhost:{zooKeeper.Port}");
        await OutliveAsync(fabric, TimeSpan.FromSeconds(seconds), zooKeeper.StopAsync, zooKeeper.StartAsync);
    }

    private static async Task OutliveAsync(DevelopmentFabric fabric, TimeSpan outage, Func<Task> stop, Func<Task> start)
    {
        var before = await fabric.HealthyAsync(Healing);
        await using var traffic = await ConfirmedTraffic.StartAsync(fabric, "outage");
        var stopped = Texts.Now;
        await stop();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < outage; await Task.Delay(TimeSpan.FromSeconds(1)))
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
