using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Fabric.Interop.Tests.ZooKeeper;

namespace Fabric.Cluster.Tests;

/// <summary>Three servers of Apache ZooKeeper (Debian's package) that are one ensemble. Tick time 200 ms, so sessions live 0.4 to 4 s.</summary>
internal sealed class ZooKeeperEnsemble : IAsyncDisposable
{
    private const string Script = "/usr/share/zookeeper/bin/zkServer.sh";
    private const int Servers = 3;
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("fabric-ensemble-").FullName;
    private readonly int[] _ports = [.. Enumerable.Range(0, Servers).Select(_ => Ports.FindFree())];
    private readonly int[] _quorumPorts = [.. Enumerable.Range(0, 2 * Servers).Select(_ => Ports.FindFree())];
    private readonly Process?[] _processes = new Process?[Servers];

    public string ConnectString => string.Join(',', _ports.Select(port => $"localhost:{port}"));

    public static async Task<ZooKeeperEnsemble> StartAsync()
    {
        Assert.That(File.Exists(Script), "Apache ZooKeeper is missing; run: apt-get install zookeeper");
        var ensemble = new ZooKeeperEnsemble();
        try
        {
            for (var server = 0; server < Servers; server++)
            {
                ensemble.Start(server);
            }

            await ensemble.LeaderAsync();
            return ensemble;
        }
        catch
        {
            await ensemble.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a server, again after it was killed.</summary>
    public void Start(int server)
    {
        var directory = Directory.CreateDirectory(Path.Combine(_directory, $"{server}")).FullName;
        var data = Directory.CreateDirectory(Path.Combine(directory, "data")).FullName;
        File.WriteAllText(Path.Combine(data, "myid"), $"{server + 1}");
        var configuration = Path.Combine(directory, "zoo.cfg");
        File.WriteAllText(configuration, $"""
            tickTime=200
            initLimit=50
            syncLimit=25
            dataDir={data}
            clientPort={_ports[server]}
            clientPortAddress=127.0.0.1
            admin.enableServer=false
            extendedTypesEnabled=true
            4lw.commands.whitelist=*
            {string.Join('\n', Enumerable.Range(0, Servers).Select(i => $"server.{i + 1}=127.0.0.1:{_quorumPorts[2 * i]}:{_quorumPorts[2 * i + 1]}"))}
            """);
        var start = new ProcessStartInfo(Script, ["start-foreground", configuration]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ZOO_LOG_DIR"] = directory;
        start.Environment["JVMFLAGS"] = "-Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dzookeeper.extendedTypesEnabled=true";
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _processes[server] = process;
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync(int server)
    {
        if (_processes[server] is { } process)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
            _processes[server] = null;
        }
    }

    /// <summary>Waits until one server leads.</summary>
    public Task<int> LeaderAsync() => Processes.EventuallyAsync(
        async () =>
        {
            var modes = await Task.WhenAll(Enumerable.Range(0, Servers).Select(ModeAsync));
            return Array.FindIndex(modes, mode => mode == "leader");
        },
        leader => leader >= 0,
        StartLimit,
        "one server of the ensemble leads");

    public async ValueTask DisposeAsync()
    {
        for (var server = 0; server < Servers; server++)
        {
            await KillAsync(server);
        }

        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>What a server says it is: leader, follower, or nothing while it serves nobody.</summary>
    private async Task<string?> ModeAsync(int server)
    {
        try
        {
            using var client = new TcpClient();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await client.ConnectAsync("127.0.0.1", _ports[server], limit.Token);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes("srvr"), limit.Token);
            using var reader = new StreamReader(client.GetStream());
            var answer = await reader.ReadToEndAsync(limit.Token);
            return answer.Split('\n').FirstOrDefault(line => line.StartsWith("Mode: ", StringComparison.Ordinal))?[6..].Trim().ToLower(CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is SocketException or IOException or OperationCanceledException)
        {
            return null;
        }
    }
}
