using Fabric.Runtime.Processes;

namespace Fabric.Tests.Cli;

/// <summary><c>up</c> and <c>down</c> as far as they start nothing.</summary>
[TestFixture]
internal sealed class DevelopmentFabricTests
{
    private static readonly string PortOffset = $"{Random.Shared.Next(3000, 3800)}";
    private string _home = null!;

    [SetUp]
    public void CreateHome() => _home = Directory.CreateTempSubdirectory("fabric-down-").FullName;

    [TearDown]
    public void DeleteHome() => Directory.Delete(_home, recursive: true);

    [TestCase("data")]
    [TestCase("registry")]
    [TestCase("containers")]
    public async Task A_directory_that_up_has_not_made_is_not_wiped(string entry)
    {
        var file = Path.Combine(_home, entry, "journal");
        Directory.CreateDirectory(Path.Combine(_home, entry));
        await File.WriteAllTextAsync(file, "messages");

        var run = await CommandRun.RunAsync(_home, "down", "--wipe", "--data", ".");

        Assert.That((run.Code, File.Exists(file)), Is.EqualTo((78, true)));
        Assert.That(run.Error, Does.StartWith("error: ").And.Contain("was not made by fabric up").And.Contain("try: remove it yourself"));
    }

    [Test]
    public async Task What_runs_in_a_directory_that_up_has_not_made_is_not_stopped_to_wipe_it()
    {
        var processes = new Bystander();
        PidFile.Write(new Fabric.Runtime.Disk.SystemDisk(), _home, processes.Self);

        var run = await CommandRun.RunAsync(processes, _home, "down", "--wipe", "--data", ".");

        Assert.That((run.Code, processes.Starts), Is.EqualTo((78, 0)));
    }

    [Test]
    public async Task Wiping_what_is_not_there_is_no_error() =>
        Assert.That((await CommandRun.RunAsync(_home, "down", "--wipe", "--data", "nowhere")).Code, Is.Zero);

    [Test]
    public async Task A_fabric_whose_root_did_not_start_can_be_made_otherwise_and_be_wiped()
    {
        var processes = new Bystander();
        Assert.That((await UpAsync("3")).Code, Is.EqualTo(74));
        Assert.That((await UpAsync("1")).Code, Is.EqualTo(74), "nothing was made yet, so nothing contradicts the options");
        Assert.That(processes.Starts, Is.EqualTo(2));

        Directory.CreateDirectory(Path.Combine(_home, "registry"));
        var other = await UpAsync("3");
        Assert.That((other.Code, other.Error), Is.EqualTo((78, other.Error)));
        Assert.That(other.Error, Does.Contain("was made with --replicas 1"));

        Assert.That((await CommandRun.RunAsync(processes, _home, "down", "--wipe", "--data", ".")).Code, Is.Zero);
        Assert.That(Directory.EnumerateFileSystemEntries(_home), Is.Empty);

        Task<CommandRun> UpAsync(string replicas) =>
            CommandRun.RunAsync(processes, _home, "up", "--data", ".", "--replicas", replicas, "--port-offset", PortOffset);
    }

    [Test]
    public async Task Malformed_hosts_of_the_registry_make_nothing()
    {
        var processes = new Bystander();
        var run = await CommandRun.RunAsync(processes, _home, "up", "--data", "fabric", "--port-offset", PortOffset, "--zookeeper", "localhost:x");
        Assert.That((run.Code, processes.Starts), Is.EqualTo((64, 0)));
        Assert.That(Directory.EnumerateFileSystemEntries(_home), Is.Empty);
    }

    [Test]
    public async Task What_other_commands_are_told_of_their_registry_is_not_told_to_the_root()
    {
        var processes = new Bystander();
        await CommandRun.RunAsync(processes, _home, "up", "--data", ".", "--port-offset", PortOffset);
        Assert.That(processes.Withheld, Is.EquivalentTo(new[] { "FABRIC_ZOOKEEPER", "FABRIC_ZOOKEEPER_PASSWORD" }));
    }

    /// <summary>Processes of which one runs, ours, and no other can be started.</summary>
    private sealed class Bystander : IProcesses
    {
        public int Starts { get; private set; }

        public ProcessIdentity Self => new(1, "self");

        public IReadOnlyList<string> Withheld { get; private set; } = [];

        public ISupervisedProcess Start(ProcessStart start)
        {
            Starts++;
            Withheld = start.WithheldVariables;
            throw new IOException("nothing is started here");
        }

        public ISupervisedProcess? Find(ProcessIdentity identity) => identity == Self ? new Running(identity) : null;

        private sealed class Running(ProcessIdentity identity) : ISupervisedProcess
        {
            public ProcessIdentity Identity => identity;

            public Task<int?> Ended => new TaskCompletionSource<int?>().Task;

            public void Terminate() => throw new NotSupportedException();

            public void Kill() => throw new NotSupportedException();

            public void Signal(int number) => throw new NotSupportedException();

            public void Dispose()
            {
                // Nothing is held.
            }
        }
    }
}
