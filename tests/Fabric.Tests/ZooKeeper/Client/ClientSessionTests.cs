using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>How a session begins, goes on over connections, and ends.</summary>
internal sealed class ClientSessionTests : ClientFixture
{
    [TestCase(5)]
    [TestCase(-4_035_225_266_123_964_416)] // a server with an id of 128 or more
    public async Task The_session_is_taken_up_again_with_its_password(long sessionId)
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync(sessionId: sessionId);
        var sync = client.SyncAsync("/");
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok, new PathRecord("/"), zxid: 77);
        await sync;
        first.Close();
        var second = await server.AcceptSessionAsync(sessionId: sessionId);
        Assert.That(first.Request, Is.EqualTo(new ConnectRequest(0, 0, 10_000, 0, first.Request.Password, false)));
        Assert.That(first.Request.Password, Is.EqualTo(new byte[16]));
        Assert.That((second.Request.SessionId, second.Request.LastZxidSeen), Is.EqualTo((sessionId, 77L)));
        Assert.That(Convert.ToHexStringLower(second.Request.Password!), Is.EqualTo("00112233445566778899aabbccddeeff"));
        await UntilAsync(client, KeeperState.SyncConnected);
        Assert.That(client.SessionId, Is.EqualTo(sessionId));
    }

    [Test]
    public async Task However_short_a_session_is_asked_for_its_server_has_the_time_to_answer()
    {
        var server = Serve();
        var client = Connect(server, change: options => options with { SessionTimeout = TimeSpan.FromMilliseconds(1) });
        var connection = await server.AcceptAsync();
        await connection.ReadAsync<ConnectRequest>();
        await Task.Delay(100);
        await connection.SendAsync(new ConnectResponse(0, 4000, 1, new byte[16], false));
        await client.ConnectAsync(CancellationToken.None).WaitAsync(ScriptedServer.Deadline);
        Assert.That(client.NegotiatedSessionTimeout, Is.EqualTo(TimeSpan.FromSeconds(4)));
    }

    [Test]
    public async Task Identities_come_first_then_watches_then_what_has_waited()
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync();
        var added = client.AddAuthAsync("digest", "user:secret"u8.ToArray());
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok);
        await added;
        await client.AddAuthAsync("digest", "user:secret"u8.ToArray()); // the same again: no second packet
        var read = client.GetDataAsync("/a", _ => { });
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok, new GetDataResponse(null, default), zxid: 9);
        await read;
        first.Close();
        await UntilAsync(client, KeeperState.Disconnected);
        var waiting = client.ExistsAsync("/b");
        var second = await server.AcceptSessionAsync();
        var (auth, watches, exists) = (await second.ReadRequestAsync(), await second.ReadRequestAsync(), await second.ReadRequestAsync());
        Assert.That(auth.Header, Is.EqualTo(new RequestHeader(SpecialXid.Auth, OpCode.Auth)));
        Assert.That(watches.Header.Type, Is.EqualTo(OpCode.SetWatches));
        Assert.That(watches.Read<SetWatchesRequest>(), Has.Property("RelativeZxid").EqualTo(9).And.Property("DataWatches").EqualTo(new[] { "/a" }));
        Assert.That(exists.Header.Type, Is.EqualTo(OpCode.Exists));
        await second.ReplyAsync(auth, ZooKeeperError.Ok);
        await second.ReplyAsync(watches, ZooKeeperError.Ok);
        await second.ReplyAsync(exists, ZooKeeperError.NoNode);
        Assert.That(await waiting, Is.Null);
    }

    [Test]
    public async Task An_expired_session_is_the_end()
    {
        var server = Serve();
        var client = Connect(server);
        var states = new List<KeeperState>();
        client.StateChanged += states.Add;
        var first = await server.AcceptSessionAsync();
        var read = client.GetDataAsync("/a", watched => states.Add(watched.State));
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok, new GetDataResponse(null, default));
        await read;
        first.Close();
        await UntilAsync(client, KeeperState.Disconnected);
        var waiting = client.ExistsAsync("/b");
        var second = await server.AcceptAsync();
        await second.ReadAsync<ConnectRequest>();
        await second.SendAsync(new ConnectResponse(0, 0, 0, new byte[16], false));
        Assert.That(async () => await waiting, Fails(ZooKeeperError.SessionExpired));
        Assert.That(async () => await client.ExistsAsync("/b"), Fails(ZooKeeperError.SessionExpired));
        Assert.That(async () => await client.ConnectAsync(CancellationToken.None), Fails(ZooKeeperError.SessionExpired));
        await client.CloseAsync();
        Assert.That(
            states,
            Is.EqualTo(new[] { KeeperState.SyncConnected, KeeperState.Disconnected, KeeperState.Disconnected, KeeperState.Expired, KeeperState.Expired }),
            "the client's owner and the watch's are told of both");
        Assert.That(client.State, Is.EqualTo(KeeperState.Expired));
        Assert.That(server.IsCalled, Is.False);
    }

    [Test]
    public async Task A_refused_identity_is_the_end()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var added = client.AddAuthAsync("nosuch", "x"u8.ToArray());
        var behind = client.ExistsAsync("/a");
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.AuthFailed);
        Assert.That(async () => await added, Fails(ZooKeeperError.AuthFailed));
        Assert.That(async () => await behind, Fails(ZooKeeperError.AuthFailed));
        Assert.That(async () => await client.ExistsAsync("/a"), Fails(ZooKeeperError.AuthFailed));
        Assert.That(client.State, Is.EqualTo(KeeperState.AuthFailed));
    }

    [TestCase(true, Description = "what a read-only server without sessions of its own answers")]
    [TestCase(false, Description = "what a server answers that is behind the client")]
    public async Task A_server_that_gives_no_session_is_left_for_the_next(bool answers)
    {
        var (bad, good) = (Serve(), Serve());
        var client = Connect($"127.0.0.1:{bad.Port},127.0.0.1:{good.Port}");
        var accepting = good.AcceptSessionAsync();
        while (!accepting.IsCompleted)
        {
            if (bad.IsCalled)
            {
                var connection = await bad.AcceptAsync();
                await connection.ReadAsync<ConnectRequest>();
                if (answers)
                {
                    await connection.SendAsync(new ReplyHeader(0, 1, ZooKeeperError.NotReadOnly));
                }

                connection.Close();
            }

            await Task.Delay(1);
        }

        await accepting;
        await client.ConnectAsync(CancellationToken.None).WaitAsync(ScriptedServer.Deadline);
        Assert.That(client.State, Is.EqualTo(KeeperState.SyncConnected));
    }

    [Test]
    public async Task Closing_lets_earlier_requests_through_and_refuses_later_ones()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var before = client.SetDataAsync("/a", default);
        var close = client.CloseAsync();
        Assert.That(async () => await client.ExistsAsync("/a"), Fails(ZooKeeperError.SessionExpired));
        var set = await connection.ReadRequestAsync();
        var closing = await connection.ReadRequestAsync();
        Assert.That(closing.Header.Type, Is.EqualTo(OpCode.CloseSession));
        await connection.ReplyAsync(set, ZooKeeperError.Ok, new StatResponse(default));
        await connection.ReplyAsync(closing, ZooKeeperError.Ok);
        await before;
        await close;
        await client.CloseAsync();
        Assert.That((client.State, server.IsCalled), Is.EqualTo((KeeperState.Closed, false)));
    }

    [Test]
    public async Task Closing_ends_although_the_server_says_nothing()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync(timeOut: 300);
        await client.ConnectAsync(CancellationToken.None);
        await client.CloseAsync().WaitAsync(ScriptedServer.Deadline);
        Assert.That((await connection.ReadRequestAsync()).Header.Type, Is.EqualTo(OpCode.CloseSession));
    }

    [Test]
    public async Task Closing_needs_no_connection()
    {
        var client = Connect("127.0.0.1:1"); // nobody listens there
        var waiting = client.ExistsAsync("/a");
        await client.CloseAsync().WaitAsync(ScriptedServer.Deadline);
        Assert.That(async () => await waiting, Fails(ZooKeeperError.SessionExpired));
        Assert.That(client.State, Is.EqualTo(KeeperState.Closed));
    }

    [Test]
    public async Task Waiting_for_a_connection_can_be_given_up()
    {
        var client = Connect("127.0.0.1:1");
        using var cancel = new CancellationTokenSource();
        var connecting = client.ConnectAsync(cancel.Token);
        await cancel.CancelAsync();
        Assert.That(async () => await connecting, Throws.InstanceOf<OperationCanceledException>());
    }
}
