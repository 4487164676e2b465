using Fabric.Runtime.Disk;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Disk;

/// <summary>
/// A process's view of its host's disk. On a fiber a call takes time, during which others run and the process may die; elsewhere it takes none.
/// </summary>
internal sealed class SimulatedDisk(Process process, DiskState state) : IDisk
{
    public IDiskFile Open(string path, DiskFileMode mode)
    {
        process.ThrowIfDead();
        if (state.Find(path) is { } found)
        {
            return mode == DiskFileMode.CreateNew ? throw new IOException($"{path} exists") : new OpenFile(process, state, path, found);
        }

        if (mode is DiskFileMode.Open or DiskFileMode.Read)
        {
            throw new FileNotFoundException($"{path} is not there");
        }

        Reach(isSync: false);
        var content = new FileContent();
        state.Change(DirectoryOf(path), names => names[path] = content);
        return new OpenFile(process, state, path, content);
    }

    public bool FileExists(string path)
    {
        process.ThrowIfDead();
        return state.Find(path) is not null;
    }

    public bool DirectoryExists(string path) => true;

    public void CreateDirectory(string path) => process.ThrowIfDead();

    public IReadOnlyList<string> ListFiles(string directory)
    {
        process.ThrowIfDead();
        return [.. state.Paths.Where(path => DirectoryOf(path) == directory).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
    }

    public void Rename(string from, string to)
    {
        Reach(isSync: false);
        var content = state.Find(from) ?? throw new FileNotFoundException($"{from} is not there");
        state.Change(DirectoryOf(to), names =>
        {
            names.Remove(from);
            names[to] = content;
        });
    }

    public void Delete(string path)
    {
        Reach(isSync: false);
        if (state.Find(path) is not null)
        {
            state.Change(DirectoryOf(path), names => names.Remove(path));
        }
    }

    public void SyncDirectory(string path)
    {
        Reach(isSync: true);
        state.SyncNames(path);
    }

    public long FreeSpace(string path) => Math.Max(0, state.Capacity - state.Used);

    public IDisposable LockDirectory(string directory)
    {
        process.ThrowIfDead();
        return state.Lock(directory) ? new DirectoryLock(process, state, directory) : throw new DirectoryInUseException(directory, null);
    }

    private static string DirectoryOf(string path) => Path.GetDirectoryName(path) ?? "/";

    private void Reach(bool isSync) => Reach(process, state, isSync);

    private static void Reach(Process process, DiskState state, bool isSync)
    {
        process.ThrowIfDead();
        if (Fiber.Running is { } fiber && (isSync || state.TakesTime()))
        {
            fiber.Block(state.NextTime(isSync));
        }
    }

    private sealed class OpenFile(Process process, DiskState state, string path, FileContent content) : IDiskFile
    {
        public long Length
        {
            get
            {
                process.ThrowIfDead();
                return content.Length;
            }
        }

        public int Read(Span<byte> buffer, long offset)
        {
            process.ThrowIfDead();
            return content.Read(buffer, offset);
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            Reach(process, state, isSync: false);
            ThrowIfFull(offset + bytes.Length - content.Length);
            content.Write(bytes, offset);
        }

        public void SetLength(long length)
        {
            Reach(process, state, isSync: false);
            ThrowIfFull(length - content.Length);
            content.SetLength(length);
        }

        public void Sync()
        {
            state.Syncing(path);
            Reach(process, state, isSync: true);
            if (state.TakeSyncFailure())
            {
                var random = process.World.RandomFor($"failed sync {process.World.Now.Ticks}");
                var error = random.Next(2) == 0 ? 5 : 28; // some file systems find out only now that there is no space
                process.World.Trace.Line(process.World.Now, process.Name, $"a sync of {path} fails with error {error}");
                content.FailSync(random);
                throw new IOException($"fdatasync of {path} failed: error {error}", error);
            }

            content.Sync();
        }

        public void Dispose()
        {
        }

        private void ThrowIfFull(long more)
        {
            if (more > 0 && state.Capacity < long.MaxValue && state.Used + more > state.Capacity)
            {
                throw new IOException($"No space left on device: {path}", unchecked((int)0x80070070));
            }
        }
    }

    private sealed class DirectoryLock(Process process, DiskState state, string directory) : IDisposable
    {
        public void Dispose()
        {
            if (!process.IsDead)
            {
                state.Unlock(directory);
            }
        }
    }
}
