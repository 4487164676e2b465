using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests;

/// <summary>Three servers of Apache ZooKeeper die in all the ways three servers can, under a fabric that works.</summary>
[TestFixture]
internal sealed class EnsembleTests
{
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);

    private ZooKeeperEnsemble _ensemble = null!;
    private DevelopmentFabric _fabric = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _ensemble = await ZooKeeperEnsemble.StartAsync();
        _fabric = await DevelopmentFabric.StartAsync(_ensemble.ConnectString);
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_fabric is not null)
        {
            await _fabric.DisposeAsync();
        }

        await _ensemble.DisposeAsync();
    }

    [Test, Order(1)]
    public async Task Its_leader_and_then_its_majority_die_and_no_role_changes()
    {
        var before = await _fabric.HealthyAsync(Healing);
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, "ensemble");
        var moment = Texts.Now;
        var leader = await _ensemble.LeaderAsync();
        await _ensemble.KillAsync(leader);
        var next = await _ensemble.LeaderAsync();
        await traffic.ProgressAsync(Healing);
        _ensemble.Start(leader);

        // The leader and one more: no majority for longer than any session.
        var other = Enumerable.Range(0, 3).First(server => server != leader && server != next);
        await _ensemble.KillAsync(next);
        await _ensemble.KillAsync(other);
        for (var round = 0; round < 10; round++)
        {
            await traffic.ProgressAsync(Healing);
            await Task.Delay(TimeSpan.FromSeconds(0.5)); // the outage itself: five seconds and more
        }

        _ensemble.Start(next);
        _ensemble.Start(other);
        await _ensemble.LeaderAsync();
        var after = await _fabric.HealthyAsync(Healing);
        Assert.That((after.Master, after.Epoch), Is.EqualTo((before.Master, before.Epoch)));
        await traffic.ProgressAsync(Healing);
        var (java, dotNet) = traffic.LongestGapsSince(moment);
        await TestContext.Out.WriteLineAsync($"longest time between two confirmations: Java {java.TotalMilliseconds:0} ms, .NET {dotNet.TotalMilliseconds:0} ms");
        await traffic.VerifyAsync();
    }

    [Test, Order(2)]
    public async Task Its_leader_dies_with_the_master_and_another_one_serves()
    {
        var before = await _fabric.HealthyAsync(Healing);
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, "ensemble.both");
        var (leader, master) = (await _ensemble.LeaderAsync(), await _fabric.ProcessIdAsync(before.Master!));
        var moment = Texts.Now;
        Processes.Kill(master);
        await _ensemble.KillAsync(leader);
        await traffic.ProgressAsync(Healing);
        var (java, dotNet) = traffic.PauseAfter(moment);
        await TestContext.Out.WriteLineAsync($"from the kill to the next confirmation: Java {java.TotalMilliseconds:0} ms, .NET {dotNet.TotalMilliseconds:0} ms");
        _ensemble.Start(leader);
        await _fabric.CliAsync("container-start", before.Master!); // "already started" when the supervisor was quicker
        var after = await _fabric.HealthyAsync(Healing);
        Assert.That(after.Epoch, Is.GreaterThan(before.Epoch));
        await traffic.VerifyAsync();
    }
}
