using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;
using Fabric.Runtime;

namespace Fabric.Cluster.Tests.Nodes;

/// <summary>
/// A root of a fabric in a directory of its own, with its registry and its containers, and a connection to the registry. Disposing
/// ends all of them by the directory and deletes it.
/// </summary>
internal sealed class RootNode : IAsyncDisposable
{
    public const string Password = "fabric-test-password";
    private const int OffsetMin = 100;
    private const int OffsetMax = 3700;
    private const int PortsPerKind = 8;
    private static readonly List<int> GivenOffsets = [];

    private Fabricd? _process;
    private FabricRegistry? _registry;

    private RootNode(string directory, int portOffset) => (Data, PortOffset) = (directory, portOffset);

    public string Data { get; }

    public int PortOffset { get; }

    public string ConnectString => $"127.0.0.1:{2181 + PortOffset}";

    public int ProcessId => _process!.ProcessId;

    public FabricRegistry Registry => _registry!;

    public ContainerDirectory Containers => new(Registry);

    public static async Task<RootNode> StartAsync()
    {
        var root = new RootNode(Directory.CreateTempSubdirectory("fabric-root-").FullName, FreeOffset());
        try
        {
            await root.StartProcessAsync();
            return root;
        }
        catch
        {
            await root.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the root's process, again after it ended.</summary>
    public async Task StartProcessAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _process = Fabricd.Start(
            new Dictionary<string, string> { ["FABRIC_ZOOKEEPER_PASSWORD"] = Password },
            ["run", "--root", "--data", Data, "--port-offset", $"{PortOffset}"]);
        _registry ??= FabricRegistry.Open(FabricRuntime.System, new RegistryOptions { ConnectString = ConnectString, Password = Password });
        await Fabricd.UntilAsync(
            async () => await Fabricd.GetAsync(8160 + PortOffset, "/api/v1/status") is { } status
                && status.GetProperty("registry").GetProperty("connected").GetBoolean()
                && await AskAsync(() => FabricCreation.ExistsAsync(Registry)),
            "the root runs");
    }

    /// <summary>Kills the root's process; its containers live on.</summary>
    public async Task KillProcessAsync()
    {
        _process!.Signal(9);
        await _process.EndAsync();
    }

    /// <summary>Makes a broker with a user <c>admin</c> (password <c>admin</c>), and the containers that run it.</summary>
    public async Task CreateBrokerAsync(string broker, string kind, int replicas, params string[] containers)
    {
        await UserList.Empty.With("admin", "admin", "admin").WriteAsync(Registry);
        await new BrokerProfile { Name = broker, Version = FabricCreation.FirstVersion, Kind = kind, Replicas = replicas }.WriteAsync(Registry);
        foreach (var container in containers)
        {
            await Containers.TryCreateChildAsync(container, "root", FabricCreation.FirstVersion, [broker]);
        }
    }

    /// <summary>Runs the command line tool for this fabric.</summary>
    public async Task<Outcome> CommandAsync(params string[] arguments)
    {
        await using var command = Fabricd.Start(
            new Dictionary<string, string> { ["FABRIC_ZOOKEEPER"] = ConnectString, ["FABRIC_ZOOKEEPER_PASSWORD"] = Password }, arguments, Fabricd.CommandLine);
        var (exitCode, output, error) = await command.EndAsync();
        return new Outcome(exitCode, output, error);
    }

    public Task WishAsync(string container, ContainerWishState state) => Containers.WishAsync(container, "root", state);

    /// <summary>Waits until the registry shows the container in a state.</summary>
    public async Task<ContainerInfo> ContainerAsync(string name, Func<ContainerInfo, bool> isAsWanted, string what)
    {
        ContainerInfo? seen = null;
        await Fabricd.UntilAsync(
            async () => await AskAsync(async () => (seen = await Containers.TryGetAsync(name)) is not null && isAsWanted(seen)),
            () => $"{name} {what}; last seen: {seen}");
        return seen!;
    }

    /// <summary>Waits until a broker has a master that serves, and the given number of slaves in sync.</summary>
    public async Task<(string Master, long Epoch, string Service)> ServingAsync(string broker, int slaves, Func<string, bool>? isGoodMaster = null)
    {
        ClusterBroker? seen = null;
        await Fabricd.UntilAsync(
            async () => await AskAsync(async () =>
            {
                var cluster = (await ClusterList.ReadAsync(Registry)).FirstOrDefault(cluster => cluster.Name == "fusemq/default");
                seen = cluster?.Brokers.FirstOrDefault(row => row.Id == broker);
                return seen is not null && seen.MasterContainers.Count() == 1 && (isGoodMaster?.Invoke(seen.MasterContainers.Single()) ?? true)
                    && (seen.Slaves?.Slaves.Count(slave => slave.InSync) ?? 0) >= slaves;
            }),
            () => $"{broker} is served with {slaves} slaves in sync; last seen: {seen}, members {string.Join(' ', seen?.Members ?? [])}");
        return (seen!.MasterContainers.Single(), seen.Epoch ?? 0, seen.Services.Single());
    }

    /// <summary>The status of a container's management port, by its slot.</summary>
    public Task<JsonElement?> StatusAsync(int slot) => Fabricd.GetAsync(8161 + PortOffset + slot, "/api/v1/status");

    public int ProcessIdOf(string container) => int.Parse(
        File.ReadAllLines(Path.Combine(Data, "containers", container, "fabricd.pid"))[0], CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }

        await Fabricd.RunAsync("stop", "--data", Data);
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        Directory.Delete(Data, recursive: true);
    }

    /// <summary>Asks the registry; while it is away the answer is no.</summary>
    private static async Task<bool> AskAsync(Func<Task<bool>> question)
    {
        try
        {
            return await question();
        }
        catch (RegistryUnavailableException)
        {
            return false;
        }
    }

    /// <summary>A port offset at which nothing listens now on the ports of a fabric, and which nobody else was given.</summary>
    public static int FreeOffset()
    {
        lock (GivenOffsets)
        {
            for (var attempt = 0; attempt < 1000; attempt++)
            {
                var offset = Random.Shared.Next(OffsetMin, OffsetMax);
                int[] ports = [2181 + offset, .. Enumerable.Range(8160 + offset, PortsPerKind), .. Enumerable.Range(61616 + offset, PortsPerKind)];
                if (GivenOffsets.TrueForAll(given => Math.Abs(given - offset) >= PortsPerKind) && ports.All(IsFree))
                {
                    GivenOffsets.Add(offset);
                    return offset;
                }
            }
        }

        throw new InvalidOperationException("no free ports were found");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
