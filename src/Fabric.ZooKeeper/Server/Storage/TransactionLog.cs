using Fabric.Runtime.Disk;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>
/// The open segment of the log. One thread appends. Whatever throws here leaves the log in a state that only a restart may
/// judge: the owner must not append again.
/// </summary>
internal sealed class TransactionLog : IDisposable
{
    private readonly StorageDirectory _directory;
    private readonly Random _random;
    private IDiskFile? _file;
    private long _salt;

    private TransactionLog(StorageDirectory directory, Random random) => (_directory, _random) = (directory, random);

    /// <summary>Bytes in the open segment.</summary>
    public long SegmentLength { get; private set; }

    /// <summary>Starts a new segment; the server's first, or after recovery when none can be continued.</summary>
    public static TransactionLog Create(StorageDirectory directory, Random random, long firstZxid)
    {
        var log = new TransactionLog(directory, random);
        log.StartSegment(firstZxid);
        return log;
    }

    /// <summary>Goes on in a segment that recovery has read up to an offset.</summary>
    public static TransactionLog Continue(
        StorageDirectory directory, Random random, BlockFileHeader header, long length)
    {
        var log = new TransactionLog(directory, random) { SegmentLength = length, _salt = header.Salt };
        log._file = directory.Disk.Open(directory.LogPath(header.Zxid), DiskFileMode.Open);
        return log;
    }

    /// <summary>Writes a block and returns when it survives a power loss.</summary>
    /// <param name="block">Room for the block's header, then the transactions.</param>
    /// <exception cref="IOException">The disk failed or is full; nothing may be appended any more.</exception>
    public void Append(Memory<byte> block)
    {
        Block.Seal(block, _salt);
        _file!.Write(block.Span, SegmentLength);
        _file.Sync();
        SegmentLength += block.Length;
    }

    /// <summary>Goes on in a new segment; the present one is complete and durable.</summary>
    public void StartSegment(long firstZxid)
    {
        var salt = _random.NextInt64();
        var file = _directory.Disk.Open(_directory.LogPath(firstZxid), DiskFileMode.CreateNew);
        try
        {
            file.Write(new BlockFileHeader(BlockFileKind.Log, firstZxid, salt).ToBytes(), 0);
            file.Sync();
            _directory.Sync();
        }
        catch
        {
            file.Dispose();
            throw;
        }

        _file?.Dispose();
        (_file, _salt, SegmentLength) = (file, salt, BlockFileHeader.Length);
    }

    public void Dispose() => _file?.Dispose();
}
