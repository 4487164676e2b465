using Fabric.Replication.Core;
using Fabric.Store;
using Fabric.Store.Journal;
using Fabric.Tests.Store;

namespace Fabric.Tests.Replication;

/// <summary>A disk whose calls do not return: the replica leaves, holds nobody up, and comes back when they do.</summary>
[TestFixture, Parallelizable]
internal sealed class HangingDiskTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [TestCase("Write", "journal-")]
    [TestCase("Sync", "journal-")]
    [TestCase("Open", "spare-")]
    [TestCase("Write", "spare-")]
    [TestCase("Sync", "spare-")]
    [TestCase("Rename", "journal-")]
    [TestCase("SyncDirectory", "")]
    [TestCase("Write", "checkpoint.new")]
    [TestCase("Rename", "checkpoint-")]
    [TestCase("Delete", "")]
    public async Task A_master_whose_disk_hangs_resigns_confirms_nothing_more_and_comes_back(string call, string file)
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        master.Append(0);
        await group.AgreedAsync(1);
        using var hang = new Hang(master.Disk, call, file);
        var number = await AppendUntilAsync(master, () => hang.IsHolding);
        var left = Assert.ThrowsAsync<StoreUnavailableException>(() => master.Replica.Completion.WaitAsync(Limit));
        Assert.That(left!.Message, Does.Contain("/journal").And.Contain("disk"));
        Assert.That((master.IsServing, master.Replica.Status.Role), Is.EqualTo((false, ReplicaRole.Retired)));
        Assert.That(() => master.Append(-1), Throws.InstanceOf<StoreException>());
        var applied = master.Replica.Journal.Applied;

        await group.EventuallyAsync(() => group.Others(master).Any(node => node.IsServing), "another one serves");
        var next = group.Others(master).First(node => node.IsServing);
        next.Append(1_000_000);
        await group.EventuallyAsync(() => group.Others(master).All(node => node.Applied.Contains(1_000_000)), "and commits");
        Assert.That(master.Replica.Journal.Applied, Is.EqualTo(applied), "nothing becomes committed on the one that left");
        await CloseAsync(group, master).WaitAsync(Limit);
        Assert.That(() => group.StartAsync(master.Container), Throws.InstanceOf<IOException>(), "its last life still has the directory");

        hang.Release();
        await ComesBackAsync(group, master.Container);
        var all = await group.AgreedAsync(2);
        Assert.That(all.Count, Is.LessThanOrEqualTo(number + 1));
        Assert.That(all.Where(item => item < 1_000_000), Is.EqualTo(Enumerable.Range(0, all.Count - 1)), "what it held is there up to some record, or not at all");
    }

    [TestCase("Write", "journal-")]
    [TestCase("Sync", "journal-")]
    [TestCase("Open", "spare-")]
    public async Task A_slave_whose_disk_hangs_leaves_and_the_others_go_on(string call, string file)
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        var slave = group.Others(master).First();
        using var hang = new Hang(slave.Disk, call, file);
        var number = await AppendUntilAsync(master, () => hang.IsHolding);
        Assert.ThrowsAsync<StoreUnavailableException>(() => slave.Replica.Completion.WaitAsync(Limit));
        await group.EventuallyAsync(() => master.Replica.Status.Slaves.Count(item => item.Attached) == 1, "it follows no more");
        master.Append(number);
        await group.EventuallyAsync(() => group.Others(slave).All(node => node.Applied.Count == number), "two of three go on");
        Assert.That(master.IsServing, Is.True);
        await CloseAsync(group, slave).WaitAsync(Limit);
        hang.Release();
        await ComesBackAsync(group, slave.Container);
        Assert.That(await group.AgreedAsync(number), Is.EqualTo(Enumerable.Range(1, number)));
    }

    [TestCase("Open")]
    [TestCase("Write")]
    [TestCase("Sync")]
    [TestCase("Rename")]
    public async Task A_promise_that_cannot_be_written_down_freezes_nothing_and_is_not_given(string call)
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        master.Append(0);
        await group.AgreedAsync(1);
        var slave = group.Others(master).First();
        var other = group.Others(master).Last();
        using var hang = new Hang(slave.Disk, call, "replica.state");
        var epoch = master.Replica.Status.Epoch;
        await group.CrashAsync(master);
        Assert.ThrowsAsync<StoreUnavailableException>(() => slave.Replica.Completion.WaitAsync(Limit));
        Assert.That(other.IsServing, Is.False, "one of three is no majority");
        await CloseAsync(group, slave).WaitAsync(Limit);
        Assert.That(() => group.StartAsync(slave.Container), Throws.InstanceOf<IOException>(), "what hangs could still overwrite a later promise");
        hang.Release();
        await ComesBackAsync(group, slave.Container);
        var next = await group.MasterAsync();
        Assert.That(next.Replica.Status.Epoch, Is.GreaterThan(epoch));
        next.Append(1);
        await group.StartAsync(master.Container);
        Assert.That(await group.AgreedAsync(2), Is.EqualTo(new[] { 0, 1 }));
    }

    [Test]
    public async Task A_store_that_hangs_while_it_opens_can_be_given_up()
    {
        await using var group = await StartAsync();
        var master = await group.SettledMasterAsync();
        var slave = group.Others(master).First();
        await group.CrashAsync(slave);
        using var hang = new Hang(slave.Disk, "Read", "journal-");
        Assert.ThrowsAsync<StoreUnavailableException>(() => group.StartAsync(slave.Container).WaitAsync(Limit));
        hang.Release();
        await ComesBackAsync(group, slave.Container);
        master.Append(0);
        await group.AgreedAsync(1);
    }

    [Test]
    public async Task A_reader_that_hangs_holds_up_no_other_reader_and_no_writer()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync("/journal", disk, with: options => options with { TailBytes = 1024 * 1024 });
        opened.BecomeMaster();
        await opened.AppendPastMemoryAsync(6000, 500);

        var old = opened.Numbers.Positions[0];
        using var hang = new Hang(disk, "Read", "", once: true);
        var reading = Task.Run(() => opened.Journal.ReadBody(old, 0, new byte[500]));
        await Opened.UntilAsync(() => hang.IsHolding, "it reads");
        await opened.AppendAppliedAsync(6000, 1000, 500);
        var body = new byte[500];
        opened.Journal.ReadBody(opened.Numbers.Positions[1500], 0, body);
        Assert.That(body, Is.EqualTo(Opened.Body(1500, 500)));
        Assert.That((reading.IsCompleted, opened.Journal.First), Is.EqualTo((false, Position.Zero)));
        hang.Release();
        await reading.WaitAsync(Limit);
    }

    private static Task<ReplicaGroup> StartAsync() => ReplicaGroup.StartAsync(options => options with
    {
        Journal = options.Journal with { SegmentBytes = 64 * 1024, CheckpointBytes = 128 * 1024 },
        Times = options.Times with { DiskStallLimit = TimeSpan.FromMilliseconds(400) },
    });

    private static async Task<int> AppendUntilAsync(ReplicaNode master, Func<bool> condition)
    {
        var number = 1;
        var start = TimeProvider.System.GetTimestamp();
        for (; !condition(); number++)
        {
            Assert.That(TimeProvider.System.GetElapsedTime(start), Is.LessThan(Limit), "the disk hangs");
            try
            {
                master.Append(number, 400);
            }
            catch (Exception exception) when (exception is StoreException or NotMasterException)
            {
                break; // it has left already
            }

            await Task.Delay(1);
        }

        return number;
    }

    private static async Task CloseAsync(ReplicaGroup group, ReplicaNode node)
    {
        lock (group.Nodes)
        {
            group.Nodes.Remove(node);
        }

        group.Network.Cut(node.Address);
        await node.DisposeAsync();
    }

    /// <summary>Starts it again and again, as its container does.</summary>
    private static async Task ComesBackAsync(ReplicaGroup group, string container)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                await group.StartAsync(container);
                return;
            }
            catch (IOException) when (TimeProvider.System.GetElapsedTime(start) < Limit)
            {
                await Task.Delay(20);
            }
        }
    }

    /// <summary>From now on one kind of call to one kind of file does not return.</summary>
    private sealed class Hang : IDisposable
    {
        private readonly CrashDisk _disk;
        private readonly ManualResetEventSlim _released = new();
        private volatile bool _isHolding;

        public Hang(CrashDisk disk, string call, string file, bool once = false)
        {
            _disk = disk;
            disk.OnCall = (name, path) =>
            {
                if (name == call && !(once && _isHolding) && (file.Length == 0 || Path.GetFileName(path).StartsWith(file, StringComparison.Ordinal)))
                {
                    _isHolding = true;
                    _released.Wait();
                }
            };
        }

        public bool IsHolding => _isHolding;

        public void Release()
        {
            _disk.OnCall = null;
            _released.Set();
        }

        public void Dispose() => Release(); // the event stays: a thread may still be on its way out of it
    }
}
