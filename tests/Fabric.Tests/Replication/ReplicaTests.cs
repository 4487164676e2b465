using System.Collections.Concurrent;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>What replicas do when nothing, or a whole process, fails.</summary>
[TestFixture, Parallelizable]
internal sealed class ReplicaTests
{
    [Test]
    public async Task Three_new_replicas_get_one_master_and_two_slaves()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        Assert.That(group.Others(master).Select(node => node.Replica.Status.Role), Is.All.EqualTo(ReplicaRole.Slave));
        Assert.That(group.Others(master).Select(node => node.Replica.Status.Master), Is.All.EqualTo(master.Container));
    }

    [Test]
    public async Task Slaves_find_out_whether_they_reach_each_other_while_they_follow()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var questions = new ConcurrentQueue<(string From, string To)>();
        group.Network.OnPromise = (from, to, request) =>
        {
            if (request.Candidate.Epoch == Epoch.None)
            {
                questions.Enqueue((from, to));
            }
        };
        var master = await group.SettledMasterAsync();
        var (one, other) = (group.Others(master).First(), group.Others(master).Last());
        await group.CrashAsync(other);
        await group.EventuallyAsync(() => group.Nodes.Count == 2, "one is away");
        questions.Clear();
        var back = await group.StartAsync(other.Container);
        await group.EventuallyAsync(() => questions.Contains((back.Address, one.Address)) && questions.Contains((one.Address, back.Address)), "both ask");
        Assert.That(await group.SettledMasterAsync(), Is.SameAs(master));
        Assert.That(questions, Has.Count.EqualTo(2), "once each");
    }

    [Test]
    public async Task What_is_committed_is_applied_on_all_in_the_same_order()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.MasterAsync();
        for (var i = 0; i < 5000; i++)
        {
            master.Append(i, 1000);
        }

        Assert.That(await group.AgreedAsync(5000), Is.EqualTo(Enumerable.Range(0, 5000)));
    }

    [Test]
    public async Task A_crashed_master_is_replaced_and_nothing_committed_is_lost([Values] bool lingers)
    {
        await using var group = await ReplicaGroup.StartAsync();
        var expected = new List<int>();
        for (var round = 0; round < 5; round++)
        {
            var master = await group.MasterAsync();
            for (var i = 0; i < 100; i++)
            {
                expected.Add(expected.Count);
                master.Append(expected[^1]);
            }

            await group.EventuallyAsync(() => master.Applied.Count == expected.Count, "the master applies what it appended");
            await group.CrashAsync(master, lingers: lingers);
            await group.MasterAsync();
            await group.StartAsync(master.Container);
            Assert.That(await group.AgreedAsync(expected.Count), Is.EqualTo(expected));
        }
    }

    [Test]
    public async Task All_may_lose_power_at_once()
    {
        var random = new Random(7);
        await using var group = await ReplicaGroup.StartAsync();
        var next = 0;
        for (var round = 0; round < 5; round++)
        {
            var master = await group.MasterAsync();
            for (var i = 0; i < 500; i++)
            {
                master.Append(next++);
            }

            await group.EventuallyAsync(() => master.Applied.Count > 0 && master.Applied[^1] > next - 400, "some of it is committed");
            foreach (var node in group.Nodes)
            {
                node.Disk.DiesAt = 0; // none outlives another
            }

            var confirmed = master.Applied;
            foreach (var node in group.Nodes.ToArray())
            {
                await group.CrashAsync(node, random);
            }

            await Task.WhenAll(group.Containers.Select(container => group.StartAsync(container)));
            await group.MasterAsync();
            var applied = await group.AgreedAsync(confirmed.Count);
            Assert.That(applied.Take(confirmed.Count), Is.EqualTo(confirmed));
            Assert.That(applied, Is.Ordered);
        }
    }

    [Test]
    public async Task A_stopping_master_hands_over_at_once()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var epoch = master.Replica.Status.Epoch;
        await master.Replica.StopAsync();
        group.Nodes.Remove(master);
        await using var stopped = master;
        var next = await group.MasterAsync();
        Assert.That(next.Replica.Status.Epoch, Is.EqualTo(epoch.Next));
    }

    [Test]
    public async Task A_hand_over_that_comes_to_nothing_is_tried_again()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        group.Registry.Distort = (_, view) => view with { EpochVersion = view.EpochVersion - 1 };
        group.Registry.Announce();
        var stopping = master.Replica.StopAsync();
        await group.EventuallyAsync(() => group.Registry.RefusedClaims > 0, "a slave claims with what it believes");
        group.Registry.Distort = null;
        group.Registry.Announce();
        await stopping;
        Assert.That(master.Replica.Status.Failure, Is.Null);
        group.Nodes.Remove(master);
        await using var stopped = master;
        await group.MasterAsync();
    }

    [Test]
    public async Task A_master_without_a_majority_commits_nothing_and_steps_down()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var slaves = group.Others(master).ToArray();
        foreach (var slave in slaves)
        {
            group.Network.Cut(slave.Address);
        }

        master.Append(1);
        foreach (var slave in slaves)
        {
            await group.CrashAsync(slave);
        }

        await group.EventuallyAsync(() => !master.IsServing, "the master steps down");
        Assert.That(master.Applied, Is.Empty);
        await group.StartAsync(group.Containers.First(container => container != master.Container));
        var next = await group.MasterAsync();
        next.Append(2);
        await group.EventuallyAsync(() => next.Applied.Contains(2), "a majority serves again");
    }

    [Test]
    public async Task A_registry_that_is_away_changes_no_role()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var epoch = master.Replica.Status.Epoch;
        group.Registry.SetAvailable(false);
        for (var i = 0; i < 50; i++)
        {
            master.Append(i);
            await group.EventuallyAsync(() => master.Applied.Count == i + 1, "sends go on");
            await Task.Delay(20);
        }

        group.Registry.SetAvailable(true);
        Assert.That((master.IsServing, master.Replica.Status.Epoch), Is.EqualTo((true, epoch)));
    }
}
