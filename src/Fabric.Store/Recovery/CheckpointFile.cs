using System.Buffers;
using System.Buffers.Binary;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Recovery;

/// <summary>What stands in a checkpoint besides the state itself.</summary>
/// <param name="Position">The state is that after all records before it.</param>
/// <param name="Committed">What was known to be committed when it was written; not before <paramref name="Position"/>.</param>
/// <param name="Cleaned">Segments that lie wholly before it may be gone; all others must be there.</param>
/// <param name="SystemRecords">The system records before <paramref name="Position"/>.</param>
internal sealed record CheckpointHead(
    Position Position, Position Committed, Position Cleaned, IReadOnlyList<SystemRecord> SystemRecords);

/// <summary>
/// Checkpoints as files (FORMAT.md, "Checkpoint"):
/// <code>
///  0            8         12       16           24             32           40
///  | "FABRICCP" | u32 ver | u32 0  | i64 pos    | i64 committed| i64 cleaned | u32 n |
///  n times: | i64 position | u8 kind | u32 length | body |      then the state, to 4 bytes before the end, then | u32 crc of all |
/// </code>
/// Written beside, synced, renamed. The newest two are kept, so that damage to one costs replay, not data.
/// </summary>
internal sealed class CheckpointFile : IBufferWriter<byte>, IDisposable
{
    /// <summary>How many are kept.</summary>
    public const int Kept = 2;

    private const uint Version = 1;
    private const int HeadBytes = 44;
    private const int ChecksumBytes = 4;
    private const int BufferBytes = 256 * 1024;

    /// <summary>A longer one could not be read again: it is read in one piece.</summary>
    private static readonly long BytesMax = Array.MaxLength;

    private readonly IDisk _disk;
    private readonly string _directory;
    private readonly IDiskFile _file;
    private readonly long _bytesMax;
    private byte[] _buffer = new byte[BufferBytes];
    private int _buffered;
    private uint _checksum = Checksum.Start;

    private CheckpointFile(IDisk disk, string directory, CheckpointHead head, long bytesMax)
    {
        (_disk, _directory, Head, _bytesMax) = (disk, directory, head, Math.Min(bytesMax, BytesMax - ChecksumBytes));
        _file = disk.Open(System.IO.Path.Combine(directory, StoreFileNames.CheckpointBeside), DiskFileMode.OpenOrCreate);
    }

    public CheckpointHead Head { get; }

    /// <summary>Length so far, in bytes.</summary>
    public long Length { get; private set; }

    private static ReadOnlySpan<byte> Magic => "FABRICCP"u8;

    /// <summary>Writes head and state beside the checkpoints that are there; not synced yet.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The journal's.</param>
    /// <param name="head">What stands in it besides the state.</param>
    /// <param name="bytesMax">It may not be longer.</param>
    /// <param name="writeState">Writes the state.</param>
    /// <exception cref="IOException">It does not fit on the disk, or is longer; nothing is left of it.</exception>
    public static CheckpointFile Write(IDisk disk, string directory, CheckpointHead head, long bytesMax, Action<IBufferWriter<byte>> writeState)
    {
        var checkpoint = new CheckpointFile(disk, directory, head, bytesMax);
        try
        {
            checkpoint._file.SetLength(0);
            checkpoint.WriteHead();
            writeState(checkpoint);
            checkpoint.WriteChecksum();
            return checkpoint;
        }
        catch (Exception exception)
        {
            if (StoreErrors.IsDiskFull(exception))
            {
                checkpoint.Discard();
            }

            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Removes it before it is published: half a checkpoint takes room that others need.</summary>
    public void Discard()
    {
        Dispose();
        _disk.Delete(System.IO.Path.Combine(_directory, StoreFileNames.CheckpointBeside));
    }

    /// <summary>Makes it durable under its name. What lies before its position must be durable already.</summary>
    /// <param name="damaged">Names of checkpoints that are known to be damaged. They stand for none of those that are kept, and go when this one reaches as far.</param>
    /// <returns>Those that are still there.</returns>
    public IReadOnlyList<string> Publish(IReadOnlyList<string> damaged)
    {
        var own = StoreFileNames.Checkpoint(Head.Position);
        _file.Sync();
        _disk.Rename(System.IO.Path.Combine(_directory, StoreFileNames.CheckpointBeside), System.IO.Path.Combine(_directory, own));
        _disk.SyncDirectory(_directory);
        var later = damaged.Where(name => string.CompareOrdinal(name, own) > 0).ToArray();
        var names = _disk.ListFiles(_directory).Where(StoreFileNames.IsCheckpoint).ToArray();
        var kept = names.Except(damaged.Where(name => name != own)).TakeLast(Kept);
        foreach (var name in names.Except(kept).Except(later))
        {
            _disk.Delete(System.IO.Path.Combine(_directory, name));
        }

        return later;
    }

    /// <summary>Reads the newest sound checkpoint.</summary>
    /// <returns>It, or null when there is none; its state; the names of the newer ones, which are damaged; and whether the disk could not read one of those.</returns>
    /// <exception cref="StoreException">It is one of a newer format.</exception>
    public static (CheckpointHead? Head, ReadOnlyMemory<byte> State, IReadOnlyList<string> Damaged, bool IsUnreadable) ReadNewest(IDisk disk, string directory)
    {
        var damaged = new List<string>();
        var isUnreadable = false;
        foreach (var name in disk.ListFiles(directory).Where(StoreFileNames.IsCheckpoint).Reverse())
        {
            try
            {
                if (Read(disk, System.IO.Path.Combine(directory, name)) is var (head, state))
                {
                    return (head, state, damaged, isUnreadable);
                }
            }
            catch (IOException exception) when (StoreErrors.IsUnreadable(exception))
            {
                isUnreadable = true;
            }

            damaged.Add(name);
        }

        return (null, default, damaged, isUnreadable);
    }

    public void Advance(int count)
    {
        _buffered += count;
        if (_buffered >= BufferBytes)
        {
            Spill();
        }
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_buffer.Length - _buffered < Math.Max(sizeHint, 1))
        {
            Spill();
            if (_buffer.Length < sizeHint)
            {
                _buffer = new byte[sizeHint];
            }
        }

        return _buffer.AsMemory(_buffered);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public void Dispose() => _file.Dispose();

    private void WriteHead()
    {
        var head = GetSpan(HeadBytes);
        Magic.CopyTo(head);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(head[12..], 0);
        BinaryPrimitives.WriteInt64LittleEndian(head[16..], Head.Position.Value);
        BinaryPrimitives.WriteInt64LittleEndian(head[24..], Head.Committed.Value);
        BinaryPrimitives.WriteInt64LittleEndian(head[32..], Head.Cleaned.Value);
        BinaryPrimitives.WriteInt32LittleEndian(head[40..], Head.SystemRecords.Count);
        Advance(HeadBytes);
        foreach (var record in Head.SystemRecords)
        {
            var span = GetSpan(13);
            BinaryPrimitives.WriteInt64LittleEndian(span, record.Position.Value);
            span[8] = record.Kind;
            BinaryPrimitives.WriteInt32LittleEndian(span[9..], record.Body.Length);
            Advance(13);
            this.Write(record.Body.Span);
        }
    }

    private void WriteChecksum()
    {
        Spill();
        Span<byte> checksum = stackalloc byte[ChecksumBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(checksum, ~_checksum);
        _file.Write(checksum, Length);
        Length += ChecksumBytes;
    }

    private void Spill()
    {
        var bytes = _buffer.AsSpan(0, _buffered);
        if (Length + bytes.Length > _bytesMax)
        {
            throw StoreUnavailableException.NoRoom($"the checkpoint of {Head.Position} takes more than the {_bytesMax} bytes that it may");
        }

        _checksum = Checksum.Append(_checksum, bytes);
        _file.Write(bytes, Length);
        Length += bytes.Length;
        _buffered = 0;
    }

    /// <summary>Reads all of one and keeps its head only, without the system records; null when it is damaged.</summary>
    /// <exception cref="NewerFormatException">It is one of a newer format.</exception>
    public static CheckpointHead? TryReadHead(IDiskFile file, string path)
    {
        try
        {
            return ReadHead(file, path);
        }
        catch (IOException exception) when (StoreErrors.IsUnreadable(exception))
        {
            return null;
        }
    }

    /// <summary>Reads one; null when it is damaged.</summary>
    /// <exception cref="NewerFormatException">It is one of a newer format.</exception>
    public static (CheckpointHead Head, ReadOnlyMemory<byte> State)? TryRead(IDisk disk, string path)
    {
        try
        {
            return Read(disk, path);
        }
        catch (IOException exception) when (StoreErrors.IsUnreadable(exception))
        {
            return null;
        }
    }

    private static CheckpointHead? ReadHead(IDiskFile file, string path)
    {
        var length = file.Length - ChecksumBytes;
        var buffer = new byte[BufferBytes];
        var head = new byte[HeadBytes];
        Span<byte> checksum = stackalloc byte[ChecksumBytes];
        if (length < HeadBytes || file.Read(head, 0) != HeadBytes || file.Read(checksum, length) != ChecksumBytes)
        {
            return null;
        }

        var state = Checksum.Start;
        for (long at = 0; at < length;)
        {
            var count = file.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - at)), at);
            state = Checksum.Append(state, buffer.AsSpan(0, count));
            at += count > 0 ? count : throw new IOException($"{path} has become shorter");
        }

        return IsSound(head, BinaryPrimitives.ReadUInt32LittleEndian(checksum) == ~state, path) ? HeadOf(head, []) : null;
    }

    private static (CheckpointHead Head, ReadOnlyMemory<byte> State)? Read(IDisk disk, string path)
    {
        byte[] bytes;
        using (var file = disk.Open(path, DiskFileMode.Read))
        {
            bytes = GC.AllocateUninitializedArray<byte>(checked((int)Math.Min(file.Length, Array.MaxLength)));
            if (bytes.Length < HeadBytes + ChecksumBytes || file.Read(bytes, 0) != bytes.Length)
            {
                return null;
            }
        }

        var content = bytes.AsSpan(0, bytes.Length - ChecksumBytes);
        if (!IsSound(content, BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(content.Length)) == Checksum.Of(content), path))
        {
            return null;
        }

        var count = BinaryPrimitives.ReadInt32LittleEndian(content[40..]);
        var records = new List<SystemRecord>(count);
        var at = HeadBytes;
        for (var i = 0; i < count; i++)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(content[(at + 9)..]);
            records.Add(new SystemRecord(
                new Position(BinaryPrimitives.ReadInt64LittleEndian(content[at..])), content[at + 8], bytes.AsMemory(at + 13, length).ToArray()));
            at += 13 + length;
        }

        return (HeadOf(content, records), bytes.AsMemory(at, content.Length - at));
    }

    private static bool IsSound(ReadOnlySpan<byte> head, bool checksumMatches, string path)
    {
        if (!head.StartsWith(Magic) || !checksumMatches)
        {
            return false;
        }

        var version = BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
        return version == Version ? true : throw new NewerFormatException(path, version, Version);
    }

    private static CheckpointHead HeadOf(ReadOnlySpan<byte> head, IReadOnlyList<SystemRecord> records) => new(
        new Position(BinaryPrimitives.ReadInt64LittleEndian(head[16..])),
        new Position(BinaryPrimitives.ReadInt64LittleEndian(head[24..])),
        new Position(BinaryPrimitives.ReadInt64LittleEndian(head[32..])),
        records);
}
