using System.Globalization;
using Fabric.Store;
using Fabric.Store.Copy;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Tests.Store;

/// <summary>What a journal has lost is noticed, and once it was noticed no start forgets it.</summary>
[TestFixture]
internal sealed class DamageTests
{
    private const string Home = "/journal";
    private const string Mark = $"{Home}/journal.damaged";

    [Test]
    public async Task A_journal_that_was_found_damaged_is_not_opened_however_sound_it_looks()
    {
        var disk = await WithJournalAsync();
        JournalDamage.Mark(disk, Home, "the record at 17 is not what was written");
        JournalDamage.Mark(disk, Home, "something else");
        var refused = Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
        Assert.That(refused.Message, Is.EqualTo("the record at 17 is not what was written"), "the first reason stays");
    }

    /// <summary>A disk that cannot read a file any more says so (EIO).</summary>
    public static void FailRead(string call, string path, string unreadable)
    {
        if (call == "Read" && path == unreadable)
        {
            throw new IOException("Input/output error", 5);
        }
    }

    [Test]
    public async Task What_the_disk_cannot_read_at_a_start_is_damage()
    {
        var disk = await WithJournalAsync();
        var segment = Path.Combine(Home, disk.ListFiles(Home).First(name => name.StartsWith("journal-", StringComparison.Ordinal)));
        disk.OnCall = (call, path) => FailRead(call, path, segment);
        var refused = Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
        Assert.That(refused.Message, Does.Contain(segment));
    }

    [Test]
    public async Task What_the_disk_cannot_read_later_is_damage()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { TailBytes = 1024 * 1024 });
        opened.BecomeMaster();
        await opened.AppendPastMemoryAsync(3000, 1000);

        disk.OnCall = static (call, path) => FailRead(call, path, path);
        Assert.That(() => opened.Journal.ReadBody(opened.Numbers.Positions[0], 0, new byte[1000]), Throws.InstanceOf<StoreException>());
        Assert.That(await opened.Failed, Is.InstanceOf<SegmentCorruptException>().With.Message.Contains("cannot read"));
    }

    [Test]
    public async Task A_crash_at_any_step_of_writing_it_down_leaves_it_written_or_not([Values] bool powerLoss)
    {
        var prepared = await WithJournalAsync();
        var undisturbed = prepared.Clone();
        JournalDamage.Mark(undisturbed, Home, "lost");
        for (var step = 1; step <= undisturbed.Operations + 1; step++)
        {
            var disk = prepared.Clone();
            disk.DiesAt = step;
            var isWritten = false;
            try
            {
                JournalDamage.Mark(disk, Home, "lost");
                isWritten = true;
            }
            catch (IOException)
            {
                // The process died there.
            }

            if (powerLoss)
            {
                disk.PowerLoss(new Random(step));
            }
            else
            {
                disk.Kill();
            }

            Assert.That(JournalDamage.Find(disk, Home), isWritten ? Is.Not.Null : Is.Null.Or.Not.Empty, $"step {step}");
            Assert.That(isWritten, Is.EqualTo(step > undisturbed.Operations), "the last step is the one that is needed");
        }
    }

    [Test]
    public async Task On_a_full_disk_it_is_written_down_without_its_reason()
    {
        var disk = await WithJournalAsync();
        disk.OnWrite = path => throw new IOException("No space left on device", 28);
        JournalDamage.Mark(disk, Home, "lost");
        disk.OnWrite = null;
        disk.PowerLoss(new Random(1));
        Assert.That(disk.ReadAll(Mark), Is.Empty);
        Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
        JournalDamage.Mark(disk, Home, "lost");
        Assert.That(JournalDamage.Find(disk, Home), Is.EqualTo("lost"), "when there is room again");
    }

    [Test]
    public async Task A_replica_whose_segments_are_all_gone_is_not_a_new_one()
    {
        var disk = await WithJournalAsync();
        disk.WriteAll($"{Home}/replica.state", [1]);
        foreach (var name in disk.ListFiles(Home).Where(name => name != "replica.state"))
        {
            disk.Delete($"{Home}/{name}");
        }

        Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk, with: options => options with { MustExist = true }));
        await using var opened = await Opened.OpenAsync(Home, disk);
        Assert.That(opened.Journal.End, Is.EqualTo(Position.Zero), "without an identity it is");
    }

    [Test]
    public async Task A_last_segment_whose_header_is_gone_is_missed_when_it_had_been_synced([Values] bool wasSynced)
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            for (var number = 0; opened.Journal.End.Value < 70_000; number += 10)
            {
                await opened.AppendAppliedAsync(number, 10, 500); // each a batch, or a few
            }

            disk = disk.Clone(); // as after a kill
        }

        string[] segments = [.. disk.ListFiles(Home).Where(name => name.StartsWith("journal-", StringComparison.Ordinal)).Select(name => $"{Home}/{name}")];
        Assert.That(segments, Has.Length.EqualTo(2));
        NoteNothingBehind(disk, segments[0], long.Parse(Path.GetFileName(segments[1]).AsSpan(8, 20), CultureInfo.InvariantCulture));
        var last = segments[1];
        var bytes = disk.ReadAll(last);
        bytes.AsSpan(0, 4096).Clear();
        if (!wasSynced)
        {
            bytes.AsSpan(4096 + 516).Clear(); // the first record of the first batch only, as a loss of power may leave it
        }

        disk.WriteAll(last, bytes);
        if (wasSynced)
        {
            Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
        }
        else
        {
            await using var again = await Opened.OpenAsync(Home, disk);
            Assert.That(disk.FileExists(last), Is.False);
        }
    }

    [Test]
    public async Task A_segment_that_vanishes_while_it_is_in_use_is_damage()
    {
        var disk = await WithJournalAsync();
        await using var opened = await Opened.OpenAsync(Home, disk);
        disk.Delete($"{Home}/journal-00000000000000000000.seg");
        Assert.Throws<SegmentCorruptException>(() => opened.Journal.ReadBody(Position.Zero, 0, new byte[10]));
        Assert.That(await opened.Failed, Is.TypeOf<SegmentCorruptException>());
    }

    [TestCase(20, "the length")]
    [TestCase(4096 + 3, "a length that reaches beyond everything")]
    [TestCase(4096 + 300, "the body")]
    [TestCase(40_000, "somewhere later")]
    public async Task Who_reads_for_another_replica_notices_damage(int at, string what)
    {
        var disk = await WithJournalAsync();
        var path = $"{Home}/journal-00000000000000000000.seg";
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { TailBytes = 1024 * 1024 });
        disk.Rot(path, Math.Max(at, 4096));
        var read = 0;
        var reader = opened.Journal.OpenReader(Position.Zero);
        Assert.Throws<SegmentCorruptException>(
            () =>
            {
                for (var buffer = new byte[1000]; reader.Position < opened.Journal.End;)
                {
                    read += reader.Read(buffer);
                }
            },
            what);
        Assert.That(read, Is.LessThanOrEqualTo(at), "nothing of what is damaged was given out as a whole");
        Assert.That(await opened.Failed, Is.TypeOf<SegmentCorruptException>());
    }

    [Test]
    public async Task Who_asks_for_what_is_no_record_damages_nothing()
    {
        var disk = await WithJournalAsync();
        await using var opened = await Opened.OpenAsync(Home, disk);
        var reader = opened.Journal.OpenReader(new Position(7));
        Assert.Throws<InvalidRecordsException>(() => reader.Read(new byte[1000]));
        Assert.That(opened.Journal.Failure, Is.Null);
        var sound = opened.Journal.OpenReader(Position.Zero);
        for (var buffer = new byte[777]; sound.Position < opened.Journal.End;)
        {
            Assert.That(sound.Read(buffer), Is.Positive);
        }
    }

    [Test]
    public async Task A_last_segment_that_is_gone_is_missed()
    {
        var disk = await WithJournalAsync();
        disk.Delete($"{Home}/{disk.ListFiles(Home).Last(name => name.StartsWith("checkpoint-", StringComparison.Ordinal))}");
        disk.Delete($"{Home}/{disk.ListFiles(Home).Last(name => name.StartsWith("journal-", StringComparison.Ordinal))}");
        Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
    }

    [Test]
    public async Task A_last_segment_that_is_gone_is_missed_after_a_loss_of_power([Range(1, 10)] int seed, [Values(1, 4)] int batches)
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, commits: false);
        opened.BecomeMaster();
        for (var number = 0; opened.Journal.End.Value < 64 * 1024 + ((batches - 1) * 3000); number++)
        {
            await opened.Journal.WaitDurableAsync(opened.Append(number, 3000).End);
        }

        disk.PowerLoss(new Random(seed));
        foreach (var name in disk.ListFiles(Home).Where(name => name.EndsWith(".seg", StringComparison.Ordinal) && name != "journal-00000000000000000000.seg"))
        {
            disk.Delete($"{Home}/{name}"); // under whichever name the loss of power has left it
        }

        Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
    }

    [Test]
    public async Task Any_sign_of_content_keeps_a_damaged_journal_from_beginning_anew()
    {
        var journal = await WithJournalAsync();
        string[] names = [.. journal.ListFiles(Home).Where(name => name != "lock")];
        Assert.That(names.Count(name => name.StartsWith("journal-", StringComparison.Ordinal)), Is.GreaterThan(2));
        Assert.That(names.Count(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)), Is.Positive);
        foreach (var kept in names.Where(name => !name.StartsWith("spare-", StringComparison.Ordinal))) // each of them alone would do
        {
            var disk = journal.Clone();
            foreach (var name in names.Where(name => name != kept))
            {
                disk.Delete($"{Home}/{name}");
            }

            if (kept.EndsWith(".seg", StringComparison.Ordinal))
            {
                disk.Rot($"{Home}/{kept}", 20);
            }

            Assert.That(JournalSwitch.TryBeginAnew(disk, Home, out var sign), Is.False, kept);
            Assert.That(sign, Does.Contain(kept));
            Assert.That(disk.FileExists($"{Home}/{kept}"), Is.True, "nothing is removed");
        }
    }

    [Test]
    public async Task A_damaged_journal_that_was_opened_and_never_written_to_begins_anew([Values] bool wasClosed, [Values(20, 4096 + 3)] int at)
    {
        var disk = new CrashDisk();
        await using (await Opened.OpenAsync(Home, disk))
        {
            disk = wasClosed ? disk : disk.Clone();
        }

        disk.Rot($"{Home}/journal-00000000000000000000.seg", at);
        Assert.That(JournalSwitch.TryBeginAnew(disk, Home, out _), Is.True);
        await using var anew = await Opened.OpenAsync(Home, disk, with: options => options with { MustExist = false });
        Assert.That(anew.Journal.End, Is.EqualTo(Position.Zero));
    }

    /// <summary>What a segment says of the next one may get lost with the machine's power, since it is not synced.</summary>
    private static void NoteNothingBehind(CrashDisk disk, string path, long end)
    {
        var bytes = disk.ReadAll(path);
        new SyncMark(new Position(end), new Position(end - 100), Position.Zero, Closed: false).Write(bytes.AsSpan(4096 + (int)end));
        disk.WriteAll(path, bytes);
    }

    private static async Task<CrashDisk> WithJournalAsync()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            for (var number = 0; number < 50; number += 5)
            {
                await opened.AppendAppliedAsync(number, 5, 3000); // over several segments
            }
        }

        return disk.Clone();
    }
}
