using Microsoft.Win32.SafeHandles;

namespace Fabric.PowerLoss;

/// <summary>
/// One file: what is synced is in a real file, what was done since is in memory, in order. It keeps its real file open, so it can be read whatever
/// becomes of its names; a process that has thousands of them is not what this is for.
/// </summary>
internal sealed class CachedFile
{
    private const int SectorBytes = 512;
    private const int EarlyChance = 16; // one write of so many

    private readonly Lock _lock = new();
    private readonly SafeFileHandle _handle;
    private readonly List<(long Offset, byte[]? Bytes)> _changes = []; // without bytes: the offset is the new length
    private long _syncedLength;

    public CachedFile(string realPath)
    {
        RealPath = realPath;
        _handle = File.OpenHandle(realPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        Length = _syncedLength = RandomAccess.GetLength(_handle);
    }

    public string RealPath { get; private set; }

    public long Length { get; private set; }

    /// <summary>Gives the real file another name, replacing what has it.</summary>
    public void MoveTo(string path)
    {
        File.Move(RealPath, path, overwrite: true);
        RealPath = path;
    }

    public int Read(Span<byte> buffer, long offset)
    {
        lock (_lock)
        {
            buffer = buffer[..(int)Math.Clamp(Length - offset, 0, buffer.Length)];
            ReadSynced(buffer, offset);
            foreach (var (start, bytes) in _changes)
            {
                if (bytes is null)
                {
                    buffer[(int)Math.Clamp(start - offset, 0, buffer.Length)..].Clear();
                    continue;
                }

                var (from, to) = (Math.Max(start, offset), Math.Min(start + bytes.Length, offset + buffer.Length));
                if (from < to)
                {
                    bytes.AsSpan((int)(from - start), (int)(to - from)).CopyTo(buffer[(int)(from - offset)..]);
                }
            }

            return buffer.Length;
        }
    }

    public void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        lock (_lock)
        {
            var copy = bytes.ToArray();
            _changes.Add((offset, copy));
            Length = Math.Max(Length, offset + copy.Length);
            if (Random.Shared.Next(EarlyChance) == 0)
            {
                WriteEarly(copy, offset);
            }
        }
    }

    public void SetLength(long length)
    {
        lock (_lock)
        {
            _changes.Add((length, null));
            Length = length;
        }
    }

    public void Sync()
    {
        lock (_lock)
        {
            foreach (var (offset, bytes) in _changes)
            {
                if (bytes is null)
                {
                    RandomAccess.SetLength(_handle, offset);
                }
                else
                {
                    RandomAccess.Write(_handle, bytes, offset);
                }
            }

            _changes.Clear();
            _syncedLength = Length;
        }
    }

    private void ReadSynced(Span<byte> buffer, long offset)
    {
        var rest = buffer[..(int)Math.Clamp(_syncedLength - offset, 0, buffer.Length)];
        buffer[rest.Length..].Clear();
        for (var at = 0; at < rest.Length;)
        {
            var count = RandomAccess.Read(_handle, rest[at..], offset + at);
            if (count == 0)
            {
                rest[at..].Clear();
                return;
            }

            at += count;
        }
    }

    /// <summary>Some sectors of a write, which stays unsynced: a power cut may find it half there.</summary>
    private void WriteEarly(byte[] bytes, long offset)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var next = (int)Math.Min(bytes.Length, ((offset + at) / SectorBytes + 1) * SectorBytes - offset);
            if (offset + next <= _syncedLength && Random.Shared.Next(2) == 0)
            {
                RandomAccess.Write(_handle, bytes.AsSpan(at, next - at), offset + at);
            }

            at = next;
        }
    }
}
