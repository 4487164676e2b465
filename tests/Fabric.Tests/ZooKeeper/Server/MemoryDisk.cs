using Fabric.Runtime.Disk;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>
/// A disk in memory that knows what a power loss would take: writes until their file is synced, names until their directory
/// is. It can fail and stand still on demand. Thread-safe.
/// </summary>
internal sealed class MemoryDisk : IDisk
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, FileNode> _files = [];
    private readonly Dictionary<string, FileNode> _durableNames = [];
    private readonly HashSet<string> _locked = [];
    private long _freeBytes = long.MaxValue;
    private int _syncs;

    /// <summary>While it is not set, a sync of a file does not return.</summary>
    public ManualResetEventSlim SyncsPass { get; } = new(initialState: true);

    /// <summary>Makes the next sync, and all after it, fail.</summary>
    public bool FailSyncs { get; set; }

    /// <summary>Syncs of files that returned.</summary>
    public int Syncs => Volatile.Read(ref _syncs);

    /// <summary>Bytes that may still be written before the disk is full.</summary>
    public long FreeBytes
    {
        set
        {
            lock (_gate)
            {
                _freeBytes = value;
            }
        }
    }

    /// <summary>
    /// What is left after the power goes now: synced bytes for certain, and of the writes after them, in order, as many
    /// whole ones as chance has it and a part of the next.
    /// </summary>
    public MemoryDisk AfterPowerLoss(Random random)
    {
        var left = new MemoryDisk();
        lock (_gate)
        {
            foreach (var (path, node) in _durableNames)
            {
                left._files[path] = left._durableNames[path] = node.AfterPowerLoss(random);
            }
        }

        return left;
    }

    /// <summary>The same files, as a copy that may be changed.</summary>
    public MemoryDisk Copy()
    {
        var copy = new MemoryDisk();
        lock (_gate)
        {
            foreach (var (path, node) in _files)
            {
                copy._files[path] = copy._durableNames[path] = new FileNode { Bytes = [.. node.Bytes], Durable = [.. node.Bytes] };
            }
        }

        return copy;
    }

    /// <summary>The content of a file, to look at and to spoil.</summary>
    public byte[] this[string path]
    {
        get
        {
            lock (_gate)
            {
                return [.. _files[path].Bytes];
            }
        }

        set
        {
            lock (_gate)
            {
                _files[path] = _durableNames[path] = new FileNode { Bytes = [.. value], Durable = [.. value] };
            }
        }
    }

    /// <summary>A file of which the disk gives nothing back.</summary>
    public string? Unreadable { get; set; }

    public IDiskFile Open(string path, DiskFileMode mode)
    {
        if (path == Unreadable)
        {
            throw new IOException("Input/output error");
        }

        lock (_gate)
        {
            if (!_files.TryGetValue(path, out var node))
            {
                if (mode is DiskFileMode.Open or DiskFileMode.Read)
                {
                    throw new FileNotFoundException(path);
                }

                node = _files[path] = new FileNode();
            }
            else if (mode == DiskFileMode.CreateNew)
            {
                throw new IOException($"{path} exists");
            }

            return new MemoryFile(this, node);
        }
    }

    public bool FileExists(string path)
    {
        lock (_gate)
        {
            return _files.ContainsKey(path);
        }
    }

    public bool DirectoryExists(string path) => true;

    public void CreateDirectory(string path)
    {
    }

    public IReadOnlyList<string> ListFiles(string directory)
    {
        lock (_gate)
        {
            return [.. _files.Keys.Where(path => Path.GetDirectoryName(path) == directory)
                .Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        }
    }

    public void Rename(string from, string to)
    {
        lock (_gate)
        {
            _files.Remove(from, out var node);
            _files[to] = node!;
        }
    }

    public void Delete(string path)
    {
        lock (_gate)
        {
            _files.Remove(path);
        }
    }

    public void SyncDirectory(string path)
    {
        lock (_gate)
        {
            foreach (var name in _durableNames.Keys.Where(name => Path.GetDirectoryName(name) == path).ToArray())
            {
                _durableNames.Remove(name);
            }

            foreach (var (name, node) in _files.Where(pair => Path.GetDirectoryName(pair.Key) == path))
            {
                _durableNames[name] = node;
            }
        }
    }

    public long FreeSpace(string path) => _freeBytes;

    public IDisposable LockDirectory(string directory)
    {
        lock (_gate)
        {
            return _locked.Add(directory)
                ? new Unlock(() => Release(directory))
                : throw new DirectoryInUseException(directory, "this test");
        }
    }

    private void Release(string directory)
    {
        lock (_gate)
        {
            _locked.Remove(directory);
        }
    }

    private sealed class Unlock(Action action) : IDisposable
    {
        public void Dispose() => action();
    }

    private sealed class FileNode
    {
        public List<byte> Bytes { get; init; } = [];

        public List<byte> Durable { get; set; } = [];

        public List<(long Offset, byte[] Bytes)> Unsynced { get; } = [];

        public FileNode AfterPowerLoss(Random random)
        {
            var left = new List<byte>(Durable);
            var whole = random.Next(Unsynced.Count + 1);
            foreach (var (offset, bytes) in Unsynced.Take(whole))
            {
                Put(left, bytes, offset);
            }

            if (whole < Unsynced.Count)
            {
                var (offset, bytes) = Unsynced[whole];
                Put(left, bytes.AsSpan(0, random.Next(bytes.Length)), offset);
            }

            return new FileNode { Bytes = left, Durable = [.. left] };
        }

        public static void Put(List<byte> content, ReadOnlySpan<byte> bytes, long offset)
        {
            while (content.Count < offset + bytes.Length)
            {
                content.Add(0);
            }

            for (var i = 0; i < bytes.Length; i++)
            {
                content[(int)offset + i] = bytes[i];
            }
        }
    }

    private sealed class MemoryFile(MemoryDisk disk, FileNode node) : IDiskFile
    {
        public long Length
        {
            get
            {
                lock (disk._gate)
                {
                    return node.Bytes.Count;
                }
            }
        }

        public int Read(Span<byte> buffer, long offset)
        {
            lock (disk._gate)
            {
                var count = (int)Math.Clamp(node.Bytes.Count - offset, 0, buffer.Length);
                for (var i = 0; i < count; i++)
                {
                    buffer[i] = node.Bytes[(int)offset + i];
                }

                return count;
            }
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            lock (disk._gate)
            {
                if (bytes.Length > disk._freeBytes)
                {
                    var fits = bytes[..(int)disk._freeBytes].ToArray();
                    FileNode.Put(node.Bytes, fits, offset);
                    node.Unsynced.Add((offset, fits));
                    disk._freeBytes = 0;
                    throw new IOException("No space left on device");
                }

                disk._freeBytes -= bytes.Length;
                FileNode.Put(node.Bytes, bytes, offset);
                node.Unsynced.Add((offset, bytes.ToArray()));
            }
        }

        public void SetLength(long length)
        {
            lock (disk._gate)
            {
                node.Bytes.RemoveRange((int)length, node.Bytes.Count - (int)length);
            }
        }

        public void Sync()
        {
            disk.SyncsPass.Wait();
            if (disk.FailSyncs)
            {
                throw new IOException("Input/output error");
            }

            lock (disk._gate)
            {
                node.Durable = [.. node.Bytes];
                node.Unsynced.Clear();
            }

            Interlocked.Increment(ref disk._syncs);
        }

        public void Dispose()
        {
        }
    }
}
