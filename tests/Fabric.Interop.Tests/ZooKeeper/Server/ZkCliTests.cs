using System.Diagnostics;
using Fabric.Tests.ZooKeeper.Server;

namespace Fabric.Interop.Tests.ZooKeeper.Server;

/// <summary>The command line tool of Apache ZooKeeper works against the embedded server.</summary>
public sealed class ZkCliTests
{
    private const string Program = "/usr/share/zookeeper/bin/zkCli.sh";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    [OneTimeSetUp]
    public void RequireZooKeeper() =>
        Assert.That(File.Exists(Program), "Apache ZooKeeper is missing; run: apt-get install zookeeper");

    [Test]
    public async Task Single_commands_work()
    {
        await using var server = await TestServer.StartAsync();

        Assert.That(await CommandAsync(server, "create", "/one", "first"), Does.Contain("Created /one"));
        Assert.That(await CommandAsync(server, "get", "/one"), Does.Contain("first"));
        Assert.That(await CommandAsync(server, "set", "/one", "second"), Does.Not.Contain("rror"));
        Assert.That(await CommandAsync(server, "get", "-s", "/one"), Does.Contain("second").And.Contain("dataVersion = 1"));
        Assert.That(await CommandAsync(server, "ls", "/"), Does.Contain("[one, zookeeper]"));
        Assert.That(await CommandAsync(server, "delete", "/one"), Does.Not.Contain("rror"));
        Assert.That(await CommandAsync(server, "stat", "/one"), Does.Contain("Node does not exist: /one"));
    }

    [Test]
    public async Task A_session_of_many_commands_works()
    {
        await using var server = await TestServer.StartAsync();
        var output = await SessionAsync(
            server,
            "create /a data-a",
            "create -s /a/seq- x",
            "create -e /a/eph mine",
            "create -c /box",
            "create -t 600000 /ttl y",
            "ls /a",
            "ls -R /a",
            "stat /a",
            "get -w /a",
            "set /a data-b",
            "addWatch -m PERSISTENT_RECURSIVE /a",
            "create /a/below z",
            "removewatches /a",
            "getEphemerals /a",
            "getAllChildrenNumber /a",
            "sync /a",
            "whoami",
            "addauth digest bob:secret",
            "create /private hidden auth::cdrwa",
            "getAcl /private",
            "setAcl /a world:anyone:cdra",
            "set /a refused",
            "getAcl /a",
            "deleteall /a",
            "get /a",
            "config",
            "quit");

        Assert.Multiple(() =>
        {
            Assert.That(output, Does.Contain("Created /a/seq-0000000000"));
            Assert.That(output, Does.Contain("Created /a/eph"));
            Assert.That(output, Does.Contain("Created /box"));
            Assert.That(output, Does.Contain("Created /ttl"));
            Assert.That(output, Does.Contain("[eph, seq-0000000000]"));
            Assert.That(output, Does.Contain("numChildren = 2"));
            Assert.That(output, Does.Contain("WatchedEvent state:SyncConnected type:NodeDataChanged path:/a\n"));
            Assert.That(output, Does.Contain("WatchedEvent state:SyncConnected type:NodeCreated path:/a/below"));
            Assert.That(output, Does.Contain("Sync is OK"));
            Assert.That(output, Does.Match("(?m)^ip: 127.0.0.1$"));
            Assert.That(output, Does.Contain("'digest,'bob:"));
            Assert.That(output, Does.Contain("Insufficient permission : /a"));
            Assert.That(output, Does.Contain("'world,'anyone\n: cdra"));
            Assert.That(output, Does.Contain("Node does not exist: /a"));
        });
    }

    private static Task<string> CommandAsync(TestServer server, params string[] command) => RunAsync(server, command, []);

    private static Task<string> SessionAsync(TestServer server, params string[] lines) => RunAsync(server, [], lines);

    private static async Task<string> RunAsync(TestServer server, string[] command, string[] input)
    {
        var start = new ProcessStartInfo(Program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] arguments = ["-server", $"127.0.0.1:{server.Port}", .. command];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["CLIENT_JVMFLAGS"] = "-Xmx128m -XX:TieredStopAtLevel=1 -Djline.terminal=jline.UnsupportedTerminal";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        foreach (var line in input)
        {
            await process.StandardInput.WriteLineAsync(line);
        }

        process.StandardInput.Close();
        using var timeout = new CancellationTokenSource(Limit);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }

        var text = await output + await errors;
        TestContext.Out.WriteLine(text);
        return text;
    }
}
