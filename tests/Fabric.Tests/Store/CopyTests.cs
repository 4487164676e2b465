using System.Buffers;
using System.Text;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Copy;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;

namespace Fabric.Tests.Store;

/// <summary>A copy of a journal whose start is gone, and its way into the place of another journal: resumed, checked, and all or nothing.</summary>
[TestFixture, Parallelizable]
internal sealed class CopyTests
{
    private const string Home = "/journal";
    private const string Side = "/journal/copy";
    private const int OldCount = 40;

    private static readonly Guid StoreId = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");
    private static readonly byte[] Promises = Encoding.ASCII.GetBytes("what replication keeps");

    private CopiedJournal _original = null!;

    [OneTimeSetUp]
    public async Task MakeOriginalAsync() => _original = await CopiedJournal.CreateAsync();

    [Test]
    public async Task A_copy_takes_the_place_of_the_journal_with_all_its_records()
    {
        var disk = await WithOldJournalAsync();
        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        await ExpectNewAsync(disk);
        var report = await new JournalInspector(FabricRuntime.System with { Disk = disk }, Home).RunAsync(Position.Zero, null, null);
        Assert.That(report.Faults, Is.Empty);
        Assert.That(disk.ListFiles(Side), Is.Empty);
        Assert.That(disk.ListFiles(Home), Does.Not.Contain("copy.switch"));
    }

    [Test]
    public async Task An_empty_journal_is_replaced_too()
    {
        var disk = new CrashDisk();
        await using (await Opened.OpenAsync(Home, disk))
        {
        }

        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        await ExpectNewAsync(disk, promises: false);
    }

    [Test]
    public async Task A_crash_at_any_step_of_the_switch_leaves_the_old_journal_or_the_new_one([Values] bool powerLoss)
    {
        var prepared = await WithOldJournalAsync();
        var copy = await CopyAllAsync(prepared);
        var undisturbed = prepared.Clone();
        JournalSwitch.Commit(undisturbed, Home, copy);
        await ExpectNewAsync(undisturbed);
        var replaced = 0;
        for (var step = 1; step <= undisturbed.Operations; step++)
        {
            var disk = prepared.Clone();
            var isDecided = await DieSwitchingAsync(disk, () => Task.FromResult(copy), powerLoss, step);
            replaced += await ExpectOneOfBothAsync(disk, mustBeNew: isDecided) ? 1 : 0;
        }

        Assert.That(replaced, Is.GreaterThan(10).And.LessThan(undisturbed.Operations));
    }

    [Test]
    public async Task A_crash_at_any_step_of_a_repair_leaves_the_journal_damaged_until_the_copy_has_its_place([Values] bool powerLoss)
    {
        var prepared = await WithOldJournalAsync(); // which looks sound: what is lost was seen by one read
        JournalDamage.Mark(prepared, Home, "lost");
        prepared = prepared.Clone();
        var undisturbed = prepared.Clone();
        JournalSwitch.Commit(undisturbed, Home, await CopyAllAsync(undisturbed));
        await ExpectNewAsync(undisturbed);
        Assert.That(JournalDamage.Find(undisturbed, Home), Is.Null);
        var (damaged, repaired) = (0, 0);
        for (var step = 1; step <= undisturbed.Operations; step++)
        {
            var disk = prepared.Clone();
            var isDecided = await DieSwitchingAsync(disk, () => CopyAllAsync(disk), powerLoss, step);
            try
            {
                await ExpectNewAsync(disk);
                repaired++;
            }
            catch (SegmentCorruptException)
            {
                Assert.That(isDecided, Is.False, $"step {step}");
                damaged++;
            }
        }

        Assert.That((damaged, repaired), Is.EqualTo((undisturbed.Operations - repaired, repaired)));
        Assert.That(Math.Min(damaged, repaired), Is.GreaterThan(4));
    }

    [Test]
    public async Task A_switch_that_cannot_be_finished_is_dropped_by_a_repair()
    {
        var disk = await WithOldJournalAsync();
        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        var missing = disk.ListFiles(Side).Last(name => name.StartsWith("journal-", StringComparison.Ordinal));
        var kept = disk.ReadAll($"{Side}/{missing}");
        disk.Delete($"{Side}/{missing}");
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
        JournalDamage.Mark(disk, Home, damage.Message);
        disk.WriteAll($"{Side}/{missing}", kept); // as a part of the next copy would lie there
        Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        await ExpectNewAsync(disk);
    }

    [TestCase("closed")]
    [TestCase("killed")]
    [TestCase("without power")]
    public async Task What_is_there_already_is_not_sent_again(string end)
    {
        var disk = await WithOldJournalAsync();
        Position reached;
        await using (var copy = await OpenAsync(disk))
        {
            await _original.SendCheckpointAsync(copy);
            reached = await _original.SendRecordsAsync(copy, _original.First, _original.First + 150_000);
            disk.DiesAt = end == "closed" ? int.MaxValue : 0;
        }

        Crash(disk, powerLoss: end == "without power", seed: 4);
        await using var again = await OpenAsync(disk);
        Assert.That(again.Checkpoint, Is.EqualTo(_original.Checkpoint));
        Assert.That(again.End, end == "closed" ? Is.EqualTo(reached) : Is.InRange(_original.First, reached));
        await _original.SendRecordsAsync(again, again.End, _original.End);
        JournalSwitch.Commit(disk, Home, await again.FinishAsync(_original.End));
        await ExpectNewAsync(disk);
    }

    [Test]
    public async Task A_crash_at_any_step_of_copying_leaves_the_journal_and_something_to_go_on_with([Range(1, 10)] int seed)
    {
        var random = new Random(seed);
        var disk = await WithOldJournalAsync();
        for (var life = 0; life < 12; life++)
        {
            disk.DiesAt = disk.Operations + random.Next(1, 60);
            try
            {
                await CopyAllAsync(disk, random.Next(1, 30_000));
            }
            catch (Exception exception) when (exception is IOException)
            {
                // The process died there.
            }

            disk.PowerLoss(random);
            await ExpectOldAsync(disk.Clone());
        }

        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        await ExpectNewAsync(disk);
    }

    [Test]
    public async Task A_newer_checkpoint_takes_the_place_of_what_was_copied()
    {
        var disk = await WithOldJournalAsync();
        await using var copy = await OpenAsync(disk);
        await copy.BeginAsync(Position.Zero, new Position(7), 10_000);
        await copy.AppendCheckpointAsync(new ReadOnlySequence<byte>(new byte[5000]));
        await _original.SendCheckpointAsync(copy); // the master has cleaned meanwhile, and begins anew
        await _original.SendRecordsAsync(copy, _original.First, _original.End);
        JournalSwitch.Commit(disk, Home, await copy.FinishAsync(_original.End));
        await ExpectNewAsync(disk);
    }

    [Test]
    public async Task Bytes_that_were_damaged_on_their_way_are_not_taken()
    {
        var disk = await WithOldJournalAsync();
        await using var copy = await OpenAsync(disk);
        await _original.SendCheckpointAsync(copy);
        var bytes = _original.Bytes(_original.First, 100_000);
        bytes[50_000] ^= 1;
        Assert.ThrowsAsync<InvalidRecordsException>(async () => await copy.AppendRecordsAsync(_original.First, new ReadOnlySequence<byte>(bytes), CancellationToken.None));
        copy.DropPartialRecord();
        Assert.That(copy.End, Is.GreaterThan(_original.First).And.LessThan(_original.First + 50_001));
        await _original.SendRecordsAsync(copy, copy.End, _original.End);
        Assert.That((await copy.FinishAsync(_original.End)).End, Is.EqualTo(_original.End));
    }

    [Test]
    public async Task A_checkpoint_that_was_damaged_on_its_way_is_not_taken()
    {
        var disk = await WithOldJournalAsync();
        await using var copy = await OpenAsync(disk);
        await copy.BeginAsync(_original.First, _original.Checkpoint, _original.CheckpointBytes.Length);
        var bytes = _original.CheckpointBytes.ToArray();
        bytes[^20] ^= 4;
        Assert.ThrowsAsync<InvalidRecordsException>(async () => await copy.AppendCheckpointAsync(new ReadOnlySequence<byte>(bytes)));
        await copy.DisposeAsync();
        await using var again = await OpenAsync(disk);
        Assert.That(again.Checkpoint, Is.Null, "it is begun anew");
    }

    [Test]
    public async Task A_copy_that_rots_on_its_disk_is_begun_anew()
    {
        var disk = await WithOldJournalAsync();
        await using (var copy = await OpenAsync(disk))
        {
            await _original.SendCheckpointAsync(copy);
            await _original.SendRecordsAsync(copy, _original.First, _original.First + 150_000);
        }

        var segment = $"{Side}/{disk.ListFiles(Side).First(name => name.StartsWith("journal-", StringComparison.Ordinal))}";
        var bytes = disk.ReadAll(segment);
        bytes[5000] ^= 1; // among the first records, in whatever batches they came
        disk.WriteAll(segment, bytes);
        await using var again = await OpenAsync(disk);
        Assert.That((again.Checkpoint, again.End), Is.EqualTo(((Position?)null, Position.Zero)));
        await ExpectOldAsync(disk.Clone());
    }

    [Test]
    public async Task A_copy_of_another_store_or_from_before_what_is_committed_is_of_no_use()
    {
        var disk = await WithOldJournalAsync();
        await using (var copy = await OpenAsync(disk))
        {
            await _original.SendCheckpointAsync(copy);
            await _original.SendRecordsAsync(copy, _original.First, _original.First + 100_000);
        }

        var other = disk.Clone();
        await using (var later = await JournalCopy.OpenAsync(RuntimeOf(other), Options, StoreId, _original.Checkpoint + 1, CancellationToken.None))
        {
            Assert.That(later.Checkpoint, Is.Null);
        }

        await using var foreign = await JournalCopy.OpenAsync(RuntimeOf(disk), Options, Guid.NewGuid(), Position.Zero, CancellationToken.None);
        Assert.That(foreign.Checkpoint, Is.Null);
        Assert.That(JournalCopy.IsThere(disk, Home), Is.False);
    }

    [Test]
    public async Task A_copy_that_does_not_reach_as_far_as_it_should_is_not_whole()
    {
        var disk = await WithOldJournalAsync();
        await using var copy = await OpenAsync(disk);
        await _original.SendCheckpointAsync(copy);
        await _original.SendRecordsAsync(copy, _original.First, _original.End + -200);
        Assert.ThrowsAsync<InvalidRecordsException>(() => copy.FinishAsync(_original.End));
    }

    [Test]
    public async Task A_disk_that_fills_during_a_copy_harms_the_copy_only()
    {
        var disk = await WithOldJournalAsync();
        var writes = 0;
        disk.OnWrite = path =>
        {
            if (path.StartsWith(Side, StringComparison.Ordinal) && ++writes > 12)
            {
                throw new IOException("No space left on device", 28);
            }
        };
        Assert.ThrowsAsync<StoreUnavailableException>(() => CopyAllAsync(disk));
        disk.OnWrite = null;
        await ExpectOldAsync(disk.Clone());
        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        await ExpectNewAsync(disk);
    }

    [Test]
    public async Task An_inspection_says_that_a_switch_is_not_finished()
    {
        var disk = await WithOldJournalAsync();
        JournalSwitch.Commit(disk, Home, await CopyAllAsync(disk));
        var report = await new JournalInspector(RuntimeOf(disk), Home).RunAsync(Position.Zero, null, null);
        Assert.That(report.Faults.Select(fault => fault.Detail), Has.Some.Contains("start its replica"));
    }

    [Test]
    public async Task What_a_copy_needs_is_not_cleaned_while_it_is_held()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 128 * 1024, RetainedBytesMax = 0 });
        opened.Numbers.Oldest = null;
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 500, 400);
        opened.Journal.SetHold(opened.Journal.First);
        var held = opened.Journal.First;
        for (var number = 500; number < 5000; number += 500)
        {
            await opened.AppendAppliedAsync(number, 500, 400);
            Assert.That(opened.Journal.First, Is.EqualTo(held));
        }

        opened.Journal.SetHold(null);
        for (var number = 5000; opened.Journal.First == held; number += 100)
        {
            Assert.That(number, Is.LessThan(50_000), "it is cleaned again");
            await opened.AppendAppliedAsync(number, 100, 400);
        }
    }

    private static JournalOptions Options => new() { Directory = Home, SegmentBytes = 64 * 1024 };

    private static FabricRuntime RuntimeOf(CrashDisk disk) => FabricRuntime.System with { Disk = disk };

    private static Task<JournalCopy> OpenAsync(CrashDisk disk) =>
        JournalCopy.OpenAsync(RuntimeOf(disk), Options, StoreId, Position.Zero, CancellationToken.None);

    private async Task<WholeCopy> CopyAllAsync(CrashDisk disk, int chunkBytes = 10_000)
    {
        await using var copy = await OpenAsync(disk);
        if (copy.Checkpoint is null)
        {
            await _original.SendCheckpointAsync(copy);
        }

        await _original.SendRecordsAsync(copy, Position.Max(copy.End, _original.First), _original.End, chunkBytes);
        return await copy.FinishAsync(_original.End);
    }

    /// <summary>A disk with another, shorter journal, and what replication keeps beside it.</summary>
    private static async Task<CrashDisk> WithOldJournalAsync()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            await opened.AppendAppliedAsync(0, OldCount, 3000); // over several segments, which have the names of none of the copy's
        }

        disk.WriteAll($"{Home}/replica.state", Promises);
        return disk.Clone();
    }

    private static void Crash(CrashDisk disk, bool powerLoss, int seed)
    {
        if (powerLoss)
        {
            disk.PowerLoss(new Random(seed));
        }
        else
        {
            disk.Kill();
        }
    }

    private static async Task TryOpenAsync(CrashDisk disk)
    {
        try
        {
            await using var opened = await Opened.OpenAsync(Home, disk);
        }
        catch (IOException)
        {
            // It died again.
        }
    }

    /// <summary>Dies at a step of the way from a copy to a start with it, and once more at the next start.</summary>
    /// <returns>Whether the copy was to take the journal's place by then.</returns>
    private static async Task<bool> DieSwitchingAsync(CrashDisk disk, Func<Task<WholeCopy>> copy, bool powerLoss, int step)
    {
        disk.DiesAt = step;
        var isDecided = false;
        try
        {
            JournalSwitch.Commit(disk, Home, await copy());
            isDecided = true;
            await using var opened = await Opened.OpenAsync(Home, disk);
        }
        catch (IOException)
        {
            // The process died there.
        }

        Crash(disk, powerLoss, step);
        disk.DiesAt = 3 + (step % 7); // to die once more on the way is no worse
        await TryOpenAsync(disk);
        Crash(disk, powerLoss, step);
        return isDecided;
    }

    private async Task<bool> ExpectOneOfBothAsync(CrashDisk disk, bool mustBeNew)
    {
        await using var opened = await Opened.OpenAsync(Home, disk);
        if (mustBeNew || opened.Journal.End == _original.End)
        {
            await ExpectNewAsync(opened, disk);
            return true;
        }

        await ExpectOldAsync(opened, disk);
        return false;
    }

    private static async Task ExpectOldAsync(CrashDisk disk)
    {
        await using var opened = await Opened.OpenAsync(Home, disk);
        await ExpectOldAsync(opened, disk);
    }

    private static async Task ExpectOldAsync(Opened opened, CrashDisk disk)
    {
        await Opened.UntilAsync(() => opened.Journal.Applied == opened.Journal.End, "all is applied");
        Assert.That(opened.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, OldCount)));
        Assert.That(disk.ReadAll($"{Home}/replica.state"), Is.EqualTo(Promises));
    }

    private async Task ExpectNewAsync(CrashDisk disk, bool promises = true)
    {
        await using var opened = await Opened.OpenAsync(Home, disk);
        await ExpectNewAsync(opened, disk, promises);
    }

    private async Task ExpectNewAsync(Opened opened, CrashDisk disk, bool promises = true)
    {
        // Where segments begin is each replica's own, and a start may let one go that lies wholly before what the checkpoint calls cleaned.
        Assert.That(opened.Journal.First, Is.InRange(_original.First, Position.Max(_original.First, _original.Cleaned)));
        Assert.That(opened.Journal.End, Is.EqualTo(_original.End));
        Assert.That(opened.Journal.Committed, Is.GreaterThanOrEqualTo(_original.Checkpoint));
        Assert.That(opened.Journal.SystemRecords.Select(record => record.Position), Is.EqualTo(_original.Epochs), "the epoch table survives");
        opened.Journal.AdvanceCommitted(opened.Journal.End);
        await Opened.UntilAsync(() => opened.Journal.Applied == opened.Journal.End, "all is applied");
        Assert.That(opened.Numbers.Applied, Is.EqualTo(_original.Numbers));
        if (promises)
        {
            Assert.That(disk.ReadAll($"{Home}/replica.state"), Is.EqualTo(Promises));
        }
    }
}
