using System.Net;
using System.Net.Sockets;
using Fabric.Registry.Membership;

namespace Fabric.Cluster.Tests.Nodes;

/// <summary>What a root does for the containers of its machine.</summary>
[TestFixture, Platform("Linux")]
internal sealed class ContainerLifeTests
{
    private RootNode _root = null!;

    [SetUp]
    public async Task StartRootAsync() => _root = await RootNode.StartAsync();

    [TearDown]
    public async Task StopRootAsync() => await _root.DisposeAsync();

    [Test]
    public async Task A_container_is_created_stopped_started_and_deleted()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
        var created = await _root.ContainerAsync("c1", info => info is { IsAlive: true, Provision: "success" }, "runs");
        Assert.That(created.ProcessId, Is.EqualTo(_root.ProcessIdOf("c1")));
        Assert.That(created.Parent, Is.EqualTo("root"));

        await _root.WishAsync("c1", ContainerWishState.Stopped);
        await _root.ContainerAsync("c1", info => !info.IsAlive, "is stopped");
        await Fabricd.UntilAsync(() => !Fabricd.IsRunning(created.ProcessId!.Value), "its process ends");

        await _root.WishAsync("c1", ContainerWishState.Running);
        var started = await _root.ContainerAsync("c1", info => info is { IsAlive: true, Provision: "success" }, "runs again");
        Assert.That(started.ProcessId, Is.Not.EqualTo(created.ProcessId));

        await _root.Containers.DeleteAsync("c1", "root");
        await Fabricd.UntilAsync(() => !Directory.Exists(Path.Combine(_root.Data, "containers", "c1")), "its directory is removed");
        await Fabricd.UntilAsync(() => !Fabricd.IsRunning(started.ProcessId!.Value), "its process ends");
        Assert.That(await _root.Containers.TryGetAsync("c1"), Is.Null);
    }

    [Test]
    public async Task A_killed_container_comes_back_by_itself_with_its_data()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
        var before = await _root.ServingAsync("orders", slaves: 0);
        var killed = _root.ProcessIdOf("c1");
        Fabricd.SendSignal(killed, 9);
        await _root.ContainerAsync("c1", info => info.IsAlive && info.ProcessId != killed, "has a new process");
        await Fabricd.UntilAsync(
            async () => (await _root.StatusAsync(0))?.GetProperty("brokers").EnumerateArray().Any(broker =>
                broker.GetProperty("serving").GetBoolean() && broker.GetProperty("epoch").GetInt64() > before.Epoch) == true,
            "it serves again, in a later epoch");
    }

    [Test]
    public async Task A_container_that_was_stopped_by_hand_stays_down_until_it_is_asked_for()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
        await _root.ServingAsync("orders", slaves: 0);
        Fabricd.SendSignal(_root.ProcessIdOf("c1"), 15);
        await _root.ContainerAsync("c1", info => !info.IsAlive, "is down");
        await Fabricd.UntilAsync(async () => await ActivityAsync("c1") == "held", "the root lets it rest");
        await _root.WishAsync("c1", ContainerWishState.Running);
        await _root.ContainerAsync("c1", info => info.IsAlive, "runs again");
    }

    [Test]
    public async Task A_new_root_takes_over_the_containers_of_a_killed_one()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
        await _root.ServingAsync("orders", slaves: 0);
        var container = _root.ProcessIdOf("c1");
        await _root.KillProcessAsync();
        Assert.That(Fabricd.IsRunning(container), Is.True);

        await _root.StartProcessAsync();
        await Fabricd.UntilAsync(async () => await ActivityAsync("c1") == "running", "the root knows that it runs");
        Assert.That(_root.ProcessIdOf("c1"), Is.EqualTo(container));

        Fabricd.SendSignal(container, 9);
        await Fabricd.UntilAsync(() => _root.ProcessIdOf("c1") != container, "the new root looks after it");
    }

    [Test]
    public async Task A_root_that_stops_leaves_its_containers_running()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
        await _root.ServingAsync("orders", slaves: 0);
        var container = _root.ProcessIdOf("c1");
        Fabricd.SendSignal(_root.ProcessId, 15);
        await Fabricd.UntilAsync(() => !Fabricd.IsRunning(_root.ProcessId), "the root ends");
        Assert.That(Fabricd.IsRunning(container), Is.True);
    }

    [Test]
    public async Task Stopping_by_the_directory_ends_root_and_containers()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1", "c2");
        await _root.ServingAsync("orders", slaves: 0);
        int[] processes = [_root.ProcessId, _root.ProcessIdOf("c1"), _root.ProcessIdOf("c2")];
        var (code, output, _) = await Fabricd.RunAsync("stop", "--data", _root.Data);
        Assert.That((code, output.Trim()), Is.EqualTo((0, "stopped")));
        Assert.That(processes.Where(Fabricd.IsRunning), Is.Empty);
    }

    [Test]
    public async Task An_openwire_port_in_use_is_reported_and_served_once_it_is_free()
    {
        var occupant = new TcpListener(IPAddress.Loopback, 61616 + _root.PortOffset);
        occupant.Start();
        try
        {
            await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
            var refused = await _root.ContainerAsync("c1", info => info.Provision == "error", "reports the port");
            Assert.That(refused.ProvisionError, Does.Contain($"cannot listen on 127.0.0.1:{61616 + _root.PortOffset}"));
        }
        finally
        {
            occupant.Stop();
        }

        var serving = await _root.ServingAsync("orders", slaves: 0);
        Assert.That(serving.Service, Is.EqualTo($"tcp://127.0.0.1:{61616 + _root.PortOffset}"));
    }

    [Test]
    public async Task A_container_with_a_wrong_password_ends_with_77()
    {
        var directory = Path.Combine(_root.Data, "stranger");
        await using var stranger = Fabricd.Start(
            new Dictionary<string, string> { ["FABRIC_ZOOKEEPER_PASSWORD"] = "wrong" },
            ["run", "--name", "stranger", "--data", directory, "--zookeeper", _root.ConnectString, "--admin-port", "0"]);
        var (code, _, error) = await stranger.EndAsync();
        Assert.That(code, Is.EqualTo(77));
        Assert.That(error, Does.Contain("refuses the password").And.Not.Contain(RootNode.Password));
    }

    [Test]
    public async Task A_registry_port_in_use_ends_a_root_with_74()
    {
        var (code, _, error) = await Fabricd.RunAsync(
            "run", "--root", "--data", Path.Combine(_root.Data, "second"), "--port-offset", $"{_root.PortOffset}", "--admin-port", "0");
        Assert.That(code, Is.EqualTo(74));
        Assert.That(error, Does.Contain($"the registry cannot be started: cannot listen on 127.0.0.1:{2181 + _root.PortOffset}"));
    }

    [Test]
    public async Task Passwords_stand_in_no_log_and_on_no_command_line()
    {
        await _root.CreateBrokerAsync("orders", "StandAlone", 1, "c1");
        await _root.ServingAsync("orders", slaves: 0);
        foreach (var process in new[] { _root.ProcessId, _root.ProcessIdOf("c1") })
        {
            Assert.That(await File.ReadAllTextAsync($"/proc/{process}/cmdline"), Does.Not.Contain(RootNode.Password));
        }

        foreach (var log in Directory.EnumerateFiles(_root.Data, "fabricd*.log", SearchOption.AllDirectories))
        {
            using var stream = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream);
            Assert.That(await reader.ReadToEndAsync(), Does.Not.Contain(RootNode.Password), log);
        }
    }

    private async Task<string?> ActivityAsync(string container) =>
        (await Fabricd.GetAsync(8160 + _root.PortOffset, "/api/v1/status"))?.GetProperty("containers").EnumerateArray()
            .FirstOrDefault(row => row.GetProperty("container").GetString() == container) is { ValueKind: System.Text.Json.JsonValueKind.Object } row
                ? row.GetProperty("activity").GetString()
                : null;
}
