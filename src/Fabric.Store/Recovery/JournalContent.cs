using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Recovery;

/// <summary>Tells a damaged journal that was never written to from one that was, without changing anything.</summary>
internal static class JournalContent
{
    /// <summary>Looks for a sign that something was stored: a checkpoint, a copy, a later segment than the first, or bytes of the first one that may be a record's or a later mark's. Under the directory's lock.</summary>
    /// <param name="disk">Where the directory is.</param>
    /// <param name="directory">The journal's.</param>
    /// <returns>What was found, for people; null when there is no sign.</returns>
    /// <exception cref="StoreException">A later version wrote one of the files, or one cannot be read.</exception>
    public static string? FindSign(IDisk disk, string directory)
    {
        var name = disk.ListFiles(directory).FirstOrDefault(name => StoreFileNames.IsCheckpoint(name) || name is StoreFileNames.CheckpointBeside or StoreFileNames.Switch);
        if (name is not null)
        {
            return name;
        }

        IReadOnlyList<StoreFile> files;
        try
        {
            files = StoreDirectory.Read(disk, directory);
        }
        catch (SegmentCorruptException exception)
        {
            return exception.Message;
        }

        foreach (var file in files)
        {
            if (file.Named > Position.Zero || (file.Kind == StoreFileKind.Segment && file.Header.First > Position.Zero))
            {
                return Path.GetFileName(file.Path);
            }

            if (file.Kind != StoreFileKind.Spare && HasRecords(disk, file.Path))
            {
                return $"a record in {Path.GetFileName(file.Path)}";
            }
        }

        return null;
    }

    /// <summary>The header may be the damage: all behind it is looked at.</summary>
    private static bool HasRecords(IDisk disk, string path)
    {
        var segment = new Segment(path, Position.Zero, LengthOf(disk, path) - Segment.FileBytes(0));
        if (segment.Capacity <= 0)
        {
            return false;
        }

        using var segments = new SegmentSet(disk, DiskFileMode.Read);
        segments.Add(segment);
        try
        {
            return new SegmentScan(segments, segment).LookBehind(Position.Zero).HasRemains;
        }
        catch (SegmentCorruptException)
        {
            return true; // what the disk cannot read may have been one
        }
    }

    private static long LengthOf(IDisk disk, string path)
    {
        using var file = disk.Open(path, DiskFileMode.Read);
        return file.Length;
    }
}
