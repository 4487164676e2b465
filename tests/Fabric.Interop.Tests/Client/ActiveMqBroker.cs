using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Fabric.Interop.Tests.ZooKeeper;

namespace Fabric.Interop.Tests.Client;

/// <summary>
/// A stock Apache ActiveMQ of Debian's package, on a free port, with a store and a configuration of its own. It requires the user
/// <c>admin</c> with the password <c>secret</c>.
/// </summary>
internal sealed class ActiveMqBroker : IAsyncDisposable
{
    private const string Jar = "/usr/share/activemq/bin/activemq.jar";
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(90);

    private readonly string _directory = Directory.CreateTempSubdirectory("fabric-activemq-").FullName;
    private Process? _process;

    private ActiveMqBroker(int port) => Port = port;

    public const string User = "admin";

    public const string Password = "secret";

    public int Port { get; }

    public string Url => $"tcp://127.0.0.1:{Port}";

    public static async Task<ActiveMqBroker> StartAsync()
    {
        Assert.That(File.Exists(Jar), "Apache ActiveMQ is missing; run: apt-get install activemq");
        var broker = new ActiveMqBroker(Ports.FindFree());
        try
        {
            await broker.RunAsync();
            return broker;
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the process, on the store that it left behind.</summary>
    public async Task RunAsync()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "tmp"));
        var configuration = Path.Combine(_directory, "activemq.xml");
        await File.WriteAllTextAsync(configuration, CreateConfiguration());
        var start = new ProcessStartInfo("java")
        {
            WorkingDirectory = _directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] arguments =
        [
            "-Xmx256m", $"-Djava.io.tmpdir={_directory}/tmp", "-Dactivemq.home=/usr/share/activemq", $"-Dactivemq.base={_directory}",
            $"-Dactivemq.conf={_directory}", $"-Dactivemq.data={_directory}/data", "-jar", Jar, "start", $"xbean:file:{configuration}",
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        _process = Process.Start(start)!;
        var output = new List<string>();
        DataReceivedEventHandler collect = (_, line) =>
        {
            lock (output)
            {
                output.Add(line.Data ?? "");
            }
        };
        _process.OutputDataReceived += collect;
        _process.ErrorDataReceived += collect;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await WaitUntilListeningAsync(output);
    }

    /// <summary>Ends the process as a crash does.</summary>
    public async Task KillAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task WaitUntilListeningAsync(List<string> output)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, Port);
                return;
            }
            catch (SocketException)
            {
                lock (output)
                {
                    Assert.That(
                        _process!.HasExited || clock.Elapsed > StartLimit, Is.False, () => "ActiveMQ did not start:\n" + string.Join('\n', output));
                }

                await Task.Delay(50);
            }
        }
    }

    private string CreateConfiguration() => $"""
        <beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
          http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
          <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="stock" dataDirectory="{_directory}/data">
            <persistenceAdapter><kahaDB directory="{_directory}/kahadb"/></persistenceAdapter>
            <plugins>
              <simpleAuthenticationPlugin>
                <users><authenticationUser username="{User}" password="{Password}" groups="admins,users"/></users>
              </simpleAuthenticationPlugin>
            </plugins>
            <transportConnectors><transportConnector name="openwire" uri="tcp://127.0.0.1:{Port}"/></transportConnectors>
          </broker>
        </beans>
        """;
}
