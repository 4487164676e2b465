using System.Buffers.Binary;
using System.Text;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Copy;

/// <summary>
/// What a copy of another replica's journal consists of (FORMAT.md, "Copy"). The same file says in the side directory what is being copied, and in the journal's directory, with
/// the names of all files, that the copy takes the journal's place:
/// <code>
///  0            8         12        16         32          40               48
///  | "FABRICCS" | u32 ver | u32 crc | store id | i64 first | i64 checkpoint | u32 n |    n times: | u8 length | name |
///  crc  CRC-32C of everything behind it
/// </code>
/// Written beside and renamed, file and directory synced.
/// </summary>
/// <param name="StoreId">The data it belongs to.</param>
/// <param name="First">Where its first segment begins.</param>
/// <param name="Checkpoint">The position of its checkpoint.</param>
/// <param name="Segments">Names of the segments, once it is whole; empty before.</param>
internal sealed record CopyState(Guid StoreId, Position First, Position Checkpoint, IReadOnlyList<string> Segments)
{
    private const uint Version = 1;
    private const int HeadBytes = 16;
    private const int FixedBytes = HeadBytes + 16 + 8 + 8 + 4;

    private static ReadOnlySpan<byte> Magic => "FABRICCS"u8;

    /// <summary>Reads the file; null when there is none, or a damaged one.</summary>
    /// <exception cref="SegmentCorruptException">The disk cannot read it.</exception>
    /// <exception cref="NewerFormatException">It is one of a newer format.</exception>
    public static CopyState? TryRead(IDisk disk, string path)
    {
        if (!disk.FileExists(path))
        {
            return null;
        }

        using var file = disk.Open(path, DiskFileMode.Read);
        var bytes = new byte[file.Length];
        if (bytes.Length < FixedBytes
            || !IsRead(file, bytes, path)
            || !bytes.AsSpan().StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(12)) != Checksum.Of(bytes.AsSpan(HeadBytes)))
        {
            return null;
        }

        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
        return version == Version ? Decode(bytes.AsSpan(HeadBytes)) : throw new NewerFormatException(path, version, Version);
    }

    private static bool IsRead(IDiskFile file, byte[] bytes, string path)
    {
        try
        {
            return file.Read(bytes, 0) == bytes.Length;
        }
        catch (IOException exception) when (StoreErrors.IsUnreadable(exception))
        {
            throw new SegmentCorruptException($"{path}: the disk cannot read it ({exception.Message})") { IsUnreadable = true };
        }
    }

    /// <summary>Writes the file; on disk, whole, when it returns.</summary>
    public void Write(IDisk disk, string directory, string name) => WholeFile.Write(disk, directory, name, Encode());

    private static CopyState Decode(ReadOnlySpan<byte> body)
    {
        var names = new string[BinaryPrimitives.ReadInt32LittleEndian(body[32..])];
        var rest = body[36..];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = Encoding.ASCII.GetString(rest.Slice(1, rest[0]));
            rest = rest[(1 + rest[0])..];
        }

        return new CopyState(
            new Guid(body[..16]),
            new Position(BinaryPrimitives.ReadInt64LittleEndian(body[16..])),
            new Position(BinaryPrimitives.ReadInt64LittleEndian(body[24..])),
            names);
    }

    private byte[] Encode()
    {
        var bytes = new byte[FixedBytes + Segments.Sum(name => 1 + name.Length)];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        var body = bytes.AsSpan(HeadBytes);
        StoreId.TryWriteBytes(body);
        BinaryPrimitives.WriteInt64LittleEndian(body[16..], First.Value);
        BinaryPrimitives.WriteInt64LittleEndian(body[24..], Checkpoint.Value);
        BinaryPrimitives.WriteInt32LittleEndian(body[32..], Segments.Count);
        var rest = body[36..];
        foreach (var name in Segments)
        {
            rest[0] = checked((byte)name.Length);
            rest = rest[(1 + Encoding.ASCII.GetBytes(name, rest[1..]))..];
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Checksum.Of(body));
        return bytes;
    }
}
