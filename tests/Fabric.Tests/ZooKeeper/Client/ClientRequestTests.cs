using Fabric.ZooKeeper.Jute;
using MultiOperation = Fabric.ZooKeeper.Client.MultiOperation;
using MultiResult = Fabric.ZooKeeper.Jute.MultiResult;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>What becomes of requests: limits, answers that are not what they should be, lost connections, callers who give up.</summary>
internal sealed class ClientRequestTests : ClientFixture
{
    [Test]
    public async Task A_request_larger_than_servers_take_is_refused_and_costs_no_connection()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var largest = 1_048_575 - 20 - "/a".Length;
        Assert.That(
            async () => await client.SetDataAsync("/a", new byte[largest + 1]),
            Throws.ArgumentException.With.Message.Contain("/a").And.Message.Contain("1048576").And.Message.Contain("1048575"));
        var set = client.SetDataAsync("/a", new byte[largest]);
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new StatResponse(default));
        await set;
    }

    [Test]
    public async Task An_answer_that_is_too_large_fails_its_request_with_the_reason()
    {
        var server = Serve();
        var client = Connect(server, change: options => options with { FrameBytesMax = 2000 });
        var connection = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var read = client.GetDataAsync("/large");
        var behind = client.GetDataAsync("/behind");
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new GetDataResponse(new byte[3000], default));
        Assert.That(
            async () => await read,
            Fails(ZooKeeperError.MarshallingError).With.InnerException.Message.Contain("2000").And.InnerException.Message.Contain("3088"));
        Assert.That(async () => await behind, Fails(ZooKeeperError.ConnectionLoss));
        await server.AcceptSessionAsync();
    }

    [Test]
    public async Task An_answer_to_another_request_costs_the_connection()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var first = client.ExistsAsync("/a");
        var second = client.ExistsAsync("/b");
        await connection.ReadRequestAsync();
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.NoNode);
        Assert.That(async () => await first, Fails(ZooKeeperError.ConnectionLoss));
        Assert.That(async () => await second, Fails(ZooKeeperError.ConnectionLoss));
        await server.AcceptSessionAsync();
    }

    [Test]
    public async Task An_answer_that_cannot_be_read_fails_its_request()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var read = client.GetDataAsync("/a");
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new Int32Record(100));
        Assert.That(async () => await read, Fails(ZooKeeperError.MarshallingError));
        await server.AcceptSessionAsync();
    }

    [Test]
    public async Task A_multi_with_another_number_of_results_fails()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var multi = client.MultiAsync([MultiOperation.Delete("/a"), MultiOperation.Delete("/b")]);
        await connection.ReplyAsync(
            await connection.ReadRequestAsync(), ZooKeeperError.Ok, new MultiResponse([new MultiResult(OpCode.Delete, ZooKeeperError.Ok, null)]));
        Assert.That(async () => await multi, Fails(ZooKeeperError.MarshallingError));
    }

    [Test]
    public async Task An_error_that_is_not_known_is_passed_on()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var sync = client.SyncAsync("/a");
        await connection.ReplyAsync(await connection.ReadRequestAsync(), (ZooKeeperError)(-999));
        Assert.That(
            async () => await sync, Throws.TypeOf<ZooKeeperException>().With.Property("Error").EqualTo((ZooKeeperError)(-999)).And.Property("Path").EqualTo("/a"));
    }

    [Test]
    public async Task Frames_may_come_in_pieces_and_many_at_once()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var first = client.ExistsAsync("/a");
        var second = client.ExistsAsync("/b");
        var requests = new[] { await connection.ReadRequestAsync(), await connection.ReadRequestAsync() };
        using var buffer = new JuteBuffer();
        foreach (var request in requests)
        {
            JuteFrame.Append(buffer, new ReplyHeader(request.Header.Xid, 1, ZooKeeperError.Ok), new StatResponse(default));
        }

        var bytes = buffer.Written.ToArray();
        foreach (var piece in bytes.Take(50))
        {
            await connection.SendBytesAsync([piece]);
        }

        await connection.SendBytesAsync(bytes[50..]);
        Assert.That((await first, await second), Is.EqualTo(((Stat?)default(Stat), (Stat?)default(Stat))));
    }

    [Test]
    public async Task What_was_under_way_is_lost_with_the_connection_and_never_sent_again()
    {
        var server = Serve();
        var client = Connect(server);
        var first = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var answered = client.DeleteAsync("/answered");
        var lost = client.DeleteAsync("/lost");
        await first.ReplyAsync(await first.ReadRequestAsync(), ZooKeeperError.Ok);
        await answered;
        first.Close();
        Assert.That(async () => await lost, Fails(ZooKeeperError.ConnectionLoss));
        var later = client.DeleteAsync("/later");
        var second = await server.AcceptSessionAsync();
        var request = await second.ReadRequestAsync();
        Assert.That(request.Read<PathVersionRequest>().Path, Is.EqualTo("/later"));
        await second.ReplyAsync(request, ZooKeeperError.Ok);
        await later;
    }

    [Test]
    public async Task Only_so_many_requests_wait_but_those_given_up_take_no_place()
    {
        var client = Connect("127.0.0.1:1", change: options => options with { RequestsMax = 2 });
        using var cancel = new CancellationTokenSource();
        var waiting = client.ExistsAsync("/a", cancel.Token);
        _ = client.ExistsAsync("/b", CancellationToken.None).ContinueWith(task => _ = task.Exception, TaskScheduler.Default);
        Assert.That(async () => await client.ExistsAsync("/c"), Fails(ZooKeeperError.ThrottledOperation));
        await cancel.CancelAsync();
        Assert.That(async () => await waiting, Throws.InstanceOf<OperationCanceledException>());
        var let = client.ExistsAsync("/c");
        Assert.That(async () => await client.ExistsAsync("/d"), Fails(ZooKeeperError.ThrottledOperation));
        await client.CloseAsync();
        Assert.That(async () => await let, Fails(ZooKeeperError.SessionExpired));
    }

    [Test]
    public async Task Only_so_many_bytes_wait_until_they_are_answered()
    {
        var server = Serve();
        var client = Connect(server, change: options => options with { RequestsBytesMax = 1500 });
        var connection = await server.AcceptSessionAsync();
        await client.ConnectAsync(CancellationToken.None);
        var first = client.SetDataAsync("/a", new byte[1000]);
        Assert.That(async () => await client.SetDataAsync("/a", new byte[1000]), Fails(ZooKeeperError.ThrottledOperation));
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new StatResponse(default));
        await first;
        var second = client.SetDataAsync("/a", new byte[3000]); // alone it may be larger
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.Ok, new StatResponse(default));
        await second;
    }

    [Test]
    public async Task A_request_given_up_before_it_was_sent_is_not_sent()
    {
        var server = Serve();
        var client = Connect(server);
        using var cancel = new CancellationTokenSource();
        var abandoned = client.DeleteAsync("/abandoned", cancellationToken: cancel.Token);
        var kept = client.DeleteAsync("/kept");
        await cancel.CancelAsync();
        var connection = await server.AcceptSessionAsync();
        var request = await connection.ReadRequestAsync();
        Assert.That(request.Read<PathVersionRequest>().Path, Is.EqualTo("/kept"));
        await connection.ReplyAsync(request, ZooKeeperError.Ok);
        await kept;
        Assert.That(abandoned.IsCanceled);
    }

    [Test]
    public async Task A_protected_create_is_looked_up_after_a_loss_and_repeated_under_the_same_mark()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var creating = client.CreateProtectedAsync("/q/n-", default, WellKnownAcls.OpenUnsafe, CreateMode.EphemeralSequential);
        var first = (await connection.ReadRequestAsync()).Read<CreateRequest>();
        Assert.That(first.Path, Does.Match("^/q/_c_[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}-n-$"));
        connection.Close();
        connection = await server.AcceptSessionAsync();
        await AnswerLookAsync(connection, "other-0000000001");
        var again = await connection.ReadRequestAsync();
        Assert.That(again.Read<CreateRequest>().Path, Is.EqualTo(first.Path));
        connection.Close();
        connection = await server.AcceptSessionAsync();
        var made = first.Path["/q/".Length..] + "0000000002";
        await AnswerLookAsync(connection, "other-0000000001", made);
        Assert.That(await creating, Is.EqualTo("/q/" + made));
    }

    [Test]
    public async Task What_an_abandoned_protected_create_has_made_is_deleted()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        using var cancel = new CancellationTokenSource();
        var creating = client.CreateProtectedAsync("/q/n-", default, WellKnownAcls.OpenUnsafe, CreateMode.EphemeralSequential, cancel.Token);
        var create = await connection.ReadRequestAsync();
        await cancel.CancelAsync();
        Assert.That(async () => await creating, Throws.InstanceOf<OperationCanceledException>());
        var made = create.Read<CreateRequest>().Path + "0000000007";
        await connection.ReplyAsync(create, ZooKeeperError.Ok, new PathRecord(made));
        await AnswerLookAsync(connection, made["/q/".Length..]);
        var delete = await connection.ReadRequestAsync();
        Assert.That((delete.Header.Type, delete.Read<PathVersionRequest>()), Is.EqualTo((OpCode.Delete, new PathVersionRequest(made, -1))));
        connection.Close(); // so that it is not known whether it was
        connection = await server.AcceptSessionAsync();
        await AnswerLookAsync(connection);
        var after = client.ExistsAsync("/after");
        Assert.That((await connection.ReadRequestAsync()).Header.Type, Is.EqualTo(OpCode.Exists), "there is nothing more to do");
        _ = after.ContinueWith(task => _ = task.Exception, TaskScheduler.Default);
    }

    [Test]
    public async Task A_protected_create_that_is_refused_is_not_looked_for()
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var creating = client.CreateProtectedAsync("/q/n-", default, WellKnownAcls.OpenUnsafe, CreateMode.EphemeralSequential);
        await connection.ReplyAsync(await connection.ReadRequestAsync(), ZooKeeperError.NoNode);
        Assert.That(async () => await creating, Fails(ZooKeeperError.NoNode));
        var after = client.ExistsAsync("/after");
        var request = await connection.ReadRequestAsync();
        Assert.That(request.Header.Type, Is.EqualTo(OpCode.Exists));
        await connection.ReplyAsync(request, ZooKeeperError.NoNode);
        await after;
    }

    [Test]
    public async Task What_makes_no_sense_is_refused_before_it_is_sent()
    {
        var client = Connect("127.0.0.1:1");
        var (acl, ttl) = (WellKnownAcls.OpenUnsafe, TimeSpan.FromSeconds(1));
        Assert.That(async () => await client.ExistsAsync("no/slash"), Throws.ArgumentException);
        Assert.That(async () => await client.CreateAsync("/a/", default, acl, CreateMode.Persistent), Throws.ArgumentException);
        Assert.That(async () => await client.CreateAsync("/a", default, acl, CreateMode.PersistentWithTtl), Throws.ArgumentException);
        Assert.That(async () => await client.CreateAsync("/a", default, acl, CreateMode.Persistent, ttl), Throws.ArgumentException);
        Assert.That(() => MultiOperation.Create("/a", default, acl, CreateMode.PersistentWithTtl), Throws.ArgumentException);
        Assert.That(() => MultiOperation.Create("/a", default, acl, CreateMode.Ephemeral, ttl), Throws.ArgumentException);
        Assert.That(() => MultiOperation.Delete("/a//b"), Throws.ArgumentException);
        Assert.That(async () => await client.CreateProtectedAsync("/a", default, acl, CreateMode.Ephemeral), Throws.ArgumentException);
        await client.CloseAsync();
    }

    private static async Task AnswerLookAsync(ScriptedConnection connection, params string[] children)
    {
        var sync = await connection.ReadRequestAsync();
        Assert.That((sync.Header.Type, sync.Read<PathRecord>().Path), Is.EqualTo((OpCode.Sync, "/q")));
        await connection.ReplyAsync(sync, ZooKeeperError.Ok, new PathRecord("/q"));
        var list = await connection.ReadRequestAsync();
        Assert.That(list.Header.Type, Is.EqualTo(OpCode.GetChildren2));
        await connection.ReplyAsync(list, ZooKeeperError.Ok, new GetChildren2Response(children, default));
    }
}
