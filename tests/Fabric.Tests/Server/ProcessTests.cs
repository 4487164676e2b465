using System.Runtime.Versioning;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Processes;

namespace Fabric.Tests.Server;

/// <summary>Processes of this machine, with the programs that every POSIX system has.</summary>
[TestFixture, Platform(Exclude = "Win"), UnsupportedOSPlatform("windows")]
internal sealed class ProcessTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly SystemProcesses _processes = new(TimeProvider.System);
    private string _directory = null!;

    [SetUp]
    public void CreateDirectory() => _directory = Directory.CreateTempSubdirectory("fabric-process-").FullName;

    [TearDown]
    public void DeleteDirectory() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task A_child_tells_its_exit_code()
    {
        using var process = _processes.Start(new ProcessStart("/bin/sh", ["-c", "exit 78"]));
        Assert.That(await process.Ended.WaitAsync(Limit), Is.EqualTo(78));
    }

    [Test]
    public async Task A_killed_child_tells_the_signal()
    {
        using var process = _processes.Start(new ProcessStart("/bin/sleep", ["60"]));
        process.Kill();
        Assert.That(await process.Ended.WaitAsync(Limit), Is.EqualTo(128 + 9));
    }

    [Test]
    public async Task A_running_process_is_found_until_it_ends()
    {
        using var child = _processes.Start(new ProcessStart("/bin/sleep", ["60"]));
        using var found = _processes.Find(child.Identity);
        Assert.That(found, Is.Not.Null);
        Assert.That(found.Ended.IsCompleted, Is.False);
        found.Terminate();
        Assert.That(await found.Ended.WaitAsync(Limit), Is.Null);
        Assert.That(await child.Ended.WaitAsync(Limit), Is.EqualTo(128 + 15));
        Assert.That(_processes.Find(child.Identity), Is.Null);
    }

    [Test]
    public void A_process_that_got_the_id_of_another_is_not_taken_for_it()
    {
        var self = _processes.Self;
        Assert.That(_processes.Find(self), Is.Not.Null);
        Assert.That(_processes.Find(self with { StartMark = "another" }), Is.Null);
    }

    [Test]
    public void A_program_that_is_not_there_is_reported() =>
        Assert.That(
            () => _processes.Start(new ProcessStart(Path.Combine(_directory, "nothing"), [])),
            Throws.InstanceOf<IOException>().With.Message.Contain("nothing cannot be started"));

    [Test]
    public void The_pid_file_names_its_process()
    {
        var disk = new SystemDisk();
        Assert.That(PidFile.Read(disk, _directory), Is.Null);
        PidFile.Write(disk, _directory, _processes.Self);
        Assert.That(PidFile.Read(disk, _directory), Is.EqualTo(_processes.Self));
        PidFile.Delete(disk, _directory);
        Assert.That(PidFile.Read(disk, _directory), Is.Null);
    }

    [TestCase("")]
    [TestCase("12")]
    [TestCase("0\nmark\n")]
    [TestCase("-5\nmark\n")]
    [TestCase("12\n\n")]
    [TestCase("twelve\nmark\n")]
    public void A_pid_file_that_is_not_ours_names_nobody(string text)
    {
        File.WriteAllText(Path.Combine(_directory, PidFile.Name), text);
        Assert.That(PidFile.Read(new SystemDisk(), _directory), Is.Null);
    }

    [Test]
    public void A_secret_is_readable_by_its_owner_only()
    {
        var path = Path.Combine(_directory, "secret");
        SecretFile.Write(path, "first");
        SecretFile.Write(path, "wörd");
        Assert.That(File.GetUnixFileMode(path), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(SecretFile.Read(path), Is.EqualTo("wörd"));
    }

    [Test]
    public void A_secret_that_others_can_read_is_refused()
    {
        var path = Path.Combine(_directory, "secret");
        SecretFile.Write(path, "word");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Assert.That(() => SecretFile.Read(path), Throws.InstanceOf<UnauthorizedAccessException>().With.Message.Contain("chmod 600"));
    }

    [Test]
    public void An_absent_secret_is_none() => Assert.That(SecretFile.Read(Path.Combine(_directory, "none")), Is.Null);
}
