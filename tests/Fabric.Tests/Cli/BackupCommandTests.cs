using Fabric.Runtime.Disk;
using Fabric.Tests.Store;

namespace Fabric.Tests.Cli;

/// <summary><c>backup-create</c>, <c>backup-verify</c> and <c>backup-restore</c> on real files.</summary>
[TestFixture]
internal sealed class BackupCommandTests
{
    private string _home = null!;

    [SetUp]
    public void CreateHome() => _home = Directory.CreateTempSubdirectory("fabric-backup-").FullName;

    [TearDown]
    public void DeleteHome() => Directory.Delete(_home, recursive: true);

    [Test]
    public async Task A_backup_is_made_checked_and_restored_once_into_each_directory()
    {
        await using (var opened = await Opened.OpenAsync(Path.Combine(_home, "journal")))
        {
            opened.BecomeMaster();
            await opened.AppendAppliedAsync(0, 500);
        }

        var created = await CommandRun.RunAsync(_home, "backup-create", "journal", "backup");
        Assert.That((created.Code, created.Error), Is.EqualTo((0, "")));
        Assert.That(created.Out, Does.Contain("501 records").And.Contain("positions 0 to 58040"));
        Assert.That((await CommandRun.RunAsync(_home, "backup-verify", "backup", "-o", "json")).Code, Is.Zero);
        Assert.That((await CommandRun.RunAsync(_home, "journal-verify", "backup")).Code, Is.Zero);
        Assert.That((await CommandRun.RunAsync(_home, "backup-restore", "backup", "one")).Code, Is.Zero);
        Assert.That((await CommandRun.RunAsync(_home, "backup-restore", "backup", "two")).Code, Is.Zero);
        Assert.That(
            await File.ReadAllBytesAsync(Path.Combine(_home, "one", "replica.state")),
            Is.Not.EqualTo(await File.ReadAllBytesAsync(Path.Combine(_home, "two", "replica.state"))), "each is a replica of its own");
        if (!OperatingSystem.IsWindows())
        {
            Assert.That(File.GetUnixFileMode(Path.Combine(_home, "backup", "backup.json")), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        }

        var again = await CommandRun.RunAsync(_home, "backup-restore", "backup", "one");
        Assert.That((again.Code, again.Error), Is.EqualTo((73, again.Error)));
        Assert.That(again.Error, Does.Contain("is not empty").And.Contain("nothing was changed"));
    }

    [TestCase("backup-verify", "nowhere")]
    [TestCase("backup-restore", "nowhere", "new")]
    [TestCase("backup-create", "nowhere", "new")]
    public async Task What_is_no_backup_or_journal_is_refused_with_65(params string[] arguments)
    {
        var run = await CommandRun.RunAsync(_home, arguments);
        Assert.That((run.Code, run.Out), Is.EqualTo((65, "")));
        Assert.That(run.Error.Split('\n')[0], Does.StartWith("error: ").And.Contain("nowhere"));
        Assert.That(new SystemDisk().ListFiles(Path.Combine(_home, "new")), Is.Empty);
    }
}
