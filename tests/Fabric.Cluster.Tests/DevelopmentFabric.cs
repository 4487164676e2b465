using System.Globalization;
using System.Text.Json;
using Fabric.Cluster.Tests.Nodes;
using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Registry.Membership;
using Fabric.Runtime;

namespace Fabric.Cluster.Tests;

/// <summary>
/// Three replicated brokers as a user has them: made by <c>deploy/up</c> in a directory and on ports of their own, looked at and
/// steered by <c>deploy/fabric</c>, ended by <c>deploy/down</c>.
/// </summary>
internal sealed class DevelopmentFabric : IAsyncDisposable
{
    private static readonly TimeSpan UpLimit = TimeSpan.FromMinutes(3);
    private static readonly string Root = FindRoot();

    private readonly string _data = Directory.CreateTempSubdirectory("fabric-cluster-").FullName;
    private readonly int _portOffset;
    private readonly string? _zooKeeper;
    private FabricRegistry? _registry;

    private DevelopmentFabric(int portOffset, string? zooKeeper)
    {
        _portOffset = portOffset;
        _zooKeeper = zooKeeper;
    }

    /// <summary>The registry that its clients ask.</summary>
    public string ZooKeeper => _zooKeeper ?? $"localhost:{2181 + _portOffset}";

    /// <summary>What a client that knows nothing but the three addresses connects to.</summary>
    public string FailoverUrl => FailoverUrlWith("");

    /// <summary>The same with options for each connection.</summary>
    /// <param name="options">As in a URL's query; may be empty.</param>
    public string FailoverUrlWith(string options) =>
        $"failover:({string.Join(',', Enumerable.Range(0, 3).Select(i => $"tcp://localhost:{61616 + _portOffset + i}{(options.Length == 0 ? "" : "?")}{options}"))})";

    public string DiscoveryUrl => $"discovery:(fabric:default?zookeeper={ZooKeeper})";

    /// <summary>The client port of a container, counted from 1, while it is master.</summary>
    public int OpenWirePort(int number) => 61616 + _portOffset + number - 1;

    /// <summary>The process that hosts the embedded registry and supervises the containers.</summary>
    public int RootProcessId => int.Parse(File.ReadLines(Path.Combine(_data, "fabricd.pid")).First(), CultureInfo.InvariantCulture);

    public string Data => _data;

    /// <summary>Starts one on free ports.</summary>
    /// <param name="zooKeeper">An ensemble that runs already; null for the embedded registry.</param>
    public static async Task<DevelopmentFabric> StartAsync(string? zooKeeper = null)
    {
        var fabric = new DevelopmentFabric(RootNode.FreeOffset(), zooKeeper);
        try
        {
            await fabric.UpAsync();
            return fabric;
        }
        catch
        {
            await fabric.DisposeAsync();
            throw;
        }
    }

    public async Task<Outcome> UpAsync()
    {
        string[] registry = _zooKeeper is null ? [] : ["--zookeeper", _zooKeeper];
        var outcome = await RunUpAsync(["--data", _data, "--port-offset", $"{_portOffset}", .. registry]);
        Assert.That(outcome.ExitCode, Is.Zero, () => $"{outcome}\n{Logs()}");
        return outcome;
    }

    /// <summary>Runs <c>deploy/up</c> as it is given.</summary>
    public static Task<Outcome> RunUpAsync(params string[] arguments) => RunUpAsync([], arguments);

    /// <summary>Runs <c>deploy/up</c> with further variables, each <c>NAME=VALUE</c>.</summary>
    public static Task<Outcome> RunUpAsync(IReadOnlyList<string> environment, params string[] arguments) =>
        Processes.RunAsync("/usr/bin/env", [.. environment, Path.Combine(Root, "deploy", "up"), .. arguments], UpLimit);

    /// <summary>Runs <c>deploy/down</c> and removes the directory.</summary>
    public static async Task DownAsync(string directory)
    {
        var outcome = await Processes.RunAsync(
            Path.Combine(Root, "deploy", "down"), ["--data", directory, "--wipe"], TimeSpan.FromMinutes(1));
        Assert.That(outcome.ExitCode, Is.Zero, outcome.ToString());
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>Runs <c>deploy/fabric</c> as it is given.</summary>
    public static Task<Outcome> RunCliAsync(params string[] arguments) =>
        Processes.RunAsync(Path.Combine(Root, "deploy", "fabric"), arguments, TimeSpan.FromMinutes(1));

    /// <summary>Runs a command of the CLI against this fabric.</summary>
    public Task<Outcome> CliAsync(params string[] arguments) => RunCliAsync([.. arguments, "--zookeeper", ZooKeeper]);

    /// <summary>What the registry shows of broker <c>default</c>; nothing while it is away.</summary>
    public async Task<ClusterRow> ClusterAsync()
    {
        try
        {
            var cluster = (await ClusterList.ReadAsync(Registry)).FirstOrDefault(cluster => cluster.Name == "fusemq/default");
            var row = cluster?.Brokers.FirstOrDefault(row => row.Id == "default");
            return row is null ? ClusterRow.Nothing : new ClusterRow(
                row.Epoch ?? 0,
                row.MasterContainers.FirstOrDefault(),
                [.. row.Slaves?.Slaves.Select(slave => new SlaveRow(slave.Container, slave.InSync)) ?? []],
                [.. row.Services]);
        }
        catch (RegistryUnavailableException)
        {
            return ClusterRow.Nothing;
        }
    }

    /// <summary>The same as <c>cluster-list -o json</c> shows it.</summary>
    public async Task<ClusterRow> ShownClusterAsync()
    {
        var outcome = await CliAsync("cluster-list", "-o", "json");
        Assert.That(outcome.ExitCode, Is.Zero, outcome.ToString());
        using var document = JsonDocument.Parse(outcome.Output);
        var row = document.RootElement.EnumerateArray().First(row =>
            row.GetProperty("broker").GetString() == "default");
        return new ClusterRow(
            row.GetProperty("epoch").ValueKind == JsonValueKind.Number ? row.GetProperty("epoch").GetInt64() : 0,
            row.GetProperty("master").GetString(),
            [.. row.GetProperty("slaves").EnumerateArray().Select(slave => new SlaveRow(
                slave.GetProperty("container").GetString()!,
                slave.GetProperty("inSync").ValueKind == JsonValueKind.True))],
            [.. row.GetProperty("services").EnumerateArray().Select(service => service.GetString()!)]);
    }

    /// <summary>Waits until one master leads and all others are in sync.</summary>
    public Task<ClusterRow> HealthyAsync(TimeSpan limit) => Processes.EventuallyAsync(
        ClusterAsync,
        row => row.Master is not null && row.Services.Count == 1 && row.Slaves.Count == 2 && row.Slaves.All(slave => slave.InSync),
        limit,
        () => $"one master, two slaves in sync, one service\n{Logs()}");

    public async Task<int> ProcessIdAsync(string container)
    {
        var info = await new ContainerDirectory(Registry).TryGetAsync(container);
        return info?.ProcessId ?? throw new InvalidOperationException($"{container} has no process");
    }

    public string LogDirectoryOf(string container) => Path.Combine(_data, "containers", container, "log");

    /// <summary>The ends of the logs, for the message of a test that failed.</summary>
    public string Logs() => string.Join(
        '\n',
        Directory.GetFiles(_data, "fabricd-*.log", SearchOption.AllDirectories).Order().Select(
            file => $"== {Path.GetRelativePath(_data, file)}\n{string.Join('\n', File.ReadLines(file).TakeLast(60))}"));

    /// <summary>All lines of all logs, in the order of each.</summary>
    public IEnumerable<string> LogLines() => Directory.GetFiles(_data, "fabricd-*.log", SearchOption.AllDirectories).Order().SelectMany(File.ReadLines);

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }

        await DownAsync(_data);
    }

    /// <summary>A connection of the test's own: to look by a process of the CLI takes longer than a take-over.</summary>
    private FabricRegistry Registry => _registry ??= FabricRegistry.Open(FabricRuntime.System, new RegistryOptions
    {
        ConnectString = ZooKeeper,
        Password = File.ReadAllText(Path.Combine(_data, "registry.password")).Trim(),
    });

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Fabric.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException("the tests run outside a checkout");
    }
}

internal sealed record ClusterRow(long Epoch, string? Master, IReadOnlyList<SlaveRow> Slaves, IReadOnlyList<string> Services)
{
    public static ClusterRow Nothing { get; } = new(0, null, [], []);

    public override string ToString() =>
        $"epoch {Epoch}, master {Master}, slaves {string.Join(',', Slaves)}, services {string.Join(',', Services)}";
}

internal sealed record SlaveRow(string Container, bool InSync);
