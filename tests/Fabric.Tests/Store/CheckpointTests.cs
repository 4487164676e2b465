using Fabric.Store;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;

namespace Fabric.Tests.Store;

[TestFixture, Parallelizable]
internal sealed class CheckpointTests
{
    private const string Home = "/journal";

    [Test]
    public async Task State_from_a_checkpoint_and_replay_equals_state_from_replay_alone()
    {
        var disk = new CrashDisk();
        await using (var opened = await OpenAsync(disk, new Numbers()))
        {
            opened.BecomeMaster();
            await opened.AppendAppliedAsync(0, 3000);
            await Opened.UntilAsync(() => Checkpoints(disk).Length > 0, "a checkpoint was written");
            disk = disk.Clone(); // as after a kill: something is behind the last checkpoint
        }

        await using (var withCheckpoint = await OpenAsync(disk.Clone(), new Numbers()))
        {
            Assert.That(withCheckpoint.Journal.Applied, Is.GreaterThan(Position.Zero));
            withCheckpoint.Journal.AdvanceCommitted(withCheckpoint.Journal.End);
            await Opened.UntilAsync(() => withCheckpoint.Numbers.Applied.Count == 3000, "all is applied");
            Assert.That(withCheckpoint.Numbers.Positions, Has.Count.LessThan(3000), "most of it came from the checkpoint");
            Assert.That(withCheckpoint.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 3000)));
        }

        foreach (var name in Checkpoints(disk))
        {
            disk.Delete(Path.Combine(Home, name));
        }

        await using var replayed = await OpenAsync(disk, new Numbers());
        replayed.Journal.AdvanceCommitted(replayed.Journal.End);
        await Opened.UntilAsync(() => replayed.Numbers.Applied.Count == 3000, "all is applied");
        Assert.That(replayed.Numbers.Positions, Has.Count.EqualTo(3000));
        Assert.That(replayed.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 3000)));
    }

    [Test]
    public async Task An_orderly_end_leaves_nothing_to_replay()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            await opened.AppendAppliedAsync(0, 100);
        }

        await using var again = await Opened.OpenAsync(Home, disk);
        Assert.That(again.Journal.Applied, Is.EqualTo(again.Journal.End));
        Assert.That(again.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 100)));
        Assert.That(again.Numbers.Positions, Is.Empty);
    }

    [Test]
    public async Task Damage_to_the_newest_checkpoint_costs_replay_only([Values] bool isUnreadable)
    {
        var disk = new CrashDisk();
        await using (var opened = await OpenAsync(disk, new Numbers { Oldest = null }))
        {
            opened.Journal.SetRetention(new Position(long.MaxValue));
            opened.BecomeMaster();
            for (var round = 0; round < 5; round++)
            {
                await opened.AppendAppliedAsync(round * 1000, 1000);
                await Opened.UntilAsync(() => Checkpoints(disk).Length >= Math.Min(round + 1, 2), "a checkpoint was written");
            }
        }

        Assert.That(Checkpoints(disk), Has.Length.EqualTo(2));
        var newest = Path.Combine(Home, Checkpoints(disk)[^1]);
        if (isUnreadable)
        {
            disk.OnCall = (call, path) => DamageTests.FailRead(call, path, newest);
        }
        else
        {
            var bytes = disk.ReadAll(newest);
            bytes[^20] ^= 1;
            disk.WriteAll(newest, bytes);
        }

        for (var start = 0; start < 2; start++)
        {
            await using var again = await Opened.OpenAsync(Home, disk.Clone(), new Numbers()); // and killed before it has made another one
            Assert.That(again.Numbers.Applied, Is.Not.Empty);
        }

        await using (var again = await OpenAsync(disk, new Numbers { Oldest = null }))
        {
            disk.OnCall = null;
            again.Journal.AdvanceCommitted(again.Journal.End);
            await Opened.UntilAsync(() => again.Numbers.Applied.Count == 5000, "all is applied");
            Assert.That(again.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 5000)));
        }

        // What the damaged one let go stays gone for those that come after the older one.
        await using var last = await OpenAsync(disk, new Numbers());
        Assert.That(last.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 5000)));
        Assert.That(Checkpoints(disk).Select(name => IsSound(disk, name)), Is.EqualTo(new[] { true, true }));
    }

    [Test]
    public async Task Checkpoints_that_are_damaged_do_not_stand_for_those_that_are_kept()
    {
        var disk = new CrashDisk();
        await using (var opened = await OpenAsync(disk, new Numbers()))
        {
            opened.BecomeMaster();
            for (var round = 0; round < 3; round++)
            {
                await opened.AppendAppliedAsync(round * 1000, 1000);
                await Opened.UntilAsync(() => Checkpoints(disk).Length >= Math.Min(round + 1, 2), "a checkpoint was written");
            }
        }

        // Nobody can read them, and they call themselves newer than what will be written.
        foreach (var name in Checkpoints(disk))
        {
            var bytes = disk.ReadAll(Path.Combine(Home, name));
            bytes[^20] ^= 1;
            disk.Delete(Path.Combine(Home, name));
            disk.WriteAll(Path.Combine(Home, name.Replace("checkpoint-0", "checkpoint-1", StringComparison.Ordinal)), bytes);
        }

        await using (var again = await OpenAsync(disk, new Numbers()))
        {
            again.BecomeMaster(2);
            again.Journal.AdvanceCommitted(again.Journal.End);
            await Opened.UntilAsync(() => again.Numbers.Applied.Count == 3000, "all is applied");
            await Opened.UntilAsync(() => Checkpoints(disk).Any(name => IsSound(disk, name)), "a sound one is there");
            await again.AppendAppliedAsync(3000, 2000);
        }

        Assert.That(Checkpoints(disk).Count(name => IsSound(disk, name)), Is.InRange(1, 2), "and stays");
        await using var last = await OpenAsync(disk, new Numbers());
        Assert.That(last.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 5000)));
    }

    [Test]
    public async Task A_checkpoint_without_the_records_it_was_made_of_is_damage()
    {
        var disk = new CrashDisk();
        await using (var opened = await Opened.OpenAsync(Home, disk))
        {
            opened.BecomeMaster();
            await opened.AppendAppliedAsync(0, 100);
        }

        var segment = Path.Combine(Home, "journal-00000000000000000000.seg");
        var bytes = disk.ReadAll(segment);
        bytes.AsSpan(4096 + 2000).Clear();
        disk.WriteAll(segment, bytes);
        Assert.ThrowsAsync<SegmentCorruptException>(() => Opened.OpenAsync(Home, disk));
    }

    [Test]
    public async Task A_checkpoint_of_what_this_disk_has_not_synced_yet_does_not_count()
    {
        using var diskGoesOn = new ManualResetEventSlim();
        var disk = new CrashDisk();
        var opened = await Opened.OpenAsync(Home, disk, commits: false, with: options => options with { CheckpointBytes = 64 * 1024 });
        opened.BecomeMaster();
        await opened.Journal.WaitDurableAsync(opened.Journal.End);
        disk.OnSync = path =>
        {
            if (path.EndsWith(".seg", StringComparison.Ordinal))
            {
                diskGoesOn.Wait();
            }
        };
        for (var i = 0; i < 1000; i++)
        {
            opened.Append(i);
        }

        // The others have synced it, so it is committed.
        opened.Journal.AdvanceCommitted(opened.Journal.End);
        await Opened.UntilAsync(() => opened.Numbers.Checkpoints > 0, "the state is written down");
        await Task.Delay(200); // nothing is to happen; what would, would happen soon
        Assert.That(Checkpoints(disk), Is.Empty);

        diskGoesOn.Set();
        await Opened.UntilAsync(() => Checkpoints(disk).Length > 0, "now it counts");
        await opened.DisposeAsync();
    }

    [Test]
    public async Task Segments_that_nobody_needs_are_recycled_and_system_records_outlive_them()
    {
        var disk = new CrashDisk();
        var most = 0;
        await using (var opened = await OpenAsync(disk, new Numbers { Oldest = null }))
        {
            opened.BecomeMaster();
            for (var round = 0; round < 40; round++)
            {
                await opened.AppendAppliedAsync(round * 500, 500);
                opened.Journal.SetRetention(opened.Journal.End);
                most = Math.Max(most, disk.ListFiles(Home).Count);
            }

            await Opened.UntilAsync(() => opened.Journal.First > Position.Zero, "old segments are gone");
        }

        // 2.3 MB were written in segments of 64 KiB: 36 of them without cleaning.
        Assert.That(most, Is.LessThan(20));
        await using var again = await OpenAsync(disk, new Numbers());
        Assert.That(again.Journal.First, Is.GreaterThan(new Position(1024 * 1024)));
        Assert.That(again.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, 20_000)));
        Assert.That(again.Journal.SystemRecords.Select(record => (record.Position, record.Kind, record.Body.Length)), Is.EqualTo(new[] { (Position.Zero, Opened.EpochKind, 24) }));
        Assert.Throws<PositionCleanedException>(() => again.Journal.CopyRecords(Position.Zero, new byte[100]));
        Assert.That(again.Journal.Failure, Is.Null);
    }

    [Test]
    public async Task What_is_live_or_missing_elsewhere_is_kept([Values] bool live)
    {
        var disk = new CrashDisk();
        await using var opened = await OpenAsync(disk, new Numbers { Oldest = live ? new Position(100_000) : null });
        opened.Journal.SetRetention(live ? new Position(long.MaxValue) : new Position(100_000));
        opened.BecomeMaster();
        for (var round = 0; round < 20; round++)
        {
            await opened.AppendAppliedAsync(round * 500, 500);
        }

        await Opened.UntilAsync(() => opened.Journal.First > Position.Zero, "the oldest segment is gone");
        Assert.That(opened.Journal.First, Is.LessThanOrEqualTo(new Position(100_000)));
    }

    [Test]
    public async Task Segments_go_soon_after_the_last_live_record_in_them_died_although_hardly_anything_is_appended()
    {
        var disk = new CrashDisk();
        var opened = await OpenAsync(disk, new Numbers { Oldest = new Position(100) });
        opened.Journal.SetRetention(new Position(long.MaxValue));
        opened.BecomeMaster();
        for (var round = 0; round < 20; round++)
        {
            await opened.AppendAppliedAsync(round * 500, 500);
        }

        await opened.AppendAppliedAsync(10_000, 1);
        Assert.That(opened.Journal.First, Is.EqualTo(Position.Zero), "a live record keeps everything");
        var last = opened.Journal.End;
        opened.Numbers.Oldest = last;
        await opened.AppendAppliedAsync(10_001, 1);
        await Opened.UntilAsync(() => last - opened.Journal.First < 4 * 64 * 1024, "what is dead is let go");
        var (first, checkpoints) = (opened.Journal.First, opened.Numbers.Checkpoints);

        opened.Numbers.Oldest = null;
        await opened.AppendAppliedAsync(10_002, 1);
        await Task.Delay(1500); // one look and a half: nothing is to happen
        Assert.That((opened.Journal.First, opened.Numbers.Checkpoints), Is.EqualTo((first, checkpoints)), "a checkpoint must be worth it");
        await opened.DisposeAsync();

        await using var again = await OpenAsync(disk, new Numbers());
        Assert.That(again.Numbers.Applied, Has.Count.EqualTo(10_003));
    }

    [Test]
    public async Task What_another_replica_needs_is_not_said_to_be_releasable()
    {
        await using var opened = await Opened.OpenAsync(Home, new CrashDisk(), new Numbers(), with: options => options with { RetainedBytesMax = 100_000 });
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 500);
        Assert.That(opened.Journal.Space.Releasable, Is.EqualTo(Position.Zero), "all of it may be needed elsewhere");
        opened.Journal.SetRetention(new Position(30_000));
        Assert.That(opened.Journal.Space.Releasable, Is.EqualTo(new Position(30_000)));
        await opened.AppendAppliedAsync(500, 1500);
        Assert.That(opened.Journal.Space.Releasable, Is.EqualTo(opened.Journal.End + -100_000), "who is away for longer copies the journal");
        opened.Journal.SetHold(new Position(40_000));
        Assert.That(opened.Journal.Space.Releasable, Is.EqualTo(new Position(40_000)), "somebody copies it now");
    }

    private static Task<Opened> OpenAsync(CrashDisk disk, Numbers numbers) =>
        Opened.OpenAsync(Home, disk, numbers, with: options => options with { CheckpointBytes = 64 * 1024 });

    private static bool IsSound(CrashDisk disk, string name)
    {
        try
        {
            return CheckpointFile.TryRead(disk, Path.Combine(Home, name)) is not null;
        }
        catch (FileNotFoundException)
        {
            return false; // it has just gone
        }
    }

    private static string[] Checkpoints(CrashDisk disk) =>
        [.. disk.ListFiles(Home).Where(name => name.StartsWith("checkpoint-", StringComparison.Ordinal))];
}
