using System.Buffers;
using Google.Protobuf;

namespace Fabric.Replication.Grpc;

/// <summary>
/// Reads and writes the messages that carry journal bytes (<c>Batch</c> and <c>FetchReply</c>, which look the same) without copying
/// the bytes into an object first: they go from the journal's buffer into the transport's, and at the other end the journal reads
/// them where the transport put them. The generated classes would copy them, into a new large array each time.
/// </summary>
/// <remarks>
/// Protocol Buffers encoding, "Message Structure":
/// <code>
/// | 0x08 | position, varint | 0x12 | length, varint | records |
/// </code>
/// A field that is 0 or empty is left out; fields may come in any order; unknown ones are skipped.
/// </remarks>
internal static class RawBatchCodec
{
    private const byte PositionTag = (1 << 3) | WireFormats.Varint;
    private const byte RecordsTag = (2 << 3) | WireFormats.LengthDelimited;

    public static int SizeOf(long position, in ReadOnlySequence<byte> records)
    {
        var length = checked((int)records.Length);
        return (position == 0 ? 0 : 1 + CodedOutputStream.ComputeInt64Size(position))
            + (length == 0 ? 0 : 1 + CodedOutputStream.ComputeLengthSize(length) + length);
    }

    public static void Write(long position, in ReadOnlySequence<byte> records, IBufferWriter<byte> output)
    {
        if (position != 0)
        {
            WriteVarint(output, PositionTag, (ulong)position);
        }

        if (records.IsEmpty)
        {
            return;
        }

        WriteVarint(output, RecordsTag, (ulong)records.Length);
        foreach (var segment in records)
        {
            output.Write(segment.Span);
        }
    }

    /// <summary>Writes a tag of one byte and a varint.</summary>
    public static void WriteVarint(IBufferWriter<byte> output, byte tag, ulong value)
    {
        var span = output.GetSpan(11);
        span[0] = tag;
        var count = 1;
        while (value >= 0x80)
        {
            span[count++] = (byte)(value | 0x80);
            value >>= 7;
        }

        span[count++] = (byte)value;
        output.Advance(count);
    }

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static (long Position, ReadOnlySequence<byte> Records) Read(in ReadOnlySequence<byte> bytes)
    {
        var reader = new SequenceReader<byte>(bytes);
        var position = 0L;
        var records = ReadOnlySequence<byte>.Empty;
        while (!reader.End)
        {
            var tag = ReadVarint(ref reader);
            switch (tag)
            {
                case PositionTag:
                    position = (long)ReadVarint(ref reader);
                    break;
                case RecordsTag:
                    records = ReadBytes(ref reader);
                    break;
                default:
                    Skip(ref reader, tag);
                    break;
            }
        }

        return (position, records);
    }

    public static ulong ReadVarint(ref SequenceReader<byte> reader)
    {
        var value = 0UL;
        for (var shift = 0; shift < 70; shift += 7)
        {
            if (!reader.TryRead(out var next))
            {
                throw Malformed();
            }

            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw Malformed();
    }

    public static ReadOnlySequence<byte> ReadBytes(ref SequenceReader<byte> reader)
    {
        var length = ReadVarint(ref reader);
        return length <= (ulong)reader.Remaining && reader.TryReadExact((int)length, out var bytes) ? bytes : throw Malformed();
    }

    /// <summary>Skips the value of a field that is not known here.</summary>
    public static void Skip(ref SequenceReader<byte> reader, ulong tag)
    {
        switch (tag & 7)
        {
            case WireFormats.Varint:
                ReadVarint(ref reader);
                break;
            case WireFormats.LengthDelimited:
                ReadBytes(ref reader);
                break;
            case WireFormats.Fixed64 when reader.Remaining >= 8:
                reader.Advance(8);
                break;
            case WireFormats.Fixed32 when reader.Remaining >= 4:
                reader.Advance(4);
                break;
            default:
                throw Malformed();
        }
    }

    private static FormatException Malformed() => new("malformed replication message");

    internal static class WireFormats
    {
        public const int Varint = 0;
        public const int Fixed64 = 1;
        public const int LengthDelimited = 2;
        public const int Fixed32 = 5;
    }
}
