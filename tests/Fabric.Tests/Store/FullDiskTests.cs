using Fabric.Store;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;

namespace Fabric.Tests.Store;

/// <summary>A disk without room: producers wait, acknowledgements are written, and nothing that was durable is lost.</summary>
[TestFixture, Parallelizable]
internal sealed class FullDiskTests
{
    private const string Home = "/journal";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Test]
    public async Task Producers_are_held_back_while_space_is_short_and_go_on_when_there_is_some()
    {
        var disk = new CrashDisk { Free = 2_000_000 };
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { FreeBytesLow = 1_000_000 });
        opened.BecomeMaster();
        await opened.Journal.WaitForRoomAsync(CancellationToken.None).AsTask().WaitAsync(Limit);
        disk.Free = 999_999;
        await Opened.UntilAsync(() => opened.Journal.IsSpaceLow, "it notices");
        var waiting = opened.Journal.WaitForRoomAsync(CancellationToken.None).AsTask();
        await opened.AppendAppliedAsync(0, 100);
        Assert.That(waiting.IsCompleted, Is.False, "acknowledgements go on, producers do not");

        disk.Free = 1_300_000;
        await waiting.WaitAsync(Limit);
        Assert.That(opened.Journal.IsSpaceLow, Is.False);
    }

    [Test]
    public async Task A_journal_short_of_space_makes_checkpoints_early_so_that_consumed_segments_go()
    {
        var disk = new CrashDisk { Free = 400_000 };
        await using var opened = await OpenShortOfSpaceAsync(disk);
        opened.Numbers.Oldest = null;
        for (var number = 0; opened.Journal.End.Value < 512 * 1024; number += 100)
        {
            await opened.AppendAppliedAsync(number, 100, 300);
        }

        await Opened.UntilAsync(() => opened.Journal.First > Position.Zero, "half a checkpoint's bytes suffice");
    }

    [Test]
    public async Task What_is_kept_for_a_replica_that_is_away_goes_when_space_is_short()
    {
        var disk = new CrashDisk { Free = 10_000_000 };
        await using var opened = await Opened.OpenAsync(
            Home, disk, with: options => options with { FreeBytesLow = 1_000_000, CheckpointBytes = 64 * 1024 });
        opened.Numbers.Oldest = null;
        opened.BecomeMaster();
        opened.Journal.SetHold(new Position(200_000)); // another one is being sent what comes behind it
        for (var number = 0; opened.Journal.End.Value < 512 * 1024; number += 100)
        {
            await opened.AppendAppliedAsync(number, 100, 300);
        }

        await Opened.UntilAsync(() => disk.ListFiles(Home).Count(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)) == 2, "there are checkpoints");
        Assert.That(opened.Journal.First, Is.EqualTo(Position.Zero), "who is away needs it, and there is room");
        disk.Free = 900_000;
        await Opened.UntilAsync(() => opened.Journal.IsSpaceLow, "it notices");
        await opened.AppendAppliedAsync(1_000_000, 300, 300); // acknowledgements
        await Opened.UntilAsync(() => opened.Journal.First > new Position(100_000), "producers wait for it");
        Assert.That(opened.Journal.First, Is.LessThanOrEqualTo(new Position(200_000)), "another one is being sent that");
        disk.Free = 400_000;
        await Opened.UntilAsync(() => opened.Journal.Space.IsExhausted, "half of the reserve is used up");
        await opened.AppendAppliedAsync(2_000_000, 300, 300);
        await Opened.UntilAsync(() => opened.Journal.First > new Position(300_000), "nobody is waited for now");
    }

    [Test]
    public async Task The_reserve_is_never_less_than_four_segments()
    {
        var disk = new CrashDisk { Free = (4 * 1024 * 1024) + 1 };
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { SegmentBytes = 1024 * 1024, FreeBytesLow = 100 });
        disk.Free -= 2;
        await Opened.UntilAsync(() => opened.Journal.IsSpaceLow, "a segment for acknowledgements has to fit");
    }

    [Test]
    public async Task A_checkpoint_leaves_a_quarter_of_the_reserve_for_acknowledgements_and_nothing_behind_when_it_does_not_fit()
    {
        var disk = new CrashDisk { Free = 250_050 };
        await using var opened = await OpenShortOfSpaceAsync(disk);
        for (var number = 0; opened.Journal.End.Value < 512 * 1024; number += 100)
        {
            await opened.AppendAppliedAsync(number, 100, 300);
            Assert.That(disk.ListFiles(Home).Where(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)), Is.Empty);
        }

        await Opened.UntilAsync(() => !disk.FileExists($"{Home}/checkpoint.new"), "what did not fit is deleted"); // one may just be tried
        disk.Free = 400_000;
        await opened.AppendAppliedAsync(1_000_000, 1000, 300);
        await Opened.UntilAsync(() => disk.ListFiles(Home).Any(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)), "there is room for one");
    }

    [Test]
    public async Task What_only_a_checkpoint_that_failed_would_have_made_needless_is_kept()
    {
        var disk = new CrashDisk { Free = 250_050 };
        await using var opened = await OpenShortOfSpaceAsync(disk);
        opened.Numbers.Oldest = null;
        for (var number = 0; opened.Journal.End.Value < 512 * 1024; number += 100)
        {
            await opened.AppendAppliedAsync(number, 100, 300); // for checkpoints there is no room
        }

        disk.Free = 400_000;
        await opened.AppendAppliedAsync(1_000_000, 300, 300);
        await Opened.UntilAsync(() => disk.ListFiles(Home).Any(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)), "there is room for one");
        var first = disk.ListFiles(Home).First(name => name.StartsWith("checkpoint-", StringComparison.Ordinal));
        Assert.That(CheckpointFile.TryRead(disk, $"{Home}/{first}")!.Value.Head.Cleaned, Is.EqualTo(Position.Zero), "if it rots, everything is read again");
    }

    [Test]
    public async Task A_journal_short_of_space_tells_the_broker_and_keeps_half_of_the_reserve_for_acknowledgements()
    {
        var disk = new CrashDisk { Free = 2_000_000 };
        await using var opened = await Opened.OpenAsync(
            Home, disk, with: options => options with { FreeBytesLow = 1_000_000, RetainedBytesMax = 0 });
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 100);
        Assert.That(opened.Journal.Space, Is.EqualTo(new JournalSpace(opened.Journal.End, 64 * 1024, IsLow: false, IsExhausted: false)));
        disk.Free = 999_999;
        await Opened.UntilAsync(() => opened.Journal.Space is { IsLow: true, IsExhausted: false }, "it is low");
        disk.Free = 499_999;
        await Opened.UntilAsync(() => opened.Journal.Space is { IsLow: true, IsExhausted: true }, "there is just enough for acknowledgements");
        disk.Free = 1_100_000;
        await Opened.UntilAsync(() => opened.Journal.Space is { IsLow: true, IsExhausted: false }, "producers still wait");
    }

    [Test]
    public async Task After_a_sync_that_failed_nothing_counts_as_durable_that_the_disk_never_got([Range(1, 20)] int seed, [Values] bool inNewSegment)
    {
        var disk = new CrashDisk();
        var opened = await Opened.OpenAsync(Home, disk);
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 20, inNewSegment ? 2500 : 100);
        if (inNewSegment)
        {
            await Opened.UntilAsync(() => disk.ListFiles(Home).Any(file => file.StartsWith("spare-", StringComparison.Ordinal)), "the next segment is being prepared");
            await opened.DisposeAsync(); // it is ready then
            opened = await Opened.OpenAsync(Home, disk);
            opened.BecomeMaster(2);
            await opened.AppendAppliedAsync(100, 1);
        }

        disk.Forgets = _ => true;
        opened.Journal.AppendGroup([.. Enumerable.Range(20, 2).Select(number => new PendingRecord(Numbers.Kind, 0, Opened.Body(number, 10_000)))]);
        Assert.That(await opened.Failed, Is.TypeOf<StoreUnavailableException>());
        disk.Forgets = null;
        await opened.DisposeAsync();
        disk.Kill();

        var again = await Opened.OpenAsync(Home, disk);
        var durable = again.Journal.Durable;
        disk.PowerLoss(new Random(seed));
        await again.DisposeAsync();
        await using var last = await Opened.OpenAsync(Home, disk);
        Assert.That(durable.Value, Is.GreaterThan(inNewSegment ? 70_000 : 20_000), "the batch was there, as far as anybody could tell");
        Assert.That(last.Journal.End, Is.GreaterThanOrEqualTo(durable));
    }

    [Test]
    public void A_directory_of_another_program_is_refused_and_left_as_it_is()
    {
        var disk = new CrashDisk();
        disk.WriteAll(Path.Combine(Home, "db.data"), [1]);
        disk.WriteAll(Path.Combine(Home, "db-1.log"), [2]);
        var refusal = Assert.ThrowsAsync<StoreException>(() => Opened.OpenAsync(Home, disk));
        Assert.That(refusal!.Message, Does.Contain("another program (db-1.log, db.data)").And.Contain("empty directory"));
        Assert.That(disk.ListFiles(Home), Is.EqualTo(new[] { "db-1.log", "db.data" }));
    }

    /// <summary>A master's journal on a disk with less than a megabyte to spare.</summary>
    private static async Task<Opened> OpenShortOfSpaceAsync(CrashDisk disk)
    {
        var opened = await Opened.OpenAsync(
            Home, disk, with: options => options with { FreeBytesLow = 1_000_000, CheckpointBytes = 1024 * 1024, RetainedBytesMax = 0 });
        opened.BecomeMaster();
        await Opened.UntilAsync(() => opened.Journal.IsSpaceLow, "it notices");
        return opened;
    }
}
