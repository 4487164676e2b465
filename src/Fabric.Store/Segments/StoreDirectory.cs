using Fabric.Runtime.Disk;
using Fabric.Store.Journal;

namespace Fabric.Store.Segments;

/// <summary>What a file of a journal's directory is, by its header.</summary>
internal enum StoreFileKind
{
    /// <summary>A segment, whatever it is called.</summary>
    Segment,

    /// <summary>A segment to be.</summary>
    Spare,

    /// <summary>Called a segment, with a header of zeros: on its way to or from being a spare.</summary>
    Headless,

    /// <summary>Called a segment, with a header that is none.</summary>
    Damaged,
}

/// <summary>A file that is, was or may become a segment.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Header">The header of a segment.</param>
/// <param name="Named">The position that its name says; zero when it says none.</param>
internal readonly record struct StoreFile(string Path, StoreFileKind Kind, SegmentHeader Header, Position Named);

/// <summary>Looks at the segment files of a directory without changing anything.</summary>
internal static class StoreDirectory
{
    /// <summary>Segments by their first position, then all others in the order of their names.</summary>
    /// <exception cref="NewerFormatException">A later version wrote one of them.</exception>
    /// <exception cref="SegmentCorruptException">The disk cannot read one of them.</exception>
    public static IReadOnlyList<StoreFile> Read(IDisk disk, string directory)
    {
        var found = new List<StoreFile>();
        var page = new byte[SegmentHeader.Bytes];
        foreach (var name in disk.ListFiles(directory).Where(name => StoreFileNames.IsSegment(name) || StoreFileNames.IsSpare(name)))
        {
            var path = Path.Combine(directory, name);
            if (TryReadPage(disk, path, page) is { } count)
            {
                found.Add(Classify(path, name, page.AsSpan(0, count)));
            }
            else if (!StoreFileNames.IsSpare(name)) // one that is missing as a segment shows as a gap
            {
                throw new SegmentCorruptException(path, StoreFileNames.PositionOf(name) ?? Position.Zero, "the disk cannot read its header") { IsUnreadable = true };
            }
        }

        return
        [
            .. found.Where(file => file.Kind == StoreFileKind.Segment).OrderBy(file => file.Header.First),
            .. found.Where(file => file.Kind != StoreFileKind.Segment),
        ];
    }

    /// <summary>Refuses a directory that another program uses: what it holds must not be mixed with ours, and a mistyped path is what brought us here.</summary>
    /// <exception cref="StoreException">There are files, and none of them is a journal's.</exception>
    public static void RefuseForeign(IDisk disk, string directory)
    {
        var names = disk.ListFiles(directory).Where(name => name != "lock" && !name.StartsWith('.')).ToArray();
        if (names.Length > 0 && !names.Any(StoreFileNames.IsOurs))
        {
            throw new StoreException(
                $"{directory} holds files of another program ({string.Join(", ", names.Take(3))}) and no journal of Fabric: name an empty directory, or move them away");
        }
    }

    /// <returns>Null when the disk cannot read it any more.</returns>
    private static int? TryReadPage(IDisk disk, string path, byte[] page)
    {
        using var file = disk.Open(path, DiskFileMode.Read);
        try
        {
            return file.Read(page, 0);
        }
        catch (IOException exception) when (StoreErrors.IsUnreadable(exception))
        {
            return null;
        }
    }

    private static StoreFile Classify(string path, string name, ReadOnlySpan<byte> page)
    {
        var isSpare = StoreFileNames.IsSpare(name);
        var named = isSpare ? null : StoreFileNames.PositionOf(name);
        if (SegmentHeader.Read(page, path) is { } header)
        {
            return new StoreFile(path, StoreFileKind.Segment, header, named ?? Position.Zero);
        }

        var kind = isSpare ? StoreFileKind.Spare
            : page.ContainsAnyExcept((byte)0) || named is null ? StoreFileKind.Damaged
            : StoreFileKind.Headless;
        return new StoreFile(path, kind, default, named ?? Position.Zero);
    }
}
