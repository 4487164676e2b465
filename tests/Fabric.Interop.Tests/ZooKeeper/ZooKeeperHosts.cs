using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Fabric.Runtime;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Interop.Tests.ZooKeeper;

/// <summary>A ZooKeeper server that a test starts, stops and starts again on the same data and port. Tick time 200 ms.</summary>
internal interface IZooKeeperHost : IAsyncDisposable
{
    int Port { get; }

    Task StartAsync();

    /// <summary>Ends it as a crash does, as far as that is possible.</summary>
    Task StopAsync();
}

/// <summary>Apache ZooKeeper of Debian's package.</summary>
/// <param name="certificate">With its key: the server then has a TLS port too, and trusts, and wants, clients with the same one.</param>
/// <param name="tickTime">In milliseconds; sessions live 2 to 20 of them.</param>
/// <param name="javaFlags">Further flags of the Java machine.</param>
internal sealed class ApacheZooKeeper(X509Certificate2? certificate = null, int tickTime = 200, string javaFlags = "") : IZooKeeperHost
{
    private const string Script = "/usr/share/zookeeper/bin/zkServer.sh";

    /// <summary>Debian's script leaves out what TLS needs, though the package depends on it.</summary>
    private const string TlsClasses =
        "-cp /etc/zookeeper/conf:/usr/share/java/zookeeper.jar:/usr/share/java/netty-codec.jar:/usr/share/java/netty-resolver.jar";

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("fabric-zookeeper-").FullName;
    private Process? _process;

    public int Port { get; } = Ports.FindFree();

    public int TlsPort { get; } = Ports.FindFree();

    public async Task StartAsync()
    {
        Assert.That(File.Exists(Script), "Apache ZooKeeper is missing; run: apt-get install zookeeper");
        var configuration = Path.Combine(_directory, "zoo.cfg");
        await File.WriteAllTextAsync(configuration, $"""
            tickTime={tickTime}
            dataDir={_directory}/data
            clientPort={Port}
            clientPortAddress=127.0.0.1
            admin.enableServer=false
            extendedTypesEnabled=true
            4lw.commands.whitelist=*
            {(certificate is null ? "" : await ConfigureTlsAsync(certificate))}
            """);
        var start = new ProcessStartInfo(Script, ["start-foreground", configuration])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ZOO_LOG_DIR"] = _directory;
        start.Environment["JVMFLAGS"] = $"-Xmx128m -Dzookeeper.extendedTypesEnabled=true {(certificate is null ? "" : TlsClasses)} {javaFlags}";
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, _) => { };
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await Ports.WaitUntilListeningAsync(Port, StartLimit, () => _process.HasExited);
    }

    private async Task<string> ConfigureTlsAsync(X509Certificate2 identity)
    {
        var (key, trusted) = (Path.Combine(_directory, "key.pem"), Path.Combine(_directory, "trusted.pem"));
        await File.WriteAllTextAsync(key, $"{identity.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem()}\n{identity.ExportCertificatePem()}\n");
        await File.WriteAllTextAsync(trusted, identity.ExportCertificatePem());
        return $"""
            secureClientPort={TlsPort}
            serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
            ssl.keyStore.location={key}
            ssl.keyStore.type=PEM
            ssl.trustStore.location={trusted}
            ssl.trustStore.type=PEM
            ssl.clientAuth=need
            """;
    }

    public async Task StopAsync()
    {
        if (_process is { } process)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
            _process = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>The embedded server, in this process.</summary>
internal sealed class EmbeddedZooKeeper : IZooKeeperHost
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fabric-embedded-").FullName;
    private ZooKeeperServer? _server;

    public int Port { get; private set; }

    public async Task StartAsync()
    {
        _server = await ZooKeeperServer.StartAsync(
            FabricRuntime.System,
            new ZooKeeperServerOptions { DataDirectory = _directory, Port = Port, TickTime = TimeSpan.FromMilliseconds(200) },
            NullLogger.Instance,
            CancellationToken.None);
        Port = _server.Port;
    }

    public async Task StopAsync()
    {
        if (_server is { } server)
        {
            _server = null;
            await server.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

internal static class StateList
{
    /// <summary>States of a client from the next lost connection on: what it still has to tell of the one before is left out.</summary>
    public static BlockingCollection<KeeperState> FromLossOn(ZooKeeperClient client)
    {
        var (states, isLost) = (new BlockingCollection<KeeperState>(), false);
        client.StateChanged += state =>
        {
            isLost |= state == KeeperState.Disconnected;
            if (isLost)
            {
                states.Add(state);
            }
        };
        return states;
    }
}

internal static class Ports
{
    /// <summary>Below what the system gives to connections that go out, and above what a fabric of the tests listens on.</summary>
    private const int First = 12_500;
    private const int Last = 32_500;
    private static readonly HashSet<int> Given = [];

    /// <summary>
    /// A port that nobody listens on, on any address, and nobody else of this process was given. Not one that the system would choose: by
    /// the time that somebody listens on it, it could have given it away again.
    /// </summary>
    public static int FindFree()
    {
        lock (Given)
        {
            while (true)
            {
                var port = Random.Shared.Next(First, Last);
                if (!Given.Contains(port) && IsFree(port))
                {
                    Given.Add(port);
                    return port;
                }
            }
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Any, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    public static async Task WaitUntilListeningAsync(int port, TimeSpan limit, Func<bool> hasFailed)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, port);
                return;
            }
            catch (SocketException)
            {
                Assert.That(hasFailed() || clock.Elapsed > limit, Is.False, $"nothing listens on port {port}");
                await Task.Delay(50);
            }
        }
    }
}
