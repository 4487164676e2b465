using System.Buffers;
using Fabric.Store.Copy;
using Fabric.Store.Recovery;

namespace Fabric.Store.Journal;

/// <summary>Bytes back out: from memory when they are recent, from the segments otherwise.</summary>
public sealed partial class Journal
{
    private const int CheckBufferBytes = 64 * 1024;

    /// <summary>How often the tail was cut.</summary>
    internal long Cuts => Volatile.Read(ref _cuts);

    /// <summary>
    /// Copies raw bytes from the position on, as far as they are offered; they may begin and end inside a record.
    /// </summary>
    /// <returns>How many; 0 when there are none yet.</returns>
    /// <exception cref="StoreException">The journal failed, or the position has been cleaned away.</exception>
    public int CopyRecords(Position from, Span<byte> destination)
    {
        ThrowIfFailed();
        var cuts = Volatile.Read(ref _cuts);
        var count = CopyBytes(from, destination, Offered);
        return cuts == Volatile.Read(ref _cuts) ? count : 0;
    }

    /// <summary>Reads what is offered to other replicas, from a record on, and checks it (<see cref="JournalReader"/>).</summary>
    /// <param name="from">Where a record begins.</param>
    public JournalReader OpenReader(Position from) => new(this, from);

    /// <summary>Opens the newest sound checkpoint for another replica; null when there is none yet. Reads all of it once.</summary>
    /// <exception cref="IOException">The disk failed.</exception>
    public CheckpointReader? OpenCheckpoint() => CheckpointReader.OpenNewest(_runtime.Disk, _options.Directory);

    /// <inheritdoc/>
    public void ReadBody(Position record, int bodyOffset, Span<byte> destination)
    {
        if (!TryReadRecent(record, bodyOffset, destination))
        {
            ReadBodyFromDisk(record, bodyOffset, destination);
        }
    }

    /// <inheritdoc/>
    public bool TryReadRecent(Position record, int bodyOffset, Span<byte> destination)
    {
        ThrowIfFailed();
        return _tail.TryCopy(record + RecordFormat.HeaderBytes + bodyOffset, destination);
    }

    /// <summary>
    /// What was read from a position on is no sound record: finds out whether that is the journal's damage, which ends it, or whether no record begins there at all, which is the mistake of whoever named the position.
    /// </summary>
    /// <param name="position">Where.</param>
    /// <param name="cuts">How often the journal had been cut when the reading began.</param>
    /// <exception cref="SegmentCorruptException">It is damage.</exception>
    /// <exception cref="InvalidRecordsException">No record begins there.</exception>
    internal void Examine(Position position, long cuts)
    {
        var segment = _segments.All.LastOrDefault(segment => segment.First <= position);
        var reached = segment is null ? position + 1 : new SegmentScan(_segments, segment).Run(segment.First, static (_, _, _) => { }, position);
        if (reached > position || Cuts != cuts)
        {
            throw new InvalidRecordsException(position, "no record begins there");
        }

        var damage = new SegmentCorruptException(_options.Directory, reached, "the record is not what was written");
        Fail(damage);
        throw damage;
    }

    /// <summary>Copies bytes from wherever they are, up to the limit.</summary>
    private int CopyBytes(Position from, Span<byte> destination, Position limit)
    {
        var cuts = Cuts;
        var wanted = (int)Math.Clamp(limit - from, 0, destination.Length);
        var copied = 0;
        while (copied < wanted)
        {
            var at = from + copied;
            var rest = destination[copied..wanted];
            var inMemory = _tail.First;
            if (at >= inMemory)
            {
                if (_tail.TryCopy(at, rest))
                {
                    return wanted;
                }

                if (Cuts != cuts)
                {
                    return copied; // it is not there any more
                }

                continue; // it was given up just now, so it is on disk
            }

            copied += ReadDisk(at, rest[..(int)Math.Min(rest.Length, inMemory - at)]);
        }

        return wanted;
    }

    private int ReadDisk(Position from, Span<byte> destination)
    {
        try
        {
            var count = _segments.Read(from, destination);
            return count > 0
                ? count
                : throw new PositionCleanedException(from, First);
        }
        catch (IOException exception) when (exception is not PositionCleanedException)
        {
            Fail(exception);
            if (exception is StoreException)
            {
                throw;
            }

            throw Again(_failure!);
        }
    }

    private void FillFromDisk(Position from, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var count = ReadDisk(from, destination);
            destination = destination[count..];
            from += count;
        }
    }

    /// <summary>Reads from a segment and checks the whole record, whichever part is asked for: bit rot must not be served.</summary>
    private void ReadBodyFromDisk(Position record, int bodyOffset, Span<byte> destination)
    {
        Span<byte> headerBytes = stackalloc byte[RecordFormat.HeaderBytes];
        FillFromDisk(record, headerBytes);
        var body = record + RecordFormat.HeaderBytes;
        var sound = RecordFormat.TryReadHeader(headerBytes, record, out var header);
        if (sound)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan((long)bodyOffset + destination.Length, header.BodyBytes, nameof(destination));
            FillFromDisk(body + bodyOffset, destination);
            var end = bodyOffset + destination.Length;
            var state = Checksum.Append(ChecksumOnDisk(body, bodyOffset, Checksum.Start), destination);
            sound = RecordFormat.Matches(headerBytes, record, ChecksumOnDisk(body + end, header.BodyBytes - end, state));
        }

        if (!sound)
        {
            var damage = new SegmentCorruptException(_options.Directory, record, "the record is not what was written");
            Fail(damage);
            throw damage;
        }
    }

    private uint ChecksumOnDisk(Position from, int count, uint state)
    {
        if (count == 0)
        {
            return state;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(count, CheckBufferBytes));
        try
        {
            while (count > 0)
            {
                var part = buffer.AsSpan(0, Math.Min(count, buffer.Length));
                FillFromDisk(from, part);
                state = Checksum.Append(state, part);
                from += part.Length;
                count -= part.Length;
            }

            return state;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
