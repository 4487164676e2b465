using System.Buffers.Binary;
using System.Globalization;
using Fabric.Store.Journal;

namespace Fabric.Store.Segments;

/// <summary>
/// What stands at the start of a segment file (FORMAT.md, "Segment header"):
/// <code>
///  0            8         12        16          24           32          40
///  | "FABRICSG" | u32 ver | u32 crc | i64 first | i64 room   | i64 cut   | zeros up to 4096
///  first  position of the first record byte, which stands at 4096
///  room   record bytes that fit
///  cut    -1, or the position from which on everything is to be removed, while that goes on
/// </code>
/// </summary>
internal readonly record struct SegmentHeader(Position First, long Capacity, Position? Cut)
{
    /// <summary>A page of its own, so that no write of records can tear it.</summary>
    public const int Bytes = 4096;

    private const uint Version = 1;
    private const int UsedBytes = 40;
    private const int VersionAt = 8;
    private const int ChecksumAt = 12;
    private const int FirstAt = 16;
    private const int CapacityAt = 24;
    private const int CutAt = 32;

    private static ReadOnlySpan<byte> Magic => "FABRICSG"u8;

    public void Write(Span<byte> page)
    {
        page[..Bytes].Clear();
        Magic.CopyTo(page);
        BinaryPrimitives.WriteUInt32LittleEndian(page[VersionAt..], Version);
        BinaryPrimitives.WriteInt64LittleEndian(page[FirstAt..], First.Value);
        BinaryPrimitives.WriteInt64LittleEndian(page[CapacityAt..], Capacity);
        BinaryPrimitives.WriteInt64LittleEndian(page[CutAt..], Cut?.Value ?? -1);
        BinaryPrimitives.WriteUInt32LittleEndian(page[ChecksumAt..], Checksum.Of(page[FirstAt..UsedBytes]));
    }

    /// <summary>Reads a header; null when these bytes are none.</summary>
    /// <exception cref="StoreException">It is one of a newer format.</exception>
    public static SegmentHeader? Read(ReadOnlySpan<byte> page, string path)
    {
        if (page.Length < UsedBytes || !page.StartsWith(Magic))
        {
            return null;
        }

        var version = BinaryPrimitives.ReadUInt32LittleEndian(page[VersionAt..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(page[ChecksumAt..]) != Checksum.Of(page[FirstAt..UsedBytes]))
        {
            return null;
        }

        if (version != Version)
        {
            throw new NewerFormatException(path, version, Version);
        }

        var cut = BinaryPrimitives.ReadInt64LittleEndian(page[CutAt..]);
        return new SegmentHeader(
            new Position(BinaryPrimitives.ReadInt64LittleEndian(page[FirstAt..])),
            BinaryPrimitives.ReadInt64LittleEndian(page[CapacityAt..]),
            cut < 0 ? null : new Position(cut));
    }
}

/// <summary>
/// What stands behind the last record of a journal (FORMAT.md, "Sync mark"), to be overwritten by the next batch:
/// <code>
///  0            8              16          24             32          36
///  | "FABRICSY" | i64 position | i64 synced| i64 committed| u32 flags | u32 crc |
///  position   where the mark stands: the end of the batch it was written with
///  synced     everything before it was on disk when the mark was written
///  committed  everything before it was known to be committed then
///  flags      1: the journal was closed in order, nothing was written behind the mark
/// </code>
/// </summary>
/// <remarks>It tells a torn tail from damage: what does not check out before <c>synced</c> had been on disk.</remarks>
internal readonly record struct SyncMark(Position Position, Position Synced, Position Committed, bool Closed)
{
    public const int Bytes = 40;

    private const int PositionAt = 8;
    private const int SyncedAt = 16;
    private const int CommittedAt = 24;
    private const int FlagsAt = 32;
    private const int ChecksumAt = 36;

    public static ReadOnlySpan<byte> Magic => "FABRICSY"u8;

    public void Write(Span<byte> mark)
    {
        Magic.CopyTo(mark);
        BinaryPrimitives.WriteInt64LittleEndian(mark[PositionAt..], Position.Value);
        BinaryPrimitives.WriteInt64LittleEndian(mark[SyncedAt..], Synced.Value);
        BinaryPrimitives.WriteInt64LittleEndian(mark[CommittedAt..], Committed.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(mark[FlagsAt..], Closed ? 1u : 0u);
        BinaryPrimitives.WriteUInt32LittleEndian(mark[ChecksumAt..], Checksum.Of(mark[..ChecksumAt]));
    }

    /// <summary>Reads the mark of a position; null when there is none.</summary>
    public static SyncMark? Read(ReadOnlySpan<byte> bytes, Position position)
    {
        if (bytes.Length < Bytes
            || !bytes.StartsWith(Magic)
            || BinaryPrimitives.ReadInt64LittleEndian(bytes[PositionAt..]) != position.Value
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumAt..]) != Checksum.Of(bytes[..ChecksumAt]))
        {
            return null;
        }

        return new SyncMark(
            position,
            new Position(BinaryPrimitives.ReadInt64LittleEndian(bytes[SyncedAt..])),
            new Position(BinaryPrimitives.ReadInt64LittleEndian(bytes[CommittedAt..])),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[FlagsAt..]) == 1);
    }
}

/// <summary>Names of the files of a journal's directory.</summary>
internal static class StoreFileNames
{
    private const string SegmentPrefix = "journal-";
    private const string SparePrefix = "spare-";
    private const string SegmentSuffix = ".seg";
    private const string CheckpointPrefix = "checkpoint-";

    /// <summary>Replication's file in the same directory (FORMAT.md).</summary>
    private const string ReplicaState = "replica.state";

    /// <summary>The mark of a switch to a copy (FORMAT.md, "Copy").</summary>
    public const string Switch = "copy.switch";

    /// <summary>What is being copied, in the side directory.</summary>
    public const string CopyState = "copy.state";

    /// <summary>Says that the journal has lost something (FORMAT.md, "Damage").</summary>
    public const string Damaged = "journal.damaged";

    /// <summary>What a checkpoint is written as, before it is renamed.</summary>
    public const string CheckpointBeside = "checkpoint.new";

    public static string Segment(Position first) => $"{SegmentPrefix}{first.Value:D20}{SegmentSuffix}";

    public static string Spare(int number) => $"{SparePrefix}{number.ToString(CultureInfo.InvariantCulture)}{SegmentSuffix}";

    public static string Checkpoint(Position position) => $"{CheckpointPrefix}{position.Value:D20}";

    /// <summary>Whether a file of this name is a journal's or a replica's.</summary>
    public static bool IsOurs(string name) =>
        IsSegment(name) || IsSpare(name) || IsCheckpoint(name) || name is CheckpointBeside or Switch or CopyState or Damaged || name.StartsWith(ReplicaState, StringComparison.Ordinal);

    public static bool IsSegment(string name) =>
        name.StartsWith(SegmentPrefix, StringComparison.Ordinal) && name.EndsWith(SegmentSuffix, StringComparison.Ordinal);

    public static bool IsSpare(string name) =>
        name.StartsWith(SparePrefix, StringComparison.Ordinal) && name.EndsWith(SegmentSuffix, StringComparison.Ordinal);

    public static bool IsCheckpoint(string name) => name.StartsWith(CheckpointPrefix, StringComparison.Ordinal);

    /// <summary>The position that the name of a segment says; the header is the truth.</summary>
    public static Position? PositionOf(string name) =>
        long.TryParse(
            name.AsSpan(SegmentPrefix.Length, name.Length - SegmentPrefix.Length - SegmentSuffix.Length),
            NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? new Position(value)
            : null;
}
