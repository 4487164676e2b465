using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Tests.Store;

namespace Fabric.Tests.Replication;

/// <summary>A disk that is slow and goes on: its replica keeps its place.</summary>
[TestFixture, Parallelizable]
internal sealed class SlowDiskTests
{
    private const int UnsyncedBytesMax = 8 * 1024;
    private const int BatchBytesMax = 2 * 1024;

    [Test]
    public async Task A_slave_that_waits_for_its_disk_keeps_its_master_and_is_kept()
    {
        await using var group = await StartAsync(stallLimit: TimeSpan.FromSeconds(10));
        var master = await group.SettledMasterAsync();
        var slave = group.Others(master).First();
        var epoch = master.Replica.Status.Epoch;
        slave.Disk.OnSync = _ => Thread.Sleep(2000); // longer than SuspectAfter and Lease, 1 s
        var number = 0;
        var most = 0L;
        for (var start = TimeProvider.System.GetTimestamp(); TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(6); number++)
        {
            master.Append(number, 400);
            var (there, here) = (slave.Replica.Status, master.Replica.Status);
            most = Math.Max(most, slave.Replica.Journal.End - slave.Replica.Journal.Durable);
            Assert.That((there.Role, there.Epoch, here.Role), Is.EqualTo((ReplicaRole.Slave, epoch, ReplicaRole.Master)), $"after {number} records");
            Assert.That(here.Slaves.Count(item => item.Attached), Is.EqualTo(2), $"after {number} records");
            await Task.Delay(2);
        }

        Assert.That(most, Is.GreaterThan(UnsyncedBytesMax).And.LessThanOrEqualTo(UnsyncedBytesMax + BatchBytesMax), "it takes no more than it may");
        slave.Disk.OnSync = null;
        Assert.That(await group.AgreedAsync(number), Is.EqualTo(Enumerable.Range(0, number)));
    }

    [Test]
    public async Task A_disk_has_the_time_it_takes_to_write_what_was_received_before_an_election()
    {
        await using var group = await StartAsync(stallLimit: TimeSpan.FromSeconds(2));
        var master = await group.SettledMasterAsync();
        var slave = group.Others(master).First();
        var syncs = 0;
        slave.Disk.OnSync = _ =>
        {
            Interlocked.Increment(ref syncs);
            Thread.Sleep(1300); // each call is in time, two of them are not
        };
        master.Append(0);
        await group.EventuallyAsync(() => Volatile.Read(ref syncs) > 0, "it syncs");
        var sealedEnd = slave.Replica.Journal.End;
        master.Append(1);
        await group.EventuallyAsync(() => slave.Replica.Journal.End > sealedEnd, "more waits for the disk");
        await group.CrashAsync(master);
        var next = await group.MasterAsync();
        Assert.That(slave.Replica.Completion.IsCompleted, Is.False, () => $"{slave.Replica.Status.Failure}");
        slave.Disk.OnSync = null;
        next.Append(2);
        Assert.That(await group.AgreedAsync(3), Is.EqualTo(Enumerable.Range(0, 3)));
    }

    [Test]
    public async Task A_master_whose_disk_hangs_for_a_moment_goes_on_by_its_slaves()
    {
        const int Count = 20;
        await using var group = await StartAsync(stallLimit: TimeSpan.FromSeconds(10));
        var master = await group.SettledMasterAsync();
        using var hold = Hold.Syncs(master.Disk);
        for (var number = 0; number < Count; number++)
        {
            var end = master.Append(number).End;
            master.Replica.Journal.Announce();
            await group.EventuallyAsync(() => master.Replica.Journal.Applied >= end, $"{number} is confirmed");
        }

        hold.Release();
        Assert.That(await group.AgreedAsync(Count), Is.EqualTo(Enumerable.Range(0, Count)));
    }

    [Test]
    public async Task What_local_mem_confirms_is_in_the_masters_file()
    {
        await using var group = await ReplicaGroup.StartAsync(options => options with { Sync = SyncPolicy.LocalMem });
        var master = await group.SettledMasterAsync();
        using var hold = Hold.Syncs(master.Disk);
        var first = master.Append(0).End;
        await group.EventuallyAsync(() => master.Replica.Journal.Applied >= first, "it waits for no sync");
        var second = master.Append(1).End;
        master.Replica.Journal.Announce();
        await group.EventuallyAsync(() => group.Others(master).All(slave => slave.Replica.Journal.End >= second), "the slaves have it");
        Assert.That(master.Replica.Journal.Applied, Is.EqualTo(first), "the file does not");
        hold.Release();
        Assert.That(await group.AgreedAsync(2), Is.EqualTo(Enumerable.Range(0, 2)));
    }

    private static Task<ReplicaGroup> StartAsync(TimeSpan stallLimit) => ReplicaGroup.StartAsync(options => options with
    {
        UnsyncedBytesMax = UnsyncedBytesMax,
        BatchBytesMax = BatchBytesMax,
        Times = options.Times with { DiskStallLimit = stallLimit },
    });
}
