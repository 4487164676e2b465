using System.Net.Sockets;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>What replicas do when a part fails: a disk, a link, a process that stands still, a broker that cannot open.</summary>
[TestFixture, Parallelizable]
internal sealed class ReplicaFaultTests
{
    private const long Plenty = 1L << 40;
    private const long Low = 100L << 20; // of a reserve of 128 MiB
    private const long Exhausted = 50L << 20;

    [Test]
    public async Task A_master_whose_disk_fails_gives_way_and_nothing_is_lost()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        master.Append(1);
        await group.AgreedAsync(1);
        master.Disk.OnSync = _ => throw new IOException("the platter is gone");
        master.Append(2);
        var failure = Assert.ThrowsAsync<StoreException>(() => master.Replica.Completion.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.That(failure!.Message, Does.Contain("the platter is gone"));
        Assert.That(master.Replica.Status.Role, Is.EqualTo(ReplicaRole.Retired));
        master.Disk.OnSync = null;
        await group.CrashAsync(master);
        var next = await group.MasterAsync();
        next.Append(3);
        await group.StartAsync(master.Container);
        var applied = await group.AgreedAsync(2);
        Assert.That(applied.Where(number => number != 2), Is.EqualTo(new[] { 1, 3 }), "2 was confirmed to nobody, so it may be there or not");
    }

    [Test]
    public async Task A_slave_whose_disk_fails_leaves_and_the_others_go_on()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var slave = group.Others(master).First();
        slave.Disk.OnSync = _ => throw new IOException("the platter is gone");
        master.Append(1);
        Assert.ThrowsAsync<StoreException>(() => slave.Replica.Completion.WaitAsync(TimeSpan.FromSeconds(20)));
        for (var i = 2; i < 100; i++)
        {
            master.Append(i);
        }

        await group.EventuallyAsync(() => group.Nodes.Count(node => node.Applied.Count == 99) >= 2, "two of three go on");
        Assert.That(master.IsServing, Is.True);
    }

    [TestCase(Exhausted, 20)]
    [TestCase(Low, 1)]
    public async Task A_master_short_of_space_hands_over_to_a_slave_that_has_some(long free, int patience)
    {
        await using var group = await ReplicaGroup.StartAsync(options => options with { Times = options.Times with { SpacePatience = TimeSpan.FromSeconds(patience) } });
        var master = await group.SettledMasterAsync();
        var epoch = master.Replica.Status.Epoch;
        var (poor, rich) = (group.Others(master).First(), group.Others(master).Last());
        poor.Disk.Free = Low;
        rich.Disk.Free = Low;
        await group.EventuallyAsync(() => group.Others(master).All(slave => slave.Replica.Journal.Space.IsLow), "the slaves notice");
        master.Append(1);
        await group.AgreedAsync(1); // acknowledged, and with it that space is low
        master.Disk.Free = free;
        await Task.Delay(TimeSpan.FromSeconds(3)); // an acknowledgement, the look at the space and a tick come every second at least
        Assert.That((master.IsServing, master.Replica.Status.Epoch), Is.EqualTo((true, epoch)), "nobody has room");

        rich.Disk.Free = Plenty;
        await group.EventuallyAsync(() => rich.IsServing, "the one with room serves");
        rich.Append(2);
        await group.AgreedAsync(2);
        Assert.That(master.Replica.Status.Role, Is.EqualTo(ReplicaRole.Slave), "it goes on as a slave");
    }

    [Test]
    public async Task A_record_that_cannot_be_written_down_as_promised_is_not_promised()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        foreach (var slave in group.Others(master))
        {
            slave.Disk.OnSync = path => _ = path.Contains("replica.state", StringComparison.Ordinal) ? throw new IOException("no promise") : 0;
        }

        await group.CrashAsync(master);
        await group.EventuallyAsync(() => group.Nodes.Exists(node => node.Replica.Status.Failure is not null), "one is out");
        Assert.That(group.Nodes.Select(node => node.Replica.Status.Failure).OfType<string>(), Is.All.Contains("no promise"));
        Assert.That(group.Nodes.Exists(node => node.IsServing), Is.False);
    }

    [Test]
    public async Task What_goes_wrong_on_the_way_to_others_is_no_failure_of_the_store([Values] bool inTheRegistry)
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var failures = 0;
        void FailSometimes()
        {
            if (Interlocked.Increment(ref failures) <= 4)
            {
                throw inTheRegistry ? new InvalidOperationException("this content makes no sense") : new SocketException((int)SocketError.TooManyOpenSockets);
            }
        }

        if (inTheRegistry)
        {
            group.Registry.OnClaim = FailSometimes;
        }
        else
        {
            group.Network.OnPromise = (_, _, _) => FailSometimes();
        }

        await group.CrashAsync(master);
        var next = await group.MasterAsync();
        Assert.That(failures, Is.GreaterThan(4));
        Assert.That(group.Nodes.Select(node => node.Replica.Status.Failure), Is.All.Null);
        next.Append(1);
        await group.StartAsync(master.Container);
        await group.AgreedAsync(1);
    }

    [Test]
    public async Task A_claimant_lets_clients_wait_and_sends_them_away_when_it_gets_no_promises()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        foreach (var slave in group.Others(master))
        {
            group.Network.Pause(slave.Address);
        }

        await group.CrashAsync(master);
        await group.EventuallyAsync(() => group.Nodes.Exists(node => node.LetsClientsWait), "one claims");
        await group.EventuallyAsync(() => group.Nodes.Exists(node => node.SentAway > 0), "its claim comes to nothing");
        Assert.That(group.Nodes.Exists(node => node.IsServing), Is.False);
        foreach (var node in group.Nodes)
        {
            group.Network.Resume(node.Address);
        }

        var next = await group.MasterAsync();
        Assert.That(next.LetsClientsWait, Is.False, "they are let in");
    }

    [Test]
    public async Task A_master_that_stood_still_confirms_nothing_when_it_wakes_up()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var old = await group.SettledMasterAsync();
        old.Append(1);
        await group.AgreedAsync(1);
        group.Network.Pause(old.Address);
        var lost = old.Append(2);
        await group.EventuallyAsync(() => group.Others(old).Any(node => node.IsServing), "another one serves");
        var next = group.Others(old).First(node => node.IsServing);
        next.Append(3);
        await group.EventuallyAsync(() => next.Applied.Contains(3), "it commits");
        Assert.That(old.Replica.Journal.Applied, Is.LessThan(lost.End));

        group.Network.Resume(old.Address);
        Assert.That(await group.AgreedAsync(2), Is.EqualTo(new[] { 1, 3 }));
        Assert.That((old.IsServing, old.Replica.Status.Role), Is.EqualTo((false, ReplicaRole.Slave)));
    }

    [Test]
    public async Task A_registry_that_refuses_for_any_reason_is_told_the_next_thing_too()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var refused = 0;
        group.Registry.OnWrite = _ =>
        {
            Interlocked.Increment(ref refused);
            throw new InvalidOperationException("what stands there cannot be read");
        };
        await group.CrashAsync(master);
        var next = await group.MasterAsync();
        Assert.That(refused, Is.GreaterThan(1));
        group.Registry.OnWrite = static _ => { };
        await group.StartAsync(master.Container);
        await group.EventuallyAsync(() => next.Coordinator.Slaves.Count(slave => slave.InSync) == 2, "it hears who is in sync");
        var slave = group.Others(next).First();
        lock (group.Nodes)
        {
            group.Nodes.Remove(slave);
        }

        await slave.DisposeAsync();
        await group.StartAsync(slave.Container); // it has given its directory back
    }

    [Test]
    public async Task A_broken_connection_changes_no_role()
    {
        // Silence does, and a machine that stands still for a second is silent: the other slave would rightly agree to an election then.
        var patience = TimeSpan.FromSeconds(10);
        await using var group = await ReplicaGroup.StartAsync(options => options with { Times = options.Times with { Lease = patience, SuspectAfter = patience } });
        var master = await group.SettledMasterAsync();
        var epoch = master.Replica.Status.Epoch;
        for (var i = 0; i < 20; i++)
        {
            group.Network.Break(group.Others(master).ElementAt(i % 2).Address);
            for (var number = i * 50; number < (i + 1) * 50; number++)
            {
                master.Append(number);
            }

            Assert.That(await group.AgreedAsync((i + 1) * 50), Is.EqualTo(Enumerable.Range(0, (i + 1) * 50)));
        }

        Assert.That((master.IsServing, master.Replica.Status.Epoch), Is.EqualTo((true, epoch)));
    }

    [Test]
    public async Task A_master_that_cannot_open_its_connectors_lets_another_try()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        foreach (var node in group.Others(master))
        {
            node.OnServe = _ => throw new IOException("port 61616 is in use");
        }

        await group.CrashAsync(master);
        await group.EventuallyAsync(() => group.Nodes.Exists(node => node.Replica.Status.Failure is not null), "one of them tries");
        Assert.That(group.Nodes.Select(node => node.Replica.Status.Failure).OfType<string>(), Is.All.Contains("port 61616 is in use"));
        await group.StartAsync(master.Container);
        await group.EventuallyAsync(() => group.Nodes.Exists(node => node.IsServing), "the one that can, serves");
        var serving = group.Nodes.Find(node => node.IsServing)!;
        Assert.That(serving.Container, Is.EqualTo(master.Container));
        await group.EventuallyAsync(() => serving.Replica.Status.Slaves.Count(slave => slave.Attached) == 2, "the others are its slaves");
    }

    [Test]
    public async Task Mastership_that_ends_while_connectors_open_stops_the_opening()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var first = await group.SettledMasterAsync();
        var opening = new TaskCompletionSource<ReplicaNode>(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var node in group.Others(first))
        {
            node.OnServe = async token =>
            {
                foreach (var any in group.Nodes)
                {
                    any.OnServe = null;
                }

                opening.TrySetResult(node);
                await Task.Delay(Timeout.Infinite, token).ContinueWith(_ => cancelled.TrySetResult(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
                token.ThrowIfCancellationRequested();
            };
        }

        await group.CrashAsync(first);
        var second = await opening.Task.WaitAsync(TimeSpan.FromSeconds(20));
        group.Network.Pause(second.Address);
        await group.StartAsync(first.Container);
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(20));
        group.Network.Resume(second.Address);
        var third = await group.MasterAsync();
        third.Append(5);
        await group.AgreedAsync(1);
    }

    [Test]
    public async Task A_claimant_with_a_shorter_journal_fetches_the_rest_before_it_leads()
    {
        // The one that ranks second must not lose its patience.
        await using var group = await ReplicaGroup.StartAsync(options => options with
        {
            Times = options.Times with { ClaimStagger = TimeSpan.FromSeconds(10), StepLimit = TimeSpan.FromSeconds(10) },
        });
        var master = await group.SettledMasterAsync();
        var others = group.Others(master).ToArray();
        var (shorter, longer) = (others[0], others[1]);
        await group.CrashAsync(shorter);
        for (var i = 0; i < 3000; i++)
        {
            master.Append(i, 500);
        }

        await group.AgreedAsync(3000);
        await group.CrashAsync(master);

        // The registry is wrong about the longer journal, so the shorter one ranks first.
        var longerId = longer.Coordinator.State!.Replica;
        group.Registry.Distort = (_, view) => view with
        {
            Candidates = [.. view.Candidates.Select(candidate => candidate.State.Replica == longerId
                ? candidate with { State = candidate.State with { LastEpoch = Epoch.None, End = Position.Zero } }
                : candidate)],
        };
        shorter = await group.StartAsync(shorter.Container);
        var next = await group.MasterAsync();
        Assert.That(next.Container, Is.EqualTo(shorter.Container));
        Assert.That(await group.AgreedAsync(3000), Is.EqualTo(Enumerable.Range(0, 3000)));
    }

    [Test]
    public async Task A_replica_whose_promise_came_to_nothing_gets_the_others_to_a_higher_epoch()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var promised = new Epoch(master.Replica.Status.Epoch.Value + 5);
        var slave = group.Others(master).First();
        await group.CrashAsync(slave);
        ReplicaStateFile.Open(slave.Disk, "/journal", Guid.Empty, hasRecords: true).Promise(promised);
        await group.StartAsync(slave.Container);
        await group.EventuallyAsync(() => group.Nodes.Exists(node => node.IsServing && node.Replica.Status.Epoch > promised), "one leads beyond the promise");
        var next = await group.SettledMasterAsync();
        next.Append(1);
        await group.AgreedAsync(1);
    }

    [Test]
    public async Task An_epoch_that_was_claimed_and_is_not_used_is_passed_over()
    {
        await using var group = await ReplicaGroup.StartAsync();
        await group.SettledMasterAsync();
        var unused = group.Registry.ClaimForNobody();
        await group.EventuallyAsync(
            () => group.Nodes.Exists(node => node.IsServing && node.Replica.Status.Epoch > unused), $"somebody serves beyond epoch {unused}");
        var master = await group.SettledMasterAsync();
        master.Append(1);
        Assert.That(await group.AgreedAsync(1), Is.EqualTo(new[] { 1 }));
    }

    [Test]
    public async Task A_slave_that_was_away_catches_up_under_load()
    {
        await using var group = await ReplicaGroup.StartAsync(options => options with { Journal = options.Journal with { TailBytes = 1024 * 1024 } });
        var master = await group.SettledMasterAsync();
        var away = group.Others(master).First();
        await group.CrashAsync(away, new Random(3));
        for (var i = 0; i < 5000; i++)
        {
            master.Append(i, 1000);
        }

        away = await group.StartAsync(away.Container);
        for (var i = 5000; i < 10_000; i++)
        {
            await master.Replica.Journal.WaitForRoomAsync(CancellationToken.None);
            master.Append(i, 1000);
        }

        Assert.That(await group.AgreedAsync(10_000), Is.EqualTo(Enumerable.Range(0, 10_000)));
        Assert.That(away.Replica.Status.Role, Is.EqualTo(ReplicaRole.Slave));
    }
}
