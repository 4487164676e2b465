using System.Text;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>The four-letter words say what is so, in the form that monitoring tools read.</summary>
public sealed class AdminWordTests
{
    [TestCase("ruok", "imok")]
    [TestCase("isro", "rw")]
    [TestCase("srst", "Server stats reset.\n")]
    [TestCase("crst", "Connection stats reset.\n")]
    [TestCase("xxxx", "")]
    public async Task A_word_is_answered_and_the_connection_closed(string word, string answer)
    {
        await using var server = await TestServer.StartAsync();

        Assert.That(await server.AskAsync(word), Is.EqualTo(answer));
        Assert.That(await server.AskAsync(word + "\n"), Is.EqualTo(answer), "with a line end, as from a terminal");
    }

    [Test]
    public async Task A_word_in_single_bytes_is_understood()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await RawClient.ConnectTcpAsync(server.Port);
        foreach (var value in "ruok"u8.ToArray())
        {
            await client.SendBytesAsync([value]);
        }

        Assert.That(Encoding.ASCII.GetString(await client.ReadToEndAsync()), Is.EqualTo("imok"));
    }

    [Test]
    public async Task A_word_after_the_handshake_is_a_frame_too_long()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.SendBytesAsync("ruok"u8.ToArray());

        Assert.That(await client.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task Srvr_and_stat_have_the_lines_of_ZooKeeper()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/a");

        var srvr = Lines(await server.AskAsync("srvr"));
        Assert.That(srvr.Select(line => line.Split(':')[0]), Is.EqualTo(new[]
        {
            "Zookeeper version", "Latency min/avg/max", "Received", "Sent", "Connections", "Outstanding", "Zxid", "Mode", "Node count",
        }));
        Assert.That(srvr, Has.Member("Zxid: 0x2").And.Member("Mode: standalone").And.Member("Node count: 5").And.Member("Connections: 2"));
        Assert.That(await server.AskAsync("stat"), Does.Contain("Clients:\n").And.Contain("[1](queued=0,recved=2,sent=2)\n"));
    }

    [Test]
    public async Task Mntr_counts_what_there_is()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/e", mode: CreateMode.Ephemeral);
        await client.ExistsAsync("/x", watch: true);

        var values = Lines(await server.AskAsync("mntr")).Select(line => line.Split('\t')).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert.That(values["zk_server_state"], Is.EqualTo("standalone"));
        Assert.That(values["zk_znode_count"], Is.EqualTo("5"));
        Assert.That(values["zk_ephemerals_count"], Is.EqualTo("1"));
        Assert.That(values["zk_watch_count"], Is.EqualTo("1"));
        Assert.That(values["zk_num_alive_connections"], Is.EqualTo("2"));
        Assert.That(values["zk_global_sessions"], Is.EqualTo("1"));
    }

    [Test]
    public async Task Cons_dump_conf_envi_and_wchs_tell_their_part()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/e", mode: CreateMode.Ephemeral);
        await client.ExistsAsync("/x", watch: true);
        var sid = $"0x{client.Session!.SessionId:x}";

        Assert.That(await server.AskAsync("cons"), Does.Contain($"sid={sid},lop=Exists").And.Contain("to=30000"));
        Assert.That(await server.AskAsync("dump"), Does.Contain("Sessions (1):").And.Contain($"{sid}:\n\t/e\n"));
        Assert.That(await server.AskAsync("conf"), Does.Contain($"clientPort={server.Port}\n").And.Contain($"dataDir={server.Directory}\n"));
        Assert.That(await server.AskAsync("envi"), Does.StartWith("Environment:\nzookeeper.version="));
        Assert.That(await server.AskAsync("wchs"), Is.EqualTo("1 connections watching 1 paths\nTotal watches:1\n"));
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
