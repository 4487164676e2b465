using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Fabric.Interop.Tests.ZooKeeper;

namespace Fabric.Cluster.Tests.Nodes;

/// <summary>How one <c>fabricd</c> process begins and ends: exit codes, files, signals.</summary>
[TestFixture, Platform("Linux")]
internal sealed class NodeProcessTests
{
    private const int SigTerm = 15;
    private const int SigKill = 9;

    private string _directory = null!;

    [SetUp]
    public void CreateDirectory() => _directory = Directory.CreateTempSubdirectory("fabric-node-").FullName;

    [TearDown]
    public void DeleteDirectory() => Directory.Delete(_directory, recursive: true);

    [TestCase("run", "--nmae", "x")]
    [TestCase("rn")]
    [TestCase("run", "--name", "x")]
    public async Task A_wrong_command_line_is_one_clear_line_and_64(params string[] arguments)
    {
        var (code, output, error) = await Fabricd.RunAsync(arguments);
        Assert.That(code, Is.EqualTo(64));
        Assert.That(output, Is.Empty);
        Assert.That(error.Split('\n')[0], Does.StartWith("error: "));
    }

    [Test]
    public async Task A_data_directory_in_use_is_refused_with_74()
    {
        await using var first = StartWithoutRegistry();
        await RunningAsync();
        await using var second = StartWithoutRegistry();
        var (code, _, error) = await second.EndAsync();
        Assert.That(code, Is.EqualTo(74));
        Assert.That(error, Does.StartWith($"error: the directory {_directory} is in use by process {first.ProcessId}"));
    }

    [Test]
    public async Task A_broker_without_a_fabric_whose_store_is_refused_ends_with_74()
    {
        var journal = Directory.CreateDirectory(Path.Combine(_directory, "data", "journal"));
        await File.WriteAllTextAsync(Path.Combine(journal.FullName, "replica.state"), "not a replica's state at all, whatever its name");
        var config = Path.Combine(_directory, "fabric.json");
        await File.WriteAllTextAsync(config, $$"""
            { "Fabric": {
                "Broker": { "Name": "shop", "Connectors": { "openwire": "tcp://127.0.0.1:{{Ports.FindFree()}}" } },
                "Management": { "Urls": "http://127.0.0.1:{{Ports.FindFree()}}" }
            } }
            """);
        var (code, _, error) = await Fabricd.RunAsync("run", "--config", config);
        Assert.That(code, Is.EqualTo(74), error);
        Assert.That(error, Does.Contain("replica.state").And.Contain("fabric journal-verify"));
    }

    [Test]
    public async Task A_management_port_in_use_is_refused_with_74()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();
        var port = ((IPEndPoint)occupant.LocalEndpoint).Port;
        var (code, _, error) = await Fabricd.RunAsync(
            "run", "--name", "x", "--data", _directory, "--zookeeper", "127.0.0.1:1", "--admin-port", $"{port}");
        Assert.That(code, Is.EqualTo(74));
        Assert.That(error, Does.Contain($"error: the management port {port} on 127.0.0.1 is in use"));
        Assert.That(File.Exists(PidFile), Is.False);
    }

    [Test]
    public async Task A_data_directory_that_cannot_be_made_is_refused_with_74()
    {
        var file = Path.Combine(_directory, "file");
        await File.WriteAllTextAsync(file, "");
        var (code, _, error) = await Fabricd.RunAsync("run", "--name", "x", "--data", Path.Combine(file, "below"), "--zookeeper", "127.0.0.1:1");
        Assert.That(code, Is.EqualTo(74));
        Assert.That(error, Does.Contain("cannot be used"));
    }

    [Test]
    public async Task A_password_file_that_others_can_read_is_refused_with_78()
    {
        var file = Path.Combine(_directory, "registry.password");
        await File.WriteAllTextAsync(file, "secret");
        var (code, _, error) = await Fabricd.RunAsync("run", "--name", "x", "--data", _directory, "--zookeeper", "127.0.0.1:1");
        Assert.That(code, Is.EqualTo(78));
        Assert.That(error, Does.Contain("chmod 600").And.Not.Contain("secret"));
    }

    [Test]
    public async Task A_registry_that_is_not_there_yet_is_waited_for()
    {
        var port = Ports.FindFree();
        await using var fabricd = StartWithoutRegistry("--admin-port", $"{port}");
        await RunningAsync();
        await Fabricd.UntilAsync(async () => await Fabricd.GetAsync(port, "/health/live") is not null, "it answers");
        await Fabricd.UntilAsync(() => Log().Contains("cannot be reached", StringComparison.Ordinal), "it says what it waits for");
        fabricd.Signal(SigTerm);
        var (code, _, _) = await fabricd.EndAsync();
        Assert.That(code, Is.Zero);
        Assert.That(File.Exists(PidFile), Is.False);
    }

    [Test]
    public async Task A_registry_that_is_not_there_ends_a_node_that_is_to_fail_fast_with_69()
    {
        await using var fabricd = StartWithoutRegistry("--fail-fast");
        var (code, _, error) = await fabricd.EndAsync();
        Assert.That(code, Is.EqualTo(69));
        Assert.That(error, Does.Contain("error: the registry 127.0.0.1:1 cannot be reached"));
    }

    [Test]
    public async Task A_killed_node_leaves_its_pid_file_and_frees_its_directory()
    {
        await using (var killed = StartWithoutRegistry())
        {
            await RunningAsync();
            killed.Signal(SigKill);
            var (code, _, _) = await killed.EndAsync();
            Assert.That(code, Is.EqualTo(137));
            Assert.That(File.Exists(PidFile), Is.True);
        }

        await using var next = StartWithoutRegistry();
        await Fabricd.UntilAsync(() => PidInFile() == next.ProcessId, "the next one signs");
    }

    [Test]
    public async Task A_detached_node_leaves_the_terminal_and_is_stopped_by_its_directory()
    {
        await using var fabricd = StartWithoutRegistry("--detach");
        await RunningAsync();
        var session = File.ReadAllText($"/proc/{fabricd.ProcessId}/stat").Split(')')[1].Split(' ')[4];
        Assert.That(session, Is.EqualTo(fabricd.ProcessId.ToString(CultureInfo.InvariantCulture)));
        Assert.That(new FileInfo($"/proc/{fabricd.ProcessId}/fd/1").ResolveLinkTarget(false)!.FullName, Does.EndWith("fabricd.out"));
        var (stopCode, stopOutput, _) = await Fabricd.RunAsync("stop", "--data", _directory);
        Assert.That((stopCode, stopOutput.Trim()), Is.EqualTo((0, "stopped")));
        var (code, output, error) = await fabricd.EndAsync();
        Assert.That((code, output, error), Is.EqualTo((0, "", "")));
        var (againCode, againOutput, _) = await Fabricd.RunAsync("stop", "--data", _directory);
        Assert.That((againCode, againOutput.Trim()), Is.EqualTo((0, "nothing runs here")));
    }

    private string PidFile => Path.Combine(_directory, "fabricd.pid");

    private Fabricd StartWithoutRegistry(params string[] more) => Fabricd.Start(
        ["run", "--name", "x", "--data", _directory, "--zookeeper", "127.0.0.1:1", "--admin-port", "0", .. more]);

    private Task RunningAsync() => Fabricd.UntilAsync(() => PidInFile() is not null, "the node runs");

    private int? PidInFile() =>
        File.Exists(PidFile) ? int.Parse(File.ReadAllLines(PidFile)[0], CultureInfo.InvariantCulture) : null;

    private string Log() => string.Concat(Directory.EnumerateFiles(Path.Combine(_directory, "log"), "*.log").Select(ReadShared));

    private static string ReadShared(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
