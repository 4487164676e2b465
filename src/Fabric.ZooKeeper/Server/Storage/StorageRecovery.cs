using System.Buffers.Binary;
using Fabric.Runtime.Disk;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>
/// Makes the state of the last acknowledged transaction out of a data directory: the newest sound snapshot, then every
/// transaction behind it. The last block of the last segment may be torn, by a crash during its write: nobody was told of
/// it, so it is cut off. Any other damage could mean that acknowledged changes are lost, so the server does not start.
/// </summary>
internal sealed class StorageRecovery(StorageDirectory directory, Random random, ILogger logger)
{
    private ServerState _state = new();

    /// <summary>Number of the last transaction found in the log so far; null before the first segment.</summary>
    private long? _logEnd;

    /// <summary>Recovers.</summary>
    /// <returns>The state, and the log open for the transaction after it.</returns>
    /// <exception cref="ZooKeeperStorageException">The directory holds damage, a gap or a newer format.</exception>
    public (ServerState State, TransactionLog Log) Run()
    {
        directory.Disk.Delete(directory.TemporarySnapshotPath);
        LoadSnapshot();
        var segments = ListUsableSegments();
        RequireNoGap(segments);

        (BlockFileHeader Header, long End)? last = null;
        for (var i = FirstToReplay(segments); i < segments.Count; i++)
        {
            last = ReplaySegment(segments[i], isLast: i == segments.Count - 1);
        }

        var log = last is { } segment && _logEnd == _state.LastZxid
            ? TransactionLog.Continue(directory, random, segment.Header, segment.End)
            : TransactionLog.Create(directory, random, _state.LastZxid + 1);
        directory.Sync(); // the name of the segment too: its maker may have died before it was on disk
        return (_state, log);
    }

    private void LoadSnapshot()
    {
        foreach (var zxid in directory.ListSnapshots().Reverse())
        {
            if (SnapshotFile.TryRead(directory, zxid) is { } state)
            {
                _state = state;
                return;
            }

            logger.LogWarning("The snapshot {Path} is damaged or cannot be read; trying the one before it", directory.SnapshotPath(zxid));
        }
    }

    /// <summary>A crash while a segment was created can leave it, as the last one, without a header: it never held anything.</summary>
    private List<long> ListUsableSegments()
    {
        var segments = directory.ListLogs().ToList();
        if (segments.Count == 0)
        {
            return segments;
        }

        var path = directory.LogPath(segments[^1]);
        bool isSound;
        using (var file = directory.Disk.Open(path, DiskFileMode.Open))
        {
            isSound = file.Length > BlockFileHeader.Length || BlockFileHeader.TryRead(file, path, BlockFileKind.Log, out _);
        }

        if (!isSound)
        {
            directory.Disk.Delete(path);
            directory.Sync();
            segments.RemoveAt(segments.Count - 1);
        }

        return segments;
    }

    private void RequireNoGap(List<long> segments)
    {
        if (segments.Count > 0 && segments[0] > _state.LastZxid + 1)
        {
            throw new ZooKeeperStorageException(
                $"{directory.Path}: the log begins with transaction {segments[0]}, but the newest sound snapshot ends with "
                + $"{_state.LastZxid}; restore the missing files or move the directory away to start empty");
        }
    }

    private int FirstToReplay(List<long> segments) => Math.Max(0, segments.FindLastIndex(first => first <= _state.LastZxid + 1));

    private (BlockFileHeader Header, long End) ReplaySegment(long firstZxid, bool isLast)
    {
        var path = directory.LogPath(firstZxid);
        using var file = directory.Disk.Open(path, DiskFileMode.Open);
        if (!BlockFileHeader.TryRead(file, path, BlockFileKind.Log, out var header) || header.Zxid != firstZxid)
        {
            throw new ZooKeeperStorageException($"{path}: the header is damaged; restore the file or move the directory away");
        }

        if (_logEnd is { } previousEnd && firstZxid != previousEnd + 1)
        {
            throw new ZooKeeperStorageException(
                $"{path} begins with transaction {firstZxid}, the segment before it ends with {_logEnd}");
        }

        _logEnd = firstZxid - 1;
        var offset = (long)BlockFileHeader.Length;
        while (Block.TryRead(file, offset, header.Salt, out var payload))
        {
            ReplayBlock(path, offset, payload.Span);
            offset += Block.HeaderLength + payload.Length;
        }

        if (offset < file.Length)
        {
            CutTornTail(file, path, header.Salt, offset, isLast);
        }

        // After a killed process the tail may be in the kernel's memory only; it is about to be shown to clients.
        if (isLast)
        {
            file.Sync();
        }

        return (header, offset);
    }

    private void ReplayBlock(string path, long offset, ReadOnlySpan<byte> payload)
    {
        try
        {
            var reader = new JuteReader(payload);
            while (reader.Remaining > 0)
            {
                var transaction = Transaction.Read(ref reader);
                if (transaction.Zxid != _logEnd + 1)
                {
                    throw new ZooKeeperStorageException(
                        $"{path}: transaction {transaction.Zxid} at offset {offset} follows {_logEnd}");
                }

                _logEnd = transaction.Zxid;
                if (transaction.Zxid > _state.LastZxid)
                {
                    _state.Replay(transaction);
                }
            }
        }
        catch (JuteException exception)
        {
            throw new ZooKeeperStorageException($"{path}: the block at offset {offset} cannot be read: {exception.Message}", exception);
        }
    }

    private void CutTornTail(IDiskFile file, string path, long salt, long offset, bool isLast)
    {
        if (!isLast || HasBlockBehind(file, salt, offset))
        {
            throw new ZooKeeperStorageException(
                $"{path} is damaged at offset {offset} and transactions follow; restore the file or move the directory away");
        }

        logger.LogWarning(
            "{Path} ends in an unfinished write: cutting {Count} bytes that were never acknowledged", path, file.Length - offset);
        file.SetLength(offset);
    }

    private static bool HasBlockBehind(IDiskFile file, long salt, long offset)
    {
        var rest = new byte[file.Length - offset];
        file.Read(rest, offset);
        Span<byte> mark = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(mark, salt);
        for (var from = 1; from < rest.Length; from++)
        {
            var found = rest.AsSpan(from).IndexOf(mark);
            if (found < 0)
            {
                return false;
            }

            from += found;
            if (Block.TryRead(file, offset + from, salt, out _))
            {
                return true;
            }
        }

        return false;
    }
}
