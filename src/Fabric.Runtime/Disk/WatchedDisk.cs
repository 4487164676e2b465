namespace Fabric.Runtime.Disk;

/// <summary>
/// A disk that can tell for how long it has not answered: since when the oldest call in progress has been waiting. It changes nothing about the calls and costs each
/// of them a reading of the clock and two writes to memory. Thread-safe.
/// </summary>
/// <param name="disk">The disk that does the work.</param>
/// <param name="time">Its clock.</param>
/// <param name="isPatient">Names the files whose syncs are not watched: so much is written between them that they take long on a healthy disk.</param>
public sealed class WatchedDisk(IDisk disk, TimeProvider time, Func<string, bool> isPatient) : IDisk
{
    /// <summary>Calls that are watched at a time; more than there are threads that a store blocks.</summary>
    private const int SlotsMax = 64;

    private readonly long[] _since = new long[SlotsMax]; // timestamp of a call in progress; 0 when the slot is free
    private readonly long _origin = time.GetTimestamp() - 1; // so that no call begins at 0

    /// <summary>For how long the oldest call in progress has been waiting; zero when there is none.</summary>
    public TimeSpan Silence
    {
        get
        {
            var oldest = long.MaxValue;
            foreach (ref var slot in _since.AsSpan())
            {
                var since = Volatile.Read(ref slot);
                oldest = since != 0 && since < oldest ? since : oldest;
            }

            return oldest == long.MaxValue ? TimeSpan.Zero : time.GetElapsedTime(_origin + oldest);
        }
    }

    /// <inheritdoc/>
    public IDiskFile Open(string path, DiskFileMode mode)
    {
        using var call = new Call(this);
        return new WatchedFile(this, disk.Open(path, mode), isPatient(path));
    }

    /// <inheritdoc/>
    public bool FileExists(string path)
    {
        using var call = new Call(this);
        return disk.FileExists(path);
    }

    /// <inheritdoc/>
    public bool DirectoryExists(string path)
    {
        using var call = new Call(this);
        return disk.DirectoryExists(path);
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        using var call = new Call(this);
        disk.CreateDirectory(path);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory)
    {
        using var call = new Call(this);
        return disk.ListFiles(directory);
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        using var call = new Call(this);
        disk.Rename(from, to);
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        using var call = new Call(this);
        disk.Delete(path);
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        using var call = new Call(this);
        disk.SyncDirectory(path);
    }

    /// <inheritdoc/>
    public long FreeSpace(string path)
    {
        using var call = new Call(this);
        return disk.FreeSpace(path);
    }

    /// <inheritdoc/>
    public IDisposable LockDirectory(string directory)
    {
        using var call = new Call(this);
        return disk.LockDirectory(directory);
    }

    /// <summary>A call in progress. When all slots are taken it is not watched; the others are.</summary>
    private readonly ref struct Call
    {
        private readonly WatchedDisk _disk;
        private readonly int _slot = -1;

        public Call(WatchedDisk disk)
        {
            _disk = disk;
            var now = disk.Now;
            var first = Environment.CurrentManagedThreadId;
            for (var i = 0; i < SlotsMax; i++)
            {
                var slot = (first + i) % SlotsMax;
                if (Interlocked.CompareExchange(ref disk._since[slot], now, 0) == 0)
                {
                    _slot = slot;
                    return;
                }
            }
        }

        public void Dispose()
        {
            if (_slot >= 0)
            {
                Volatile.Write(ref _disk._since[_slot], 0);
            }
        }
    }

    private long Now => time.GetTimestamp() - _origin;

    private sealed class WatchedFile(WatchedDisk disk, IDiskFile file, bool isPatient) : IDiskFile
    {
        public long Length
        {
            get
            {
                using var call = new Call(disk);
                return file.Length;
            }
        }

        public int Read(Span<byte> buffer, long offset)
        {
            using var call = new Call(disk);
            return file.Read(buffer, offset);
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            using var call = new Call(disk);
            file.Write(bytes, offset);
        }

        public void SetLength(long length)
        {
            using var call = new Call(disk);
            file.SetLength(length);
        }

        public void Sync()
        {
            if (isPatient)
            {
                file.Sync();
                return;
            }

            using var call = new Call(disk);
            file.Sync();
        }

        public void Dispose()
        {
            using var call = new Call(disk);
            file.Dispose();
        }
    }
}
