using Fabric.Runtime.Disk;

namespace Fabric.Simulation.Disk;

/// <summary>What of a disk would be left after a loss of power now, to read only.</summary>
internal sealed class PlatterView(DiskState state) : IDisk
{
    public IDiskFile Open(string path, DiskFileMode mode) =>
        state.FindDurable(path) is { } content ? new PlatterFile(content) : throw new FileNotFoundException($"{path} is not there");

    public bool FileExists(string path) => state.FindDurable(path) is not null;

    public bool DirectoryExists(string path) => true;

    public IReadOnlyList<string> ListFiles(string directory) =>
        [.. state.DurableFiles.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path)!)];

    public void CreateDirectory(string path) => throw ReadOnly();

    public void Rename(string from, string to) => throw ReadOnly();

    public void Delete(string path) => throw ReadOnly();

    public void SyncDirectory(string path) => throw ReadOnly();

    public long FreeSpace(string path) => throw ReadOnly();

    public IDisposable LockDirectory(string directory) => throw ReadOnly();

    private static NotSupportedException ReadOnly() => new("a platter is only looked at");

    private sealed class PlatterFile(FileContent content) : IDiskFile
    {
        public long Length => content.DurableLength;

        public int Read(Span<byte> buffer, long offset) => content.ReadDurable(buffer, offset);

        public void Write(ReadOnlySpan<byte> bytes, long offset) => throw ReadOnly();

        public void SetLength(long length) => throw ReadOnly();

        public void Sync() => throw ReadOnly();

        public void Dispose()
        {
        }
    }
}
