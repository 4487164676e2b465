using System.Text.Json;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;
using Fabric.Registry;
using Fabric.Registry.Membership;

namespace Fabric.Cluster.Tests;

/// <summary>The replicas of a broker change while clients send and consume, by the commands that a person has for it.</summary>
[TestFixture, Platform("Linux")]
internal sealed class ReplicaSetTests
{
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(60);
    private RootNode _root = null!;

    private string FailoverUrl =>
        $"failover:({string.Join(',', Enumerable.Range(0, 4).Select(slot => $"tcp://127.0.0.1:{61616 + _root.PortOffset + slot}?wireFormat.maxInactivityDuration=2000"))})";

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _root = await RootNode.StartAsync();
        await _root.CreateBrokerAsync("orders", "Replicated", 3, "b1", "b2", "b3");
        await _root.ServingAsync("orders", slaves: 2);
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _root.DisposeAsync();

    [Test, Order(1)]
    public async Task What_cannot_be_done_is_said_and_changes_nothing()
    {
        await ExpectAsync(65, "broker nothing of group default has no replicas", "replica-add", "nothing", "b1");
        await ExpectAsync(65, "container b9 does not exist", "replica-add", "orders", "b9");
        await ExpectAsync(73, "b1 has a replica of orders already", "replica-add", "orders", "b1");
        await ExpectAsync(65, "b9 has no replica of orders that is a member", "replica-remove", "orders", "b9");
        await ExpectAsync(65, "the replica of orders on b1 is there", "replica-replace", "orders", "b1");
        await ExpectAsync(64, "--timeout is a number of seconds", "replica-remove", "orders", "b1", "--timeout", "0");
        await _root.Containers.TryCreateChildAsync("b4", "root", FabricCreation.FirstVersion, []);
        await _root.WishAsync("b4", ContainerWishState.Stopped);
        await ExpectAsync(75, "the request was taken back", "replica-add", "orders", "b4", "--timeout", "1");
        Assert.That(await StatesAsync(), Has.Count.EqualTo(3).And.All.Matches<(string, string State, bool IsMember)>(replica => replica.IsMember && replica.State is "master" or "in sync"));
    }

    [Test, Order(2)]
    public async Task A_lost_disk_is_replaced_and_machines_come_and_go_and_nothing_is_lost()
    {
        var (master, _, _) = await _root.ServingAsync("orders", slaves: 2);
        await using var traffic = await ConfirmedTraffic.StartAsync(FailoverUrl, FailoverUrl, "kept");
        var lost = new[] { "b1", "b2", "b3" }.First(name => name != master);
        await _root.WishAsync(lost, ContainerWishState.Stopped);
        await _root.ContainerAsync(lost, container => !container.IsAlive, "is down");
        await ExpectAsync(0, $"orders: {lost} is away: its container is stopped", "replica-list", "orders");
        Directory.Delete(Path.Combine(_root.Data, "containers", lost, "data", "orders"), recursive: true);
        await _root.WishAsync(lost, ContainerWishState.Running);
        await Processes.EventuallyAsync(StatesAsync, states => states.Contains((lost, "waiting", false)), Healing, $"the new disk of {lost} waits");
        await traffic.ProgressAsync(Healing);

        await ExpectAsync(0, $"Replica of orders on {lost} replaced", "replica-replace", "orders", lost);
        await _root.ServingAsync("orders", slaves: 2);
        await traffic.ProgressAsync(Healing);

        await _root.WishAsync("b4", ContainerWishState.Running);
        await ExpectAsync(0, "Replica of orders added on b4", "replica-add", "orders", "b4");
        await _root.ServingAsync("orders", slaves: 3);
        await ExpectAsync(0, $"Replica of orders removed from {master}", "replica-remove", "orders", master);
        var (next, _, _) = await _root.ServingAsync("orders", slaves: 2, name => name != master);
        await traffic.ProgressAsync(Healing);
        Assert.That((await StatesAsync()).Select(replica => replica.Container), Does.Not.Contain(master).And.Contain("b4"));

        // The others must be able to go on without whoever leads now.
        Fabricd.SendSignal(_root.ProcessIdOf(next), 9);
        await _root.ServingAsync("orders", slaves: 2, name => name != next && name != master);
        await traffic.ProgressAsync(Healing);
        await traffic.VerifyAsync();
    }

    private async Task ExpectAsync(int exitCode, string text, params string[] arguments)
    {
        var outcome = await _root.CommandAsync(arguments);
        Assert.That(outcome.ExitCode, Is.EqualTo(exitCode), outcome.ToString());
        Assert.That(exitCode == 0 ? outcome.Output : outcome.Error, Does.Contain(text));
    }

    private async Task<IReadOnlyList<(string Container, string State, bool IsMember)>> StatesAsync()
    {
        var outcome = await _root.CommandAsync("replica-list", "orders", "--output", "json");
        Assert.That(outcome.ExitCode, Is.Zero, outcome.ToString());
        using var document = JsonDocument.Parse(outcome.Output);
        return [.. document.RootElement[0].GetProperty("replicas").EnumerateArray().Select(replica => (
            replica.GetProperty("container").GetString()!, replica.GetProperty("state").GetString()!, replica.GetProperty("member").GetBoolean()))];
    }
}
