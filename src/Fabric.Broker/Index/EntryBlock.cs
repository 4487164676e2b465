using System.Buffers.Binary;
using Fabric.Store;

namespace Fabric.Broker.Index;

/// <summary>
/// What the journal says of the entries of a chunk, in some six bytes each instead of 48. The bytes are those of a checkpoint (RECORDS.md, "Block"):
/// column by column, each value as what it exceeds the least of its column by, in as many bytes as the greatest needs; origins, of which there are few,
/// as places in a list of them where that is shorter.
/// </summary>
/// <remarks>Never changes; may be read by any thread.</remarks>
internal sealed class EntryBlock
{
    private const int Columns = 7;
    private const int PositionColumn = 0;
    private const int EnvelopeColumn = 4;
    private const int PayloadColumn = 3;
    private const int OriginColumn = 6;
    private const int ColumnHeaderBytes = 9;
    private const int HeaderBytes = 2 + (Columns * ColumnHeaderBytes);
    private const byte Listed = 0xFF; // in place of a width: a list, and a place in it for each
    private const int ListedMax = 256;

    private readonly byte[] _bytes;

    private EntryBlock(byte[] bytes)
    {
        _bytes = bytes;
        Count = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    /// <summary>Entries in it, 1 to <see cref="EntryArrays.Largest"/>.</summary>
    public int Count { get; }

    /// <summary>Its form in a checkpoint.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Packs entries in order of their positions, of which there is one at least.</summary>
    public static EntryBlock Pack(ReadOnlySpan<QueueEntry> entries)
    {
        Span<byte> buffer = stackalloc byte[HeaderBytes + (Columns * sizeof(long) * entries.Length)];
        BinaryPrimitives.WriteUInt16LittleEndian(buffer, (ushort)entries.Length);
        var end = HeaderBytes;
        for (var column = 0; column < Columns; column++)
        {
            var header = buffer.Slice(2 + (column * ColumnHeaderBytes), ColumnHeaderBytes);
            end += column == OriginColumn && TryWriteList(header, buffer[end..], entries, out var written)
                ? written
                : WriteColumn(header, buffer[end..], entries, column);
        }

        return new EntryBlock(buffer[..end].ToArray());
    }

    /// <summary>Takes a block of a checkpoint.</summary>
    /// <exception cref="StoreException">It has not the length that it says, or its positions do not ascend.</exception>
    public static EntryBlock Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderBytes || BinaryPrimitives.ReadUInt16LittleEndian(bytes) is 0 or > EntryArrays.Largest)
        {
            throw new StoreException($"a checkpoint of the broker has a block of {bytes.Length} bytes that is none");
        }

        var block = new EntryBlock(bytes.ToArray());
        var end = HeaderBytes;
        for (var column = 0; column < Columns; column++)
        {
            end += block.ColumnBytes(column, end);
        }

        if (end != bytes.Length)
        {
            throw new StoreException($"a checkpoint of the broker has a block of {bytes.Length} bytes that says it has {end}");
        }

        for (var slot = 1; slot < block.Count; slot++)
        {
            if (block.PositionAt(slot) <= block.PositionAt(slot - 1))
            {
                throw new StoreException($"a checkpoint of the broker has messages out of order, at {block.PositionAt(slot)}");
            }
        }

        return block;
    }

    /// <summary>Position of the entry in a slot.</summary>
    public long PositionAt(int slot) => Base(PositionColumn) + (long)ReadNumber(HeaderBytes + (slot * Width(PositionColumn)), Width(PositionColumn));

    /// <summary>Fills an array of at least <see cref="Count"/> entries; their live fields get initial values.</summary>
    public void Unpack(Span<QueueEntry> entries)
    {
        entries[..Count].Clear();
        var at = HeaderBytes;
        for (var column = 0; column < Columns; column++)
        {
            var (width, least) = (Width(column), Base(column));
            if (width == Listed)
            {
                UnpackList(entries, at, (int)least);
            }
            else
            {
                for (var slot = 0; slot < Count; slot++)
                {
                    Set(ref entries[slot], column, least + (long)ReadNumber(at + (slot * width), width));
                }
            }

            at += ColumnBytes(column, at);
        }
    }

    private static int WriteColumn(Span<byte> header, Span<byte> data, ReadOnlySpan<QueueEntry> entries, int column)
    {
        var (least, greatest) = (long.MaxValue, long.MinValue);
        foreach (ref readonly var entry in entries)
        {
            var value = Get(entry, column);
            (least, greatest) = (Math.Min(least, value), Math.Max(greatest, value));
        }

        var width = WidthOf((ulong)(greatest - least));
        header[0] = (byte)width;
        BinaryPrimitives.WriteInt64LittleEndian(header[1..], least);
        for (var slot = 0; slot < entries.Length && width > 0; slot++)
        {
            var value = (ulong)(Get(entries[slot], column) - least);
            for (var i = 0; i < width; i++, value >>= 8)
            {
                data[(slot * width) + i] = (byte)value;
            }
        }

        return width * entries.Length;
    }

    /// <summary>Writes the origins as a list in order of appearance, its length less one in place of the least, and places in it.</summary>
    private static bool TryWriteList(Span<byte> header, Span<byte> data, ReadOnlySpan<QueueEntry> entries, out int written)
    {
        Span<ulong> list = stackalloc ulong[ListedMax];
        Span<byte> places = stackalloc byte[entries.Length];
        var (count, last) = (0, 0);
        written = 0;
        for (var slot = 0; slot < entries.Length; slot++)
        {
            var origin = entries[slot].Origin;
            var place = count > 0 && list[last] == origin ? last : list[..count].IndexOf(origin);
            if (place < 0)
            {
                // A list that is no shorter than the numbers themselves is none.
                if (count == ListedMax || (count + 1) * sizeof(ulong) >= entries.Length * (sizeof(ulong) - 1))
                {
                    return false;
                }

                list[count] = origin;
                place = count++;
            }

            (last, places[slot]) = (place, (byte)place);
        }

        if (count == 1)
        {
            return false; // all are the least, which costs nothing
        }

        header[0] = Listed;
        BinaryPrimitives.WriteInt64LittleEndian(header[1..], count);
        for (var i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(data[(i * sizeof(ulong))..], list[i]);
        }

        places.CopyTo(data[(count * sizeof(ulong))..]);
        written = (count * sizeof(ulong)) + entries.Length;
        return true;
    }

    private void UnpackList(Span<QueueEntry> entries, int at, int count)
    {
        var places = _bytes.AsSpan(at + (count * sizeof(ulong)), Count);
        for (var slot = 0; slot < Count; slot++)
        {
            entries[slot].Origin = BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(at + (places[slot] * sizeof(ulong))));
        }
    }

    private static int WidthOf(ulong span) => (sizeof(ulong) * 8 - System.Numerics.BitOperations.LeadingZeroCount(span) + 7) / 8;

    private static long Get(in QueueEntry entry, int column) => column switch
    {
        PositionColumn => entry.Position,
        1 => entry.Expiration,
        2 => entry.AcceptedAt,
        PayloadColumn => entry.PayloadBytes,
        EnvelopeColumn => entry.EnvelopeBytes,
        5 => entry.Encoding,
        _ => (long)entry.Origin,
    };

    private static void Set(ref QueueEntry entry, int column, long value)
    {
        switch (column)
        {
            case PositionColumn: entry.Position = value; break;
            case 1: entry.Expiration = value; break;
            case 2: entry.AcceptedAt = value; break;
            case PayloadColumn: entry.PayloadBytes = (int)value; break;
            case EnvelopeColumn: entry.EnvelopeBytes = (int)value; break;
            case 5: entry.Encoding = (byte)value; break;
            default: entry.Origin = (ulong)value; break;
        }
    }

    /// <summary>Bytes of a column's data.</summary>
    /// <exception cref="StoreException">Its width is none.</exception>
    private int ColumnBytes(int column, int at)
    {
        var width = Width(column);
        if (width != Listed)
        {
            return width <= sizeof(long) ? width * Count : throw new StoreException($"a checkpoint of the broker has a column of width {width}");
        }

        if (column != OriginColumn || Base(column) is < 1 or > ListedMax)
        {
            throw new StoreException("a checkpoint of the broker has a list that is none");
        }

        var count = (int)Base(column);
        var listed = (count * sizeof(ulong)) + Count;
        if (at + listed <= _bytes.Length && _bytes.AsSpan(at + listed - Count, Count).ContainsAnyInRange((byte)Math.Min(count, byte.MaxValue), byte.MaxValue) && count < ListedMax)
        {
            throw new StoreException("a checkpoint of the broker names a place behind the end of a list");
        }

        return listed;
    }

    private int Width(int column) => _bytes[2 + (column * ColumnHeaderBytes)];

    private long Base(int column) => BinaryPrimitives.ReadInt64LittleEndian(_bytes.AsSpan(3 + (column * ColumnHeaderBytes)));

    private ulong ReadNumber(int at, int width)
    {
        ulong value = 0;
        for (var i = width - 1; i >= 0; i--)
        {
            value = (value << 8) | _bytes[at + i];
        }

        return value;
    }
}
