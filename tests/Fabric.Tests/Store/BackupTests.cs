using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Backup;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>Backups: consistent beside a broker at work, checked, and never taken for a replica.</summary>
[TestFixture, Parallelizable]
internal sealed class BackupTests
{
    private const string Home = "/journal";
    private const string Backup = "/backup";

    [Test]
    public async Task A_backup_of_a_journal_that_is_written_and_cleaned_meanwhile_is_a_committed_prefix()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 128 * 1024, RetainedBytesMax = 0 });
        opened.Numbers.Oldest = null;
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 10);
        using var stop = new CancellationTokenSource();
        var written = new List<(Position Position, int Number)>();
        var writing = Task.Run(async () =>
        {
            for (var number = 10; !stop.IsCancellationRequested; number += 100)
            {
                await opened.AppendAppliedAsync(number, 100, 400);
            }
        });
        await Opened.UntilAsync(() => disk.ListFiles(Home).Any(name => name.StartsWith("checkpoint-0", StringComparison.Ordinal)), "a checkpoint is there");
        for (var round = 0; round < 10 || opened.Journal.First == Position.Zero; round++)
        {
            var committed = opened.Journal.Committed;
            var directory = $"{Backup}{round}";
            var manifest = await Backups(disk).CreateAsync(Home, directory);
            Assert.That(manifest.End, Is.GreaterThan(Position.Zero).And.LessThanOrEqualTo(opened.Journal.Committed));
            Assert.That(committed - manifest.End, Is.LessThan(256 * 1024), "no more is missing than the newest mark and checkpoint leave open");
            Assert.That((await Backups(disk).VerifyAsync(directory)).End, Is.EqualTo(manifest.End));
            await using var restored = await Opened.OpenAsync(directory, disk);
            Assert.That((restored.Journal.End, restored.Journal.Committed), Is.EqualTo((manifest.End, manifest.End)));
            await Opened.UntilAsync(() => restored.Journal.Applied == manifest.End, "all of it is applied");
            Assert.That(restored.Numbers.Applied, Is.EqualTo(Enumerable.Range(0, restored.Numbers.Applied.Count)), "no number is missing");
        }

        await stop.CancelAsync();
        await writing;
        Assert.That(opened.Journal.Failure, Is.Null);
    }

    [Test]
    public async Task A_journal_that_is_cleaned_up_to_where_the_backup_is_to_end_is_copied_again()
    {
        var disk = new CrashDisk();
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 64 * 1024, RetainedBytesMax = 0 });
        opened.Numbers.Oldest = Position.Zero;
        opened.BecomeMaster();
        for (var number = 0; number < 300; number += 10)
        {
            await opened.AppendAppliedAsync(number, 10, 500);
        }

        var end = opened.Journal.End;
        await Opened.UntilAsync(() => Committed(disk) == end, "the newest mark says that all is committed");
        var second = disk.ListFiles(Home).Where(name => name.StartsWith("journal-", StringComparison.Ordinal)).ElementAt(1);
        var opens = 0;
        disk.OnCall = (call, path) =>
        {
            if (call == "Open" && path == $"{Home}/{second}" && ++opens == 3) // its header was looked at twice; now it is to be copied
            {
                CleanUpTo(opened, end).GetAwaiter().GetResult();
            }
        };
        var manifest = await Backups(disk).CreateAsync(Home, Backup);
        Assert.That(opens, Is.AtLeast(3));
        Assert.That(manifest.End, Is.GreaterThan(end));
    }

    /// <summary>Has the journal go on in a new segment, and what lies before that cleaned away.</summary>
    private static async Task CleanUpTo(Opened opened, Position end)
    {
        opened.Numbers.Oldest = null;
        opened.Append(300, 60_000); // does not fit into the last segment
        await Opened.UntilAsync(() => opened.Journal.Applied == opened.Journal.End, "it is applied");
        for (var number = 301; opened.Journal.First < end; number++)
        {
            opened.Journal.WantCheckpoint();
            await opened.AppendAppliedAsync(number, 1, 10);
        }

        Assert.That(opened.Journal.First, Is.EqualTo(end));
    }

    private static Position Committed(CrashDisk disk) =>
        new JournalInspector(FabricRuntime.System with { Disk = disk }, Home).RunAsync(new Position(long.MaxValue), null, null).GetAwaiter().GetResult().Committed;

    [Test]
    public async Task A_backup_holds_the_bytes_of_the_original()
    {
        var disk = new CrashDisk();
        await WriteAsync(disk);
        await Backups(disk).CreateAsync(Home, Backup);
        var (original, copy) = (new Bytes(), new Bytes());
        await InspectAsync(disk, Home, original);
        await InspectAsync(disk, Backup, copy);
        Assert.That(copy.Records, Is.EqualTo(original.Records));
    }

    [Test]
    public async Task A_flipped_bit_in_any_file_of_a_backup_is_found_and_nothing_is_restored()
    {
        var disk = new CrashDisk();
        await WriteAsync(disk);
        await Backups(disk).CreateAsync(Home, Backup);
        foreach (var name in disk.ListFiles(Backup))
        {
            foreach (var part in new[] { 0.01, 0.4, 0.97 })
            {
                var image = disk.Clone();
                var path = Path.Combine(Backup, name);
                var bytes = image.ReadAll(path);
                bytes[(int)(bytes.Length * part)] ^= 4;
                image.WriteAll(path, bytes);
                if (name == BackupManifest.FileName && IsSame(image, bytes))
                {
                    continue; // its date, or a blank
                }

                Assert.ThrowsAsync<StoreException>(() => Backups(image).VerifyAsync(Backup), $"{name} at {part}");
                Assert.ThrowsAsync<StoreException>(() => Backups(image).CopyBackAsync(Backup, "/new"), $"{name} at {part}");
                Assert.That(image.ListFiles("/new"), Is.Empty);
            }
        }
    }

    [Test]
    public async Task A_missing_file_or_manifest_makes_it_no_backup()
    {
        var disk = new CrashDisk();
        await WriteAsync(disk);
        await Backups(disk).CreateAsync(Home, Backup);
        foreach (var name in disk.ListFiles(Backup))
        {
            var image = disk.Clone();
            image.Delete(Path.Combine(Backup, name));
            Assert.ThrowsAsync<StoreException>(() => Backups(image).VerifyAsync(Backup), name);
        }
    }

    [Test]
    public async Task Only_an_empty_directory_is_written_to()
    {
        var disk = new CrashDisk();
        await WriteAsync(disk);
        disk.WriteAll(Path.Combine(Backup, "precious"), [1]);
        Assert.ThrowsAsync<DirectoryNotEmptyException>(() => Backups(disk).CreateAsync(Home, Backup));
        await Backups(disk).CreateAsync(Home, "/other");
        Assert.ThrowsAsync<DirectoryNotEmptyException>(() => Backups(disk).CopyBackAsync("/other", Home));
        Assert.That(disk.ListFiles(Backup), Is.EqualTo(new[] { "precious" }));
    }

    [Test]
    public async Task A_backup_that_fails_leaves_nothing_behind()
    {
        var disk = new CrashDisk();
        await WriteAsync(disk);
        var writes = 0;
        disk.OnWrite = path => _ = path.StartsWith(Backup, StringComparison.Ordinal) && ++writes == 5 ? throw new IOException("the disk is full") : 0;
        Assert.ThrowsAsync<IOException>(() => Backups(disk).CreateAsync(Home, Backup));
        Assert.That(disk.ListFiles(Backup), Is.Empty);
    }

    [Test]
    public async Task A_damaged_journal_is_not_backed_up()
    {
        var disk = new CrashDisk();
        await WriteAsync(disk);
        var first = Path.Combine(Home, "journal-00000000000000000000.seg");
        var bytes = disk.ReadAll(first);
        bytes[4096 + 10] ^= 1;
        disk.WriteAll(first, bytes);
        var failure = Assert.ThrowsAsync<StoreException>(() => Backups(disk).CreateAsync(Home, Backup));
        Assert.That(failure!.Message, Does.Contain("cannot be backed up").And.Contain("position"));
        Assert.That(disk.ListFiles(Backup), Is.Empty);
    }

    private static JournalBackup Backups(CrashDisk disk) => new(FabricRuntime.System with { Disk = disk });

    private static async Task WriteAsync(CrashDisk disk)
    {
        await using var opened = await Opened.OpenAsync(Home, disk, with: options => options with { CheckpointBytes = 64 * 1024 });
        opened.BecomeMaster();
        await opened.AppendAppliedAsync(0, 600, 300);
    }

    private static bool IsSame(CrashDisk disk, byte[] manifest)
    {
        try
        {
            using var _ = System.Text.Json.JsonDocument.Parse(manifest);
            BackupManifest.Read(disk, Backup);
            return true;
        }
        catch (Exception exception) when (exception is System.Text.Json.JsonException or StoreException)
        {
            return false;
        }
    }

    private static Task<JournalReport> InspectAsync(CrashDisk disk, string directory, IJournalVisitor visitor) =>
        new JournalInspector(FabricRuntime.System with { Disk = disk }, directory).RunAsync(Position.Zero, null, visitor);

    private sealed class Bytes : IJournalVisitor
    {
        public List<string> Records { get; } = [];

        public void OnSegment(SegmentInfo segment)
        {
        }

        public void OnRecord(in JournalRecord record) =>
            Records.Add($"{record.Position} {record.End} {record.Kind} {record.Flags} {Convert.ToHexString(record.Body)}");
    }
}
