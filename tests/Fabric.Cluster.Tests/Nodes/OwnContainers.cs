using System.Net;
using Fabric.Interop.Tests.ZooKeeper;
using Fabric.Registry.Profiles;
using Fabric.Registry;

namespace Fabric.Cluster.Tests.Nodes;

/// <summary>
/// A root with the registry, and three containers that the test runs itself, each on an address of its own (127.0.0.11 to 13), with whatever program, directory
/// and way to the registry it likes. They replicate one broker, <c>orders</c>, whose user is <c>admin</c> (password <c>admin</c>).
/// </summary>
internal sealed class OwnContainers : IAsyncDisposable
{
    public const string Broker = "orders";

    private readonly OwnContainersOptions _options;
    private readonly Fabricd?[] _containers = new Fabricd?[Names.Length];
    private readonly int _adminPort = Ports.FindFree();
    private readonly int _openWirePort = Ports.FindFree();

    private OwnContainers(OwnContainersOptions options, RootNode root) => (_options, Root) = (options, root);

    public static string[] Names { get; } = ["b1", "b2", "b3"];

    public RootNode Root { get; }

    /// <summary>The address that a container listens on.</summary>
    public static IPAddress AddressOf(string name) => new([127, 0, 0, (byte)(11 + Array.IndexOf(Names, name))]);

    /// <summary>All three, with options for each connection.</summary>
    public string FailoverUrl =>
        $"failover:({string.Join(',', Names.Select(name => $"tcp://{AddressOf(name)}:{_openWirePort}?wireFormat.maxInactivityDuration=2000"))})";

    public static async Task<OwnContainers> StartAsync(OwnContainersOptions options)
    {
        var containers = new OwnContainers(options, await RootNode.StartAsync());
        try
        {
            await UserList.Empty.With("admin", "admin", "admin").WriteAsync(containers.Root.Registry);
            await new BrokerProfile { Name = Broker, Version = FabricCreation.FirstVersion, Kind = "Replicated", Replicas = Names.Length, Properties = options.Properties }
                .WriteAsync(containers.Root.Registry);
            foreach (var name in Names)
            {
                // Its parent is nobody's root, so nobody else runs it.
                await containers.Root.Containers.TryCreateChildAsync(name, "the-test", FabricCreation.FirstVersion, [Broker]);
                containers.Start(name);
            }

            await containers.HealthyAsync();
            return containers;
        }
        catch
        {
            await containers.DisposeAsync();
            await containers.TellWhatWasPrintedAsync();
            throw;
        }
    }

    /// <summary>Starts a container, again after it ended.</summary>
    public void Start(string name)
    {
        var address = AddressOf(name);
        var container = Fabricd.Start(
            new Dictionary<string, string>(_options.Environment) { ["FABRIC_ZOOKEEPER_PASSWORD"] = RootNode.Password },
            [
                "run", "--name", name, "--data", DirectoryOf(name), "--zookeeper", _options.ZooKeeper?.Invoke(name, Root) ?? Root.ConnectString,
                "--bind", $"{address}", "--advertise", $"{_options.Advertise?.Invoke(name) ?? address}",
                "--admin-port", $"{_adminPort}", "--openwire-port", $"{_openWirePort}",
            ],
            _options.Program);
        _containers[Array.IndexOf(Names, name)] = container;
        _options.Started?.Invoke(name, container.ProcessId);
    }

    /// <summary>kill -9, without a wait: several may die at once.</summary>
    public void Kill(string name) => _containers[Array.IndexOf(Names, name)]!.Signal(9);

    /// <summary>Waits until a killed one has ended.</summary>
    public async Task EndAsync(string name) => await _containers[Array.IndexOf(Names, name)]!.EndAsync();

    /// <summary>Waits until one serves and the given number of others follow.</summary>
    public Task<(string Master, long Epoch, string Service)> HealthyAsync(int slaves = 2, Func<string, bool>? isGoodMaster = null) =>
        Root.ServingAsync(Broker, slaves, isGoodMaster);

    /// <summary>What a container says of the broker: its role, or null while it does not answer.</summary>
    public async Task<string?> RoleOfAsync(string name)
    {
        var status = await Fabricd.GetAsync(_adminPort, "/api/v1/status", $"{AddressOf(name)}");
        return status?.GetProperty("brokers").EnumerateArray().Select(broker => broker.GetProperty("role").GetString()).FirstOrDefault();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var container in _containers)
        {
            if (container is not null)
            {
                await container.DisposeAsync();
            }
        }

        await Root.DisposeAsync();
    }

    /// <summary>Where a container's journal lies.</summary>
    public string JournalOf(string name) => Path.Combine(DirectoryOf(name), "data", Broker);

    private async Task TellWhatWasPrintedAsync()
    {
        foreach (var (name, container) in Names.Zip(_containers).Where(entry => entry.Second is not null))
        {
            await TestContext.Error.WriteLineAsync($"{name} printed:\n{await container!.PrintedAsync()}");
        }
    }

    private string DirectoryOf(string name) => _options.Directory?.Invoke(name) ?? Path.Combine(Root.Data, "own", name);
}

/// <summary>What is special about the containers of a test.</summary>
internal sealed record OwnContainersOptions
{
    /// <summary>The program; null for ours.</summary>
    public string? Program { get; init; }

    /// <summary>Further variables.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Where a container finds the registry; null for the root's own port.</summary>
    public Func<string, RootNode, string>? ZooKeeper { get; init; }

    /// <summary>Which address the others are told; null for the one it listens on.</summary>
    public Func<string, IPAddress>? Advertise { get; init; }

    /// <summary>Told the process of each container that is started.</summary>
    public Action<string, int>? Started { get; init; }

    /// <summary>Further keys of the broker's profile.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>();

    /// <summary>Its data directory; null for one below the root's.</summary>
    public Func<string, string>? Directory { get; init; }
}
