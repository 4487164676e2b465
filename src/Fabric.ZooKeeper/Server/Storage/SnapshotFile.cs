using Fabric.Runtime.Disk;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Sessions;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>
/// Writes and reads snapshots: after the file's header the blocks <c>head</c>, then any number of blocks of whole sessions
/// and whole znodes, all counted in the head (FORMAT.md).
/// </summary>
internal static class SnapshotFile
{
    private const int BlockLengthGoal = 64 * 1024;

    /// <summary>
    /// Writes the image under a temporary name, makes it durable, and only then gives it its name: a snapshot that has its
    /// name is complete.
    /// </summary>
    /// <exception cref="IOException">The disk failed; no snapshot was made.</exception>
    public static void Write(StorageDirectory directory, StateImage image, long salt)
    {
        var temporary = directory.TemporarySnapshotPath;
        directory.Disk.Delete(temporary);
        try
        {
            using var file = directory.Disk.Open(temporary, DiskFileMode.CreateNew);
            file.Write(new BlockFileHeader(BlockFileKind.Snapshot, image.Zxid, salt).ToBytes(), 0);
            WriteBlocks(file, image, salt);
            file.Sync();
        }
        catch (IOException)
        {
            directory.Disk.Delete(temporary); // the room that it found belongs to the log
            throw;
        }

        directory.Disk.Rename(temporary, directory.SnapshotPath(image.Zxid));
        directory.Sync();
    }

    /// <summary>Reads a snapshot.</summary>
    /// <returns>Null when it is damaged, or cannot be read: an earlier one and more of the log do as well.</returns>
    /// <exception cref="ZooKeeperStorageException">It has a newer format.</exception>
    public static ServerState? TryRead(StorageDirectory directory, long zxid)
    {
        try
        {
            return Read(directory, zxid);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException and not ZooKeeperStorageException)
        {
            return null;
        }
    }

    private static ServerState? Read(StorageDirectory directory, long zxid)
    {
        var path = directory.SnapshotPath(zxid);
        using var file = directory.Disk.Open(path, DiskFileMode.Open);
        if (!BlockFileHeader.TryRead(file, path, BlockFileKind.Snapshot, out var header) || header.Zxid != zxid)
        {
            return null;
        }

        try
        {
            return ReadBlocks(file, header);
        }
        catch (Exception exception) when (exception is JuteException or ArgumentException or KeyNotFoundException)
        {
            // Intact blocks with senseless content: a duplicate path, a znode without a parent.
            return null;
        }
    }

    private static void WriteBlocks(IDiskFile file, StateImage image, long salt)
    {
        using var blocks = new BlockWriter(file, BlockFileHeader.Length, salt);
        blocks.Content.WriteInt64(image.LastSessionId);
        blocks.Content.WriteInt32(image.SessionCount);
        blocks.Content.WriteInt32(image.ZnodeCount);
        blocks.Flush();
        for (var i = 0; i < image.SessionCount; i++)
        {
            image.WriteSession(i, blocks.Content);
            blocks.FlushAbove(BlockLengthGoal);
        }

        blocks.Flush();
        for (var i = 0; i < image.ZnodeCount; i++)
        {
            image.WriteZnode(i, blocks.Content);
            blocks.FlushAbove(BlockLengthGoal);
        }

        blocks.Flush();
    }

    private static ServerState? ReadBlocks(IDiskFile file, BlockFileHeader header)
    {
        var offset = (long)BlockFileHeader.Length;
        if (!Block.TryRead(file, offset, header.Salt, out var head))
        {
            return null;
        }

        offset += Block.HeaderLength + head.Length;
        var reader = new JuteReader(head.Span);
        var sessions = new SessionTable { LastId = reader.ReadInt64() };
        var tree = new ZnodeTree();
        var (sessionCount, znodeCount) = (reader.ReadInt32(), reader.ReadInt32());
        while (sessions.Count < sessionCount || tree.Count < znodeCount)
        {
            if (!Block.TryRead(file, offset, header.Salt, out var payload))
            {
                return null;
            }

            offset += Block.HeaderLength + payload.Length;
            ReadBlock(payload.Span, sessions, sessionCount, tree);
        }

        tree.LinkLoaded();
        return new ServerState { Sessions = sessions, Tree = tree, LastZxid = header.Zxid };
    }

    /// <summary>A block holds sessions until all are read, then znodes; never both.</summary>
    private static void ReadBlock(ReadOnlySpan<byte> payload, SessionTable sessions, int sessionCount, ZnodeTree tree)
    {
        var reader = new JuteReader(payload);
        var holdsSessions = sessions.Count < sessionCount;
        while (reader.Remaining > 0)
        {
            if (holdsSessions)
            {
                StateImage.ReadSession(ref reader, sessions);
            }
            else
            {
                StateImage.ReadZnode(ref reader, tree);
            }
        }
    }

    /// <summary>Collects content and writes it as blocks, one behind the other.</summary>
    private sealed class BlockWriter : IDisposable
    {
        private readonly JuteBuffer _buffer = new();
        private readonly IDiskFile _file;
        private readonly long _salt;
        private long _offset;

        public BlockWriter(IDiskFile file, long offset, long salt)
        {
            (_file, _offset, _salt) = (file, offset, salt);
            Content = new JuteWriter(_buffer);
            Begin();
        }

        public JuteWriter Content { get; }

        public void FlushAbove(int length)
        {
            if (_buffer.Length > length)
            {
                Flush();
            }
        }

        public void Flush()
        {
            if (_buffer.Length > Block.HeaderLength)
            {
                Block.Seal(_buffer.WrittenForUpdate, _salt);
                _file.Write(_buffer.Written, _offset);
                _offset += _buffer.Length;
                _buffer.Clear();
                Begin();
            }
        }

        public void Dispose() => _buffer.Dispose();

        private void Begin()
        {
            _buffer.GetSpan(Block.HeaderLength);
            _buffer.Advance(Block.HeaderLength);
        }
    }
}
