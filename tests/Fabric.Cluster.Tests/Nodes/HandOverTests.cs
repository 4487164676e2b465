using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Fabric.Registry.Membership;

namespace Fabric.Cluster.Tests.Nodes;

/// <summary>What becomes of a replicated broker when a container that runs it goes away.</summary>
[TestFixture, Platform("Linux")]
internal sealed class HandOverTests
{
    private static readonly string[] Containers = ["b1", "b2", "b3"];

    private RootNode _root = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _root = await RootNode.StartAsync();
        await _root.CreateBrokerAsync("orders", "Replicated", 3, Containers);
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _root.DisposeAsync();

    [SetUp]
    public async Task HealthyAsync()
    {
        foreach (var container in Containers)
        {
            await _root.WishAsync(container, ContainerWishState.Running);
        }

        await _root.ServingAsync("orders", slaves: 2);
    }

    [Test]
    public async Task Only_the_master_listens_for_clients()
    {
        var (master, _, service) = await _root.ServingAsync("orders", slaves: 2);
        for (var slot = 0; slot < Containers.Length; slot++)
        {
            Assert.That(await AcceptsAsync(61616 + _root.PortOffset + slot), Is.EqualTo(Containers[slot] == master), Containers[slot]);
        }

        Assert.That(service, Is.EqualTo($"tcp://127.0.0.1:{61616 + _root.PortOffset + Array.IndexOf(Containers, master)}"));
    }

    [Test]
    public async Task A_master_that_is_asked_to_end_hands_over()
    {
        var before = await _root.ServingAsync("orders", slaves: 2);
        var clock = Stopwatch.StartNew();
        Fabricd.SendSignal(_root.ProcessIdOf(before.Master), 15);
        var after = await _root.ServingAsync("orders", slaves: 0, master => master != before.Master);
        await TestContext.Out.WriteLineAsync($"served by another {clock.ElapsedMilliseconds} ms after the signal");
        Assert.That(after.Epoch, Is.EqualTo(before.Epoch + 1), "nobody had to be elected twice");
    }

    [Test]
    public async Task A_killed_master_is_replaced_and_comes_back_as_a_slave()
    {
        var before = await _root.ServingAsync("orders", slaves: 2);
        var clock = Stopwatch.StartNew();
        Fabricd.SendSignal(_root.ProcessIdOf(before.Master), 9);
        var after = await _root.ServingAsync("orders", slaves: 0, master => master != before.Master);
        await TestContext.Out.WriteLineAsync($"served by another {clock.ElapsedMilliseconds} ms after the kill");
        var healed = await _root.ServingAsync("orders", slaves: 2);
        Assert.That((healed.Master, healed.Epoch), Is.EqualTo((after.Master, after.Epoch)), "the old master takes nothing back");
    }

    [Test]
    public async Task A_killed_slave_changes_nothing_for_clients()
    {
        var before = await _root.ServingAsync("orders", slaves: 2);
        var slave = Containers.First(container => container != before.Master);
        var process = _root.ProcessIdOf(slave);
        Fabricd.SendSignal(process, 9);
        await _root.ContainerAsync(slave, info => info.IsAlive && info.ProcessId != process, "comes back");
        var after = await _root.ServingAsync("orders", slaves: 2);
        Assert.That(after, Is.EqualTo(before));
    }

    [Test]
    public async Task A_master_that_cannot_open_its_port_lets_another_serve()
    {
        var before = await _root.ServingAsync("orders", slaves: 2);
        var next = Containers.First(container => container != before.Master);
        var rest = Containers.First(container => container != before.Master && container != next);
        using var occupant = new TcpListener(IPAddress.Loopback, 61616 + _root.PortOffset + Array.IndexOf(Containers, next));
        occupant.Start();

        // Whoever is elected: the one without a port cannot stay master, so the third one ends up serving.
        await _root.WishAsync(before.Master, ContainerWishState.Stopped);
        var after = await _root.ServingAsync("orders", slaves: 0, master => master == rest);
        Assert.That(after.Epoch, Is.GreaterThan(before.Epoch));
    }

    private static async Task<bool> AcceptsAsync(int port)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
