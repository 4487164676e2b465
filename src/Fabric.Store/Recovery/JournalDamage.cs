using System.Text;
using Fabric.Runtime.Disk;
using Fabric.Store.Copy;
using Fabric.Store.Segments;

namespace Fabric.Store.Recovery;

/// <summary>
/// What says on disk that a journal has lost something it had synced: the file <c>journal.damaged</c>, by being there. As long as it is, the journal is not opened, whatever its files look like; it goes when
/// a copy has taken the journal's place (<see cref="JournalSwitch"/>), and not before while there is any other replica. What is in it is for people: the reason.
/// </summary>
/// <remarks>
/// Damage that a start finds would be found by the next one too, since recovery leaves the files as they are. What was found while the journal was in use may lie where no start looks, and what
/// one read has shown another may hide; so it is written down before anything else is done about it.
/// </remarks>
public static class JournalDamage
{
    /// <summary>Writes it down; on disk when it returns. A damage that is written down already stays the one that people read. Under the directory's lock.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    /// <param name="reason">What is lost where.</param>
    /// <exception cref="IOException">The disk failed; what is known is to be kept in memory, and written later.</exception>
    public static void Mark(IDisk disk, string directory, string reason)
    {
        using (var file = disk.Open(PathIn(directory), DiskFileMode.OpenOrCreate))
        {
            disk.SyncDirectory(directory); // the name is what counts, and it fits on a full disk
            if (file.Length == 0)
            {
                TryWrite(file, reason);
            }
        }

        DropSwitch(disk, directory);
    }

    /// <summary>What is lost where; null when nothing is known to be.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    public static string? Find(IDisk disk, string directory)
    {
        if (!disk.FileExists(PathIn(directory)))
        {
            return null;
        }

        using var file = disk.Open(PathIn(directory), DiskFileMode.Read);
        var bytes = new byte[file.Length];
        var count = file.Read(bytes, 0);
        return count > 0 ? Encoding.UTF8.GetString(bytes.AsSpan(0, count)) : "it was found to be damaged earlier";
    }

    /// <exception cref="SegmentCorruptException">It is damaged.</exception>
    internal static void ThrowIfFound(IDisk disk, string directory)
    {
        if (Find(disk, directory) is { } reason)
        {
            throw new SegmentCorruptException(reason);
        }
    }

    /// <summary>Takes it back: a copy has taken the journal's place, or there is nobody to copy from and a person is to decide.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    public static void Clear(IDisk disk, string directory)
    {
        disk.Delete(PathIn(directory));
        disk.SyncDirectory(directory);
    }

    private static string PathIn(string directory) => Path.Combine(directory, StoreFileNames.Damaged);

    private static void TryWrite(IDiskFile file, string reason)
    {
        try
        {
            file.Write(Encoding.UTF8.GetBytes(reason), 0);
            file.Sync();
        }
        catch (IOException exception) when (StoreUnavailableException.IsDiskFull(exception))
        {
            // People find the reason in the log.
        }
    }

    /// <summary>
    /// A switch that could not be finished must not be tried again later: what is copied next has files of the same names, and only a part of them.
    /// </summary>
    private static void DropSwitch(IDisk disk, string directory)
    {
        var mark = Path.Combine(directory, StoreFileNames.Switch);
        if (disk.FileExists(mark))
        {
            disk.Delete(mark);
            disk.SyncDirectory(directory);
            JournalCopy.Discard(disk, directory);
        }
    }
}
