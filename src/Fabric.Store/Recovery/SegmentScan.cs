using System.Buffers.Binary;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Recovery;

/// <summary>Called for each sound record of a scan; the body is valid during the call.</summary>
internal delegate void ScannedRecord(Position position, RecordHeader header, ReadOnlySpan<byte> body);

/// <summary>What was found behind the last sound record of a journal.</summary>
/// <param name="Synced">The furthest position that is proved to have been on disk; the end itself when nothing is.</param>
/// <param name="HasRemains">There are bytes that look like records or marks of this place, and must not stay.</param>
internal readonly record struct TailRemains(Position Synced, bool HasRemains);

/// <summary>How a journal ends: in order, in a torn batch, or in damage.</summary>
/// <param name="Committed">What is known to be committed, the mark at the end included.</param>
/// <param name="IsClosed">It was closed in order.</param>
/// <param name="IsTorn">Remains of a batch that nobody was told of stand behind the end.</param>
/// <param name="Damage">Why what stands behind the end had been on disk; null when nothing says so.</param>
internal readonly record struct TailState(Position Committed, bool IsClosed, bool IsTorn, string? Damage);

/// <summary>Reads one segment file record by record.</summary>
internal sealed class SegmentScan(SegmentSet segments, Segment segment)
{
    private const int WindowBytes = 1024 * 1024;

    private byte[] _window = new byte[WindowBytes];
    private Position _windowStart;
    private int _windowBytes;

    /// <summary>Reads from the position on until what follows is no sound record, or the limit is reached.</summary>
    /// <param name="from">Where a record begins.</param>
    /// <param name="record">Is shown each of them.</param>
    /// <param name="until">No record that begins here or later is read; null for no limit.</param>
    /// <returns>Where that is.</returns>
    public Position Run(Position from, ScannedRecord record, Position? until = null)
    {
        segments.Pin(segment);
        try
        {
            for (var at = from; ;)
            {
                if (at >= until
                    || Read(at, RecordFormat.HeaderBytes) is not { Length: >= RecordFormat.HeaderBytes } bytes
                    || !RecordFormat.TryReadHeader(bytes, at, out var header)
                    || !RecordFormat.TryReadRecord(Read(at, header.RecordBytes), at, out header))
                {
                    return at;
                }

                record(at, header, Read(at, header.RecordBytes).Slice(RecordFormat.HeaderBytes, header.BodyBytes));
                at += header.RecordBytes;
            }
        }
        finally
        {
            segments.Release(segment);
        }
    }

    /// <summary>
    /// Tells a journal that ends at the position from one that was torn there by a crash and from one that is damaged there (FORMAT.md, "What a start
    /// does", 4).
    /// </summary>
    /// <param name="end">Behind the last sound record of the last segment.</param>
    /// <param name="committed">What is known to be committed from elsewhere.</param>
    public TailState ExamineTail(Position end, Position committed)
    {
        if (MarkAt(end) is { } mark)
        {
            committed = Position.Max(committed, mark.Committed);
            if (mark.Synced > end)
            {
                return new TailState(committed, IsClosed: false, IsTorn: false, $"the segment ends here, but everything up to {mark.Synced} was on disk, in one that is gone");
            }

            if (mark.Closed)
            {
                return new TailState(committed, IsClosed: true, IsTorn: false, null);
            }
        }

        var behind = LookBehind(end);
        var damage = behind.Synced > end ? $"a record cannot be read, but everything up to {behind.Synced} was on disk"
            : end < committed ? $"a record cannot be read, but everything up to {committed} was committed"
            : null;
        return new TailState(committed, IsClosed: false, behind.HasRemains && damage is null, damage);
    }

    public SyncMark? MarkAt(Position position)
    {
        Span<byte> bytes = stackalloc byte[SyncMark.Bytes];
        ReadMark(position, bytes);
        return SyncMark.Read(bytes, position);
    }

    /// <summary>Whether neither a record nor a mark was ever written at the position.</summary>
    public bool IsZeroAt(Position position)
    {
        Span<byte> bytes = stackalloc byte[SyncMark.Bytes];
        ReadMark(position, bytes);
        return !bytes.ContainsAnyExcept((byte)0);
    }

    /// <summary>
    /// Looks at every byte behind the end for headers and marks that belong to their place. A record, or a mark, proves the batch before
    /// its own to have been on disk.
    /// </summary>
    public TailRemains LookBehind(Position end)
    {
        segments.Pin(segment);
        try
        {
            var remains = new TailRemains(end, false);
            var last = segment.First + segment.Capacity;
            for (var at = end; at <= last; at += 1)
            {
                var bytes = Read(at, SyncMark.Bytes);
                if (bytes.Length < RecordFormat.HeaderBytes)
                {
                    break;
                }

                at += SkipTo(bytes, at);
                if (at <= last)
                {
                    remains = LookAt(at, end, remains);
                }
            }

            return remains;
        }
        finally
        {
            segments.Release(segment);
        }
    }

    private void ReadMark(Position position, Span<byte> bytes)
    {
        segments.Pin(segment);
        try
        {
            segment.Read(bytes, position);
        }
        finally
        {
            segments.Release(segment);
        }
    }

    /// <summary>How far to the next byte of the window that may begin a header or a mark; what cannot is skipped quickly.</summary>
    private int SkipTo(ReadOnlySpan<byte> bytes, Position at)
    {
        var window = _window.AsSpan((int)(at - _windowStart), _windowBytes - (int)(at - _windowStart));
        for (var i = 0; i + SyncMark.Bytes <= window.Length; i++)
        {
            var looksLikeRecord = BinaryPrimitives.ReadUInt32LittleEndian(window[(i + 8)..]) == (uint)(at.Value + i);
            if (looksLikeRecord || window[i] == SyncMark.Magic[0])
            {
                return i;
            }
        }

        return Math.Max(0, window.Length - SyncMark.Bytes);
    }

    private TailRemains LookAt(Position at, Position end, TailRemains found)
    {
        var bytes = Read(at, SyncMark.Bytes);
        if (SyncMark.Read(bytes, at) is { } mark)
        {
            // The mark at the end itself is the regular one.
            return at == end ? found : new TailRemains(Position.Max(found.Synced, mark.Synced), true);
        }

        if (bytes.Length < RecordFormat.HeaderBytes || !RecordFormat.TryReadHeader(bytes, at, out var header))
        {
            return found;
        }

        // A batch is at most one batch length, or one record; so a record further away was written after the end had been synced.
        var later = at - end > BatchLimits.BytesMax && RecordFormat.TryReadRecord(Read(at, header.RecordBytes), at, out _);
        return new TailRemains(later ? Position.Max(found.Synced, at) : found.Synced, true);
    }

    /// <summary>The bytes at a position, from a window over the file; fewer at the end of the file.</summary>
    private ReadOnlySpan<byte> Read(Position at, int count)
    {
        var offset = at - _windowStart;
        if (offset < 0 || offset + count > _windowBytes)
        {
            if (count > _window.Length)
            {
                _window = new byte[count];
            }

            _windowStart = at;
            _windowBytes = segment.Read(_window, at);
            offset = 0;
        }

        return _window.AsSpan((int)offset, (int)Math.Min(count, _windowBytes - offset));
    }
}
