using Fabric.Runtime.Disk;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

[TestFixture]
internal sealed class JournalTests
{
    private string _directory = null!;

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateTempSubdirectory("fabric-journal-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task What_was_appended_is_there_after_closing_and_opening([Values(0, 1, 10, 3000)] int count)
    {
        Position end;
        await using (var first = await Opened.OpenAsync(_directory))
        {
            first.BecomeMaster();
            await first.AppendAppliedAsync(0, count);
            end = first.Journal.End;
        }

        await using var second = await Opened.OpenAsync(_directory);
        Assert.That(second.Journal.End, Is.EqualTo(end));
        Assert.That(second.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, count)));
    }

    [Test]
    public async Task Positions_count_record_bytes_only_and_follow_each_other()
    {
        await using var opened = await Opened.OpenAsync(_directory);
        opened.BecomeMaster();
        var expected = opened.Journal.End;
        Assert.That(expected, Is.EqualTo(new Position(JournalLimits.RecordHeaderBytes + 24)));
        for (var i = 0; i < 2000; i++)
        {
            var appended = opened.Append(i, 100 + (i % 50));
            Assert.That(appended.Position, Is.EqualTo(expected));
            expected += JournalLimits.RecordHeaderBytes + 100 + (i % 50);
            Assert.That(appended.End, Is.EqualTo(expected));
        }

        Assert.That(opened.Journal.End, Is.EqualTo(expected));
    }

    [Test]
    public async Task Nothing_is_applied_before_it_is_committed()
    {
        await using var opened = await Opened.OpenAsync(_directory, commits: false);
        opened.BecomeMaster();
        var first = opened.Append(1);
        opened.Append(2);
        await opened.Journal.WaitDurableAsync(opened.Journal.End);
        Assert.That(opened.Numbers.Applied, Is.Empty);

        opened.Journal.AdvanceCommitted(first.End);
        await Opened.UntilAsync(() => opened.Journal.Applied == first.End, "the first is applied");
        Assert.That(opened.Numbers.Applied, Is.EqualTo(new[] { 1 }));
    }

    [Test]
    public async Task What_was_not_known_to_be_committed_is_not_applied_after_a_restart_either()
    {
        AppendedRecord first;
        await using (var opened = await Opened.OpenAsync(_directory, commits: false))
        {
            opened.BecomeMaster();
            first = opened.Append(1);
            opened.Append(2);
            await opened.Journal.WaitDurableAsync(opened.Journal.End);
            opened.Journal.AdvanceCommitted(first.End);
        }

        await using var again = await Opened.OpenAsync(_directory, commits: false);
        Assert.That((again.Journal.Committed, again.Journal.Applied), Is.EqualTo((first.End, first.End)));
        Assert.That(again.Numbers.Applied, Is.EqualTo(new[] { 1 }));
        again.Journal.AdvanceCommitted(again.Journal.End);
        await Opened.UntilAsync(() => again.Numbers.Applied.Count == 2, "the rest follows when it is known to be committed");
    }

    [Test]
    public async Task Only_a_master_appends()
    {
        await using var opened = await Opened.OpenAsync(_directory);
        Assert.Throws<NotMasterException>(() => opened.Append(1));
        opened.BecomeMaster();
        opened.Append(1);
        opened.Journal.ResignMaster("broker2");
        var refused = Assert.Throws<NotMasterException>(() => opened.Append(2));
        Assert.That(refused.Master, Is.EqualTo("broker2"));
    }

    [Test]
    public async Task A_group_stands_together_whatever_others_append()
    {
        await using var opened = await Opened.OpenAsync(_directory);
        opened.BecomeMaster();
        var others = Task.Run(() =>
        {
            for (var i = 0; i < 5000; i++)
            {
                opened.Append(1_000_000 + i, 10);
            }
        });
        for (var round = 0; round < 200; round++)
        {
            var group = opened.Journal.AppendGroup(
                [.. Enumerable.Range(0, 5).Select(i => new PendingRecord(Numbers.Kind, 0, Opened.Body((round * 5) + i, 20)))]);
            Assert.That(group.Skip(1).Select(record => record.Position), Is.EqualTo(group.Take(4).Select(record => record.End)));
        }

        await others;
    }

    [Test]
    public async Task Concurrent_appenders_keep_their_own_order()
    {
        const int PerAppender = 3000;
        await using var opened = await Opened.OpenAsync(_directory);
        opened.BecomeMaster();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(appender => Task.Run(() =>
        {
            for (var i = 0; i < PerAppender; i++)
            {
                opened.Append((appender * PerAppender) + i, 8);
            }
        })));
        await opened.AppendAppliedAsync(-1, 1);
        Assert.That(opened.Numbers.Applied, Has.Count.EqualTo((4 * PerAppender) + 1));
        foreach (var appender in opened.Numbers.Applied.Where(number => number >= 0).GroupBy(number => number / PerAppender))
        {
            Assert.That(appender, Is.Ordered);
        }
    }

    [Test]
    public async Task Bodies_are_read_from_memory_and_from_disk_alike()
    {
        await using var opened = await Opened.OpenAsync(_directory, with: options => options with { TailBytes = 1024 * 1024 });
        opened.BecomeMaster();
        var records = new List<Position>();
        for (var i = 0; i < 3000; i++)
        {
            records.Add(opened.Append(i, 1000).Position); // 3 MB: most of them leave memory
        }

        await opened.AppendAppliedAsync(3000, 1);
        for (var i = 0; i < records.Count; i += 7)
        {
            var body = new byte[1000];
            opened.Journal.ReadBody(records[i], 0, body);
            Assert.That(body, Is.EqualTo(Opened.Body(i, 1000)));
            var part = new byte[100];
            opened.Journal.ReadBody(records[i], 250, part);
            Assert.That(part, Is.EqualTo(Opened.Body(i, 1000)[250..350]));
            opened.Journal.ReadBody(records[i], 0, part);
            Assert.That(part, Is.EqualTo(Opened.Body(i, 1000)[..100]));
        }
    }

    [Test]
    public async Task A_record_larger_than_a_segment_gets_its_own()
    {
        int[] sizes = [5 * 1024 * 1024, 100, 70_000, 2 * 1024 * 1024, 100];
        var records = new List<Position>();
        await using (var opened = await Opened.OpenAsync(_directory))
        {
            opened.BecomeMaster();
            for (var i = 0; i < sizes.Length; i++)
            {
                records.Add(opened.Append(i, sizes[i]).Position);
            }

            await opened.AppendAppliedAsync(sizes.Length, 1);
        }

        await using var again = await Opened.OpenAsync(_directory);
        Assert.That(again.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, sizes.Length + 1)));
        for (var i = 0; i < sizes.Length; i++)
        {
            var body = new byte[sizes[i]];
            again.Journal.ReadBody(records[i], 0, body);
            Assert.That(body, Is.EqualTo(Opened.Body(i, sizes[i])));
        }
    }

    [Test]
    public async Task The_first_record_may_be_larger_than_a_segment()
    {
        await using (var opened = await Opened.OpenAsync(_directory))
        {
            opened.Journal.BecomeMaster(Opened.EpochKind, new byte[300_000]);
            await opened.AppendAppliedAsync(0, 3);
        }

        await using var again = await Opened.OpenAsync(_directory);
        Assert.That(again.Numbers.Applied, Is.EqualTo(new[] { 0, 1, 2 }));
        Assert.That(again.Journal.SystemRecords[0].Body.Length, Is.EqualTo(300_000));
    }

    [Test]
    public async Task A_first_segment_that_takes_long_to_grow_is_there_meanwhile()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync("/journal", disk);
        var slow = 1;
        disk.OnWrite = path =>
        {
            if (path.EndsWith(".seg", StringComparison.Ordinal) && Interlocked.Exchange(ref slow, 0) == 1)
            {
                Thread.Sleep(2500); // the keeper looks every second
            }
        };
        opened.Journal.BecomeMaster(Opened.EpochKind, new byte[300_000]);
        await opened.AppendAppliedAsync(0, 3);
        Assert.That((slow, opened.Journal.Failure), Is.EqualTo((0, (StoreException?)null)));
    }

    [Test]
    public async Task A_directory_is_opened_once()
    {
        await using var opened = await Opened.OpenAsync(_directory);
        Assert.ThrowsAsync<DirectoryInUseException>(() => Opened.OpenAsync(_directory));
    }

    [Test]
    public async Task Appenders_wait_while_too_much_is_uncommitted()
    {
        await using var opened = await Opened.OpenAsync(
            _directory, commits: false, with: options => options with { UncommittedBytesMax = 64 * 1024 });
        opened.BecomeMaster();
        Assert.That(opened.Journal.WaitForRoomAsync(CancellationToken.None).AsTask().IsCompletedSuccessfully, Is.True);
        opened.Append(1, 70_000);
        var waiting = opened.Journal.WaitForRoomAsync(CancellationToken.None).AsTask();
        Assert.That(waiting.IsCompleted, Is.False);
        opened.Journal.AdvanceCommitted(opened.Journal.End);
        await waiting.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Test]
    public async Task Who_waits_for_room_learns_that_mastership_is_over()
    {
        await using var opened = await Opened.OpenAsync(
            _directory, commits: false, with: options => options with { UncommittedBytesMax = 64 * 1024 });
        opened.BecomeMaster();
        opened.Append(1, 70_000);
        var waiting = opened.Journal.WaitForRoomAsync(CancellationToken.None).AsTask();
        opened.Journal.ResignMaster(null);
        Assert.ThrowsAsync<NotMasterException>(() => waiting.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Test]
    public async Task A_record_that_cannot_be_applied_fails_the_journal()
    {
        await using var opened = await Opened.OpenAsync(_directory, numbers: new Numbers { Poison = 7 });
        opened.BecomeMaster();
        for (var i = 0; i < 10; i++)
        {
            opened.Append(i);
        }

        var cause = await opened.Failed;
        Assert.That(cause.Message, Does.Contain("7 is poison"));
        Assert.That(opened.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 7)));
        Assert.Throws<StoreException>(() => opened.Append(11));
        Assert.ThrowsAsync<StoreException>(async () => await opened.Journal.WaitForRoomAsync(CancellationToken.None));
    }
}
