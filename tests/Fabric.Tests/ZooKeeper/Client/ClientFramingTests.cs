using System.Buffers.Binary;
using System.Text.Json.Nodes;
using Fabric.Tests.ZooKeeper.Jute;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using MultiOperation = Fabric.ZooKeeper.Client.MultiOperation;

namespace Fabric.Tests.ZooKeeper.Client;

/// <summary>
/// The client against recordings of Java's: asked for the same, it sends the same bytes, and makes of the recorded answers what was
/// recorded of them.
/// </summary>
internal sealed class ClientFramingTests : ClientFixture
{
    private static readonly string[] Offered =
    [
        "create", "createContainer", "createTTL", "delete", "exists", "getData", "setData", "getACL", "setACL", "sync", "getChildren2",
        "addWatch", "removeWatches", "multi", "auth",
    ];

    /// <summary>Exchanges of operations that the client offers; it sends no null data.</summary>
    private static IEnumerable<RecordedExchange> Exchanges => VectorFile.Exchanges("create", "data", "watch", "multi", "auth")
        .Where(exchange => !exchange.IsRaw
            && exchange.Frames.Where(frame => frame.FromClient).All(
                frame => Offered.Contains(frame.Operation) && !frame.Decoded.ToJsonString().Contains("\"dataHex\":null", StringComparison.Ordinal)));

    [Test]
    public void Most_recordings_are_replayed() => Assert.That(Exchanges.Count(), Is.GreaterThanOrEqualTo(38));

    [TestCaseSource(nameof(Exchanges))]
    public async Task Requests_are_those_of_Javas_client(RecordedExchange exchange)
    {
        var server = Serve();
        var client = Connect(server);
        var connection = await server.AcceptSessionAsync();
        var events = new EventList();
        var calls = new Queue<(RecordedFrame Frame, Task<JsonObject> Call, int Xid)>();
        foreach (var frame in exchange.Frames)
        {
            if (frame.FromClient)
            {
                var call = await CallAsync(client, connection, frame, events.Add);
                var sent = await connection.ReadRequestAsync();
                Assert.That(Convert.ToHexStringLower(Numbered(sent.Frame, frame)), Is.EqualTo(Convert.ToHexStringLower(frame.Bytes)));
                calls.Enqueue((frame, call, sent.Header.Xid));
            }
            else if (frame.Kind == "WatcherEvent")
            {
                await connection.SendBytesAsync(frame.Bytes);
            }
            else
            {
                var (request, call, xid) = calls.Dequeue();
                await connection.SendBytesAsync(Numbered(frame.Bytes, xid));
                await CheckAsync(request, frame, call);
            }
        }

        await events.AssertAsync([.. exchange.Frames.Where(frame => frame.Kind == "WatcherEvent")]);
    }

    [Test]
    public async Task A_client_with_a_chroot_sends_what_Javas_does_from_beginning_to_end()
    {
        var server = Serve();
        var client = Connect($"127.0.0.1:{server.Port}/vec", change: ThirtySeconds);
        var connection = await server.AcceptAsync();
        var events = new EventList();
        await PlayAsync(connection, "chroot");
        var created = client.CreateAsync("/in", "x"u8.ToArray(), WellKnownAcls.OpenUnsafe, CreateMode.Persistent);
        await PlayAsync(connection, "chroot_create");
        Assert.That(await created, Is.EqualTo("/in"));
        var root = client.ExistsAsync("/");
        await PlayAsync(connection, "chroot_exists_root");
        Assert.That((await root)!.Value.NumChildren, Is.EqualTo(11));
        var read = client.GetDataAsync("/in", events.Add);
        await PlayAsync(connection, "chroot_watch");
        Assert.That((await read).Data, Is.EqualTo("x"u8.ToArray()));
        Assert.That((await events.TakeAsync()).Path, Is.EqualTo("/in"));
        var close = client.CloseAsync();
        await PlayAsync(connection, "chroot_close");
        connection.Close();
        await close;
    }

    [Test]
    public async Task A_session_is_taken_up_again_as_Javas_client_does()
    {
        var server = Serve();
        var client = Connect(server, change: ThirtySeconds);
        var events = new EventList();
        var connection = await server.AcceptAsync();
        var setUp = VectorFile.Exchange("reconnect", "connect_and_set_watches").Frames;
        await ExpectAsync(connection, setUp[0]);
        await connection.SendBytesAsync(setUp[1].Bytes);
        await SetWatchesAsync(client, connection, setUp, events.Add);
        connection.Close();

        connection = await server.AcceptAsync();
        var again = VectorFile.Exchange("reconnect", "reconnect_set_watches_missed_events").Frames;
        await ExpectAsync(connection, again[0]);
        await connection.SendBytesAsync(again[1].Bytes);
        var rearmed = await connection.ReadRequestAsync();
        var body = rearmed.Read<SetWatchesRequest>();
        Assert.That(rearmed.Header.Type, Is.EqualTo(OpCode.SetWatches));
        Assert.That(body.RelativeZxid, Is.EqualTo((long)again[2].Body["relativeZxid"]!));
        Assert.That(body.DataWatches, Is.EquivalentTo(Strings(again[2].Body["dataWatches"])));
        Assert.That(body.ExistWatches, Is.EquivalentTo(Strings(again[2].Body["existWatches"])));
        Assert.That(body.ChildWatches, Is.EquivalentTo(Strings(again[2].Body["childWatches"])));
        foreach (var frame in again.Skip(3))
        {
            await connection.SendBytesAsync(frame.Kind == "Reply" ? Numbered(frame.Bytes, rearmed.Header.Xid) : frame.Bytes);
        }

        await events.AssertAsync([.. again.Where(frame => frame.Kind == "WatcherEvent")]);
        connection.Close();

        connection = await server.AcceptAsync();
        var expired = VectorFile.Exchange("reconnect", "session_expired_reconnect").Frames;
        await ExpectAsync(connection, expired[0]);
        await connection.SendBytesAsync(expired[1].Bytes);
        await Server.Wait.UntilAsync(() => client.State == KeeperState.Expired);
    }

    /// <summary>Plays an exchange in which every byte of the client is known.</summary>
    private static async Task PlayAsync(ScriptedConnection connection, string name)
    {
        foreach (var frame in VectorFile.Exchange("chroot", name).Frames)
        {
            if (frame.FromClient)
            {
                await ExpectAsync(connection, frame);
            }
            else
            {
                await connection.SendBytesAsync(frame.Bytes);
            }
        }
    }

    private static async Task ExpectAsync(ScriptedConnection connection, RecordedFrame frame) =>
        Assert.That(Convert.ToHexStringLower(await connection.ReadFrameAsync() ?? []), Is.EqualTo(Convert.ToHexStringLower(frame.Bytes)));

    /// <summary>Sets the recorded watches. Java's client asked for children without their Stat; ours always wants it.</summary>
    private static async Task SetWatchesAsync(
        ZooKeeperClient client, ScriptedConnection connection, IReadOnlyList<RecordedFrame> frames, Action<WatchedEvent> watcher)
    {
        for (var i = 2; i < frames.Count; i += 2)
        {
            var (request, reply) = (frames[i], frames[i + 1]);
            if (request.Operation == "getChildren")
            {
                var listed = client.GetChildrenAsync((string)request.Body["path"]!, watcher);
                await connection.ReplyAsync(
                    await connection.ReadRequestAsync(), ZooKeeperError.Ok, new GetChildren2Response([], default), (long)reply.Decoded["zxid"]!);
                await listed;
                continue;
            }

            var call = await CallAsync(client, connection, request, watcher);
            await ExpectAsync(connection, request);
            await connection.SendBytesAsync(reply.Bytes);
            await CheckAsync(request, reply, call);
        }
    }

    /// <summary>Asks the client for what a recorded request asks for; the result is in the words of the recording.</summary>
    private static async Task<Task<JsonObject>> CallAsync(
        ZooKeeperClient client, ScriptedConnection connection, RecordedFrame frame, Action<WatchedEvent> watcher)
    {
        var body = frame.Body;
        var path = (string?)body["path"] ?? "";
        var watch = (bool?)body["watch"] == true ? watcher : null;
        switch (frame.Operation)
        {
            case "create" or "createContainer":
                return Path(client.CreateAsync(path, Data(body), Acls(body), (CreateMode)(int)body["flags"]!));
            case "createTTL":
                return Path(client.CreateAsync(path, Data(body), Acls(body), (CreateMode)(int)body["flags"]!, TimeToLive(body)));
            case "delete":
                return Nothing(client.DeleteAsync(path, (int)body["version"]!));
            case "exists":
                return Facts(client.ExistsAsync(path, watch));
            case "getData":
                return Read(client.GetDataAsync(path, watch));
            case "setData":
                return Facts(client.SetDataAsync(path, Data(body), (int)body["version"]!));
            case "getACL":
                return List(client.GetAclAsync(path));
            case "setACL":
                return Facts(client.SetAclAsync(path, Acls(body), (int)body["version"]!));
            case "sync":
                return Path(Named(client.SyncAsync(path), path));
            case "getChildren2":
                return Names(client.GetChildrenAsync(path, watch));
            case "addWatch":
                return Nothing(client.AddWatchAsync(path, (AddWatchMode)(int)body["mode"]!, watcher));
            case "removeWatches":
                await HaveWatchAsync(client, connection, path, (WatcherType)(int)body["type"]!);
                return Nothing(client.RemoveWatchesAsync(path, (WatcherType)(int)body["type"]!));
            case "multi":
                return Results(client.MultiAsync([.. body["ops"]!.AsArray().Select(operation => Operation(operation!.AsObject()))]));
            case "auth":
                return Nothing(client.AddAuthAsync((string)body["scheme"]!, Convert.FromHexString((string)body["authHex"]!)));
            default:
                throw new ArgumentException(frame.Operation);
        }
    }

    /// <summary>Only what is known here is removed from the server.</summary>
    private static async Task HaveWatchAsync(ZooKeeperClient client, ScriptedConnection connection, string path, WatcherType type)
    {
        Task added = type == WatcherType.Data
            ? client.ExistsAsync(path, _ => { })
            : client.AddWatchAsync(path, AddWatchMode.Persistent, _ => { });
        await connection.ReplyAsync(
            await connection.ReadRequestAsync(), ZooKeeperError.Ok, type == WatcherType.Data ? new StatResponse(default) : new Int32Record(0));
        await added;
    }

    private static async Task CheckAsync(RecordedFrame request, RecordedFrame reply, Task<JsonObject> call)
    {
        var limited = call.WaitAsync(ScriptedServer.Deadline);
        if (request.Operation == "removeWatches")
        {
            await limited; // that the server knows of none is what was asked for
        }
        else if (request.Operation == "exists" && reply.Error == (int)ZooKeeperError.NoNode)
        {
            Assert.That(await limited, Is.Empty);
        }
        else if (reply.Error != 0 || FailedOperation(reply) >= 0)
        {
            var index = FailedOperation(reply);
            var error = index < 0 ? reply.Error : (int)reply.Body["results"]![index]!["err"]!;
            var expected = Throws.TypeOf<ZooKeeperException>().With.Property("Error").EqualTo((ZooKeeperError)error);
            Assert.That(async () => await limited, index < 0 ? expected : expected.And.Property("OperationIndex").EqualTo(index));
        }
        else
        {
            var expected = reply.Body.DeepClone().AsObject();
            if (request.Operation is "addWatch")
            {
                expected.Clear(); // its error code, once more
            }
            else if (request.Operation is "getData")
            {
                expected["dataHex"] ??= ""; // null data read as empty
            }
            else if (request.Operation is "createTTL" or "createContainer")
            {
                expected.Remove("stat");
            }
            else if (request.Operation == "multi")
            {
                expected = new JsonObject { ["results"] = new JsonArray([.. expected["results"]!.AsArray().Select(result => Wanted(result!.AsObject()))]) };
            }

            Assert.That((await limited).ToJsonString(), Is.EqualTo(expected.ToJsonString()));
        }
    }

    private static int FailedOperation(RecordedFrame reply)
    {
        var results = reply.Operation == "multi" ? reply.Body["results"]!.AsArray() : [];
        return results.ToList().FindIndex(result => (int)result!["err"]! is not 0 and not (int)ZooKeeperError.RuntimeInconsistency);
    }

    private static JsonObject Wanted(JsonObject result) => new() { ["path"] = result["path"]?.DeepClone(), ["stat"] = result["stat"]?.DeepClone() };

    private static MultiOperation Operation(JsonObject operation)
    {
        var path = (string)operation["path"]!;
        return (string)operation["op"]! switch
        {
            "check" => MultiOperation.Check(path, (int)operation["version"]!),
            "create" or "createContainer" => MultiOperation.Create(path, Data(operation), Acls(operation), (CreateMode)(int)operation["flags"]!),
            "createTTL" => MultiOperation.Create(
                path, Data(operation), Acls(operation), (CreateMode)(int)operation["flags"]!, TimeToLive(operation)),
            "setData" => MultiOperation.SetData(path, Data(operation), (int)operation["version"]!),
            "delete" => MultiOperation.Delete(path, (int)operation["version"]!),
            _ => throw new ArgumentException(operation.ToJsonString()),
        };
    }

    private static async Task<JsonObject> Path(Task<string> call) => new() { ["path"] = await call };

    private static async Task<string> Named(Task call, string path)
    {
        await call;
        return path;
    }

    private static async Task<JsonObject> Nothing(Task call)
    {
        await call;
        return [];
    }

    private static async Task<JsonObject> Facts(Task<Stat> call) => new() { ["stat"] = RecordDescription.Describe(await call) };

    private static async Task<JsonObject> Facts(Task<Stat?> call) =>
        await call is { } stat ? new() { ["stat"] = RecordDescription.Describe(stat) } : [];

    private static async Task<JsonObject> Read(Task<DataResult> call)
    {
        var result = await call;
        return new() { ["dataHex"] = RecordDescription.Hex(result.Data), ["stat"] = RecordDescription.Describe(result.Stat) };
    }

    private static async Task<JsonObject> List(Task<AclResult> call)
    {
        var result = await call;
        return new() { ["acl"] = RecordDescription.Describe(result.Acl), ["stat"] = RecordDescription.Describe(result.Stat) };
    }

    private static async Task<JsonObject> Names(Task<ChildrenResult> call)
    {
        var result = await call;
        return new()
        {
            ["children"] = new JsonArray([.. result.Children.Select(child => (JsonNode)child)]),
            ["stat"] = RecordDescription.Describe(result.Stat),
        };
    }

    private static async Task<JsonObject> Results(Task<IReadOnlyList<Fabric.ZooKeeper.Client.MultiResult>> call) => new()
    {
        ["results"] = new JsonArray([.. (await call).Select(result => new JsonObject
        {
            ["path"] = result.Path,
            ["stat"] = result.Stat is { } stat ? RecordDescription.Describe(stat) : null,
        })]),
    };

    private static byte[] Data(JsonObject body) => Convert.FromHexString((string)body["dataHex"]!);

    private static Acl[] Acls(JsonObject body) => [.. body["acl"]!.AsArray().Select(entry =>
        new Acl((AclPermissions)(int)entry!["perms"]!, new Id((string)entry["scheme"]!, (string)entry["id"]!)))];

    private static TimeSpan TimeToLive(JsonObject body) => TimeSpan.FromMilliseconds((long)body["ttl"]!);

    private static IEnumerable<string> Strings(JsonNode? array) => array!.AsArray().Select(item => (string)item!);

    /// <summary>The frame with the number of a recorded one: only numbers depend on what came before.</summary>
    private static byte[] Numbered(byte[] sent, RecordedFrame recorded) => Numbered(sent, (int)recorded.Decoded["xid"]!);

    private static byte[] Numbered(byte[] frame, int xid)
    {
        byte[] numbered = [.. frame];
        BinaryPrimitives.WriteInt32BigEndian(numbered.AsSpan(JuteFrame.HeaderLength), xid);
        return numbered;
    }

    private static ZooKeeperClientOptions ThirtySeconds(ZooKeeperClientOptions options) =>
        options with { SessionTimeout = TimeSpan.FromSeconds(30) };

    /// <summary>What happened to znodes, in the order of the handlers' calls.</summary>
    private sealed class EventList
    {
        private readonly System.Threading.Channels.Channel<WatchedEvent> _events = System.Threading.Channels.Channel.CreateUnbounded<WatchedEvent>();

        public void Add(WatchedEvent watched)
        {
            if (watched.Type != WatchEventType.None)
            {
                _events.Writer.TryWrite(watched);
            }
        }

        public async Task<WatchedEvent> TakeAsync() => await _events.Reader.ReadAsync().AsTask().WaitAsync(ScriptedServer.Deadline);

        public async Task AssertAsync(IReadOnlyList<RecordedFrame> expected)
        {
            foreach (var frame in expected)
            {
                var watched = await TakeAsync();
                Assert.That(
                    (watched.Type.ToString(), watched.Path), Is.EqualTo(((string)frame.Decoded["typeName"]!, (string)frame.Decoded["path"]!)));
            }
        }
    }
}
