using System.Globalization;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Replication.Grpc;
using Fabric.Replication.Master;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;
using Fabric.Tests.Store;

namespace Fabric.Tests.Replication;

/// <summary>A replica whose journal has lost something counts for nothing until it has copied its master's.</summary>
[TestFixture, Parallelizable]
internal sealed class RepairTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private int _count;

    [SetUp]
    public void Forget() => _count = 0;

    [Test]
    public async Task A_damaged_replica_repairs_its_journal_and_can_lead_with_it([Values] bool overGrpc)
    {
        await using var group = await StartAsync(overGrpc ? static () => new GrpcReplicaLink(FabricRuntime.System, new GrpcReplicaLinkOptions()) : null);
        var master = await group.SettledMasterAsync();
        await AppendSyncedAsync(group, master, 300);
        var victim = group.Others(master).First();
        var before = ReplicaStateFile.Open(victim.Disk, "/journal", Guid.Empty, hasRecords: true);
        await group.CrashAsync(victim);
        RotRecord(victim.Disk);
        await AppendAsync(group, master, 10);
        var repaired = await group.StartDamagedAsync(victim.Container); // its master, as young as it is, has no checkpoint yet
        master = await group.SettledMasterAsync();
        var after = ReplicaStateFile.Open(victim.Disk, "/journal", Guid.Empty, hasRecords: true);
        Assert.That((after.Id, after.FirstSet!.StoreId), Is.EqualTo((before.Id, before.FirstSet!.StoreId)), "it is who it was");
        Assert.That(after.Promised, Is.GreaterThanOrEqualTo(before.Promised));
        Assert.That(victim.Disk.FileExists("/journal/journal.damaged"), Is.False);

        await AppendAsync(group, master, 10);
        await group.CrashAsync(group.Others(master).Single(node => node != repaired)); // it lacks what comes now
        await AppendAsync(group, master, 10);
        await group.CrashAsync(master);
        await group.StartAsync(group.Containers.Single(name => name != master.Container && name != repaired.Container));
        Assert.That(await group.MasterAsync(), Is.SameAs(repaired), "its journal is the best");
        Assert.That(await group.AgreedAsync(_count), Is.EqualTo(Enumerable.Range(0, _count)));
    }

    [Test]
    public async Task While_it_is_damaged_it_helps_nobody_to_lead_or_to_commit()
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 100);
        var behind = group.Others(master).First();
        var victim = group.Others(master).Last();
        await group.CrashAsync(behind);
        await AppendSyncedAsync(group, master, 100); // what only two have
        group.Network.OnCopyFrame = frame => throw new ReplicaLinkException("held for the test", refused: false);
        await group.CrashAsync(victim);
        RotRecord(victim.Disk);
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => group.StartAsync(victim.Container));
        await using var repair = await group.StartRepairAsync(victim.Container, damage.Message);
        await group.EventuallyAsync(() => repair.Problem.Contains("held for the test", StringComparison.Ordinal), "it follows, and cannot copy");
        var committed = master.Replica.Journal.Committed;
        master.Append(_count++);
        await group.EventuallyAsync(() => master.Replica.Journal.Durable == master.Replica.Journal.End, "the master has it on disk");
        Assert.That(master.Replica.Status.Slaves, Has.All.Matches<SlaveProgress>(slave => !slave.Attached));
        Assert.That(master.Replica.Journal.Committed, Is.EqualTo(committed), "nobody else has");

        // The one that lacks most meets the damaged one: they must not agree on anything.
        await group.CrashAsync(master);
        var alone = await group.StartAsync(behind.Container);
        await group.EventuallyAsync(() => repair.Problem.Contains("majority", StringComparison.Ordinal), "it says what it waits for");
        await group.EventuallyAsync(() => alone.Coordinator.State is { Role: ReplicaRole.Electing, Round.Value: > 1 }, "the other one would lead");
        Assert.That(alone.Replica.Status.Role, Is.EqualTo(ReplicaRole.Electing));

        group.Network.OnCopyFrame = static frame => frame;
        await group.StartAsync(master.Container);
        await group.RepairedAsync(victim.Container, repair);
        master = await group.SettledMasterAsync();
        master.Append(_count++);
        Assert.That(await group.AgreedAsync(_count - 1), Is.SupersetOf(Enumerable.Range(0, _count - 2)), "all that was committed is there");
    }

    [Test]
    public async Task What_dies_in_the_middle_of_a_repair_is_still_damaged([Values] bool powerLoss)
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendSyncedAsync(group, master, 300);
        var victim = group.Others(master).First();
        await group.CrashAsync(victim);
        var sound = victim.Disk.ReadAll(FindRecord(victim.Disk));
        var rotten = RotRecord(victim.Disk);
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => group.StartAsync(victim.Container));
        var frames = 0;
        group.Network.OnCopyFrame = frame => ++frames < 3 ? frame : throw new ReplicaLinkException("held for the test", refused: false);
        await using (var repair = await group.StartRepairAsync(victim.Container, damage.Message))
        {
            await group.EventuallyAsync(() => repair.Problem.Contains("held for the test", StringComparison.Ordinal), "it is in the middle");
            victim.Disk.DiesAt = 0;
        }

        if (powerLoss)
        {
            victim.Disk.PowerLoss(new Random(3));
        }
        else
        {
            victim.Disk.Kill();
        }

        victim.Disk.WriteAll(rotten, sound); // what one read has shown the next one does not
        group.Network.OnCopyFrame = static frame => frame;
        await group.StartDamagedAsync(victim.Container);
        await AppendAsync(group, await group.SettledMasterAsync(), 10);
    }

    [Test]
    public async Task Damage_that_a_master_meets_makes_it_resign_and_repair([Values] bool byItsSlave)
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 100);
        var late = group.Others(master).First();
        await group.CrashAsync(late);
        await AppendSyncedAsync(group, master, 12_000); // more than is kept in memory
        RotRecord(master.Disk, 40_000); // which the late one lacks
        if (byItsSlave)
        {
            late = await group.StartAsync(late.Container); // asks for what is damaged
        }
        else
        {
            Assert.Throws<SegmentCorruptException>(() => ReadAll(master.Replica.Journal));
        }

        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => master.Replica.Completion.WaitAsync(Limit));
        lock (group.Nodes)
        {
            group.Nodes.Remove(master);
        }

        await master.DisposeAsync();
        if (!byItsSlave)
        {
            await group.StartAsync(late.Container);
        }

        await group.RepairedAsync(master.Container, await group.StartRepairAsync(master.Container, damage.Message));
        await AppendAsync(group, await group.SettledMasterAsync(), 10);
        Assert.That(await group.AgreedAsync(_count), Is.EqualTo(Enumerable.Range(0, _count)));
    }

    [Test]
    public async Task Whatever_is_lost_comes_back([Values("middle", "first", "last", "all", "checkpoints", "switch")] string what)
    {
        await using var group = await StartAsync(cleans: what == "checkpoints");
        var master = await group.SettledMasterAsync();
        await AppendSyncedAsync(group, master, 3000);
        var victim = group.Others(master).First();
        if (what == "checkpoints")
        {
            await group.EventuallyAsync(() => victim.Replica.Journal.First > Position.Zero, "the start is cleaned away");
        }

        await group.CrashAsync(victim);
        var disk = victim.Disk;
        string[] segments = [.. disk.ListFiles("/journal").Where(IsSegment).Select(name => $"/journal/{name}")];
        switch (what)
        {
            case "middle":
                disk.Delete(segments[1]);
                break;
            case "first":
                disk.Delete(segments[0]);
                break;
            case "last":
                disk.Delete(segments[^1]);
                break;
            case "all":
                Array.ForEach(segments, disk.Delete);
                break;
            case "switch":
                disk.WriteAll("/journal/copy.switch", [1, 2, 3]);
                break;
            default:
                foreach (var name in disk.ListFiles("/journal").Where(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)))
                {
                    disk.Rot($"/journal/{name}", 50);
                }

                break;
        }

        await group.StartDamagedAsync(victim.Container);
        await AppendAsync(group, await group.SettledMasterAsync(), 10);
    }

    [Test]
    public async Task With_its_state_damaged_too_it_is_no_replica_any_more()
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendSyncedAsync(group, master, 300);
        var victim = group.Others(master).First();
        await group.CrashAsync(victim);
        RotRecord(victim.Disk);
        victim.Disk.Rot("/journal/replica.state", 30);
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => group.StartAsync(victim.Container));
        var refused = Assert.ThrowsAsync<StoreException>(() => group.StartRepairAsync(victim.Container, damage.Message));
        Assert.That(refused.Message, Does.Contain("replica.state is damaged").And.Contain("replaced"));
    }

    [Test]
    public async Task What_was_in_no_set_yet_begins_anew_and_takes_part()
    {
        await using var group = ReplicaGroup.Create();
        var disk = group.DiskOf("broker1");
        using (var life = new CancellationTokenSource())
        {
            var alone = group.StartAsync("broker1", cancellationToken: life.Token);
            await group.EventuallyAsync(() => group.Registry.Forming == 1, "it waits for the others");
            await life.CancelAsync();
            Assert.ThrowsAsync(Is.InstanceOf<OperationCanceledException>(), () => alone);
        }

        var id = ReplicaStateFile.Open(disk, "/journal", Guid.Empty, hasRecords: true).Id;
        disk.Rot("/journal/journal-00000000000000000000.seg", 20);
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => group.StartAsync("broker1"));
        Assert.ThrowsAsync<JournalReplacedException>(() => group.StartRepairAsync("broker1", damage.Message));

        await Task.WhenAll(group.Containers.Select(container => group.StartAsync(container)));
        Assert.That(group.Registry.Set!.Contains(id), "it had acknowledged nothing, and may be who it was");
        await AppendAsync(group, await group.SettledMasterAsync(), 10);
    }

    [Test]
    public async Task What_has_records_does_not_begin_anew_whatever_its_identity_says()
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendSyncedAsync(group, master, 100);
        var victim = group.Others(master).First();
        await group.CrashAsync(victim);
        victim.Disk.Delete("/journal/replica.state");
        ReplicaStateFile.Open(victim.Disk, "/journal", Guid.NewGuid(), hasRecords: false); // as the file was before there was a set
        victim.Disk.Rot("/journal/journal-00000000000000000000.seg", 20);
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => group.StartAsync(victim.Container));
        var before = victim.Disk.ListFiles("/journal").ToList();
        var refused = Assert.ThrowsAsync<StoreException>(() => group.StartRepairAsync(victim.Container, damage.Message));
        Assert.That(refused.Message, Does.Contain("a record in journal-00000000000000000000.seg").And.Contain("journal-verify /journal"));
        Assert.That(victim.Disk.ListFiles("/journal"), Is.EqualTo(before), "nothing is removed");
    }

    [Test]
    public async Task A_broker_with_one_replica_says_what_to_try()
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendSyncedAsync(group, master, 300);
        var victim = group.Others(master).First();
        await group.CrashAsync(victim);
        victim.Disk.Delete("/journal/replica.state");
        var state = ReplicaStateFile.Open(victim.Disk, "/journal", Guid.NewGuid(), hasRecords: false);
        state.Form(new ReplicaSet(Guid.NewGuid(), [new ReplicaMember(state.Id, victim.Container)]));
        RotRecord(victim.Disk);
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => group.StartAsync(victim.Container));
        group.Registry.Distort = static (_, view) => view with { Set = null };
        await using var repair = await group.StartRepairAsync(victim.Container, damage.Message);
        var refused = Assert.ThrowsAsync<StoreException>(() => repair.Completion.WaitAsync(Limit));
        Assert.That(refused.Message, Does.Contain("journal-verify /journal").And.Contain("backup-restore"));
        Assert.That(JournalDamage.Find(victim.Disk, "/journal"), Is.Null, "what a person puts right counts");
    }

    [Test]
    public void What_a_damaged_slave_acknowledged_is_forgotten_and_what_was_on_its_way_is_not_taken()
    {
        var ids = Enumerable.Range(0, 3).Select(_ => new ReplicaId(Guid.NewGuid())).ToArray();
        var set = new ReplicaSet(Guid.NewGuid(), ids.Select((id, number) => new ReplicaMember(id, $"broker{number}")));
        var epoch = new Epoch(4);
        using var lead = new Lead(new CommitTracker(set, ids[0], SyncPolicy.QuorumDisk, epoch, new Position(10), TimeSpan.Zero), Position.Zero, new Position(10));
        lead.OnLocal(new Position(50), new Position(50));
        var first = lead.Admit(ids[1], isDamaged: false);
        Assert.That(lead.OnAcknowledged(ids[1], first, Ack(50), TimeSpan.Zero), Is.EqualTo(new Position(50)));
        Assert.That(lead.OnAcknowledged(ids[1], first, Ack(90), TimeSpan.Zero), Is.Null, "the master's own sync is not done");

        var second = lead.Admit(ids[1], isDamaged: true);
        Assert.That(lead.Frame(FollowFrameKind.Accepted).Committed, Is.EqualTo(new Position(50)), "what was committed stays");
        Assert.That(lead.IsOutdated(ids[1], first), Is.True);
        Assert.That(lead.OnAcknowledged(ids[1], first, Ack(100), TimeSpan.Zero), Is.Null);
        Assert.That(lead.OnLocal(new Position(100), new Position(100)), Is.Null, "nobody else has it");
        Assert.That(lead.OnAcknowledged(ids[1], second, Ack(0), TimeSpan.Zero), Is.Null);
        Assert.That(lead.Progress().Everywhere, Is.EqualTo(Position.Zero), "it needs everything");

        var third = lead.Admit(ids[1], isDamaged: false);
        Assert.That(lead.OnAcknowledged(ids[1], third, Ack(70), TimeSpan.Zero), Is.EqualTo(new Position(70)), "repaired, it counts again");

        FollowAck Ack(long position) => new(epoch, new Position(position), new Position(position));
    }

    private static bool IsSegment(string name) => name.StartsWith("journal-", StringComparison.Ordinal) && name.EndsWith(".seg", StringComparison.Ordinal);

    /// <summary>Flips a bit of a record that is not the last one.</summary>
    /// <returns>The segment that holds it.</returns>
    private static string RotRecord(CrashDisk disk, long from = 0)
    {
        var path = FindRecord(disk, from);
        disk.Rot(path, SegmentHeader.Bytes + 1000);
        return path;
    }

    /// <summary>The first segment that begins at a position or behind it and holds 1,000 bytes and more: one that was full when it was begun has a few only, if a long batch came then.</summary>
    private static string FindRecord(CrashDisk disk, long from = 0)
    {
        var firsts = disk.ListFiles("/journal").Where(IsSegment).Select(name => long.Parse(name["journal-".Length..^".seg".Length], CultureInfo.InvariantCulture)).Order().ToList();
        var first = firsts.Where((first, i) => first >= from && (i == firsts.Count - 1 || firsts[i + 1] - first > 1100)).First();
        return $"/journal/journal-{first:D20}.seg";
    }

    private static void ReadAll(Journal journal)
    {
        var reader = journal.OpenReader(journal.First);
        for (var buffer = new byte[10_000]; reader.Position < journal.End;)
        {
            reader.Read(buffer);
        }
    }

    private static Task<ReplicaGroup> StartAsync(Func<IReplicaLink>? newLink = null, bool cleans = false) => ReplicaGroup.StartAsync(
        options => options with
        {
            Journal = options.Journal with
            {
                SegmentBytes = 64 * 1024, CheckpointBytes = cleans ? 64 * 1024 : 1L << 30, TailBytes = 1024 * 1024, RetainedBytesMax = cleans ? 0 : 1L << 30, FreeBytesLow = 0,
            },
            Times = new ReplicaTimes { CopyRetry = TimeSpan.FromMilliseconds(50) },
        },
        newLink: newLink);

    private async Task AppendAsync(ReplicaGroup group, ReplicaNode master, int count)
    {
        for (var i = 0; i < count; i++)
        {
            if (i % 100 == 99)
            {
                await master.Replica.Journal.WaitDurableAsync(master.Replica.Journal.End); // segments are no longer than they should be
            }

            await master.Replica.Journal.WaitForRoomAsync(CancellationToken.None);
            master.Append(_count++, 300);
        }

        await group.EventuallyAsync(
            () => group.Nodes.TrueForAll(node => node.Applied.Count == _count && node.Replica.Journal.Durable == node.Replica.Journal.End), "all have it on disk");
    }

    /// <summary>Some records, and another batch behind them, which says that they had been on disk.</summary>
    private async Task AppendSyncedAsync(ReplicaGroup group, ReplicaNode master, int count)
    {
        await AppendAsync(group, master, count);
        await AppendAsync(group, master, 1);
    }
}
