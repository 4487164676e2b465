using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Interop.Tests.ZooKeeper;

namespace Fabric.Cluster.Tests;

/// <summary>What users and strangers get wrong: a clear line and the right exit code, or a closed connection, and a broker unharmed.</summary>
[TestFixture]
internal sealed class BadInputTests
{
    private const int UsageError = 64;
    private const int Unreachable = 69;
    private const int LocalFailure = 74;
    private const int PermissionDenied = 77;
    private const int BadConfiguration = 78;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private DevelopmentFabric _fabric = null!;
    private ClusterRow _before = null!;

    [OneTimeSetUp]
    public async Task StartFabricAsync()
    {
        _fabric = await DevelopmentFabric.StartAsync();
        _before = await _fabric.HealthyAsync(Limit);
    }

    [OneTimeTearDown]
    public async Task StopFabricAsync() => await _fabric.DisposeAsync();

    [TearDown]
    public async Task The_broker_is_unharmed()
    {
        var after = await _fabric.HealthyAsync(Limit);
        Assert.That((after.Master, after.Epoch), Is.EqualTo((_before.Master, _before.Epoch)));
    }

    [Test]
    public async Task A_wrong_password_is_refused_and_stands_in_no_message()
    {
        var outcome = await _fabric.CliAsync(
            "producer", "--brokerUrl", "discovery:fabric:default", "--user", "admin", "--password", "open-sesame",
            "--destination", "queue://refused", "--count", "1");
        AssertClear(outcome, PermissionDenied);
        Assert.That(outcome.Error, Does.Not.Contain("open-sesame"));
    }

    [TestCase("producer", "--nonsense")]
    [TestCase("cluster-list", "--nonsense")]
    [TestCase("up", "--nonsense")]
    public async Task An_unknown_option_is_named(string command, string option)
    {
        var outcome = await DevelopmentFabric.RunCliAsync(command, option);
        AssertClear(outcome, UsageError);
        Assert.That(outcome.Error, Does.Contain(option));
    }

    [Test]
    public async Task A_registry_that_does_not_answer_is_named()
    {
        var outcome = await DevelopmentFabric.RunCliAsync("cluster-list", "--zookeeper", $"localhost:{Ports.FindFree()}");
        AssertClear(outcome, Unreachable);
        Assert.That(outcome.Error, Does.Contain("localhost:"));
    }

    [Test]
    public async Task A_port_in_use_stops_up_before_anything_runs()
    {
        var offset = RootNode.FreeOffset();
        var directory = Directory.CreateTempSubdirectory("fabric-occupied-").FullName;
        var occupant = new TcpListener(IPAddress.Loopback, 61617 + offset);
        occupant.Start();
        try
        {
            var outcome = await DevelopmentFabric.RunUpAsync("--data", directory, "--port-offset", $"{offset}");
            AssertClear(outcome, LocalFailure);
            Assert.That(outcome.Error, Does.Contain($"{61617 + offset}"));
            Assert.That(File.Exists(Path.Combine(directory, "fabricd.pid")), Is.False);
        }
        finally
        {
            occupant.Stop();
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public async Task The_registry_that_the_environment_names_is_not_taken_by_up_for_its_own()
    {
        var directory = Directory.CreateTempSubdirectory("fabric-environment-").FullName;
        var outcome = await DevelopmentFabric.RunUpAsync(
            [$"FABRIC_ZOOKEEPER=localhost:{Ports.FindFree()}"],
            "--data", directory, "--port-offset", $"{RootNode.FreeOffset()}", "--replicas", "1");
        await DevelopmentFabric.DownAsync(directory);
        Assert.That(outcome.ExitCode, Is.Zero, outcome.ToString());
    }

    [Test]
    public async Task Other_options_for_a_fabric_that_is_there_are_refused()
    {
        var outcome = await DevelopmentFabric.RunUpAsync("--data", _fabric.Data, "--port-offset", "1");
        AssertClear(outcome, BadConfiguration);
    }

    [Test]
    public async Task A_data_directory_in_use_is_refused()
    {
        var (code, output, error) = await Fabricd.RunAsync("run", "--name", "stranger", "--data", _fabric.Data, "--zookeeper", _fabric.ZooKeeper);
        AssertClear(new Outcome(code, output, error), LocalFailure);
        Assert.That(error, Does.Contain("in use"));
    }

    [Test]
    public async Task Garbage_on_the_client_port_closes_its_connection_and_loses_nothing()
    {
        await SendAndCheckAsync("producer", "Produced: 100");
        foreach (var length in new[] { int.MaxValue, int.MinValue, -1, 1_500_000_000 })
        {
            using var client = await ConnectAsync();
            var stream = client.GetStream(); // can be had only while the connection is up
            var bytes = new byte[1024];
            BinaryPrimitives.WriteInt32BigEndian(bytes, length);
            await WriteAsync(stream, bytes, close: false);
            await ReadToEndAsync(stream);
        }

        var random = new Random(4711);
        for (var round = 0; round < 50; round++)
        {
            using var client = await ConnectAsync();
            var stream = client.GetStream(); // can be had only while the connection is up
            var bytes = new byte[random.Next(4, 64 * 1024)];
            random.NextBytes(bytes);
            if (round % 2 == 0)
            {
                BinaryPrimitives.WriteInt32BigEndian(bytes, bytes.Length - 4); // a length that is allowed: the rest is taken for a command
            }

            await WriteAsync(stream, bytes, close: true);
            await ReadToEndAsync(stream);
        }

        await SendAndCheckAsync("consumer", "Consumed: 100 messages");
    }

    private static void AssertClear(Outcome outcome, int exitCode)
    {
        Assert.That(outcome.ExitCode, Is.EqualTo(exitCode), outcome.ToString());
        Assert.That(outcome.Error, Does.StartWith("error: ").And.Not.Contain("   at "));
    }

    private static async Task WriteAsync(NetworkStream stream, byte[] bytes, bool close)
    {
        try
        {
            await stream.WriteAsync(bytes);
            if (close)
            {
                stream.Socket.Shutdown(SocketShutdown.Send);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // Closed before it had read all of it.
        }
    }

    /// <summary>Reads until the broker closes; a broker that does not is found by the limit.</summary>
    private static async Task ReadToEndAsync(NetworkStream stream)
    {
        using var limit = new CancellationTokenSource(Limit);
        var buffer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(buffer, limit.Token) > 0)
            {
                // Its own WireFormatInfo, and perhaps an error.
            }
        }
        catch (IOException)
        {
            // Reset: closed as well.
        }
    }

    private async Task<TcpClient> ConnectAsync()
    {
        var client = new TcpClient();
        var master = int.Parse(_before.Master!["broker".Length..], CultureInfo.InvariantCulture);
        await client.ConnectAsync(IPAddress.Loopback, _fabric.OpenWirePort(master));
        return client;
    }

    private async Task SendAndCheckAsync(string command, string last)
    {
        var outcome = await _fabric.CliAsync(
            command, "--brokerUrl", "discovery:fabric:default", "--user", "admin", "--password", "admin",
            "--destination", "queue://kept", "--count", "100");
        Assert.That(outcome.ExitCode, Is.Zero, outcome.ToString());
        Assert.That(outcome.Output, Does.Contain(last));
    }
}
