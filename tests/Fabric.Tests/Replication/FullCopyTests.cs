using System.Buffers;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Replication.Grpc;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Journal;
using Fabric.Tests.Store;

namespace Fabric.Tests.Replication;

/// <summary>A slave whose next position was cleaned away at its master copies the master's journal, whatever happens meanwhile.</summary>
[TestFixture, Parallelizable]
internal sealed class FullCopyTests
{
    private string? _favourite;
    private TimeSpan _grace;
    private TimeSpan _stall;
    private int _count;

    [SetUp]
    public void Forget() => (_favourite, _grace, _stall, _count) = (null, TimeSpan.FromMinutes(2), TimeSpan.FromSeconds(4), 0);

    [Test]
    public async Task A_slave_too_far_behind_copies_the_journal_and_can_lead_with_it()
    {
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        var promised = ReplicaStateFile.Open(late.Disk, "/journal", Guid.Empty, hasRecords: true);
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
        Assert.That(master.Replica.Status.Failure, Is.Null);
        var after = ReplicaStateFile.Open(late.Disk, "/journal", Guid.Empty, hasRecords: true);
        Assert.That((after.Id, after.FirstSet!.StoreId), Is.EqualTo((promised.Id, promised.FirstSet!.StoreId)), "it is who it was");
        Assert.That(after.Promised, Is.GreaterThanOrEqualTo(promised.Promised));
    }

    [Test]
    public async Task Over_grpc_a_copy_of_many_segments_arrives()
    {
        await using var group = await StartAsync(static () => new GrpcReplicaLink(FabricRuntime.System, new GrpcReplicaLinkOptions()));
        var (master, late) = await LeaveBehindAsync(group);
        foreach (var node in group.Nodes)
        {
            node.Keeps = master.Replica.Journal.Applied; // what is live makes the copy long
        }

        for (var i = 0; i < 30; i++)
        {
            await AppendAsync(group, master, 500, 300);
        }

        Assert.That(master.Replica.Journal.End - master.Replica.Journal.First, Is.GreaterThan(40 * 64 * 1024));
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
    }

    [Test]
    public async Task A_replica_that_never_had_anything_joins_a_journal_whose_start_is_gone()
    {
        await using var group = await StartAsync();
        var (_, late) = await LeaveBehindAsync(group);
        foreach (var name in late.Disk.ListFiles("/journal").Where(name => name != "replica.state"))
        {
            late.Disk.Delete($"/journal/{name}");
        }

        late.Disk.Rename("/journal/replica.state", "/kept"); // a journal is made before the identity
        await using (await Opened.OpenAsync("/journal", late.Disk))
        {
        }

        late.Disk.Rename("/kept", "/journal/replica.state");
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
    }

    [Test]
    public async Task A_broken_copy_goes_on_where_it_was()
    {
        await using var group = await StartAsync();
        var (_, late) = await LeaveBehindAsync(group);
        var starts = new List<CopyFrame>();
        var frames = 0;
        group.Network.OnCopyFrame = frame =>
        {
            if (frame.Kind == CopyFrameKind.Start)
            {
                starts.Add(frame);
            }

            return starts.Count > 4 || ++frames % 4 != 0 ? frame : throw new ReplicaLinkException("broken for the test", refused: false);
        };
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
        Assert.That(starts, Has.Count.GreaterThan(3));
        Assert.That(starts.Skip(1).Count(start => start.Resumes), Is.GreaterThan(1));
        Assert.That(starts.Where(start => start.Resumes).Select(start => start.Position.Value), Is.Ordered, "nothing is sent twice");
    }

    [Test]
    public async Task A_slave_that_dies_in_the_middle_goes_on_after_its_start([Values] bool powerLoss)
    {
        await using var group = await StartAsync();
        var (_, late) = await LeaveBehindAsync(group);
        var inTheMiddle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var records = 0;
        CopyFrame? resumed = null;
        group.Network.OnCopyFrame = frame =>
        {
            if (frame.Kind == CopyFrameKind.Records && ++records == 3)
            {
                inTheMiddle.SetResult();
            }

            if (frame.Kind == CopyFrameKind.Start && inTheMiddle.Task.IsCompleted)
            {
                resumed ??= frame;
            }

            return records < 3 || resumed is not null ? frame : throw new ReplicaLinkException("broken for the test", refused: false);
        };
        late = await group.StartAsync(late.Container);
        await inTheMiddle.Task.WaitAsync(TimeSpan.FromSeconds(20));
        await group.CrashAsync(late, powerLoss ? new Random(7) : null);
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
        Assert.That(resumed, Is.Not.Null);
    }

    [Test]
    public async Task A_copy_whose_place_was_cleaned_away_meanwhile_begins_anew()
    {
        _grace = TimeSpan.Zero;
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        var inTheMiddle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var starts = new List<CopyFrame>();
        group.Network.OnCopyFrame = frame =>
        {
            if (frame.Kind == CopyFrameKind.Start)
            {
                starts.Add(frame);
            }
            else if (frame.Kind == CopyFrameKind.Records && frame.Position > starts[0].Position && starts.Count == 1)
            {
                inTheMiddle.TrySetResult();
                throw new ReplicaLinkException("broken for the test", refused: false);
            }

            return starts.Count == 1 ? frame : throw new ReplicaLinkException("still broken", refused: false);
        };
        late = await group.StartAsync(late.Container);
        await inTheMiddle.Task.WaitAsync(TimeSpan.FromSeconds(20));
        await group.CrashAsync(late);
        var had = master.Replica.Journal.End;
        foreach (var node in group.Nodes)
        {
            node.Keeps = null;
        }

        while (master.Replica.Journal.First <= had)
        {
            Assert.That(_count, Is.LessThan(100_000), "it is cleaned");
            await AppendAsync(group, master, 200, 300);
        }

        starts.Clear();
        group.Network.OnCopyFrame = frame =>
        {
            if (frame.Kind == CopyFrameKind.Start)
            {
                starts.Add(frame);
            }

            return frame;
        };
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
        Assert.That(starts.Select(start => start.Resumes), Is.EqualTo(new[] { false }), "what it had is of no use");
    }

    [Test]
    public async Task Only_a_member_gets_a_copy_and_only_of_the_epoch_that_is_led()
    {
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        var state = ReplicaStateFile.Open(late.Disk, "/journal", Guid.Empty, hasRecords: true);
        var request = new CopyRequest(state.FirstSet!.StoreId, state.Id, master.Replica.Status.Epoch, Position.Zero, Position.Zero);
        Assert.That(await FramesAsync(master, request), Is.GreaterThan(5));
        var slave = group.Others(master).Single();
        foreach (var (node, wrong) in new[]
        {
            (master, request with { StoreId = Guid.NewGuid() }),
            (master, request with { Replica = new ReplicaId(Guid.NewGuid()) }),
            (master, request with { Epoch = request.Epoch.Next }),
            (master, request with { Epoch = Epoch.None }),
            (slave, request),
        })
        {
            Assert.ThrowsAsync<NotMasterException>(() => FramesAsync(node, wrong), $"{wrong}");
        }

        static async Task<int> FramesAsync(ReplicaNode node, CopyRequest request)
        {
            var count = 0;
            await foreach (var frame in ((IReplicaPeer)node.Replica).OnCopyAsync(request, CancellationToken.None))
            {
                count++;
            }

            return count;
        }
    }

    [Test]
    public async Task A_master_that_dies_in_the_middle_gives_way_to_one_from_whom_the_copy_goes_on()
    {
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        var inTheMiddle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var records = 0;
        group.Network.OnCopyFrame = frame =>
        {
            if (frame.Kind == CopyFrameKind.Records && ++records == 2)
            {
                inTheMiddle.SetResult();
                throw new ReplicaLinkException("broken for the test", refused: false);
            }

            return frame;
        };
        late = await group.StartAsync(late.Container);
        await inTheMiddle.Task.WaitAsync(TimeSpan.FromSeconds(20));

        // The promise that makes the other one master comes from the slave that is copying, by its old journal.
        await group.CrashAsync(master);
        late = await group.ReplacedAsync(late);
        await group.StartAsync(master.Container);
        await LeadAgainAsync(group, late);
    }

    [Test]
    public async Task Damaged_on_its_way_a_copy_is_asked_for_again()
    {
        await using var group = await StartAsync();
        var (_, late) = await LeaveBehindAsync(group);
        var damaged = 0;
        group.Network.OnCopyFrame = frame =>
        {
            if (frame.Kind == CopyFrameKind.Start || damaged >= 2)
            {
                return frame;
            }

            damaged++;
            var bytes = frame.Bytes.ToArray();
            bytes[bytes.Length / 2] ^= 1;
            return frame with { Bytes = new ReadOnlySequence<byte>(bytes) };
        };
        await LeadAgainAsync(group, await group.ReplacedAsync(await group.StartAsync(late.Container)));
        Assert.That(damaged, Is.EqualTo(2));
    }

    [Test]
    public async Task With_the_third_one_dead_the_copy_brings_the_majority_back()
    {
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        await group.CrashAsync(group.Others(master).Single());
        await group.CrashAsync(master);
        late = await group.StartAsync(late.Container);
        await group.StartAsync(master.Container);
        await group.ReplacedAsync(late);
        master = await group.MasterAsync();
        master.Append(_count++);
        Assert.That(await group.AgreedAsync(_count), Is.EqualTo(Enumerable.Range(0, _count)));
    }

    [Test]
    public async Task A_master_that_cleans_all_the_time_is_caught_up_with()
    {
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        using var stop = new CancellationTokenSource();
        var load = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await master.Replica.Journal.WaitForRoomAsync(CancellationToken.None);
                master.Append(Interlocked.Increment(ref _count) - 1, 300);
            }
        });
        late = await group.ReplacedAsync(await group.StartAsync(late.Container));
        await group.EventuallyAsync(() => master.Replica.Status.Slaves.Count(slave => slave.Attached) == 2, "it follows");
        await stop.CancelAsync();
        await load;
        Assert.That(late.Replica.Status.IsCopying, Is.False);
        Assert.That(await group.AgreedAsync(_count), Is.EqualTo(Enumerable.Range(0, _count)));
    }

    [Test]
    public async Task Without_room_for_a_copy_the_slave_waits_and_promises_as_ever()
    {
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        late.Disk.Free = 100_000;
        late = await group.StartAsync(late.Container);
        await group.EventuallyAsync(() => late.Replica.Status is { Role: ReplicaRole.Slave, IsCopying: true }, "it tries");
        await group.CrashAsync(master);
        await group.EventuallyAsync(
            () => group.Others(late).Single().Replica.Status is { Role: ReplicaRole.Starting, Epoch: { Value: > 1 } }, "the other leads by the promise of the one that waits");
        await group.EventuallyAsync(() => late.Replica.Status is { Role: ReplicaRole.Slave, IsCopying: true }, "it tries again");
        late.Disk.Free = 1L << 40;
        await group.ReplacedAsync(late);
        var next = await group.MasterAsync();
        next.Append(_count++);
        await group.AgreedAsync(_count);
    }

    [TestCase("Write", "copied.checkpoint")]
    [TestCase("Sync", "copied.checkpoint")]
    [TestCase("Rename", "copy.state")]
    [TestCase("Write", ".seg")] // a file that was prepared keeps the name it was opened by
    [TestCase("Rename", "copy.switch")]
    public async Task A_disk_that_hangs_during_a_copy_makes_the_replica_leave_and_come_back(string call, string file)
    {
        _stall = TimeSpan.FromMilliseconds(400);
        await using var group = await StartAsync();
        var (master, late) = await LeaveBehindAsync(group);
        using var released = new ManualResetEventSlim();
        late.Disk.OnCall = (name, path) =>
        {
            if (name == call && path.StartsWith("/journal/copy", StringComparison.Ordinal) && Path.GetFileName(path).Contains(file, StringComparison.Ordinal))
            {
                released.Wait();
            }
        };
        try
        {
            late = await group.StartAsync(late.Container);
            Assert.ThrowsAsync<StoreUnavailableException>(() => late.Replica.Completion.WaitAsync(TimeSpan.FromSeconds(20)));
            lock (group.Nodes)
            {
                group.Nodes.Remove(late);
            }

            group.Network.Cut(late.Address);
            await late.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.That(() => group.StartAsync(late.Container), Throws.InstanceOf<IOException>(), "its last life still has the directory");
            await AppendAsync(group, master, 10, 100);
        }
        finally
        {
            late.Disk.OnCall = null;
            released.Set();
        }

        late = await ComesBackAsync(group, late.Container);
        await group.EventuallyAsync(
            () => late.Replica.Completion.IsCompleted || master.Replica.Status.Slaves.Count(slave => slave.Attached) == 2, "it copies, or has the copy already");
        await LeadAgainAsync(group, late.Replica.Completion.IsCompleted ? await group.ReplacedAsync(late) : late);
    }

    /// <summary>Starts it again and again, as its container does.</summary>
    private static async Task<ReplicaNode> ComesBackAsync(ReplicaGroup group, string container)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return await group.StartAsync(container);
            }
            catch (IOException) when (TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(20))
            {
                await Task.Delay(20);
            }
        }
    }

    private Task<ReplicaGroup> StartAsync(Func<IReplicaLink>? newLink = null) => ReplicaGroup.StartAsync(
        options => options with
        {
            Weight = options.Container == _favourite ? 5 : 1,
            Journal = options.Journal with { SegmentBytes = 64 * 1024, CheckpointBytes = 256 * 1024, TailBytes = 1024 * 1024, RetainedBytesMax = 0, FreeBytesLow = 0 },
            // Lease and patience as shipped: none of this is about a master that is slow to be heard, and copies keep the processors busy.
            Times = new ReplicaTimes { CopyRetry = TimeSpan.FromMilliseconds(50), CopyGrace = _grace, DiskStallLimit = _stall },
        },
        newLink: newLink);

    /// <summary>One slave dies, and the others clean away what it will need.</summary>
    private async Task<(ReplicaNode Master, ReplicaNode Late)> LeaveBehindAsync(ReplicaGroup group)
    {
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 200, 100);
        var late = group.Others(master).First();
        await group.CrashAsync(late);
        while (!group.Nodes.TrueForAll(node => node.Replica.Journal.First > Position.Zero))
        {
            Assert.That(_count, Is.LessThan(100_000), "old segments go");
            await AppendAsync(group, master, 200, 300);
        }

        // What is left must be several frames long, wherever the newest checkpoint is.
        foreach (var node in group.Nodes)
        {
            node.Keeps = master.Replica.Journal.Applied;
        }

        await AppendAsync(group, master, 2000, 300);
        return (master, late);
    }

    private async Task AppendAsync(ReplicaGroup group, ReplicaNode master, int count, int bytes)
    {
        for (var i = 0; i < count; i++)
        {
            await master.Replica.Journal.WaitForRoomAsync(CancellationToken.None);
            master.Append(_count++, bytes);
        }

        await group.EventuallyAsync(() => group.Nodes.TrueForAll(node => node.Applied.Count == _count), "all go on");
    }

    /// <summary>It is in sync, and has everything when the master dies and it takes over.</summary>
    private async Task LeadAgainAsync(ReplicaGroup group, ReplicaNode late)
    {
        var master = await group.SettledMasterAsync();
        master.Append(_count++);
        Assert.That(await group.AgreedAsync(_count), Is.EqualTo(Enumerable.Range(0, _count)));
        _favourite = late.Container;
        if (master.Container != late.Container)
        {
            await group.CrashAsync(late);
            late = await group.StartAsync(late.Container); // the weight is read at the start
            master = await group.SettledMasterAsync();
        }

        if (master.Container != late.Container)
        {
            await group.CrashAsync(master);
            master = await group.MasterAsync();
            Assert.That(master.Container, Is.EqualTo(late.Container));
        }

        master.Append(_count++);
        Assert.That(await group.AgreedAsync(_count), Is.EqualTo(Enumerable.Range(0, _count)));
    }
}
