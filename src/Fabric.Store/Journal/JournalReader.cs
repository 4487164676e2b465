namespace Fabric.Store.Journal;

/// <summary>
/// Reads a journal's bytes in order, for another replica, and checks each record as it passes. The other one checks them too, but it cannot tell damage on this disk from damage on the way: without
/// this look, who sends what has rotted would send it again and again, and never hear why nobody follows. One reader at a time.
/// </summary>
/// <remarks>A record's last bytes are not given out before its checksum is known to be right.</remarks>
public sealed class JournalReader
{
    private readonly Journal _journal;
    private readonly long _cuts;
    private readonly byte[] _header = new byte[RecordFormat.HeaderBytes];
    private Position _record; // that is being read
    private RecordHeader _parsed;
    private int _headerBytes; // of it that were read
    private int _bodyBytes;
    private uint _checksum;

    internal JournalReader(Journal journal, Position from) => (_journal, _cuts, _record, Position) = (journal, journal.Cuts, from, from);

    /// <summary>Of the next byte.</summary>
    public Position Position { get; private set; }

    /// <summary>Reads on, as far as the journal offers it; the bytes may begin and end inside a record.</summary>
    /// <returns>How many; 0 when there are none yet, or when the journal was cut meanwhile.</returns>
    /// <exception cref="SegmentCorruptException">A record is damaged; the journal has failed for it.</exception>
    /// <exception cref="InvalidRecordsException">No record begins where the reader was opened.</exception>
    /// <exception cref="StoreException">The journal failed, or the position has been cleaned away.</exception>
    public int Read(Span<byte> destination)
    {
        var count = _journal.CopyRecords(Position, destination);
        count = _journal.Cuts == _cuts ? count : 0;
        for (var rest = destination[..count]; rest.Length > 0;)
        {
            rest = rest[Take(rest)..];
        }

        Position += count;
        return count;
    }

    /// <summary>Takes in bytes of one record.</summary>
    /// <returns>How many.</returns>
    private int Take(ReadOnlySpan<byte> bytes)
    {
        if (_headerBytes < RecordFormat.HeaderBytes)
        {
            var part = bytes[..Math.Min(bytes.Length, RecordFormat.HeaderBytes - _headerBytes)];
            part.CopyTo(_header.AsSpan(_headerBytes));
            _headerBytes += part.Length;
            if (_headerBytes == RecordFormat.HeaderBytes)
            {
                BeginBody();
            }

            return part.Length;
        }

        var body = bytes[..Math.Min(bytes.Length, _parsed.BodyBytes - _bodyBytes)];
        _checksum = Checksum.Append(_checksum, body);
        _bodyBytes += body.Length;
        EndRecordIfWhole();
        return body.Length;
    }

    private void BeginBody()
    {
        // What is offered ends with a record, so one that reaches further is none: its length is damaged.
        if (!RecordFormat.TryReadHeader(_header, _record, out _parsed) || _record + _parsed.RecordBytes > _journal.Offered)
        {
            _journal.Examine(_record, _cuts);
        }

        (_bodyBytes, _checksum) = (0, Checksum.Start);
        EndRecordIfWhole();
    }

    private void EndRecordIfWhole()
    {
        if (_bodyBytes < _parsed.BodyBytes)
        {
            return;
        }

        if (!RecordFormat.Matches(_header, _record, _checksum))
        {
            _journal.Examine(_record, _cuts);
        }

        _record += _parsed.RecordBytes;
        _headerBytes = 0;
    }
}
