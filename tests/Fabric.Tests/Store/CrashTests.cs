using System.Runtime.InteropServices;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>What a crash, a loss of power, damage or a failing disk does to a journal.</summary>
[TestFixture, Parallelizable]
internal sealed class CrashTests
{
    private const string Home = "/journal";
    private const int HeaderBytes = 4096;
    private static readonly string FirstSegment = Path.Combine(Home, "journal-00000000000000000000.seg");

    [Test]
    public async Task A_batch_torn_at_any_byte_is_cut_at_a_record_and_nothing_before_it_is_lost()
    {
        var disk = new CrashDisk();
        var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 5);
        var synced = opened.Journal.End;
        await Opened.UntilAsync(() => Marked(disk, synced), "the writer has nothing left to do");
        var before = disk.ReadAll(FirstSegment);
        var group = opened.Journal.AppendGroup([.. Enumerable.Range(5, 4).Select(i => new PendingRecord(Numbers.Kind, 0, Opened.Body(i, 30 + i)))]);
        await opened.Journal.WaitDurableAsync(group[^1].End);
        var after = disk.ReadAll(FirstSegment);
        disk.Kill();
        await opened.DisposeAsync();

        var start = HeaderBytes + (int)synced.Value;
        var end = HeaderBytes + (int)group[^1].End.Value + 40;
        for (var torn = start; torn <= end; torn++)
        {
            var image = disk.Clone();
            image.WriteAll(FirstSegment, [.. after.AsSpan(0, torn), .. before.AsSpan(torn)]);
            await using var again = await Opened.OpenAsync(Home, image);
            var whole = group.Count(record => HeaderBytes + record.End.Value <= torn);
            Assert.That(again.Journal.End, Is.EqualTo(whole == 0 ? synced : group[whole - 1].End), $"torn at {torn}");
            again.Journal.AdvanceCommitted(again.Journal.End);
            await Opened.UntilAsync(() => again.Journal.Applied == again.Journal.End, "all is applied");
            Assert.That(again.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 5 + whole)));
        }
    }

    [Test]
    public async Task Damage_before_what_was_synced_is_reported_wherever_it_is()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk, commits: false))
        {
            opened.BecomeMaster();
            await AppendDurableAsync(opened, 0, 10);
            await AppendDurableAsync(opened, 10, 10);
            await Opened.UntilAsync(() => Marked(disk, opened.Journal.End), "the writer has nothing left to do");
            disk = disk.Clone(); // as after a kill
        }

        var bytes = disk.ReadAll(FirstSegment);
        var length = 40 + (20 * 116);
        for (var at = 0; at < length; at += 3)
        {
            var image = disk.Clone();
            byte[] damaged = [.. bytes];
            damaged[HeaderBytes + at] ^= 0x10;
            image.WriteAll(FirstSegment, damaged);
            var exception = Assert.ThrowsAsync<SegmentCorruptException>(async () => await OpenAndCloseAsync(image), $"damage at {at}");
            Assert.That(exception.Position!.Value.Value, Is.LessThanOrEqualTo(at).And.GreaterThan(at - 116));
        }
    }

    [Test]
    public async Task Damage_in_an_earlier_segment_is_reported()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk, commits: false))
        {
            opened.BecomeMaster();
            for (var round = 0; round < 10; round++)
            {
                await AppendDurableAsync(opened, round * 100, 100);
            }

            disk = disk.Clone();
        }

        var damaged = disk.ReadAll(FirstSegment);
        damaged[HeaderBytes + 50_000] ^= 1;
        disk.WriteAll(FirstSegment, damaged);
        Assert.ThrowsAsync<SegmentCorruptException>(async () => await OpenAndCloseAsync(disk));
    }

    [Test]
    public async Task A_missing_segment_is_reported()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            await opened.AppendAppliedAsync(0, 1000);
        }

        disk.Delete(FirstSegment);
        Assert.ThrowsAsync<SegmentCorruptException>(async () => await OpenAndCloseAsync(disk));
    }

    [Test]
    public async Task Damage_under_a_running_journal_is_never_served([Values(0, 100, 600)] int from)
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { TailBytes = 1024 * 1024 });
        opened.BecomeMaster();
        await opened.AppendPastMemoryAsync(3000, 1000);
        var segment = disk.ReadAll(FirstSegment);
        segment[HeaderBytes + 40 + 16 + 500] ^= 1;
        using (var file = disk.Open(FirstSegment, Fabric.Runtime.Disk.DiskFileMode.Open))
        {
            file.Write(segment, 0);
        }

        Assert.Throws<SegmentCorruptException>(() => opened.Journal.ReadBody(opened.Numbers.Positions[0], from, new byte[300]));
        await opened.Failed;
        Assert.Throws<StoreException>(() => opened.Append(1));
    }

    [Test]
    public async Task A_disk_that_fails_a_read_is_told_of_as_any_other_failure_of_the_store()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { TailBytes = 1024 * 1024 });
        opened.BecomeMaster();
        await opened.AppendPastMemoryAsync(3000, 1000);
        disk.OnCall = (call, path) =>
        {
            if (call == "Read")
            {
                throw new IOException($"Input/output error: {path}");
            }
        };
        Assert.That(
            () => opened.Journal.ReadBody(opened.Numbers.Positions[0], 0, new byte[300]),
            Throws.InstanceOf<StoreException>().With.Message.Contains("Input/output error"));
        await opened.Failed;
        disk.OnCall = null;
    }

    [Test]
    public async Task What_a_killed_process_left_in_the_machines_memory_is_synced_before_it_counts([Range(1, 8)] int seed)
    {
        var disk = new CrashDisk();
        var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 10);
        disk.OnSync = _ => throw new IOException("killed here");
        opened.Append(10);
        await opened.Failed;
        await opened.DisposeAsync();
        disk.OnSync = null;
        disk.Kill();

        opened = await Opened.OpenAsync(Home, disk);
        var durable = opened.Journal.Durable;
        disk.DiesAt = 0;
        await opened.DisposeAsync();
        disk.PowerLoss(new Random(seed));
        await using var again = await Opened.OpenAsync(Home, disk);
        Assert.That(again.Journal.End, Is.EqualTo(durable));
    }

    [Test]
    public async Task A_failed_sync_ends_everything_at_once_and_is_not_tried_again()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 10);
        var failures = 0;
        disk.OnSync = _ => throw new IOException($"I/O error {Interlocked.Increment(ref failures)}");
        opened.Append(10);
        var cause = await opened.Failed;
        disk.OnSync = null;
        Assert.That(cause.Message, Does.Contain("I/O error 1"));
        foreach (var call in new Action[]
        {
            () => opened.Append(11),
            () => opened.Journal.CopyRecords(Position.Zero, new byte[10]),
            () => opened.Journal.ReadBody(Position.Zero, 0, new byte[10]),
            () => opened.BecomeMaster(),
            () => opened.Journal.WaitDurableAsync(opened.Journal.End).GetAwaiter().GetResult(),
        })
        {
            Assert.That(Assert.Throws<StoreException>(() => call())!.Message, Is.EqualTo(cause.Message));
        }

        Assert.That((failures, opened.Numbers.Applied.Count), Is.EqualTo((1, 10)));
    }

    [Test]
    public async Task A_full_disk_is_called_that()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 10);
        disk.OnWrite = path =>
        {
            if (path.Contains("spare", StringComparison.Ordinal))
            {
                throw new IOException("No space left on device", 28);
            }
        };
        for (var i = 0; i < 1000; i++)
        {
            try
            {
                opened.Append(10 + i);
            }
            catch (StoreException)
            {
                break;
            }
        }

        var cause = await opened.Failed;
        Assert.That(cause.Message, Does.Contain("is full").And.Contain("KiB free"));
    }

    /// <summary>
    /// Lives of one journal, each ended by a loss of power at a random moment, with cleaning, recycled segments and cut tails in between.
    /// </summary>
    [Test]
    public async Task What_was_reported_durable_survives_any_loss_of_power([Range(1, 12)] int seed)
    {
        var random = new Random(seed);
        var disk = new CrashDisk();
        var model = new Model();
        for (var life = 0; life < 12; life++)
        {
            disk.DiesAt = random.Next(20, 400);
            try
            {
                await LiveAsync(disk, model, random);
            }
            catch (IOException)
            {
                // The end of this life.
            }

            if (random.Next(3) == 0)
            {
                disk.Kill();
            }
            else
            {
                disk.PowerLoss(random);
            }
        }

        await LiveAsync(disk, model, random);
    }

    /// <summary>What was appended since the start, and how far it must survive.</summary>
    private sealed class Model
    {
        public List<(int Number, Position End)> Records { get; } = [];

        public Position Durable { get; set; }

        public Position Committed { get; set; }

        public int Next { get; set; }
    }

    private static async Task LiveAsync(CrashDisk disk, Model model, Random random)
    {
        var numbers = new Numbers { Oldest = null };
        var opened = await Opened.OpenAsync(Home, disk, numbers, commits: false, with: options => options with { CheckpointBytes = 64 * 1024 });
        try
        {
            var journal = opened.Journal;
            Assert.That(journal.End, Is.GreaterThanOrEqualTo(model.Durable), "nothing durable is lost");
            Assert.That(journal.Committed, Is.LessThanOrEqualTo(model.Committed), "nothing is believed to be committed that is not");
            model.Records.RemoveAll(record => record.End > journal.End);
            Assert.That(model.Records is [] ? 0 : model.Records[^1].End.Value, Is.EqualTo(journal.End.Value).Or.EqualTo(0), "it ends at a record");
            model.Durable = journal.End;
            await CutAsync(journal, model, random);
            Commit(journal, model, journal.End);
            await Opened.UntilAsync(() => journal.Applied == journal.End || journal.Failure is not null, "all is applied");
            if (journal.Failure is null)
            {
                Assert.That(numbers.Applied, Is.EqualTo(model.Records.Where(record => record.Number >= 0).Select(record => record.Number)));
            }

            opened.Journal.SetRetention(new Position(long.MaxValue));
            var epoch = journal.BecomeMaster(Opened.EpochKind, new byte[24]);
            model.Records.Add((-1, epoch.End));
            for (var round = 0; round < 60; round++)
            {
                for (var i = random.Next(1, 12); i > 0; i--)
                {
                    var number = model.Next++;
                    model.Records.Add((number, opened.Append(number, random.Next(20) == 0 ? 90_000 : random.Next(4, 3000)).End));
                }

                await journal.WaitDurableAsync(journal.End);
                model.Durable = journal.Durable;
                if (random.Next(3) != 0)
                {
                    Commit(journal, model, model.Durable);
                }
            }
        }
        finally
        {
            await opened.DisposeAsync();
        }
    }

    private static void Commit(Journal journal, Model model, Position position)
    {
        model.Committed = Position.Max(model.Committed, position);
        journal.AdvanceCommitted(position);
    }

    /// <summary>As a new master would: some of what is not committed goes.</summary>
    private static async Task CutAsync(Journal journal, Model model, Random random)
    {
        var loose = model.Records.Where(record => record.End > model.Committed).ToArray();
        if (loose.Length == 0 || random.Next(2) == 0)
        {
            return;
        }

        var keep = random.Next(loose.Length);
        var end = keep == 0 ? Position.Max(model.Committed, Position.Zero) : loose[keep - 1].End;
        if (end < journal.Committed || (keep == 0 && model.Committed > Position.Zero && !model.Records.Exists(record => record.End == end)))
        {
            return;
        }

        model.Durable = end; // from now on either is right: cut or not
        var kept = model.Records.FindAll(record => record.End <= end);
        await journal.TruncateAsync(end);
        model.Records.Clear();
        model.Records.AddRange(kept);
    }

    private static async Task AppendDurableAsync(Opened opened, int first, int count)
    {
        for (var i = first; i < first + count; i++)
        {
            opened.Append(i);
        }

        await opened.Journal.WaitDurableAsync(opened.Journal.End);
    }

    private static async Task OpenAndCloseAsync(CrashDisk disk)
    {
        await using var opened = await Opened.OpenAsync(Home, disk);
    }

    /// <summary>Whether the segment ends with a mark that says all of it is synced.</summary>
    private static bool Marked(CrashDisk disk, Position end)
    {
        var bytes = disk.ReadAll(FirstSegment).AsSpan(HeaderBytes + (int)end.Value);
        return bytes.StartsWith("FABRICSY"u8) && MemoryMarshal.Read<long>(bytes[16..]) == end.Value;
    }
}
