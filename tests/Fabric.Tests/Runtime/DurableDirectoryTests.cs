using Fabric.Runtime.Disk;

namespace Fabric.Tests.Runtime;

/// <summary>The name of a directory is an entry of the one above it, and is synced there.</summary>
[TestFixture]
internal sealed class DurableDirectoryTests
{
    [TestCase("/a/b/c/d", "create /a/b/c/d", "sync /a/b/c", "sync /a/b", "sync /a")]
    [TestCase("/a/b", "create /a/b", "sync /a")]
    [TestCase("/a")]
    public void Every_level_that_is_made_is_synced_above(string path, params string[] calls)
    {
        var disk = new DirectoriesOnly("/a");
        DurableDirectory.Create(disk, path);
        Assert.That(disk.Calls, Is.EqualTo(calls));
    }

    private sealed class DirectoriesOnly(string present) : IDisk
    {
        public List<string> Calls { get; } = [];

        public bool DirectoryExists(string path) => present == path || path == "/";

        public void CreateDirectory(string path) => Calls.Add($"create {path}");

        public void SyncDirectory(string path) => Calls.Add($"sync {path}");

        public IDiskFile Open(string path, DiskFileMode mode) => throw new NotSupportedException();

        public bool FileExists(string path) => throw new NotSupportedException();

        public IReadOnlyList<string> ListFiles(string directory) => throw new NotSupportedException();

        public void Rename(string from, string to) => throw new NotSupportedException();

        public void Delete(string path) => throw new NotSupportedException();

        public long FreeSpace(string path) => throw new NotSupportedException();

        public IDisposable LockDirectory(string directory) => throw new NotSupportedException();
    }
}
