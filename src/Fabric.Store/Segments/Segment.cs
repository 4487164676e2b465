using Fabric.Runtime.Disk;
using Fabric.Store.Journal;

namespace Fabric.Store.Segments;

/// <summary>One segment file. Its fields belong to the <see cref="SegmentSet"/> that holds it, under that one's lock.</summary>
internal sealed class Segment(string path, Position first, long capacity)
{
    public string Path { get; set; } = path;

    /// <summary>Position of the first byte.</summary>
    public Position First { get; } = first;

    /// <summary>Record bytes that fit.</summary>
    public long Capacity { get; } = capacity;

    /// <summary>The open file; null while it is not needed.</summary>
    public IDiskFile? File { get; set; }

    /// <summary>How many use the file right now.</summary>
    public int Users { get; set; }

    /// <summary>It is not part of the journal any more.</summary>
    public bool Removed { get; set; }

    /// <summary>When it was last used, in uses of any segment.</summary>
    public long LastUse { get; set; }

    /// <summary>Where in the file a position lies.</summary>
    public long OffsetOf(Position position) => SegmentHeader.Bytes + (position - First);

    /// <summary>Reads until the buffer is full or the file ends. The file is open.</summary>
    /// <returns>Bytes read.</returns>
    /// <exception cref="SegmentCorruptException">The disk cannot read them any more.</exception>
    public int Read(Span<byte> buffer, Position position)
    {
        try
        {
            return File!.Read(buffer, OffsetOf(position));
        }
        catch (IOException exception) when (StoreErrors.IsUnreadable(exception))
        {
            throw new SegmentCorruptException(Path, position, $"the disk cannot read it ({exception.Message})") { IsUnreadable = true };
        }
    }

    /// <summary>Length of a segment's file.</summary>
    public static long FileBytes(long capacity) => SegmentHeader.Bytes + capacity + SyncMark.Bytes;
}
