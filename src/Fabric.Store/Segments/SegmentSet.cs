using Fabric.Runtime.Disk;
using Fabric.Store.Journal;

namespace Fabric.Store.Segments;

/// <summary>
/// The segment files of a journal: finds the one of a position, keeps a bounded number of them open, reads. No call to the disk is made under the lock, so a disk that hangs holds up
/// only who needs it. Thread-safe; which segments
/// there are is changed by one caller at a time (the journal's writer adds and cuts at the end, its keeper removes at the start).
/// </summary>
internal sealed class SegmentSet(IDisk disk, DiskFileMode mode = DiskFileMode.Open) : IDisposable
{
    /// <summary>Files kept open beyond those in use: 2 GiB of journal at the default size.</summary>
    private const int OpenMax = 64;

    private readonly Lock _gate = new();
    private readonly List<Segment> _segments = []; // by first position
    private long _uses;
    private int _open;

    /// <summary>The oldest position that is still there.</summary>
    public Position First
    {
        get
        {
            lock (_gate)
            {
                return _segments.Count == 0 ? Position.Zero : _segments[0].First;
            }
        }
    }

    public IReadOnlyList<Segment> All
    {
        get
        {
            lock (_gate)
            {
                return [.. _segments];
            }
        }
    }

    /// <summary>The segment that is written to.</summary>
    public Segment Newest
    {
        get
        {
            lock (_gate)
            {
                return _segments[^1];
            }
        }
    }

    /// <summary>Adds the newest segment; the set owns its file from now on.</summary>
    public void Add(Segment segment)
    {
        lock (_gate)
        {
            _segments.Add(segment);
            _open += segment.File is null ? 0 : 1;
        }
    }

    /// <summary>Puts a segment in the place of the newest, which begins where it does.</summary>
    public void Replace(Segment newest, Segment segment)
    {
        lock (_gate)
        {
            _segments[^1] = segment;
            _open += segment.File is null ? 0 : 1;
        }

        TryClose(newest);
    }

    /// <summary>Reads bytes of the journal, up to the end of the segment that holds the first of them.</summary>
    /// <param name="from">First byte.</param>
    /// <param name="destination">Where to; filled from its start.</param>
    /// <returns>Bytes read, at least 1; 0 when the position is not there any more.</returns>
    public int Read(Position from, Span<byte> destination)
    {
        var (segment, end) = Acquire(from);
        if (segment is null)
        {
            return 0;
        }

        try
        {
            var count = (int)Math.Min(destination.Length, end - from);
            var read = segment.Read(destination[..count], from);
            return read == count
                ? count
                : throw new SegmentCorruptException(segment.Path, from + read, "the file is too short");
        }
        finally
        {
            Release(segment);
        }
    }

    /// <summary>Keeps a segment's file open until <see cref="Release"/>.</summary>
    public void Pin(Segment segment)
    {
        lock (_gate)
        {
            Use(segment);
        }

        if (!TryOpen(segment))
        {
            throw new InvalidOperationException($"{segment.Path} was removed");
        }
    }

    /// <summary>Keeps the file of the segment that ends at the position open until <see cref="Release"/>; null when there is none.</summary>
    public Segment? TryPinBefore(Position end)
    {
        Segment? segment;
        lock (_gate)
        {
            segment = _segments.LastOrDefault(segment => segment.First < end);
            if (segment is null)
            {
                return null;
            }

            Use(segment);
        }

        return TryOpen(segment) ? segment : null;
    }

    public void Release(Segment segment)
    {
        List<IDiskFile>? closed = null;
        lock (_gate)
        {
            segment.Users--;
            if (segment is { Removed: true, Users: 0 })
            {
                Close(segment, ref closed);
            }

            CloseIdle(ref closed);
        }

        Dispose(closed);
    }

    /// <summary>Takes out the segments that lie wholly before the position, oldest first; the newest always stays.</summary>
    public IReadOnlyList<Segment> RemoveBefore(Position position)
    {
        lock (_gate)
        {
            var count = 0;
            while (count + 1 < _segments.Count && _segments[count + 1].First <= position)
            {
                count++;
            }

            return Take(0, count);
        }
    }

    /// <summary>Takes out the segments that begin after the position, newest first.</summary>
    public IReadOnlyList<Segment> RemoveAfter(Position position)
    {
        lock (_gate)
        {
            var index = _segments.FindIndex(segment => segment.First > position);
            return index < 0 ? [] : [.. Enumerable.Reverse(Take(index, _segments.Count - index))];
        }
    }

    /// <summary>Closes the file of a segment that was taken out, at once or when its last reader is done; whether it was at once.</summary>
    public bool TryClose(Segment segment)
    {
        List<IDiskFile>? closed = null;
        lock (_gate)
        {
            segment.Removed = true;
            if (segment.Users > 0)
            {
                return false;
            }

            Close(segment, ref closed);
        }

        Dispose(closed);
        return true;
    }

    public void Dispose()
    {
        List<IDiskFile>? closed = null;
        lock (_gate)
        {
            foreach (var segment in _segments)
            {
                Close(segment, ref closed);
            }
        }

        Dispose(closed);
    }

    private List<Segment> Take(int index, int count)
    {
        var taken = _segments.GetRange(index, count);
        _segments.RemoveRange(index, count);
        return taken;
    }

    private (Segment? Segment, Position End) Acquire(Position position)
    {
        Segment segment;
        Position end;
        lock (_gate)
        {
            var index = IndexOf(position);
            if (index < 0)
            {
                return default;
            }

            segment = _segments[index];
            Use(segment);
            end = index + 1 < _segments.Count ? _segments[index + 1].First : segment.First + segment.Capacity;
        }

        return TryOpen(segment) ? (segment, end) : default;
    }

    private int IndexOf(Position position)
    {
        var (low, high) = (0, _segments.Count - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (_segments[middle].First <= position)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return high;
    }

    /// <summary>Under the lock: from here on nobody closes it.</summary>
    private void Use(Segment segment)
    {
        segment.LastUse = ++_uses;
        segment.Users++;
    }

    /// <summary>Opens the file of a segment in use, unless it is open. Two who come at once both open it, and one gives way.</summary>
    /// <returns>False when it was removed meanwhile; it is not in use then.</returns>
    /// <exception cref="SegmentCorruptException">It is gone, and nobody has removed it.</exception>
    private bool TryOpen(Segment segment)
    {
        lock (_gate)
        {
            if (segment.File is not null)
            {
                return true;
            }
        }

        IDiskFile opened;
        try
        {
            opened = disk.Open(segment.Path, mode);
        }
        catch (FileNotFoundException) when (mode == DiskFileMode.Open) // who only looks expects files to come and go
        {
            Release(segment);
            return segment.Removed ? false : throw new SegmentCorruptException($"the segment {segment.Path} is gone");
        }
        catch
        {
            Release(segment);
            throw;
        }

        lock (_gate)
        {
            if (segment.File is null)
            {
                segment.File = opened;
                _open++;
                return true;
            }
        }

        opened.Dispose();
        return true;
    }

    private void CloseIdle(ref List<IDiskFile>? closed)
    {
        while (_open > OpenMax)
        {
            var oldest = _segments.Where(segment => segment.File is not null && segment.Users == 0).MinBy(segment => segment.LastUse);
            if (oldest is null)
            {
                return;
            }

            Close(oldest, ref closed);
        }
    }

    private void Close(Segment segment, ref List<IDiskFile>? closed)
    {
        if (segment.File is { } file)
        {
            segment.File = null;
            _open--;
            (closed ??= []).Add(file);
        }
    }

    private static void Dispose(List<IDiskFile>? closed)
    {
        foreach (var file in closed ?? [])
        {
            file.Dispose();
        }
    }
}
