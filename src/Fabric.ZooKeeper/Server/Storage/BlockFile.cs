using System.Buffers.Binary;
using Fabric.Runtime.Disk;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>What a file holds; the numbers are on disk.</summary>
internal enum BlockFileKind
{
    Log = 1,
    Snapshot = 2,
}

/// <summary>
/// First bytes of every file; integers are big endian. The salt is random per file and stands again before each block, so
/// that nothing a client stores can look like a block.
/// <code>
/// 0        8      12      16      24      32      36
/// +--------+------+-------+-------+-------+------+
/// |FabricZK| kind |version| zxid  | salt  | crc  |   crc: CRC-32C of the 32 bytes before it
/// +--------+------+-------+-------+-------+------+
/// </code>
/// </summary>
/// <param name="Kind">Log or snapshot.</param>
/// <param name="Zxid">Log: the first transaction it may hold. Snapshot: the last one it contains.</param>
/// <param name="Salt">Random number of this file.</param>
internal readonly record struct BlockFileHeader(BlockFileKind Kind, long Zxid, long Salt)
{
    public const int Length = 36;
    public const int FormatVersion = 1;

    private const int CheckedLength = Length - sizeof(uint);

    private static ReadOnlySpan<byte> Magic => "FabricZK"u8;

    public byte[] ToBytes()
    {
        var bytes = new byte[Length];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(8), (int)Kind);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(12), FormatVersion);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(16), Zxid);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(24), Salt);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(CheckedLength), Crc32C.Compute(bytes.AsMemory(0, CheckedLength)));
        return bytes;
    }

    /// <summary>Reads a header.</summary>
    /// <returns>False when the file is shorter than a header or the header is damaged.</returns>
    /// <exception cref="ZooKeeperStorageException">The header is sound, and of a newer format or another kind of file.</exception>
    public static bool TryRead(IDiskFile file, string path, BlockFileKind kind, out BlockFileHeader header)
    {
        header = default;
        var bytes = new byte[Length];
        if (file.Read(bytes, 0) < Length
            || !bytes.AsSpan().StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(CheckedLength)) != Crc32C.Compute(bytes.AsMemory(0, CheckedLength)))
        {
            return false;
        }

        var version = BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(12));
        if (version != FormatVersion)
        {
            throw new ZooKeeperStorageException(
                $"{path} has format version {version}, this server knows version {FormatVersion}: use the release that wrote it");
        }

        header = new BlockFileHeader(
            (BlockFileKind)BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(8)),
            BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(16)),
            BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(24)));
        return header.Kind == kind
            ? true
            : throw new ZooKeeperStorageException($"{path} is a {header.Kind} file, a {kind} file was expected there");
    }
}

/// <summary>
/// The unit of writing and checking: written by one call, valid as a whole or not at all.
/// <code>
/// 0      8        12     16
/// +------+--------+------+---------------+
/// | salt | length | crc  | payload       |   length: of the payload; crc: CRC-32C of salt, length and payload
/// +------+--------+------+---------------+
/// </code>
/// </summary>
internal static class Block
{
    public const int HeaderLength = 16;

    private const int CrcOffset = 12;

    /// <summary>Fills in the header of a block whose payload stands behind it already.</summary>
    public static void Seal(Memory<byte> block, long salt)
    {
        BinaryPrimitives.WriteInt64BigEndian(block.Span, salt);
        BinaryPrimitives.WriteInt32BigEndian(block.Span[8..], block.Length - HeaderLength);
        BinaryPrimitives.WriteUInt32BigEndian(block.Span[CrcOffset..], ComputeCrc(block));
    }

    /// <summary>Reads the block at an offset.</summary>
    /// <param name="file">The file.</param>
    /// <param name="offset">Where the block's header begins.</param>
    /// <param name="salt">The file's.</param>
    /// <param name="payload">The block's content.</param>
    /// <returns>False when there is no intact block.</returns>
    public static bool TryRead(IDiskFile file, long offset, long salt, out ReadOnlyMemory<byte> payload)
    {
        payload = default;
        Span<byte> header = stackalloc byte[HeaderLength];
        if (file.Read(header, offset) < HeaderLength || BinaryPrimitives.ReadInt64BigEndian(header) != salt)
        {
            return false;
        }

        var length = BinaryPrimitives.ReadInt32BigEndian(header[8..]);
        if (length < 0 || length > file.Length - offset - HeaderLength)
        {
            return false;
        }

        var block = new byte[HeaderLength + length];
        if (file.Read(block, offset) < block.Length
            || BinaryPrimitives.ReadUInt32BigEndian(block.AsSpan(CrcOffset)) != ComputeCrc(block))
        {
            return false;
        }

        payload = block.AsMemory(HeaderLength);
        return true;
    }

    private static uint ComputeCrc(ReadOnlyMemory<byte> block) => Crc32C.Compute(block[..CrcOffset], block[HeaderLength..]);
}
