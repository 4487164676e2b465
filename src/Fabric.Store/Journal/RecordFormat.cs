using System.Buffers.Binary;
using System.Numerics;

namespace Fabric.Store.Journal;

/// <summary>A record's header, as read.</summary>
internal readonly record struct RecordHeader(int BodyBytes, uint Checksum, byte Kind, byte Flags)
{
    /// <summary>Header and body.</summary>
    public int RecordBytes => RecordFormat.HeaderBytes + BodyBytes;
}

/// <summary>
/// Records as bytes (FORMAT.md, "Record"):
/// <code>
///  0        4        8        12     13     14     16
///  | u32 n  | u32 c  | u32 p  | kind | flags| 0 0  | n bytes of body …
///  n body length · c CRC-32C of body, position (i64), n and bytes 8 to 15 · p low half of the position
/// </code>
/// </summary>
/// <remarks>
/// The position is part of every record, so that bytes of a former life of a recycled segment, and writes that went astray, are never
/// taken for records. The body is checksummed first, so that an appender does it before it knows its position, outside the lock.
/// </remarks>
internal static class RecordFormat
{
    public const int HeaderBytes = JournalLimits.RecordHeaderBytes;

    private const int ChecksumAt = 4;
    private const int PositionAt = 8;
    private const int KindAt = 12;
    private const int FlagsAt = 13;
    private const int ReservedAt = 14;

    /// <param name="header">Where to write.</param>
    /// <param name="position">Where the record will stand.</param>
    /// <param name="kind">1 to 255.</param>
    /// <param name="flags">Meaning given by the kind.</param>
    /// <param name="bodyBytes">Length of the body.</param>
    /// <param name="bodyState">Checksum state after the body.</param>
    public static void WriteHeader(
        Span<byte> header, Position position, byte kind, byte flags, int bodyBytes, uint bodyState)
    {
        BinaryPrimitives.WriteInt32LittleEndian(header, bodyBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(header[PositionAt..], (uint)position.Value);
        header[KindAt] = kind;
        header[FlagsAt] = flags;
        BinaryPrimitives.WriteUInt16LittleEndian(header[ReservedAt..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(header[ChecksumAt..], Finish(bodyState, position, header));
    }

    /// <summary>Reads a header; false when these bytes cannot be one of a record at this position. The checksum is yet to be compared.</summary>
    public static bool TryReadHeader(ReadOnlySpan<byte> header, Position position, out RecordHeader read)
    {
        read = new RecordHeader(
            BinaryPrimitives.ReadInt32LittleEndian(header),
            BinaryPrimitives.ReadUInt32LittleEndian(header[ChecksumAt..]),
            header[KindAt],
            header[FlagsAt]);
        return BinaryPrimitives.ReadUInt32LittleEndian(header[PositionAt..]) == (uint)position.Value
            && (uint)read.BodyBytes <= JournalLimits.RecordBytesMax
            && read.Kind != 0
            && BinaryPrimitives.ReadUInt16LittleEndian(header[ReservedAt..]) == 0;
    }

    /// <summary>Whether header and body belong together and to this position.</summary>
    /// <param name="header">The header's bytes.</param>
    /// <param name="position">Where the record stands.</param>
    /// <param name="bodyState">Checksum state after the body.</param>
    public static bool Matches(ReadOnlySpan<byte> header, Position position, uint bodyState) =>
        BinaryPrimitives.ReadUInt32LittleEndian(header[ChecksumAt..]) == Finish(bodyState, position, header);

    /// <summary>Whether the bytes begin with a whole and sound record of this position.</summary>
    public static bool TryReadRecord(ReadOnlySpan<byte> bytes, Position position, out RecordHeader header)
    {
        header = default;
        return bytes.Length >= HeaderBytes
            && TryReadHeader(bytes, position, out header)
            && bytes.Length >= header.RecordBytes
            && Matches(bytes, position, Checksum.Append(Checksum.Start, bytes.Slice(HeaderBytes, header.BodyBytes)));
    }

    private static uint Finish(uint bodyState, Position position, ReadOnlySpan<byte> header)
    {
        var state = BitOperations.Crc32C(bodyState, (ulong)position.Value);
        state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt32LittleEndian(header));
        return ~BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(header[PositionAt..]));
    }
}
