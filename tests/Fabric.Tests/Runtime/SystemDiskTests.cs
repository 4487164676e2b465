using Fabric.Runtime.Disk;
using Fabric.Store;

namespace Fabric.Tests.Runtime;

/// <summary>What the machine's file system says when it cannot.</summary>
[TestFixture]
internal sealed class SystemDiskTests
{
    private const int NotFound = 2;
    private readonly SystemDisk _disk = new();

    [Test]
    public void A_failed_sync_says_why_in_words_and_by_number()
    {
        var failure = Assert.Throws<IOException>(() => _disk.SyncDirectory("/not/there"));
        Assert.That(failure.HResult, Is.EqualTo(NotFound), "a full disk is told from a broken one by it");
        Assert.That(failure.Message, Does.Contain("/not/there").And.Contain("No such file or directory"));
        Assert.That(StoreUnavailableException.IsDiskFull(failure), Is.False);
    }

    [Test]
    public void A_directory_is_locked_once_and_again_when_it_was_given_back()
    {
        var directory = Directory.CreateTempSubdirectory("fabric-lock-").FullName;
        try
        {
            using (_disk.LockDirectory(directory))
            {
                var refused = Assert.Throws<DirectoryInUseException>(() => _disk.LockDirectory(directory).Dispose());
                Assert.That(refused.Message, Does.Contain(directory).And.Contain($"process {Environment.ProcessId}"));
            }

            _disk.LockDirectory(directory).Dispose();
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public void A_lock_that_cannot_be_made_is_not_taken_for_one_that_is_held()
    {
        var directory = Directory.CreateTempSubdirectory("fabric-lock-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(directory, "lock")); // where the file should be
            Assert.That(() => _disk.LockDirectory(directory), Throws.Exception.Not.InstanceOf<DirectoryInUseException>());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
