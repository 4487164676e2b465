using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Backup;

/// <summary>
/// Backups of a journal: made from the files of any replica, master or slave, while a broker uses them; checked; copied back.
/// </summary>
/// <remarks>
/// Why a backup is consistent whatever the broker does meanwhile: it holds the newest checkpoint and every record from what that needs up to a position that was known to be
/// committed when the backup began. Records before that position are never cut and never change; they can only be cleaned away, which shows as a gap, and then the
/// backup begins again with the newer checkpoint that allowed it. Every record is checked on its way. A backup's directory is a journal's directory without an identity: it can be
/// inspected, and no replica starts in it.
/// </remarks>
public sealed class JournalBackup(FabricRuntime runtime)
{
    private const int AttemptsMax = 10;

    private IDisk Disk => runtime.Disk;

    /// <summary>Makes a backup.</summary>
    /// <param name="source">The journal's directory; nothing in it is changed or locked.</param>
    /// <param name="destination">Must be absent or empty. Nothing of ours stays in it when this fails.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DirectoryNotEmptyException">There is something in the destination.</exception>
    /// <exception cref="StoreException">The journal is damaged, or was cleaned faster than it could be copied, ten times.</exception>
    /// <exception cref="IOException">A disk failed.</exception>
    public async Task<BackupManifest> CreateAsync(string source, string destination, CancellationToken cancellationToken = default)
    {
        RequireEmpty(Disk, destination);
        DurableDirectory.Create(Disk, destination);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await CopyAsync(source, destination, cancellationToken);
            }
            catch (Exception exception)
            {
                DeleteAll(destination);
                if (exception is not (BackupOverrunException or FileNotFoundException) || attempt == AttemptsMax)
                {
                    throw exception is BackupOverrunException ? new StoreException($"the journal in {source} was cleaned faster than it could be copied", exception) : exception;
                }
            }
        }
    }

    /// <summary>Checks a backup: each file against its checksum, and each record as in <see cref="JournalInspector"/>.</summary>
    /// <exception cref="StoreException">It is none, or damaged.</exception>
    public async Task<BackupManifest> VerifyAsync(string backup, CancellationToken cancellationToken = default)
    {
        var manifest = BackupManifest.Read(Disk, backup);
        foreach (var file in manifest.Files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Check(file, backup, copy: null);
        }

        var report = await new JournalInspector(runtime, backup).RunAsync(Position.Zero, null, null, cancellationToken);
        if (report.Faults.Count > 0)
        {
            throw new StoreException($"{backup} is damaged at position {report.Faults[0].Position}: {report.Faults[0].Detail}");
        }

        return (report.First, report.End, report.Records) == (manifest.First, manifest.End, manifest.Records)
            ? manifest
            : throw new StoreException($"{backup} holds positions {report.First} to {report.End}, and its {BackupManifest.FileName} says {manifest.First} to {manifest.End}");
    }

    /// <summary>Copies a backup's journal, checked on its way and durable when it returns. The copy has no identity yet, so no replica starts in it.</summary>
    /// <param name="backup">A backup.</param>
    /// <param name="destination">Must be absent or empty. Nothing of ours stays in it when this fails.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DirectoryNotEmptyException">There is something in the destination.</exception>
    /// <exception cref="StoreException">The backup is none, or damaged.</exception>
    public async Task<BackupManifest> CopyBackAsync(string backup, string destination, CancellationToken cancellationToken = default)
    {
        RequireEmpty(Disk, destination);
        var manifest = await VerifyAsync(backup, cancellationToken);
        DurableDirectory.Create(Disk, destination);
        try
        {
            foreach (var file in manifest.Files)
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var copy = Disk.Open(Path.Combine(destination, file.Name), DiskFileMode.CreateNew);
                Check(file, backup, copy);
            }

            Disk.SyncDirectory(destination);
            return manifest;
        }
        catch
        {
            DeleteAll(destination);
            throw;
        }
    }

    private async Task<BackupManifest> CopyAsync(string source, string destination, CancellationToken cancellationToken)
    {
        // Where to cut: what the newest checkpoint and the mark at the end say is committed.
        var inspector = new JournalInspector(runtime, source) { IsQuick = true };
        var overview = await inspector.RunAsync(new Position(long.MaxValue), null, null, cancellationToken);
        ThrowIfDamaged(overview);
        if (overview.Committed == Position.Zero)
        {
            throw new StoreException($"{source} cannot be backed up: nothing in it is known to be committed yet");
        }

        // The checkpoint first: it goes away when the next but one is written. Then the records that it needs, the oldest first, before they are cleaned.
        var names = CopyCheckpoint(overview, source, destination);
        using var segments = new BackupSegments(Disk, destination);
        var copied = await inspector.RunAsync(Position.Zero, overview.Committed, segments, cancellationToken);
        ThrowIfDamaged(copied);
        if (segments.End != overview.Committed || copied.First > overview.Cleaned)
        {
            throw new BackupOverrunException(); // what was to be read next was cleaned: the inspection goes on with the oldest that is left, the copy cannot
        }

        segments.Finish(isLast: true);
        names.AddRange(segments.Names);
        var files = names.Select(name => BackupFiles.Read(Disk, Path.Combine(destination, name), copy: null)).ToArray();
        var manifest = new BackupManifest(
            NewGuid(), runtime.Time.GetUtcNow(), copied.First, copied.End, copied.LastEpoch, copied.Records, files);
        manifest.Write(Disk, destination);
        await VerifyAsync(destination, cancellationToken);
        return manifest;
    }

    private List<string> CopyCheckpoint(JournalReport overview, string source, string destination)
    {
        if (overview.Checkpoint is not { } checkpoint)
        {
            return [];
        }

        var name = StoreFileNames.Checkpoint(checkpoint);
        using var copy = Disk.Open(Path.Combine(destination, name), DiskFileMode.CreateNew);
        BackupFiles.Read(Disk, Path.Combine(source, name), copy);
        return [name];
    }

    private static void ThrowIfDamaged(JournalReport report)
    {
        if (report.Damage is { } damage)
        {
            throw new StoreException($"{report.Directory} cannot be backed up: {damage.Detail} (position {damage.Position})");
        }
    }

    private void Check(BackupFile expected, string backup, IDiskFile? copy)
    {
        var path = Path.Combine(backup, expected.Name);
        if (!Disk.FileExists(path))
        {
            throw new StoreException($"{backup} is damaged: {expected.Name} is missing");
        }

        if (BackupFiles.Read(Disk, path, copy) != expected)
        {
            throw new StoreException($"{backup} is damaged: {expected.Name} is not what was written (its SHA-256 or its length differs)");
        }
    }

    private static void RequireEmpty(IDisk disk, string directory)
    {
        if (disk.ListFiles(directory) is [var first, ..])
        {
            throw new DirectoryNotEmptyException(directory, first);
        }
    }

    private void DeleteAll(string directory)
    {
        foreach (var name in Disk.ListFiles(directory))
        {
            Disk.Delete(Path.Combine(directory, name));
        }
    }

    private Guid NewGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        runtime.Random.NextBytes(bytes);
        return new Guid(bytes);
    }
}

/// <summary>What needs an empty directory was given one that is not.</summary>
public sealed class DirectoryNotEmptyException(string directory, string file)
    : StoreException($"{directory} is not empty (it holds {file}): nothing was changed in it");
