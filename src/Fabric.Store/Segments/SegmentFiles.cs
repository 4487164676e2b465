using Fabric.Runtime.Disk;
using Fabric.Store.Journal;

namespace Fabric.Store.Segments;

/// <summary>
/// Makes, recycles, cuts and removes segment files. A new segment is a spare that was filled with zeros (or records of a former life)
/// beforehand: putting it to use writes its header and renames it, and its first sync moves no metadata.
/// </summary>
/// <remarks>
/// The header says what a file is; the name is for people, and for the order of a listing. That is why a rename needs no sync of the directory
/// before records are written: recovery finds a spare with a valid header and renames it. Spares are guarded by one lock; each
/// segment is touched by one caller at a time.
/// </remarks>
internal sealed class SegmentFiles(IDisk disk, string directory, long segmentBytes)
{
    private const int SparesMax = 2;
    private const int ZeroBytes = 1024 * 1024;
    private const int SyncEveryBytes = 4 * ZeroBytes;
    private static readonly byte[] Zeros = new byte[ZeroBytes];

    private readonly Lock _gate = new();
    private readonly List<string> _spares = []; // paths of files of standard length with a zeroed, synced header
    private int _spareNumber = -1; // of the last name that was given

    /// <summary>Whether the next segment would have to be made on the spot.</summary>
    public bool NeedsSpare
    {
        get
        {
            lock (_gate)
            {
                return _spares.Count == 0;
            }
        }
    }

    /// <summary>Takes in a spare that was found at start; one of another length is deleted.</summary>
    public void AdoptSpare(string path)
    {
        using (var file = disk.Open(path, DiskFileMode.Open))
        {
            if (file.Length == Segment.FileBytes(segmentBytes) && TryKeep(path))
            {
                return;
            }
        }

        disk.Delete(path);
    }

    /// <summary>Makes one more spare, and leaves it durable.</summary>
    public void PrepareSpare()
    {
        var path = NextSparePath();
        try
        {
            CreateZeroed(path, Segment.FileBytes(segmentBytes)).Dispose();
            disk.SyncDirectory(directory);
        }
        catch (IOException)
        {
            disk.Delete(path); // half a spare is of no use, and on a full disk it is in the way
            throw;
        }

        if (!TryKeep(path))
        {
            disk.Delete(path);
        }
    }

    /// <summary>Puts a file to use as the segment that begins at the position. Its header is written, not synced.</summary>
    /// <param name="first">Position of its first record.</param>
    /// <param name="bytes">Length of the first batch; a long one gets a segment of its own size.</param>
    /// <param name="progress">Called now and then while a file is made on the spot.</param>
    public Segment Create(Position first, long bytes, Action? progress = null)
    {
        var capacity = Math.Max(segmentBytes, bytes);
        var spare = capacity == segmentBytes ? TakeSpare() : null;
        var path = spare ?? NextSparePath();
        var file = spare is null ? CreateNow(path, Segment.FileBytes(capacity), progress) : disk.Open(path, DiskFileMode.Open);
        var segment = new Segment(path, first, capacity) { File = file };
        WriteHeader(segment, cut: null);
        Rename(segment);
        return segment;
    }

    /// <summary>
    /// Makes room for a long batch in a segment that is empty and too small for it. It stays in its place meanwhile: a replica whose journal has no segment at all has lost it. Its header is written, not synced.
    /// </summary>
    /// <param name="segment">The newest.</param>
    /// <param name="bytes">Length of the batch.</param>
    /// <param name="progress">Called now and then.</param>
    /// <returns>The segment that takes its place, under the same name.</returns>
    public Segment Grow(Segment segment, long bytes, Action progress)
    {
        var file = disk.Open(segment.Path, DiskFileMode.Open);
        try
        {
            FillWithZeros(file, Segment.FileBytes(segment.Capacity), Segment.FileBytes(bytes), progress);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        var grown = new Segment(segment.Path, segment.First, bytes) { File = file };
        WriteHeader(grown, cut: null);
        return grown;
    }

    /// <summary>Gives a segment the name that its header says.</summary>
    public void Rename(Segment segment)
    {
        var path = Path.Combine(directory, StoreFileNames.Segment(segment.First));
        if (path != segment.Path)
        {
            disk.Rename(segment.Path, path);
            segment.Path = path;
        }
    }

    /// <summary>Removes a segment that is needed no more: makes a spare of it, or deletes it when there are enough.</summary>
    /// <param name="segment">Is in no set any more.</param>
    /// <param name="unused">Whether its file may serve again: nobody reads from it, and its positions are not written again. What was cut comes back by the same positions, and a spare's content would be taken for theirs.</param>
    public void Retire(Segment segment, bool unused)
    {
        if (unused && segment.Capacity == segmentBytes && HasRoomForSpare() && disk.FileExists(segment.Path))
        {
            // Zero the header first: a file without one is nobody's data, whatever its name is after a crash.
            using (var file = disk.Open(segment.Path, DiskFileMode.Open))
            {
                file.Write(Zeros.AsSpan(0, SegmentHeader.Bytes), 0);
                file.Sync();
            }

            var path = NextSparePath();
            disk.Rename(segment.Path, path);
            if (TryKeep(path))
            {
                return;
            }

            segment.Path = path;
        }

        disk.Delete(segment.Path);
    }

    /// <summary>
    /// Removes all bytes from the position on, in a segment that is open. The header says so until it is done, so a crash in
    /// between cannot leave a part of them behind.
    /// </summary>
    /// <param name="segment">Holds the position; the last of the journal when <paramref name="removeLater"/> has run.</param>
    /// <param name="position">First byte to remove.</param>
    /// <param name="committed">For the mark that takes their place.</param>
    /// <param name="removeLater">Deletes the segments behind this one.</param>
    public void Cut(Segment segment, Position position, Position committed, Action removeLater)
    {
        WriteHeader(segment, position);
        segment.File!.Sync();
        removeLater();
        disk.SyncDirectory(directory);

        var end = Segment.FileBytes(segment.Capacity);
        for (var offset = segment.OffsetOf(position); offset < end; offset += ZeroBytes)
        {
            segment.File.Write(Zeros.AsSpan(0, (int)Math.Min(ZeroBytes, end - offset)), offset);
        }

        WriteMark(segment, new SyncMark(position, position, committed, Closed: false));
        segment.File.Sync();
        WriteHeader(segment, cut: null);
        segment.File.Sync();
    }

    public static void WriteMark(Segment segment, SyncMark mark)
    {
        Span<byte> bytes = stackalloc byte[SyncMark.Bytes];
        mark.Write(bytes);
        segment.File!.Write(bytes, segment.OffsetOf(mark.Position));
    }

    /// <summary>
    /// Notes at the end of the segment before a position how far the next one is on disk, so that it is missed if its file gets lost.
    /// </summary>
    public static void MarkBefore(SegmentSet segments, Position end, Position synced, Position committed)
    {
        if (segments.TryPinBefore(end) is { } before)
        {
            try
            {
                WriteMark(before, new SyncMark(end, synced, committed, Closed: false));
                before.File!.Sync();
            }
            finally
            {
                segments.Release(before);
            }
        }
    }

    public void SyncDirectory() => disk.SyncDirectory(directory);

    /// <summary>Writes what the file is; not synced.</summary>
    public static void WriteHeader(Segment segment, Position? cut)
    {
        Span<byte> page = stackalloc byte[SegmentHeader.Bytes];
        new SegmentHeader(segment.First, segment.Capacity, cut).Write(page);
        segment.File!.Write(page, 0);
    }

    /// <summary>A file for immediate use: it must not be lost together with its name when its first records are synced.</summary>
    private IDiskFile CreateNow(string path, long length, Action? progress)
    {
        var file = CreateZeroed(path, length, progress);
        disk.SyncDirectory(directory);
        return file;
    }

    private IDiskFile CreateZeroed(string path, long length, Action? progress = null)
    {
        var file = disk.Open(path, DiskFileMode.OpenOrCreate);
        try
        {
            file.SetLength(0);
            FillWithZeros(file, 0, length, progress);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Syncs in slices, so that the journal's own syncs do not queue behind all of it.</summary>
    private static void FillWithZeros(IDiskFile file, long from, long to, Action? progress)
    {
        for (var offset = from; offset < to; offset += ZeroBytes)
        {
            file.Write(Zeros.AsSpan(0, (int)Math.Min(ZeroBytes, to - offset)), offset);
            if ((offset - from) % SyncEveryBytes == 0)
            {
                file.Sync();
                progress?.Invoke();
            }
        }

        file.Sync();
    }

    private string? TakeSpare()
    {
        lock (_gate)
        {
            if (_spares.Count == 0)
            {
                return null;
            }

            var path = _spares[^1];
            _spares.RemoveAt(_spares.Count - 1);
            return path;
        }
    }

    private bool HasRoomForSpare()
    {
        lock (_gate)
        {
            return _spares.Count < SparesMax;
        }
    }

    private bool TryKeep(string path)
    {
        lock (_gate)
        {
            if (_spares.Count >= SparesMax)
            {
                return false;
            }

            _spares.Add(path);
            return true;
        }
    }

    private string NextSparePath()
    {
        string path;
        do
        {
            path = Path.Combine(directory, StoreFileNames.Spare(Interlocked.Increment(ref _spareNumber)));
        }
        while (disk.FileExists(path));
        return path;
    }
}
