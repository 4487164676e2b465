using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>A journal read from outside: the verdict is that of a start, and not a byte changes.</summary>
[TestFixture, Parallelizable]
internal sealed class InspectionTests
{
    private const string Home = "/journal";
    private const int HeaderBytes = 4096;
    private static readonly string FirstSegment = Path.Combine(Home, "journal-00000000000000000000.seg");

    [Test]
    public async Task A_journal_that_is_closed_while_a_checkpoint_is_on_its_way_ends_with_another_one()
    {
        var disk = new CrashDisk();
        using var reached = new ManualResetEventSlim();
        using var released = new ManualResetEventSlim();
        var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 64 * 1024 });
        opened.BecomeMaster(7);
        disk.OnCall = (name, path) =>
        {
            if (name == "Rename" && Path.GetFileName(path).StartsWith("checkpoint", StringComparison.Ordinal))
            {
                reached.Set();
                released.Wait();
            }
        };
        for (var number = 0; number < 1000; number += 100)
        {
            await opened.AppendAppliedAsync(number, 100, 300);
        }

        Assert.That(reached.Wait(TimeSpan.FromSeconds(20)), "a checkpoint is on its way");
        var closing = opened.DisposeAsync().AsTask();
        await Task.Delay(100);
        released.Set();
        await closing;
        var report = await InspectAsync(disk, new Seen());
        Assert.That((report.IsClosed, report.Checkpoint), Is.EqualTo((true, (Position?)report.End)));
    }

    [Test]
    public async Task A_journal_that_was_closed_is_read_from_its_first_to_its_last_record()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 64 * 1024 }))
        {
            opened.BecomeMaster(7);
            for (var number = 0; number < 2000; number += 100)
            {
                await opened.AppendAppliedAsync(number, 100, 300); // in steps: a batch stands in one segment
            }
        }

        var seen = new Seen();
        var before = Everything(disk);
        var report = await InspectAsync(disk, seen);
        Assert.That((report.Damage, report.Faults.Count, report.IsClosed, report.IsMoving), Is.EqualTo(((JournalFault?)null, 0, true, false)));
        Assert.That((report.First, report.Records, report.LastEpoch), Is.EqualTo((Position.Zero, 2001L, new Epoch(7))));
        Assert.That((report.Committed, report.Checkpoint), Is.EqualTo((report.End, (Position?)report.End)));
        Assert.That(report.Segments, Is.GreaterThan(5));
        Assert.That(seen.Segments, Is.EqualTo(seen.Segments.Distinct()).And.Count.EqualTo(report.Segments));
        Assert.That(seen.Ends[..^1], Is.EqualTo(seen.Positions[1..]), "each follows the one before");
        Assert.That(Everything(disk), Is.EqualTo(before));
    }

    [Test]
    public async Task A_range_begins_and_ends_with_records()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            for (var number = 0; number < 2000; number += 100)
            {
                await opened.AppendAppliedAsync(number, 100, 300); // in steps: a batch stands in one segment
            }
        }

        var all = new Seen();
        await InspectAsync(disk, all);
        var some = new Seen();
        var (from, to) = (all.Positions[700], all.Positions[1200]);
        var report = await new JournalInspector(FabricRuntime.System with { Disk = disk }, Home).RunAsync(from + -1, to + 1, some);
        Assert.That(some.Positions, Is.EqualTo(all.Positions[700..1201]));
        Assert.That((report.Records, report.Faults.Count), Is.EqualTo((501L, 0)));
    }

    [Test]
    public async Task What_a_crash_tore_is_told_from_damage_wherever_it_is_and_a_start_agrees()
    {
        var disk = new CrashDisk();
        var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 5);
        var synced = opened.Journal.End;
        await Opened.UntilAsync(() => disk.ReadAll(FirstSegment).AsSpan(HeaderBytes + (int)synced.Value).StartsWith("FABRICSY"u8), "the mark is there");
        var before = disk.ReadAll(FirstSegment);
        var group = opened.Journal.AppendGroup([.. Enumerable.Range(5, 3).Select(i => new PendingRecord(Numbers.Kind, 0, Opened.Body(i, 30 + i)))]);
        await opened.Journal.WaitDurableAsync(group[^1].End);
        var after = disk.ReadAll(FirstSegment);
        disk.Kill();
        await opened.DisposeAsync();

        var (tornTails, damages) = (0, 0);
        for (var at = HeaderBytes; at <= HeaderBytes + (int)group[^1].End.Value + 40; at += 7)
        {
            var image = disk.Clone();
            var isTear = at >= HeaderBytes + synced.Value;
            byte[] bytes = isTear ? [.. after.AsSpan(0, at), .. before.AsSpan(at)] : [.. after];
            bytes[at] ^= isTear ? (byte)0 : (byte)0x10;
            image.WriteAll(FirstSegment, bytes);
            var untouched = Everything(image);
            var report = await InspectAsync(image, null);
            Assert.That(Everything(image), Is.EqualTo(untouched));
            var end = await TryOpenAsync(image);
            Assert.That(report.Damage is null, Is.EqualTo(end is not null), $"at {at}: {report.Damage}");
            Assert.That(end is null || end == report.End, Is.True, $"at {at}: {end} and {report.End}");
            tornTails += report.Faults.Count(fault => fault.Kind == JournalFaultKind.TornTail);
            damages += report.Faults.Count(fault => fault is { Kind: JournalFaultKind.CorruptRecord, IsHarmless: false });
        }

        Assert.That(tornTails, Is.GreaterThan(0));
        Assert.That(damages, Is.GreaterThan(0));
    }

    [TestCase(JournalFaultKind.MissingSegment)]
    [TestCase(JournalFaultKind.CorruptHeader)]
    [TestCase(JournalFaultKind.NewerFormat)]
    [TestCase(JournalFaultKind.CorruptRecord)]
    public async Task Damage_is_named_and_a_start_refuses_it_unless_a_checkpoint_spares_it_the_reading(JournalFaultKind kind)
    {
        var disk = new CrashDisk();
        var third = await ThreeSegmentsAsync(disk);
        var bytes = disk.ReadAll(third.File);
        switch (kind)
        {
            case JournalFaultKind.MissingSegment:
                disk.Delete(third.File);
                break;
            case JournalFaultKind.CorruptHeader:
                bytes[20] ^= 1;
                disk.WriteAll(third.File, bytes);
                break;
            case JournalFaultKind.NewerFormat:
                bytes[8] = 2;
                disk.WriteAll(third.File, bytes);
                break;
            default:
                bytes[HeaderBytes + 500] ^= 1;
                disk.WriteAll(third.File, bytes);
                break;
        }

        var report = await InspectAsync(disk, null);
        Assert.That(report.Damage?.Kind, Is.EqualTo(kind));
        if (kind != JournalFaultKind.NewerFormat)
        {
            Assert.That(report.Damage!.Position, Is.GreaterThanOrEqualTo(third.First).And.LessThan(third.First + 1000));
        }

        Assert.That(await TryOpenAsync(disk) is null, Is.EqualTo(kind != JournalFaultKind.CorruptRecord));
    }

    [Test]
    public async Task A_damaged_newest_checkpoint_is_remarked_and_the_one_before_it_is_used()
    {
        var disk = new CrashDisk();
        await ThreeSegmentsAsync(disk, checkpointBytes: 64 * 1024);
        var newest = Path.Combine(Home, disk.ListFiles(Home).Last(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)));
        var bytes = disk.ReadAll(newest);
        bytes[^1] ^= 1;
        disk.WriteAll(newest, bytes);
        var report = await InspectAsync(disk, null);
        Assert.That(report.Damage, Is.Null);
        Assert.That(report.Faults.Select(fault => (fault.Kind, fault.File)), Is.EqualTo(new[] { (JournalFaultKind.CorruptCheckpoint, newest) }));
        Assert.That(await TryOpenAsync(disk), Is.EqualTo(report.End));
    }

    [Test]
    public async Task Epochs_that_fall_are_a_contradiction()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster(9);
            await opened.AppendAppliedAsync(0, 10);
            opened.Journal.ResignMaster(null);
            opened.BecomeMaster(8);
            await opened.AppendAppliedAsync(10, 1);
        }

        var report = await InspectAsync(disk, null);
        Assert.That((report.Damage?.Kind, report.Damage?.Detail), Is.EqualTo(((JournalFaultKind?)JournalFaultKind.Contradiction, "epoch 8 follows epoch 9")));
    }

    [Test]
    public async Task A_directory_without_a_journal_is_said_to_be_one()
    {
        var report = await InspectAsync(new CrashDisk(), null);
        Assert.That(report.Damage?.Kind, Is.EqualTo(JournalFaultKind.NoJournal));
    }

    [Test]
    public async Task A_journal_that_is_written_cleaned_and_recycled_meanwhile_is_never_called_damaged()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 128 * 1024, RetainedBytesMax = 0 });
        opened.Numbers.Oldest = null;
        opened.BecomeMaster();
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            for (var number = 0; !stop.IsCancellationRequested; number += 100)
            {
                await opened.AppendAppliedAsync(number, 100, 400);
            }
        });
        var moving = 0;
        for (var look = 0; look < 30 || opened.Journal.First == Position.Zero; look++)
        {
            var committed = opened.Journal.Committed;
            var seen = new Seen();
            var report = await InspectAsync(disk, seen);
            Assert.That(report.Damage, Is.Null);
            Assert.That(report.End, Is.GreaterThanOrEqualTo(committed));
            Assert.That(seen.Ends, Has.All.LessThanOrEqualTo(report.End));
            moving += report.IsMoving ? 1 : 0;
        }

        await stop.CancelAsync();
        await writing;
        Assert.That(moving, Is.GreaterThan(0));
    }

    private static Task<JournalReport> InspectAsync(CrashDisk disk, IJournalVisitor? visitor) =>
        new JournalInspector(FabricRuntime.System with { Disk = disk }, Home).RunAsync(Position.Zero, null, visitor);

    /// <summary>Writes a journal of at least four segments.</summary>
    /// <returns>Its third.</returns>
    private static async Task<SegmentInfo> ThreeSegmentsAsync(CrashDisk disk, long checkpointBytes = 1L << 30)
    {
        await using (var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = checkpointBytes }))
        {
            opened.BecomeMaster();
            for (var number = 0; number < 800; number += 100)
            {
                await opened.AppendAppliedAsync(number, 100, 300);
            }
        }

        var seen = new Seen();
        await InspectAsync(disk, seen);
        Assert.That(seen.Segments, Has.Count.GreaterThanOrEqualTo(4));
        return seen.Segments[2];
    }

    /// <returns>Where the journal ends after a start; null when it is refused.</returns>
    private static async Task<Position?> TryOpenAsync(CrashDisk disk)
    {
        try
        {
            await using var opened = await Opened.OpenAsync(Home, disk.Clone(), commits: false);
            return opened.Journal.End;
        }
        catch (StoreException)
        {
            return null;
        }
    }

    private static string Everything(CrashDisk disk) =>
        string.Join('\n', disk.ListFiles(Home).Select(name => $"{name} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(disk.ReadAll(Path.Combine(Home, name))))}"));

    private sealed class Seen : IJournalVisitor
    {
        public List<SegmentInfo> Segments { get; } = [];

        public List<Position> Positions { get; } = [];

        public List<Position> Ends { get; } = [];

        public void OnSegment(SegmentInfo segment) => Segments.Add(segment);

        public void OnRecord(in JournalRecord record)
        {
            Positions.Add(record.Position);
            Ends.Add(record.End);
        }
    }
}
