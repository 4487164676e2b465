using System.Buffers;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>A journal as slave: bytes in any portions, and tails that are cut.</summary>
[TestFixture, Parallelizable]
internal sealed class ReplicatedTests
{
    private const string Home = "/journal";

    [Test]
    public async Task Bytes_in_any_portions_give_the_same_journal([Values(1, 7, 16, 1000, 100_000)] int portion)
    {
        await using var master = await Opened.OpenAsync(Home, new CrashDisk());
        master.BecomeMaster();
        for (var i = 0; i < 300; i++)
        {
            master.Append(i, 50 + (i % 700));
        }

        await master.AppendAppliedAsync(300, 1);
        await using var slave = await Opened.OpenAsync(Home, new CrashDisk());
        Ship(master.Journal, slave.Journal, portion);
        await slave.Journal.WaitDurableAsync(slave.Journal.End);
        await Opened.UntilAsync(() => slave.Journal.Applied == slave.Journal.End, "all is applied");
        Assert.That(slave.Journal.End, Is.EqualTo(master.Journal.End));
        Assert.That(slave.Numbers.Applied, Is.EqualTo(master.Numbers.Applied));
        Assert.That(All(slave.Journal), Is.EqualTo(All(master.Journal)));
        Assert.That(slave.Journal.SystemRecords.Single().Kind, Is.EqualTo(Opened.EpochKind));
    }

    [Test]
    public async Task A_slave_far_behind_catches_up_from_disk_while_the_master_goes_on()
    {
        await using var master = await Opened.OpenAsync(Home, new CrashDisk(), with: options => options with { TailBytes = 1024 * 1024 });
        master.BecomeMaster();
        await master.AppendAppliedAsync(0, 5000, 1000);
        await using var slave = await Opened.OpenAsync(Home, new CrashDisk());
        var appending = Task.Run(() =>
        {
            for (var i = 5000; i < 10_000; i++)
            {
                master.Append(i, 1000);
            }
        });
        while (!appending.IsCompleted || slave.Journal.End < master.Journal.End)
        {
            Ship(master.Journal, slave.Journal, 100_000);
        }

        await Opened.UntilAsync(() => slave.Numbers.Applied.Count == 10_000, "all is applied");
        Assert.That(slave.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 10_000)));
    }

    [Test]
    public async Task A_record_counts_when_its_last_byte_is_there()
    {
        var (bytes, ends) = await MakeAsync(3);
        await using var slave = await Opened.OpenAsync(Home, new CrashDisk());
        var split = (int)ends[1].Value - 1;
        slave.Journal.AppendReplicated(Position.Zero, Sequence(bytes.AsMemory(0, split)));
        Assert.That(slave.Journal.End, Is.EqualTo(ends[0]));
        slave.Journal.AppendReplicated(new Position(split), Sequence(bytes.AsMemory(split, 1)));
        Assert.That(slave.Journal.End, Is.EqualTo(ends[1]));
    }

    [Test]
    public async Task A_partial_record_that_is_dropped_can_be_sent_again()
    {
        var (bytes, ends) = await MakeAsync(3);
        await using var slave = await Opened.OpenAsync(Home, new CrashDisk());
        slave.Journal.AppendReplicated(Position.Zero, Sequence(bytes.AsMemory(0, (int)ends[0].Value + 20)));
        slave.Journal.DropPartialRecord();
        slave.Journal.AppendReplicated(ends[0], Sequence(bytes.AsMemory((int)ends[0].Value)));
        Assert.That(slave.Journal.End, Is.EqualTo(ends[^1]));
    }

    [Test]
    public async Task Bytes_that_do_not_follow_or_are_damaged_are_refused_and_leave_no_trace()
    {
        var (bytes, ends) = await MakeAsync(3);
        await using var slave = await Opened.OpenAsync(Home, new CrashDisk());
        slave.Journal.AppendReplicated(Position.Zero, Sequence(bytes.AsMemory(0, (int)ends[0].Value)));
        Assert.Throws<InvalidRecordsException>(() => slave.Journal.AppendReplicated(ends[1], Sequence(bytes.AsMemory((int)ends[1].Value))));
        for (var at = (int)ends[0].Value; at < ends[1].Value; at++)
        {
            byte[] damaged = [.. bytes];
            damaged[at] ^= 4;
            try
            {
                slave.Journal.AppendReplicated(ends[0], Sequence(damaged.AsMemory((int)ends[0].Value)));
                Assert.That(at - ends[0].Value, Is.LessThan(4), "only a greater length makes it wait for more");
            }
            catch (InvalidRecordsException)
            {
                // As it should be.
            }

            slave.Journal.DropPartialRecord();
            Assert.That(slave.Journal.End, Is.EqualTo(ends[0]));
        }

        slave.Journal.AppendReplicated(ends[0], Sequence(bytes.AsMemory((int)ends[0].Value)));
        Assert.That(slave.Journal.End, Is.EqualTo(ends[^1]));
    }

    [Test]
    public async Task A_tail_that_is_cut_stays_cut_and_gives_way_to_another()
    {
        var disk = new CrashDisk();
        Position cut;
        await using (var opened = await Opened.OpenAsync(Home, disk, commits: false))
        {
            opened.BecomeMaster();
            var kept = Enumerable.Range(0, 100).Select(i => opened.Append(i)).ToArray();
            cut = kept[^1].End;
            for (var i = 100; i < 3000; i++)
            {
                opened.Append(i); // over several segments
            }

            await opened.Journal.WaitDurableAsync(opened.Journal.End);
            Assert.Throws<InvalidOperationException>(() => _ = opened.Journal.TruncateAsync(cut), "a master cuts nothing");
            opened.Journal.ResignMaster(null);
            await opened.Journal.TruncateAsync(cut);
            Assert.That((opened.Journal.End, opened.Journal.Durable), Is.EqualTo((cut, cut)));
            Assert.That(opened.Journal.CopyRecords(cut, new byte[100]), Is.Zero);

            opened.BecomeMaster();
            for (var i = 5000; i < 5010; i++)
            {
                opened.Append(i);
            }

            await opened.Journal.WaitDurableAsync(opened.Journal.End);
            Assert.That(opened.Journal.SystemRecords.Select(record => record.Position), Is.EqualTo(new[] { Position.Zero, cut }));
        }

        await using var again = await Opened.OpenAsync(Home, disk);
        again.Journal.AdvanceCommitted(again.Journal.End);
        await Opened.UntilAsync(() => again.Journal.Applied == again.Journal.End, "all is applied");
        Assert.That(again.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 100).Concat(Enumerable.Range(5000, 10))));
    }

    [Test]
    public async Task Nothing_committed_is_cut()
    {
        await using var opened = await Opened.OpenAsync(Home, new CrashDisk(), commits: false);
        opened.BecomeMaster();
        var first = opened.Append(0);
        var second = opened.Append(1);
        await opened.Journal.WaitDurableAsync(second.End);
        opened.Journal.AdvanceCommitted(second.End);
        opened.Journal.ResignMaster(null);
        Assert.Throws<InvalidOperationException>(() => _ = opened.Journal.TruncateAsync(first.End));
        await opened.Journal.TruncateAsync(second.End);
        Assert.That(opened.Journal.End, Is.EqualTo(second.End));
    }

    [Test]
    public async Task A_crash_at_any_step_of_a_cut_leaves_the_tail_or_none_of_it()
    {
        var disk = new CrashDisk();
        Position cut, end;
        await using (var opened = await Opened.OpenAsync(Home, disk, commits: false))
        {
            opened.BecomeMaster();
            var kept = Enumerable.Range(0, 10).Select(i => opened.Append(i)).ToArray();
            cut = kept[^1].End;
            for (var i = 10; i < 1500; i++)
            {
                opened.Append(i);
            }

            end = opened.Journal.End;
        }

        for (var step = 0; step < 25; step++)
        {
            for (var seed = 0; seed < 4; seed++)
            {
                var image = disk.Clone();
                var opened = await Opened.OpenAsync(Home, image, commits: false);
                image.DiesAt = image.Operations + 2 + step;
                try
                {
                    await opened.Journal.TruncateAsync(cut);
                }
                catch (StoreException)
                {
                    // It died on the way.
                }

                await opened.DisposeAsync();
                image.PowerLoss(new Random(seed));
                await using var again = await Opened.OpenAsync(Home, image, commits: false);
                Assert.That(again.Journal.End, Is.EqualTo(cut).Or.EqualTo(end), $"step {step}, seed {seed}");
            }
        }
    }

    [Test]
    public async Task What_was_cut_is_in_no_file_that_serves_again([Values] bool interrupted)
    {
        var disk = new CrashDisk();
        Position cut;
        await using (var opened = await Opened.OpenAsync(Home, disk, commits: false))
        {
            opened.BecomeMaster();
            cut = opened.Append(0).End;
            for (var i = 1; i < 1500; i++)
            {
                opened.Append(i);
                await opened.Journal.WaitDurableAsync(opened.Journal.End); // in short batches, which fill segments of the usual length
            }

            Assert.That(disk.ListFiles(Home).Count(name => name.StartsWith("journal-", StringComparison.Ordinal)), Is.GreaterThan(2));
        }

        await using (var opened = await Opened.OpenAsync(Home, disk, commits: false))
        {
            disk.DiesAt = interrupted ? disk.Operations + 4 : int.MaxValue;
            try
            {
                await opened.Journal.TruncateAsync(cut);
            }
            catch (StoreException) when (interrupted)
            {
                // The next start goes on with it.
            }
        }

        disk.Kill();
        await using (var again = await Opened.OpenAsync(Home, disk, commits: false))
        {
            Assert.That(again.Journal.End, Is.EqualTo(cut));
        }

        foreach (var spare in disk.ListFiles(Home).Where(name => name.StartsWith("spare-", StringComparison.Ordinal)))
        {
            Assert.That(disk.ReadAll($"{Home}/{spare}").AsSpan().ContainsAnyExcept((byte)0), Is.False, "its records would be taken for those that are written at the same positions");
        }
    }

    [Test]
    public async Task A_first_batch_that_is_longer_than_a_segment_never_leaves_a_journal_without_one()
    {
        var (bytes, ends) = await MakeAsync(900);
        Assert.That(bytes, Has.Length.GreaterThan(64 * 1024));
        for (var step = 0; step < 25; step++)
        {
            for (var seed = 0; seed < 4; seed++)
            {
                var disk = new CrashDisk();
                var opened = await Opened.OpenAsync(Home, disk, commits: false);
                disk.DiesAt = disk.Operations + 1 + step;
                var isDurable = false;
                try
                {
                    opened.Journal.AppendReplicated(Position.Zero, Sequence(bytes));
                    await opened.Journal.WaitDurableAsync(opened.Journal.End);
                    isDurable = true;
                }
                catch (StoreException)
                {
                    // It died on the way.
                }

                await opened.DisposeAsync();
                disk.PowerLoss(new Random(seed));
                await using var again = await Opened.OpenAsync(Home, disk, commits: false, with: options => options with { MustExist = true });
                Assert.That(ends.Append(Position.Zero), Does.Contain(again.Journal.End), $"step {step}, seed {seed}");
                Assert.That(again.Journal.End, isDurable ? Is.EqualTo(ends[^1]) : Is.AtMost(ends[^1]), $"step {step}, seed {seed}");
            }
        }
    }

    private static async Task<(byte[] Bytes, Position[] Ends)> MakeAsync(int count)
    {
        await using var master = await Opened.OpenAsync(Home, new CrashDisk());
        master.BecomeMaster();
        Position[] ends = [master.Journal.End, .. Enumerable.Range(0, count).Select(i => master.Append(i).End)];
        await master.Journal.WaitDurableAsync(master.Journal.End);
        return (All(master.Journal), ends);
    }

    private static void Ship(Journal from, Journal to, int portion)
    {
        var buffer = new byte[portion];
        var at = to.End;
        while (from.CopyRecords(at, buffer) is > 0 and var count)
        {
            to.AppendReplicated(at, Sequence(buffer.AsMemory(0, count)));
            at += count;
        }

        to.DropPartialRecord();
    }

    private static byte[] All(Journal journal)
    {
        var bytes = new byte[journal.End.Value];
        for (var at = 0; at < bytes.Length;)
        {
            at += journal.CopyRecords(new Position(at), bytes.AsSpan(at));
        }

        return bytes;
    }

    /// <summary>In two pieces where that is possible, as they come from a network.</summary>
    private static ReadOnlySequence<byte> Sequence(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length < 2)
        {
            return new ReadOnlySequence<byte>(bytes);
        }

        var first = new Piece(bytes[..(bytes.Length / 2)], 0);
        var last = new Piece(bytes[(bytes.Length / 2)..], bytes.Length / 2);
        first.Join(last);
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, long index) => (Memory, RunningIndex) = (memory, index);

        public void Join(Piece next) => Next = next;
    }
}
