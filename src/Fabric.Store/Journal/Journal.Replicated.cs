using System.Buffers;

namespace Fabric.Store.Journal;

/// <summary>What a slave does: bytes in as they come, records out when they are whole and sound.</summary>
public sealed partial class Journal
{
    /// <summary>
    /// Takes bytes of the master's journal. They may begin and end inside a record; a record counts (<see cref="End"/>) once it is whole
    /// and its checksum is right. One caller at a time.
    /// </summary>
    /// <param name="position">Position of the first byte: where the bytes before it ended.</param>
    /// <param name="bytes">Any number of bytes; copied.</param>
    /// <exception cref="InvalidRecordsException">The bytes do not continue the journal or are damaged. What was not whole is dropped.</exception>
    /// <exception cref="InvalidOperationException">This replica is master.</exception>
    /// <exception cref="StoreException">The journal has failed.</exception>
    public void AppendReplicated(Position position, ReadOnlySequence<byte> bytes)
    {
        lock (_gate)
        {
            ThrowIfFailed();
            if (_isMaster || _closing)
            {
                throw new InvalidOperationException(_closing ? "the journal is closed" : "a master takes no bytes from others");
            }

            if (position.Value != _received)
            {
                var expected = _received;
                _received = _end;
                throw new InvalidRecordsException(position, $"position {expected} comes next");
            }

            foreach (var piece in bytes)
            {
                Take(piece.Span);
            }
        }

        _writerWake.Set();
    }

    /// <summary>Forgets the first part of a record whose rest will not come.</summary>
    public void DropPartialRecord()
    {
        lock (_gate)
        {
            if (!_isMaster)
            {
                _received = _end;
            }
        }
    }

    private void Take(ReadOnlySpan<byte> bytes)
    {
        _tail.Write(new Position(_received), bytes, new Position(_durable));
        _received += bytes.Length;
        Span<byte> headerBytes = stackalloc byte[RecordFormat.HeaderBytes];
        while (_received - _end >= RecordFormat.HeaderBytes)
        {
            var position = new Position(_end);
            CopyFromTail(position, headerBytes);
            if (!RecordFormat.TryReadHeader(headerBytes, position, out var header))
            {
                throw Unusable(position, "there is no record header");
            }

            if (_received - _end < header.RecordBytes)
            {
                return;
            }

            var body = position + RecordFormat.HeaderBytes;
            if (!RecordFormat.Matches(headerBytes, position, ChecksumInTail(body, header.BodyBytes)))
            {
                throw Unusable(position, "the checksum is wrong");
            }

            if (header.Kind <= SystemRecord.KindMax)
            {
                var copy = new byte[header.BodyBytes];
                CopyFromTail(body, copy);
                AddSystemRecord(new SystemRecord(position, header.Kind, copy));
            }

            CompleteRecord(body + header.BodyBytes);
        }
    }

    private InvalidRecordsException Unusable(Position position, string reason)
    {
        _received = _end;
        return new InvalidRecordsException(position, reason);
    }

    private void CopyFromTail(Position from, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var piece = _tail.Piece(from, destination.Length);
            piece.CopyTo(destination);
            destination = destination[piece.Length..];
            from += piece.Length;
        }
    }

    private uint ChecksumInTail(Position from, long count)
    {
        var state = Checksum.Start;
        while (count > 0)
        {
            var piece = _tail.Piece(from, count);
            state = Checksum.Append(state, piece);
            from += piece.Length;
            count -= piece.Length;
        }

        return state;
    }
}
