using System.Buffers.Binary;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>Whatever a peer sends or refuses to take, it loses its own connection and nobody else's.</summary>
[Parallelizable]
public sealed class LimitTests
{
    [Test]
    public async Task Random_bytes_close_only_their_own_connection([Range(1, 40)] int seed)
    {
        var random = new Random(seed);
        await using var server = await TestServer.StartAsync();
        await using var good = await server.OpenAsync();
        await using var hostile = seed % 2 == 0 ? await server.OpenAsync() : await RawClient.ConnectTcpAsync(server.Port);
        var noise = new byte[random.Next(1, 5000)];
        random.NextBytes(noise);
        if (seed % 3 == 0)
        {
            // A plausible length lets the noise get as far as the request.
            BinaryPrimitives.WriteInt32BigEndian(noise, random.Next(1, 100));
        }

        await hostile.TrySendBytesAsync(noise);
        await hostile.DisposeAsync();

        await good.CreateAsync("/fine");
        Assert.That(await good.GetChildrenAsync("/"), Has.Member("fine"));
    }

    [TestCase(int.MaxValue)]
    [TestCase(int.MinValue)]
    [TestCase(-1)]
    [TestCase(0)]
    [TestCase(1_048_576)]
    public async Task A_frame_length_out_of_bounds_closes_the_connection_and_the_session_lives_on(int length)
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        var bytes = new byte[100];
        BinaryPrimitives.WriteInt32BigEndian(bytes, length);

        await client.TrySendBytesAsync(bytes);
        Assert.That(await client.ReadFrameAsync(), Is.Null);

        await using var again = await RawClient.ReattachAsync(server.Port, client.Session!);
        Assert.That(again.Session!.SessionId, Is.EqualTo(client.Session!.SessionId));
    }

    [Test]
    public async Task A_first_frame_longer_than_any_handshake_is_not_waited_for()
    {
        await using var server = await TestServer.StartAsync();
        await using var stranger = await RawClient.ConnectTcpAsync(server.Port);
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, 1_000_000);

        await stranger.SendBytesAsync(bytes);

        Assert.That(await stranger.ReadFrameAsync(), Is.Null);
    }

    [Test]
    public async Task A_read_of_many_that_no_client_could_take_is_refused()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/large", new byte[1_000_000]);
        var two = await client.RequestAsync(OpCode.MultiRead, Reads(2));
        Assert.That(two.Error, Is.EqualTo(ZooKeeperError.Ok));
        Assert.That(two.Read<MultiResponse>().Results, Has.Count.EqualTo(2));
        Assert.That((await client.RequestAsync(OpCode.MultiRead, Reads(2000))).Error, Is.EqualTo(ZooKeeperError.BadArguments));
        Assert.That(await client.GetChildrenAsync("/"), Has.Member("large"));

        static MultiRequest Reads(int count) =>
            new([.. Enumerable.Repeat(new MultiOperation(OpCode.GetData, new PathWatchRequest("/large", false)), count)]);
    }

    [Test]
    public async Task The_largest_allowed_frame_is_taken()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/big");
        const int overhead = 8 + 4 + 4 + 4 + 4; // header, path, data length, version

        var stat = await client.SetDataAsync("/big", new byte[JuteFrame.DefaultServerLengthMax - overhead]);

        Assert.That(stat.DataLength, Is.EqualTo(JuteFrame.DefaultServerLengthMax - overhead));
        Assert.That(await client.GetDataAsync("/big"), Has.Length.EqualTo(stat.DataLength));
    }

    [Test]
    public async Task A_frame_in_single_bytes_and_many_frames_at_once_are_the_same()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        using var buffer = new JuteBuffer();
        JuteFrame.Append(buffer, new RequestHeader(1, OpCode.Create), RawClientRequests.Create("/slow"));
        foreach (var value in buffer.Written.ToArray())
        {
            await client.SendBytesAsync([value]);
        }

        Assert.That((await client.ReadReplyAsync(1)).Error, Is.EqualTo(ZooKeeperError.Ok));

        buffer.Clear();
        for (var xid = 2; xid < 500; xid++)
        {
            JuteFrame.Append(buffer, new RequestHeader(xid, OpCode.GetData), new PathWatchRequest("/slow", false));
        }

        await client.SendBytesAsync(buffer.Written.ToArray());
        for (var xid = 2; xid < 500; xid++)
        {
            await client.ReadReplyAsync(xid);
        }
    }

    [TestCase(OpCode.Check)]
    [TestCase(OpCode.CreateSession)]
    [TestCase(OpCode.DeleteContainer)]
    [TestCase((OpCode)4711)]
    public async Task An_unknown_operation_is_answered_and_the_connection_closed(int type)
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/x");

        var reply = await client.RequestAsync((OpCode)type, new PathVersionRequest("/x", 0));

        Assert.That((reply.Error, reply.Zxid), Is.EqualTo((ZooKeeperError.Unimplemented, -1L)));
        Assert.That(await client.ReadFrameAsync(), Is.Null);
    }

    [TestCase(OpCode.Create, true)]
    [TestCase(OpCode.SetData, true)]
    [TestCase(OpCode.Multi, true)]
    [TestCase(OpCode.GetData, false)]
    [TestCase(OpCode.SetWatches2, false)]
    public async Task A_body_too_short_is_answered_and_a_write_uses_its_number(int type, bool usesNumber)
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        var before = (await client.RequestAsync(OpCode.Ping)).Zxid;

        var reply = await client.RequestAsync((OpCode)type, new Int32Record(1000));

        Assert.That(reply.Error, Is.EqualTo(ZooKeeperError.MarshallingError));
        Assert.That(reply.Zxid, Is.EqualTo(before + (usesNumber ? 1 : 0)));
        await client.CreateAsync("/goes-on");
    }

    [Test]
    public async Task Reconfig_is_disabled_and_sasl_is_not_configured()
    {
        await using var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();

        Assert.That(
            (await client.RequestAsync(OpCode.Reconfig, new ReconfigRequest(null, null, "x", -1))).Error,
            Is.EqualTo(ZooKeeperError.ReconfigDisabled));
        var sasl = await client.RequestAsync(OpCode.Sasl, new SaslToken([]));
        Assert.That((sasl.Error, sasl.Read<SaslToken>().Token), Is.EqualTo((ZooKeeperError.Ok, (byte[]?)null)));
    }

    [Test]
    public async Task Connections_beyond_the_limit_of_a_host_are_closed_and_room_is_given_back()
    {
        await using var server = await TestServer.StartAsync(options => options with { ConnectionsPerHostMax = 3 });
        var clients = new List<RawClient>();
        for (var i = 0; i < 3; i++)
        {
            clients.Add(await server.OpenAsync());
        }

        await using var fourth = await RawClient.ConnectTcpAsync(server.Port);
        Assert.That(await fourth.ReadToEndAsync(), Is.Empty);

        await clients[0].DisposeAsync();
        await Wait.UntilAsync(async () => await TryOpenAsync(server.Port));
        foreach (var client in clients)
        {
            await client.DisposeAsync();
        }
    }

    [Test]
    public async Task Sessions_beyond_the_limit_are_refused()
    {
        await using var server = await TestServer.StartAsync(options => options with { SessionsMax = 2 });
        await using var first = await server.OpenAsync();
        await using var second = await server.OpenAsync();

        Assert.That(await TryOpenAsync(server.Port), Is.False);

        await second.RequestAsync(OpCode.CloseSession);
        Assert.That(await TryOpenAsync(server.Port), Is.True);
    }

    [Test]
    public async Task Watches_and_data_beyond_their_limits_are_refused_by_name()
    {
        await using var server = await TestServer.StartAsync(
            options => options with { WatchesPerConnectionMax = 2, DataBytesMax = 10_000 });
        await using var client = await server.OpenAsync();
        await client.ExistsAsync("/a", watch: true);
        await client.ExistsAsync("/b", watch: true);

        var third = await client.RequestAsync(OpCode.Exists, new PathWatchRequest("/c", true));
        Assert.That(third.Error, Is.EqualTo(ZooKeeperError.ThrottledOperation));
        Assert.That(
            (await client.RequestAsync(OpCode.AddWatch, new AddWatchRequest("/a", 0))).Error,
            Is.EqualTo(ZooKeeperError.Ok),
            "a path that is watched already");

        await client.CreateAsync("/d", new byte[5000]);
        var more = await client.RequestAsync(OpCode.SetData, new SetDataRequest("/d", new byte[15_000], -1));
        Assert.That(more.Error, Is.EqualTo(ZooKeeperError.QuotaExceeded));
        await client.SetDataAsync("/d", new byte[10]);
        await client.SetDataAsync("/d", new byte[8000]);
    }

    [Test]
    public async Task A_watcher_that_takes_no_events_is_cut_before_they_fill_the_memory()
    {
        await using var server = await TestServer.StartAsync(options => options with { OutgoingBytesMax = 64 * 1024 });
        await using var deaf = await server.OpenAsync();
        await using var writer = await server.OpenAsync();
        var name = new string('n', 60_000);
        await deaf.RequestAsync(OpCode.AddWatch, new AddWatchRequest("/", (int)AddWatchMode.PersistentRecursive));

        // The kernel's socket buffers take some megabytes before the server's queue fills.
        var i = 0;
        await Wait.UntilAsync(async () =>
        {
            await writer.CreateAsync($"/{name}{i}");
            await writer.DeleteAsync($"/{name}{i++}");
            return (await server.AskAsync("mntr")).Contains("zk_watch_count\t0", StringComparison.Ordinal);
        });
    }

    [Test]
    public async Task A_client_that_sends_without_reading_is_not_read_further_and_loses_nothing()
    {
        const int count = 5000;
        await using var server = await TestServer.StartAsync(
            options => options with { OutstandingRequestsMax = 10, OutgoingBytesMax = 256 * 1024 });
        await using var client = await server.OpenAsync();
        await using var other = await server.OpenAsync();
        await client.CreateAsync("/d", new byte[10_000]);
        using var buffer = new JuteBuffer();
        for (var xid = 2; xid < count; xid++)
        {
            JuteFrame.Append(buffer, new RequestHeader(xid, OpCode.GetData), new PathWatchRequest("/d", false));
        }

        var sending = client.SendBytesAsync(buffer.Written.ToArray());
        await Wait.UntilAsync(() => client.HasInput);
        await other.CreateAsync("/others-go-on");
        for (var xid = 2; xid < count; xid++)
        {
            Assert.That((await client.ReadReplyAsync(xid)).Error, Is.EqualTo(ZooKeeperError.Ok));
        }

        await sending;
    }

    [Test]
    public async Task A_client_that_vanishes_in_the_middle_of_its_answers_is_forgotten()
    {
        await using var server = await TestServer.StartAsync(options => options with { OutstandingRequestsMax = 5 });
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/d", new byte[500_000]);
        using var buffer = new JuteBuffer();
        for (var xid = 2; xid < 500; xid++)
        {
            JuteFrame.Append(buffer, new RequestHeader(xid, OpCode.GetData), new PathWatchRequest("/d", true));
        }

        await client.SendBytesAsync(buffer.Written.ToArray());
        await Wait.UntilAsync(() => client.HasInput);
        await client.DisposeAsync();

        await Wait.UntilAsync(async () => (await server.AskAsync("mntr")).Contains("connections\t1", StringComparison.Ordinal));
        Assert.That(await server.AskAsync("mntr"), Does.Contain("zk_watch_count\t0"));
    }

    [Test]
    public async Task A_stop_waits_only_briefly_for_a_client_that_takes_nothing()
    {
        var server = await TestServer.StartAsync();
        await using var client = await server.OpenAsync();
        await client.CreateAsync("/d", new byte[900_000]);
        for (var i = 0; i < 100; i++)
        {
            await client.SendAsync(OpCode.GetData, new PathWatchRequest("/d", false));
        }

        await server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Test]
    public async Task A_directory_in_use_gives_one_clear_error()
    {
        await using var server = await TestServer.StartAsync();

        Assert.That(
            async () => await TestServer.StartAsync(directory: server.Directory),
            Throws.TypeOf<DirectoryInUseException>().With.Message.Contains(server.Directory));
    }

    [Test]
    public async Task A_port_in_use_gives_one_clear_error_and_lets_the_directory_go()
    {
        await using var server = await TestServer.StartAsync();
        var directory = TestServer.NewDirectory();
        try
        {
            Assert.That(
                async () => await TestServer.StartAsync(options => options with { Port = server.Port }, directory),
                Throws.TypeOf<IOException>().With.Message.Contains($"127.0.0.1:{server.Port}"));

            await using var second = await TestServer.StartAsync(directory: directory);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public void An_option_out_of_range_is_named() => Assert.That(
        async () => await ZooKeeperServer.StartAsync(
            FabricRuntime.System,
            new ZooKeeperServerOptions { DataDirectory = "/nowhere", Port = 70_000 },
            NullLogger.Instance),
        Throws.InstanceOf<ArgumentException>().With.Message.Contains("Port"));

    private static async Task<bool> TryOpenAsync(int port)
    {
        try
        {
            await using var client = await RawClient.OpenAsync(port);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
