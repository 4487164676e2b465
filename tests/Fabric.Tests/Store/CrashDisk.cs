using Fabric.Runtime.Disk;

namespace Fabric.Tests.Store;

/// <summary>
/// A disk in memory that knows what would survive a loss of power: bytes that were synced, and names whose directory was synced. At
/// <see cref="PowerLoss"/> everything else is kept, lost or torn by sectors, at random. It can also fail on demand.
/// </summary>
internal sealed class CrashDisk : IDisk
{
    private const int SectorBytes = 512;

    private readonly Lock _gate = new();
    private readonly HashSet<string> _locks = [];
    private Dictionary<string, Content> _names = new(StringComparer.Ordinal);
    private Dictionary<string, Content> _durableNames = new(StringComparer.Ordinal);
    private readonly List<Action<Dictionary<string, Content>>> _pendingNames = [];
    private int _operations;
    private int _generation;

    /// <summary>Number of the write, sync, rename or deletion from which on every one fails, as if the process had died there.</summary>
    public int DiesAt { get; set; } = int.MaxValue;

    /// <summary>Called before each write with the path; may throw.</summary>
    public Action<string>? OnWrite { get; set; }

    /// <summary>Called before each sync with the path; may throw.</summary>
    public Action<string>? OnSync { get; set; }

    /// <summary>Called before each call with its name and path, outside of any lock; may throw or block.</summary>
    public Action<string, string>? OnCall { get; set; }

    /// <summary>Paths whose syncs fail as a kernel's do: the bytes are called written, stay readable, and never reach the platter.</summary>
    public Predicate<string>? Forgets { get; set; }

    /// <summary>What it says is left, in bytes.</summary>
    public long Free { get; set; } = 1L << 40;

    public int Operations => Volatile.Read(ref _operations);

    /// <summary>The machine goes down and comes up again. Files that are open are dead.</summary>
    public void PowerLoss(Random random)
    {
        lock (_gate)
        {
            foreach (var pending in _pendingNames.Take(random.Next(_pendingNames.Count + 1)))
            {
                pending(_durableNames);
            }

            Restart();
            _pendingNames.Clear();
            _names = new Dictionary<string, Content>(_durableNames, StringComparer.Ordinal);
            foreach (var content in _names.Values.Distinct())
            {
                content.LosePower(random);
            }
        }
    }

    /// <summary>The process dies, the machine stays up: nothing that was written is lost.</summary>
    public void Kill()
    {
        lock (_gate)
        {
            Restart();
        }
    }

    /// <summary>An independent copy of what is on it at present.</summary>
    public CrashDisk Clone()
    {
        lock (_gate)
        {
            var clone = new CrashDisk();
            foreach (var (name, content) in _names)
            {
                clone._names[name] = clone._durableNames[name] = new Content(content.ToArray());
            }

            return clone;
        }
    }

    public byte[] ReadAll(string path)
    {
        lock (_gate)
        {
            return _names[path].ToArray();
        }
    }

    public void WriteAll(string path, byte[] bytes)
    {
        lock (_gate)
        {
            _names[path] = _durableNames[path] = new Content(bytes);
        }
    }

    /// <summary>Flips a bit of a file, whoever has it open.</summary>
    public void Rot(string path, long offset)
    {
        lock (_gate)
        {
            _names[path].Rot(offset);
        }
    }

    public IDiskFile Open(string path, DiskFileMode mode)
    {
        OnCall?.Invoke("Open", path);
        lock (_gate)
        {
            if (_names.TryGetValue(path, out var content))
            {
                return mode == DiskFileMode.CreateNew ? throw new IOException($"{path} exists") : new OpenFile(this, path, content, _generation);
            }

            if (mode is DiskFileMode.Open or DiskFileMode.Read)
            {
                throw new FileNotFoundException($"{path} is not there");
            }

            Count();
            content = new Content([]);
            ChangeNames(names => names[path] = content);
            return new OpenFile(this, path, content, _generation);
        }
    }

    public bool FileExists(string path)
    {
        lock (_gate)
        {
            return _names.ContainsKey(path);
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
            return [.. _names.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        }
    }

    public void Rename(string from, string to)
    {
        OnCall?.Invoke("Rename", to);
        lock (_gate)
        {
            Count();
            var content = _names[from];
            ChangeNames(names =>
            {
                names.Remove(from);
                names[to] = content;
            });
        }
    }

    public void Delete(string path)
    {
        OnCall?.Invoke("Delete", path);
        lock (_gate)
        {
            Count();
            ChangeNames(names => names.Remove(path));
        }
    }

    public void SyncDirectory(string path)
    {
        OnCall?.Invoke("SyncDirectory", path);
        lock (_gate)
        {
            Count();
            foreach (var pending in _pendingNames)
            {
                pending(_durableNames);
            }

            _pendingNames.Clear();
        }
    }

    public long FreeSpace(string path) => Free;

    public IDisposable LockDirectory(string directory)
    {
        lock (_gate)
        {
            if (!_locks.Add(directory))
            {
                throw new DirectoryInUseException(directory, null);
            }

            return new DirectoryLock(this, directory, _generation);
        }
    }

    private void Restart()
    {
        _generation++;
        _locks.Clear();
        _operations = 0;
        DiesAt = int.MaxValue;
    }

    private void ChangeNames(Action<Dictionary<string, Content>> change)
    {
        change(_names);
        _pendingNames.Add(change);
    }

    private void Count()
    {
        if (++_operations >= DiesAt)
        {
            throw new IOException("the process is dead");
        }
    }

    private sealed class DirectoryLock(CrashDisk disk, string directory, int generation) : IDisposable
    {
        public void Dispose()
        {
            lock (disk._gate)
            {
                if (generation == disk._generation)
                {
                    disk._locks.Remove(directory);
                }
            }
        }
    }

    /// <summary>Bytes as the process sees them, and as the platter has them.</summary>
    private sealed class Content(byte[] bytes)
    {
        private byte[] _current = bytes;
        private byte[] _durable = [.. bytes];
        private readonly HashSet<long> _dirtySectors = [];

        public long Length => _current.Length;

        public byte[] ToArray() => [.. _current];

        public void Rot(long offset)
        {
            _current[offset] ^= 0x20;
            _durable[offset] = _current[offset];
        }

        public int Read(Span<byte> buffer, long offset)
        {
            var count = (int)Math.Clamp(_current.Length - offset, 0, buffer.Length);
            _current.AsSpan((int)offset, count).CopyTo(buffer);
            return count;
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            if (_current.Length < offset + bytes.Length)
            {
                SetLength(offset + bytes.Length);
            }

            bytes.CopyTo(_current.AsSpan((int)offset));
            for (var sector = offset / SectorBytes; sector * SectorBytes < offset + bytes.Length; sector++)
            {
                _dirtySectors.Add(sector);
            }
        }

        public void SetLength(long length)
        {
            for (var sector = Math.Min(length, _current.Length) / SectorBytes; sector * SectorBytes < Math.Max(length, _current.Length); sector++)
            {
                _dirtySectors.Add(sector);
            }

            Array.Resize(ref _current, (int)length);
        }

        public void Sync()
        {
            Array.Resize(ref _durable, _current.Length);
            foreach (var sector in _dirtySectors)
            {
                var start = (int)Math.Min(sector * SectorBytes, _current.Length);
                _current.AsSpan(start, Math.Min(SectorBytes, _current.Length - start)).CopyTo(_durable.AsSpan(start));
            }

            _dirtySectors.Clear();
        }

        public void Forget() => _dirtySectors.Clear();

        /// <summary>Each sector that was not synced is there or not; sometimes all of them are of one kind.</summary>
        public void LosePower(Random random)
        {
            var kept = random.Next(4) switch { 0 => 0.0, 1 => 1.0, _ => random.NextDouble() };
            var survivor = new byte[random.NextDouble() < kept ? _current.Length : _durable.Length];
            _durable.AsSpan(0, Math.Min(_durable.Length, survivor.Length)).CopyTo(survivor);
            foreach (var sector in _dirtySectors.Order())
            {
                var start = (int)(sector * SectorBytes);
                var length = Math.Min(SectorBytes, Math.Min(survivor.Length, _current.Length) - start);
                if (length > 0 && random.NextDouble() < kept)
                {
                    _current.AsSpan(start, length).CopyTo(survivor.AsSpan(start));
                }
            }

            _current = survivor;
            _durable = [.. survivor];
            _dirtySectors.Clear();
        }
    }

    private sealed class OpenFile(CrashDisk disk, string path, Content content, int generation) : IDiskFile
    {
        public long Length
        {
            get
            {
                lock (disk._gate)
                {
                    return content.Length;
                }
            }
        }

        public int Read(Span<byte> buffer, long offset)
        {
            disk.OnCall?.Invoke("Read", path);
            lock (disk._gate)
            {
                return content.Read(buffer, offset);
            }
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            disk.OnCall?.Invoke("Write", path);
            disk.OnWrite?.Invoke(path);
            lock (disk._gate)
            {
                Change();
                content.Write(bytes, offset);
            }
        }

        public void SetLength(long length)
        {
            disk.OnCall?.Invoke("SetLength", path);
            lock (disk._gate)
            {
                Change();
                content.SetLength(length);
            }
        }

        public void Sync()
        {
            disk.OnCall?.Invoke("Sync", path);
            disk.OnSync?.Invoke(path);
            lock (disk._gate)
            {
                Change();
                if (disk.Forgets?.Invoke(path) == true)
                {
                    content.Forget();
                    throw new IOException("No space left on device", 28);
                }

                content.Sync();
            }
        }

        public void Dispose()
        {
        }

        private void Change()
        {
            if (generation != disk._generation)
            {
                throw new IOException("the process is dead");
            }

            disk.Count();
        }
    }
}
