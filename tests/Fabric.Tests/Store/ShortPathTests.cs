using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Tests.Store;

/// <summary>What a lone record is spared on its way: changes of threads that serve many at a time.</summary>
[TestFixture]
internal sealed class ShortPathTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Test]
    public async Task A_little_that_is_committed_has_been_applied_when_the_call_returns()
    {
        await using var opened = await OpenAsync(new CrashDisk());
        for (var number = 0; number < 50; number++)
        {
            var appended = opened.Append(number);
            await opened.Journal.WaitDurableAsync(appended.End).WaitAsync(Limit);
            opened.Journal.AdvanceCommitted(appended.End);
            Assert.That(opened.Journal.Applied, Is.EqualTo(appended.End));
        }

        Assert.That(opened.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 50)));
    }

    [Test]
    public async Task Records_are_applied_once_and_in_order_whoever_applies_them()
    {
        const int Count = 5_000;
        await using var opened = await OpenAsync(new CrashDisk());
        var random = new Random(3);
        var appending = Task.Run(() =>
        {
            for (var number = 0; number < Count; number++)
            {
                opened.Append(number, random.Next(20) == 0 ? 20_000 : 100);
            }
        });
        var committing = Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            while (!appending.IsCompleted || opened.Journal.Durable < opened.Journal.End)
            {
                opened.Journal.AdvanceCommitted(opened.Journal.Durable);
                Thread.Yield();
            }

            opened.Journal.AdvanceCommitted(opened.Journal.End);
        }));
        await Task.WhenAll(committing.Append(appending)).WaitAsync(Limit);
        await Opened.UntilAsync(() => opened.Journal.Applied == opened.Journal.End, "everything is applied");
        Assert.That(opened.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, Count)));
    }

    [Test]
    public async Task A_record_that_cannot_be_applied_fails_the_journal_and_not_who_says_that_it_is_committed()
    {
        await using var opened = await OpenAsync(new CrashDisk(), new Numbers { Poison = 7 });
        var appended = opened.Append(7);
        await opened.Journal.WaitDurableAsync(appended.End).WaitAsync(Limit);
        Assert.DoesNotThrow(() => opened.Journal.AdvanceCommitted(appended.End));
        Assert.That((await opened.Failed).Message, Does.Contain("7 is poison"));
    }

    [Test]
    public async Task What_is_appended_for_an_idle_writer_is_announced_while_the_disk_syncs()
    {
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        using var hold = Hold.Syncs(disk);
        var first = opened.Append(1);
        opened.Journal.Announce();
        await Opened.UntilAsync(() => opened.Offered == first.End, "the first is announced");

        var second = opened.Append(2);
        opened.Journal.Announce();
        Assert.That(opened.Journal.Offered, Is.EqualTo(first.End), "the writer is at work, and will take all that has gathered");
        hold.Release();
        await Opened.UntilAsync(() => opened.Offered == second.End, "the second is announced");
    }

    [Test]
    public async Task Slaves_that_have_done_with_a_batch_get_the_next_while_our_own_disk_is_at_work()
    {
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        using var hold = Hold.Syncs(disk);
        var first = opened.Append(1);
        opened.Journal.Announce();
        await Opened.UntilAsync(() => opened.Offered == first.End, "the first is announced");

        var second = opened.Append(2);
        opened.Journal.Announce();
        Assert.That(opened.Offered, Is.EqualTo(first.End), "the slaves are still at work on the first");
        opened.Journal.AdvanceCommitted(first.End);
        Assert.That(opened.Offered, Is.EqualTo(second.End), "what gathered meanwhile is offered by who says that they are done");
        await Opened.UntilAsync(() => opened.Written == first.End, "the first is in the file");
        Assert.That(opened.Journal.Written, Is.EqualTo(first.End));

        opened.Journal.AdvanceCommitted(second.End);
        var third = opened.Append(3);
        var fourth = opened.Append(4);
        Assert.That(opened.Offered, Is.EqualTo(second.End), "not before who appends says that this is all for now");
        opened.Journal.Announce();
        Assert.That(opened.Offered, Is.EqualTo(fourth.End));
        var bytes = new byte[1000];
        Assert.That(opened.Journal.CopyRecords(third.Position, bytes), Is.EqualTo(fourth.End - third.Position));
        Assert.That((opened.Journal.Durable, opened.Journal.Applied), Is.EqualTo((first.Position, second.End)));
        hold.Release();
        await opened.Journal.WaitDurableAsync(opened.Journal.End).WaitAsync(Limit);
        Assert.That(opened.Offered, Is.EqualTo(opened.Journal.End));
    }

    [Test]
    public async Task Our_own_disk_is_a_batch_behind_at_most()
    {
        const int BatchBytesMax = 1024 * 1024;
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        var last = Position.Zero;
        using var hold = Hold.Syncs(disk);
        for (var number = 0; number < 50; number++)
        {
            last = opened.Append(number, 50_000).End;
            opened.Journal.Announce();
            opened.Journal.AdvanceCommitted(opened.Offered);
        }

        Assert.That(opened.Offered - opened.Journal.Durable, Is.GreaterThan(BatchBytesMax - 100_000).And.LessThanOrEqualTo(BatchBytesMax));
        hold.Release();
        await opened.Journal.WaitDurableAsync(last).WaitAsync(Limit);
        Assert.That(opened.Offered, Is.EqualTo(last));
    }

    [Test]
    public async Task A_batch_is_written_when_it_is_in_the_file_and_not_when_it_is_about_to_be()
    {
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        using var hold = Hold.Writes(disk);
        var before = opened.Journal.End;
        var appended = opened.Append(1);
        opened.Journal.Announce();
        Assert.That(hold.Reached.WaitOne(Limit));
        await Opened.UntilAsync(() => opened.Offered == appended.End, "it is offered");
        Assert.That((opened.Journal.Written, opened.Written), Is.EqualTo((before, before)));
        hold.Release();
        await Opened.UntilAsync(() => opened.Written == appended.End, "it is in the file");
    }

    [Test]
    public async Task The_mark_of_the_segment_before_is_progress_of_its_own()
    {
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        var since = new List<long?>();
        await Opened.UntilAsync(() => opened.Journal.PendingSince is null, "nothing waits");
        disk.OnSync = _ =>
        {
            if (Thread.CurrentThread.Name == "journal writer") // the keeper prepares a spare meanwhile
            {
                since.Add(opened.Journal.PendingSince);
            }
        };
        foreach (var number in Enumerable.Range(0, 2))
        {
            since.Clear();
            await opened.Journal.WaitDurableAsync(opened.Append(number, 700_000).End).WaitAsync(Limit);
        }

        Assert.That(since, Has.Count.GreaterThanOrEqualTo(2), "the second went into a segment of its own");
        Assert.That(since[^1], Is.GreaterThan(since[^2]!.Value));
    }

    [Test]
    public async Task A_small_batch_overwrites_its_last_block_to_the_end()
    {
        const int BlockBytes = 4096;
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        var path = SegmentPath(disk);
        var start = SegmentHeader.Bytes + opened.Journal.End.Value + SyncMark.Bytes;
        using var file = disk.Open(path, DiskFileMode.Open);
        file.Write(Enumerable.Repeat((byte)0xFF, 100_000).ToArray(), start); // a spare's former life
        for (var number = 0; number < 20; number++)
        {
            var appended = opened.Append(number, 1000);
            await opened.Journal.WaitDurableAsync(appended.End).WaitAsync(Limit);
            var written = SegmentHeader.Bytes + appended.End.Value + SyncMark.Bytes;
            var bytes = new byte[2 * BlockBytes];
            file.Read(bytes, written);
            var rest = (int)((BlockBytes - (written % BlockBytes)) % BlockBytes);
            Assert.That(bytes[..rest], Is.All.Zero, $"record {number}");
            Assert.That(bytes[rest..], Is.All.EqualTo(0xFF), $"record {number}");
        }
    }

    [Test]
    public async Task Who_appends_for_an_idle_writer_may_be_faster_to_announce_it()
    {
        await using var opened = await OpenAsync(new CrashDisk());
        for (var number = 0; opened.Announced == 0; number++)
        {
            Assert.That(number, Is.LessThan(10_000), "the writer's thread cannot always be first");
            var appended = opened.Append(number);
            opened.Journal.Announce();
            await opened.Journal.WaitDurableAsync(appended.End).WaitAsync(Limit);
        }
    }

    [Test]
    public async Task The_mark_says_soon_that_everything_is_synced()
    {
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk);
        for (var number = 0; number < 3; number++)
        {
            var end = opened.Append(number).End;
            await opened.Journal.WaitDurableAsync(end).WaitAsync(Limit);
            await Opened.UntilAsync(() => Mark(disk, end)?.Synced == end, "the mark is renewed");
        }
    }

    private static async Task<Opened> OpenAsync(CrashDisk disk, Numbers? numbers = null)
    {
        var opened = await Opened.OpenAsync("/journal", disk, numbers, commits: false, with: options => options with { SegmentBytes = 1 << 20 });
        opened.BecomeMaster();
        await opened.Journal.WaitDurableAsync(opened.Journal.End).WaitAsync(Limit);
        opened.Journal.AdvanceCommitted(opened.Journal.End);
        await Opened.UntilAsync(() => opened.Journal.Applied == opened.Journal.End, "the epoch is applied");
        return opened;
    }

    private static SyncMark? Mark(CrashDisk disk, Position end)
    {
        using var file = disk.Open(SegmentPath(disk), DiskFileMode.Open);
        var bytes = new byte[SyncMark.Bytes];
        file.Read(bytes, SegmentHeader.Bytes + end.Value);
        return SyncMark.Read(bytes, end);
    }

    private static string SegmentPath(CrashDisk disk) =>
        Path.Combine("/journal", disk.ListFiles("/journal").Single(name => name.EndsWith(".seg", StringComparison.Ordinal)));
}
