using System.Diagnostics;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Cluster.Tests.Traffic;

namespace Fabric.Cluster.Tests;

/// <summary>What the issue promises a user: brokers die and stop, and no confirmed message is lost, doubled or overtaken.</summary>
[TestFixture]
internal sealed class FailoverTests
{
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(30);

    private DevelopmentFabric _fabric = null!;

    [OneTimeSetUp]
    public async Task StartFabricAsync()
    {
        _fabric = await DevelopmentFabric.StartAsync();
        await _fabric.HealthyAsync(Healing);
    }

    [OneTimeTearDown]
    public async Task StopFabricAsync() => await _fabric.DisposeAsync();

    [Test, Order(1)]
    public async Task A_second_up_changes_nothing()
    {
        var before = await _fabric.ShownClusterAsync();
        await _fabric.UpAsync();
        var after = await _fabric.ShownClusterAsync();
        Assert.That(after.ToString(), Is.EqualTo(before.ToString()));
    }

    [Test, Order(2)]
    public async Task The_seed_demo_sends_ten_and_receives_ten()
    {
        string[] options = ["--brokerUrl", "discovery:fabric:default", "--user", "admin", "--password", "admin",
            "--destination", "queue://summit.test", "--count", "10"];
        var produced = await _fabric.CliAsync(["producer", .. options]);
        Assert.That(produced.ExitCode, Is.Zero, produced.ToString());
        Assert.That(produced.Output, Does.Contain("Using destination: queue://summit.test, on broker: discovery:fabric:default"));
        for (var i = 0; i < 10; i++)
        {
            Assert.That(produced.Output, Does.Contain($"Sent: test message: {i}"));
        }

        Assert.That(produced.Output, Does.Contain("Produced: 10"));
        var consumed = await _fabric.CliAsync(["consumer", .. options]);
        Assert.That(consumed.ExitCode, Is.Zero, consumed.ToString());
        Assert.That(consumed.Output, Does.Contain("Received test message: 9").And.Contain("Consumed: 10 messages"));
    }

    [Test, Order(3)]
    public async Task The_tutorial_programs_send_and_receive_a_hundred()
    {
        var sent = await JavaPrograms.RunAsync("MsgProducer", TimeSpan.FromMinutes(1), _fabric.FailoverUrl);
        Assert.That(sent.ExitCode, Is.Zero, sent.ToString());
        var received = await JavaPrograms.RunAsync("MsgConsumer", TimeSpan.FromMinutes(1), _fabric.FailoverUrl);
        Assert.That(received.ExitCode, Is.Zero, received.ToString());
        Assert.That(
            received.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Is.EqualTo(Enumerable.Range(0, 100).Select(i => $"received:textMessage:{i}")));
    }

    [Order(4)]
    [TestCase(10)]
    [TestCase(50, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    [TestCase(200, Explicit = true, Category = "Long", Reason = "long; see tests/README.md")]
    public async Task Killed_masters_in_a_row_lose_and_double_nothing(int kills)
    {
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, $"killed.masters.{kills}");
        var takeOvers = new List<TakeOver>();
        for (var round = 0; round < kills; round++)
        {
            var before = await _fabric.HealthyAsync(Healing);
            var processId = await _fabric.ProcessIdAsync(before.Master!);
            var killed = Texts.Now;
            var gone = await KillAsync(processId);
            await traffic.ProgressAsync(Healing);
            var after = await Processes.EventuallyAsync(
                _fabric.ClusterAsync, row => row.Master is not null && row.Epoch > before.Epoch && row.Services.Count == 1, Healing, "a new master");
            Assert.That(after.Master, Is.Not.EqualTo(before.Master));
            takeOvers.Add(TakeOver.Read(_fabric.LogDirectoryOf(after.Master!), killed, gone + traffic.PauseAfter(gone).Java));
            await EnsureRunningAsync(before.Master!);
        }

        TestContext.Out.WriteLine($"from kill -9 to the next confirmed send of the Java client, {kills} times:\n{TakeOver.Describe(takeOvers)}");
        await traffic.VerifyAsync();
    }

    [Test, Order(5)]
    public async Task A_stopped_master_hands_over()
    {
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, "stopped.masters");
        var pauses = new List<(TimeSpan Java, TimeSpan DotNet)>();
        for (var round = 0; round < 3; round++)
        {
            var before = await _fabric.HealthyAsync(Healing);
            var moment = Texts.Now;
            var stopped = await _fabric.CliAsync("container-stop", before.Master!);
            Assert.That(stopped.ExitCode, Is.Zero, stopped.ToString());
            await traffic.ProgressAsync(Healing);
            pauses.Add(traffic.LongestGapsSince(moment));
            await EnsureRunningAsync(before.Master!);
        }

        Report("pause at container-stop", pauses);
        await traffic.VerifyAsync();
    }

    [Test, Order(6)]
    public async Task A_killed_slave_is_not_noticed_by_producers()
    {
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, "killed.slave");
        var before = await _fabric.HealthyAsync(Healing);
        var slave = before.Slaves[0].Container;
        Processes.Kill(await _fabric.ProcessIdAsync(slave));
        await traffic.ProgressAsync(Healing);
        await EnsureRunningAsync(slave);
        var after = await _fabric.HealthyAsync(Healing);
        Assert.That((after.Master, after.Epoch), Is.EqualTo((before.Master, before.Epoch)));
        await traffic.VerifyAsync();
    }

    [Test, Order(7)]
    public async Task A_container_that_dies_again_and_again_is_started_at_once_when_it_is_asked_for()
    {
        var slave = (await _fabric.HealthyAsync(Healing)).Slaves[0].Container;
        for (var round = 0; round < 3; round++)
        {
            var killed = await _fabric.ProcessIdAsync(slave);
            Processes.Kill(killed);
            await _fabric.CliAsync("container-start", slave); // its session lives on for a while, so that the registry says that it runs
            await Processes.EventuallyAsync(() => _fabric.ProcessIdAsync(slave), id => id != killed, Healing, () => "a new process");
            await _fabric.HealthyAsync(Healing);
        }

        // Each request lets the root forget what was before; without it, the pauses are 1, 2, and 4 s.
        var pauses = _fabric.LogLines().Where(line => line.Contains($"Container {slave} has ended", StringComparison.Ordinal)).TakeLast(2).ToList();
        Assert.That(pauses, Has.Count.EqualTo(2).And.All.EndsWith("started again in 1 s"));
    }

    [Test, Order(8)]
    public async Task Three_brokers_killed_at_once_come_back_with_everything()
    {
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, "killed.all");
        var row = await _fabric.HealthyAsync(Healing);
        string[] containers = [row.Master!, .. row.Slaves.Select(slave => slave.Container)];
        var processIds = await Task.WhenAll(containers.Select(_fabric.ProcessIdAsync));
        foreach (var processId in processIds)
        {
            Processes.Kill(processId);
        }

        await _fabric.UpAsync();
        var served = await _fabric.ShownClusterAsync();
        using (var client = new System.Net.Sockets.TcpClient())
        {
            await client.ConnectAsync("127.0.0.1", new Uri(served.Services.Single()).Port); // up does not take the dead for a broker
        }

        await _fabric.HealthyAsync(Healing);
        await traffic.ProgressAsync(Healing);
        await traffic.VerifyAsync();
    }

    [Test, Order(9)]
    public async Task Two_of_three_stopped_block_sends_and_one_back_resumes_them()
    {
        await using var traffic = await ConfirmedTraffic.StartAsync(_fabric, "no.majority");
        var row = await _fabric.HealthyAsync(Healing);
        foreach (var slave in row.Slaves)
        {
            var stopped = await _fabric.CliAsync("container-stop", slave.Container);
            Assert.That(stopped.ExitCode, Is.Zero, stopped.ToString());
        }

        // Once nothing is in flight any more, nothing is confirmed for as long as we care to look.
        await Processes.EventuallyAsync(
            async () =>
            {
                var first = traffic.Counts;
                await Task.Delay(1000);
                return first == traffic.Counts;
            },
            quiet => quiet, TimeSpan.FromSeconds(15), "sends are blocked");
        var blocked = traffic.Counts;
        await Task.Delay(3000);
        Assert.That(traffic.Counts, Is.EqualTo(blocked));

        var clock = Stopwatch.StartNew();
        var started = await _fabric.CliAsync("container-start", row.Slaves[0].Container);
        Assert.That(started.ExitCode, Is.Zero, started.ToString());
        await traffic.ProgressAsync(Healing);
        TestContext.Out.WriteLine($"sends resumed {clock.Elapsed.TotalSeconds:0.0} s after container-start was called");
        await EnsureRunningAsync(row.Slaves[1].Container);
        await _fabric.HealthyAsync(Healing);
        await traffic.VerifyAsync();
    }

    /// <summary>Kills a process.</summary>
    /// <returns>When it was gone, and what it had sent last was with its clients.</returns>
    private static async Task<TimeSpan> KillAsync(int processId)
    {
        Processes.Kill(processId);
        while (Fabricd.IsRunning(processId))
        {
            await Task.Yield();
        }

        return Texts.Now + TimeSpan.FromMilliseconds(2);
    }

    private static void Report(string what, List<(TimeSpan Java, TimeSpan DotNet)> pauses)
    {
        foreach (var (name, values) in new[]
        {
            ("Java", pauses.Select(pause => pause.Java)), (".NET", pauses.Select(pause => pause.DotNet)),
        })
        {
            var sorted = values.Select(value => value.TotalMilliseconds).Order().ToList();
            TestContext.Out.WriteLine(
                $"{what}, {name}: median {sorted[sorted.Count / 2]:0} ms, worst {sorted[^1]:0} ms, all {string.Join(' ', sorted.Select(value => $"{value:0}"))}");
        }
    }

    private async Task EnsureRunningAsync(string container)
    {
        var started = await _fabric.CliAsync("container-start", container, "--timeout", "30"); // "already started" when the supervisor was quicker
        Assert.That(started.ExitCode, Is.Zero, () => $"{started}\n{_fabric.Logs()}");
        await _fabric.HealthyAsync(Healing);
    }
}
