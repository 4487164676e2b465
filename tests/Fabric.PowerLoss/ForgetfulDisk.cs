using Fabric.Runtime.Disk;

namespace Fabric.PowerLoss;

/// <summary>
/// A disk whose cache is this process's memory. Writes reach the real file system when their file is synced, and names when their directory is, so that
/// the real directory is at every moment what a power cut would leave. Of unsynced writes some sectors go there early, as a cache is
/// written back when it pleases. Thread-safe.
/// </summary>
/// <remarks>Directories themselves appear at once; only the names of files wait. What is there without a name lies in a directory of its own.</remarks>
public sealed class ForgetfulDisk : IDisk
{
    private readonly SystemDisk _disk = new();
    private readonly Lock _lock = new();
    private readonly string _unlinked;

    /// <summary>Names whose directory has not been synced since they changed; null for one that is gone.</summary>
    private readonly Dictionary<string, CachedFile?> _pending = new(StringComparer.Ordinal);

    /// <summary>Files that were opened, by the name that the real directory knows.</summary>
    private readonly Dictionary<string, CachedFile> _known = new(StringComparer.Ordinal);

    private int _count;

    /// <param name="unlinked">An existing directory on the file system of all files; what is in it means nothing to the next process.</param>
    public ForgetfulDisk(string unlinked) => _unlinked = unlinked;

    /// <inheritdoc/>
    public IDiskFile Open(string path, DiskFileMode mode)
    {
        lock (_lock)
        {
            var file = Find(path);
            if (file is null && mode is (DiskFileMode.Open or DiskFileMode.Read))
            {
                throw new FileNotFoundException($"there is no file {path}", path);
            }

            if (file is not null && mode == DiskFileMode.CreateNew)
            {
                throw new IOException($"the file {path} exists");
            }

            if (file is null)
            {
                if (!Directory.Exists(Path.GetDirectoryName(path)))
                {
                    throw new DirectoryNotFoundException($"there is no directory for {path}");
                }

                file = new CachedFile(Path.Combine(_unlinked, $"{Environment.ProcessId}-{_count++}"));
                _pending[path] = file;
            }

            return new Handle(file);
        }
    }

    /// <inheritdoc/>
    public bool FileExists(string path)
    {
        lock (_lock)
        {
            return _pending.TryGetValue(path, out var file) ? file is not null : File.Exists(path);
        }
    }

    /// <inheritdoc/>
    public bool DirectoryExists(string path) => _disk.DirectoryExists(path);

    /// <inheritdoc/>
    public void CreateDirectory(string path) => _disk.CreateDirectory(path);

    /// <inheritdoc/>
    public IReadOnlyList<string> ListFiles(string directory)
    {
        lock (_lock)
        {
            var names = _disk.ListFiles(directory).ToHashSet(StringComparer.Ordinal);
            foreach (var (path, file) in InDirectory(directory))
            {
                _ = file is null ? names.Remove(Path.GetFileName(path)) : names.Add(Path.GetFileName(path));
            }

            return [.. names.Order(StringComparer.Ordinal)];
        }
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        lock (_lock)
        {
            var file = Find(from) ?? throw new FileNotFoundException($"there is no file {from}", from);
            _pending[from] = null;
            _pending[to] = file;
        }
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        lock (_lock)
        {
            if (FileExists(path))
            {
                _ = Find(path); // what has it open goes on reading
                _pending[path] = null;
            }
        }
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        lock (_lock)
        {
            // Names that are given before names that are taken away: a crash between the two leaves a file twice, not nowhere.
            var changes = InDirectory(path).ToList();
            foreach (var (name, file) in changes.Where(change => change.File is not null))
            {
                Link(name, file!);
            }

            foreach (var (name, _) in changes.Where(change => change.File is null))
            {
                if (_known.Remove(name, out var file) && _pending.ContainsValue(file))
                {
                    _known[name] = file; // it has another name in a directory that is not synced yet
                }
                else
                {
                    File.Delete(name);
                }
            }

            changes.ForEach(change => _pending.Remove(change.Path));
        }
    }

    /// <inheritdoc/>
    public long FreeSpace(string path) => _disk.FreeSpace(path);

    /// <inheritdoc/>
    public IDisposable LockDirectory(string directory) => _disk.LockDirectory(directory);

    private IEnumerable<(string Path, CachedFile? File)> InDirectory(string directory)
    {
        var wanted = Path.TrimEndingDirectorySeparator(directory);
        return _pending.Where(entry => Path.GetDirectoryName(entry.Key) == wanted).Select(entry => (entry.Key, entry.Value));
    }

    /// <summary>Makes the real directory show a file under a name, at one stroke.</summary>
    private void Link(string name, CachedFile file)
    {
        if (file.RealPath == name)
        {
            return;
        }

        if (_known.Remove(name, out var replaced) && _pending.ContainsValue(replaced))
        {
            replaced.MoveTo(Path.Combine(_unlinked, $"{Environment.ProcessId}-{_count++}"));
        }

        _known.Remove(file.RealPath);
        file.MoveTo(name);
        _known[name] = file;
    }

    private CachedFile? Find(string path)
    {
        if (_pending.TryGetValue(path, out var pending))
        {
            return pending;
        }

        if (!_known.TryGetValue(path, out var file) && File.Exists(path))
        {
            _known[path] = file = new CachedFile(path);
        }

        return file;
    }

    private sealed class Handle(CachedFile file) : IDiskFile
    {
        public long Length => file.Length;

        public int Read(Span<byte> buffer, long offset) => file.Read(buffer, offset);

        public void Write(ReadOnlySpan<byte> bytes, long offset) => file.Write(bytes, offset);

        public void SetLength(long length) => file.SetLength(length);

        public void Sync() => file.Sync();

        public void Dispose()
        {
            // The cache outlives the handle.
        }
    }
}
