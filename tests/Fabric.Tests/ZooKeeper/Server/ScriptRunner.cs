using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>What one step gave: transaction numbers count from the last one before the script, owners are names of sessions.</summary>
/// <param name="Error">Error code of the reply header; null for steps without a reply.</param>
/// <param name="Zxid">Its transaction number.</param>
/// <param name="Response">The record behind the header; null when there is none.</param>
/// <param name="Events">What every session was told during the step, by session, in order.</param>
internal sealed record StepOutcome(
    int? Error, long? Zxid, JsonNode? Response, IReadOnlyList<(string Session, string Event)> Events)
{
    public override string ToString() =>
        $"err {Error} zxid {Zxid} {ScriptRunner.Text(Response)} events {string.Join(", ", Events)}";
}

/// <summary>
/// Carries out steps of a script, in the form of the recorded scripts, on any server over raw connections. Besides the
/// recorded operations it knows <c>reattach</c>, which brings a session back on a new connection.
/// </summary>
internal sealed class ScriptRunner(int port) : IAsyncDisposable
{
    private readonly Dictionary<string, RawClient> _clients = [];
    private readonly HashSet<string> _closed = [];
    private long _base;
    private bool _isStarted;

    public async Task<StepOutcome> RunAsync(JsonElement step)
    {
        var name = step.GetProperty("session").GetString()!;
        var operation = step.GetProperty("op").GetString()!;
        switch (operation)
        {
            case "open":
                await OpenAsync(name, step.GetProperty("request").GetProperty("timeOut").GetInt32());
                return new StepOutcome(null, null, null, await TakeEventsAsync());
            case "dropConnection":
                await _clients[name].DisposeAsync();
                _closed.Add(name);
                return new StepOutcome(null, null, null, await TakeEventsAsync());
            case "reattach":
                await ReattachAsync(name);
                return new StepOutcome(null, null, null, await TakeEventsAsync());
            default:
                return await RequestAsync(name, operation, step.GetProperty("request"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients.Values)
        {
            await client.DisposeAsync();
        }
    }

    private async Task<StepOutcome> RequestAsync(string name, string operation, JsonElement request)
    {
        var client = _clients[name];
        var (type, body) = ToRequest(operation, request);
        var reply = await client.RequestAsync(type, body);
        if (operation == "closeSession" || reply.Error is ZooKeeperError.AuthFailed or ZooKeeperError.Unimplemented)
        {
            Assert.That(await client.ReadFrameAsync(), Is.Null, $"the connection stays open after {operation} {reply.Error}");
            _closed.Add(name);
        }

        var response = reply.Error == ZooKeeperError.Ok && reply.Body.Length > 0 ? ToJson(operation, reply) : null;
        return new StepOutcome((int)reply.Error, Relative(reply.Zxid), response, await TakeEventsAsync());
    }

    private async Task OpenAsync(string name, int timeOut)
    {
        var client = _clients[name] = await RawClient.OpenAsync(port, timeOut);
        _closed.Remove(name);
        if (!_isStarted)
        {
            // The first step opens this very session.
            _isStarted = true;
            _base = (await client.RequestAsync(OpCode.Ping)).Zxid - 1;
        }
    }

    private async Task ReattachAsync(string name)
    {
        var client = await RawClient.ReattachAsync(port, _clients[name].Session!);
        Assert.That(client.Session!.TimeOut, Is.GreaterThan(0), $"session {name} is over");
        await _clients[name].DisposeAsync();
        _clients[name] = client;
        _closed.Remove(name);
    }

    /// <summary>A ping comes back behind every event that the step caused.</summary>
    private async Task<IReadOnlyList<(string Session, string Event)>> TakeEventsAsync()
    {
        var events = new List<(string Session, string Event)>();
        foreach (var (name, client) in _clients.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var taken = _closed.Contains(name) ? [.. client.Events] : await client.DrainEventsAsync();
            client.Events.Clear();
            events.AddRange(taken.Select(e => (name, $"{e.Type} {e.Path}")));
        }

        return events;
    }

    private static (OpCode Type, IJuteRecord? Body) ToRequest(string operation, JsonElement request) => operation switch
    {
        "create" => (OpCode.Create, ToCreate(request)),
        "create2" => (OpCode.Create2, ToCreate(request)),
        "createContainer" => (OpCode.CreateContainer, ToCreate(request)),
        "createTTL" => (OpCode.CreateTtl, new CreateTtlRequest(
            PathOf(request), Data(request), Acls(request), Int(request, "flags"), request.GetProperty("ttl").GetInt64())),
        "delete" => (OpCode.Delete, new PathVersionRequest(PathOf(request), Int(request, "version"))),
        "check" => (OpCode.Check, new PathVersionRequest(PathOf(request), Int(request, "version"))),
        "setData" => (OpCode.SetData, new SetDataRequest(PathOf(request), Data(request), Int(request, "version"))),
        "setACL" => (OpCode.SetAcl, new SetAclRequest(PathOf(request), Acls(request), Int(request, "version"))),
        "exists" => (OpCode.Exists, new PathWatchRequest(PathOf(request), Watch(request))),
        "getData" => (OpCode.GetData, new PathWatchRequest(PathOf(request), Watch(request))),
        "getChildren" => (OpCode.GetChildren, new PathWatchRequest(PathOf(request), Watch(request))),
        "getChildren2" => (OpCode.GetChildren2, new PathWatchRequest(PathOf(request), Watch(request))),
        "getACL" => (OpCode.GetAcl, new PathRecord(PathOf(request))),
        "sync" => (OpCode.Sync, new PathRecord(PathOf(request))),
        "getAllChildrenNumber" => (OpCode.GetAllChildrenNumber, new PathRecord(PathOf(request))),
        "getEphemerals" => (OpCode.GetEphemerals, new PathRecord(request.GetProperty("prefixPath").GetString()!)),
        "ping" => (OpCode.Ping, null),
        "whoAmI" => (OpCode.WhoAmI, null),
        "closeSession" => (OpCode.CloseSession, null),
        "multi" => (OpCode.Multi, ToMulti(request)),
        "multiRead" => (OpCode.MultiRead, ToMulti(request)),
        "auth" => (OpCode.Auth, new AuthPacket(
            0, request.GetProperty("scheme").GetString()!, Encoding.UTF8.GetBytes(request.GetProperty("auth").GetString()!))),
        "addWatch" => (OpCode.AddWatch, new AddWatchRequest(PathOf(request), Int(request, "mode"))),
        "checkWatches" => (OpCode.CheckWatches, new RemoveWatchesRequest(PathOf(request), Int(request, "type"))),
        "removeWatches" => (OpCode.RemoveWatches, new RemoveWatchesRequest(PathOf(request), Int(request, "type"))),
        "setWatches2" => (OpCode.SetWatches2, new SetWatches2Request(
            new SetWatchesRequest(
                request.GetProperty("relativeZxid").GetInt64(),
                Strings(request, "dataWatches"),
                Strings(request, "existWatches"),
                Strings(request, "childWatches")),
            Strings(request, "persistentWatches"),
            Strings(request, "persistentRecursiveWatches"))),
        _ => throw new NotSupportedException(operation),
    };

    private static MultiRequest ToMulti(JsonElement request) => new([.. request.GetProperty("ops").EnumerateArray().Select(item =>
    {
        var (type, body) = ToRequest(item.GetProperty("op").GetString()!, item);
        return new MultiOperation(type, body!);
    })]);

    private static CreateRequest ToCreate(JsonElement request) =>
        new(PathOf(request), Data(request), Acls(request), Int(request, "flags"));

    private static string PathOf(JsonElement request) => request.GetProperty("path").GetString()!;

    private static int Int(JsonElement request, string name) => request.GetProperty(name).GetInt32();

    private static bool Watch(JsonElement request) => request.TryGetProperty("watch", out var watch) && watch.GetBoolean();

    private static string[] Strings(JsonElement request, string name) =>
        [.. request.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];

    private static byte[]? Data(JsonElement request) =>
        request.GetProperty("dataHex").GetString() is { } hex ? Convert.FromHexString(hex) : null;

    private static Acl[]? Acls(JsonElement request)
    {
        var list = request.GetProperty("acl");
        return list.ValueKind == JsonValueKind.Null
            ? null
            : [.. list.EnumerateArray().Select(item => new Acl(
                (AclPermissions)item.GetProperty("perms").GetInt32(),
                new Id(item.GetProperty("scheme").GetString()!, item.GetProperty("id").GetString()!)))];
    }

    private JsonNode ToJson(string operation, RawReply reply) => operation switch
    {
        "create" or "sync" => new JsonObject { ["path"] = reply.Read<PathRecord>().Path },
        "create2" or "createContainer" or "createTTL" => Json(reply.Read<Create2Response>()),
        "exists" or "setData" or "setACL" => new JsonObject { ["stat"] = Json(reply.Read<StatResponse>().Stat) },
        "getData" => Json(reply.Read<GetDataResponse>()),
        "getChildren2" => Json(reply.Read<GetChildren2Response>()),
        "getACL" => Json(reply.Read<GetAclResponse>()),
        "getAllChildrenNumber" => new JsonObject { ["totalNumber"] = reply.Read<Int32Record>().Value },
        "getEphemerals" => new JsonObject { ["ephemerals"] = Sorted(reply.Read<StringsResponse>().Values) },
        "addWatch" => new JsonObject { ["err"] = reply.Read<Int32Record>().Value },
        "whoAmI" => new JsonObject
        {
            ["clientInfo"] = new JsonArray([.. reply.Read<WhoAmIResponse>().Clients
                .OrderBy(client => $"{client.AuthScheme} {client.User}", StringComparer.Ordinal)
                .Select(client => (JsonNode)new JsonObject { ["authScheme"] = client.AuthScheme, ["user"] = client.User })]),
        },
        "multi" or "multiRead" => Json(reply.Read<MultiResponse>()),
        _ => throw new NotSupportedException(operation),
    };

    private JsonObject Json(Create2Response created) => new() { ["path"] = created.Path, ["stat"] = Json(created.Stat) };

    private JsonObject Json(GetDataResponse read) => new()
    {
        ["dataHex"] = read.Data is null ? null : Convert.ToHexStringLower(read.Data),
        ["stat"] = Json(read.Stat),
    };

    private JsonObject Json(GetChildren2Response read) =>
        new() { ["children"] = Sorted(read.Children), ["stat"] = Json(read.Stat) };

    private JsonObject Json(GetAclResponse read) => new()
    {
        ["acl"] = new JsonArray([.. read.Acl!.Select(acl => (JsonNode)new JsonObject
        {
            ["perms"] = (int)acl.Permissions,
            ["scheme"] = acl.Id.Scheme,
            ["id"] = acl.Id.Value,
        })]),
        ["stat"] = Json(read.Stat),
    };

    private JsonObject Json(MultiResponse response) => new()
    {
        ["results"] = new JsonArray([.. response.Results.Select(result => (JsonNode)Json(result))]),
        ["end"] = new JsonObject { ["type"] = -1, ["done"] = true, ["err"] = -1 },
    };

    private JsonObject Json(MultiResult result)
    {
        var json = result.Body switch
        {
            PathRecord created => new JsonObject { ["path"] = created.Path },
            Create2Response created => Json(created),
            StatResponse set => new JsonObject { ["stat"] = Json(set.Stat) },
            GetDataResponse read => Json(read),
            StringsResponse children => new JsonObject { ["children"] = Sorted(children.Values) },
            Int32Record error => new JsonObject { ["errorResponseErr"] = error.Value },
            _ => [],
        };
        json["type"] = (int)result.Type;
        json["op"] = result.Type.ToString() is var name ? char.ToLowerInvariant(name[0]) + name[1..] : null;
        json["done"] = false;
        json["err"] = (int)result.Error;
        return json;
    }

    private JsonObject Json(Stat stat) => new()
    {
        ["czxid"] = Relative(stat.Czxid),
        ["mzxid"] = Relative(stat.Mzxid),
        ["version"] = stat.Version,
        ["cversion"] = stat.Cversion,
        ["aversion"] = stat.Aversion,
        ["ephemeralOwner"] = OwnerOf(stat),
        ["dataLength"] = stat.DataLength,
        ["numChildren"] = stat.NumChildren,
        ["pzxid"] = Relative(stat.Pzxid),
    };

    private JsonNode OwnerOf(Stat stat)
    {
        var name = _clients.FirstOrDefault(pair => pair.Value.Session!.SessionId == stat.EphemeralOwner).Key;
        return name is null ? stat.EphemeralOwner : $"session:{name}";
    }

    private long Relative(long zxid) => zxid <= 0 ? zxid : zxid - _base;

    private static JsonArray Sorted(IEnumerable<string> values) =>
        new([.. values.Order(StringComparer.Ordinal).Select(value => (JsonNode)value)]);

    /// <summary>With sorted keys, so that two trees compare as text.</summary>
    public static string Text(JsonNode? node) => node switch
    {
        JsonObject item => "{" + string.Join(",", item.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => $"{pair.Key}:{Text(pair.Value)}")) + "}",
        JsonArray list => "[" + string.Join(",", list.Select(Text)) + "]",
        null => "null",
        _ => node.ToJsonString(),
    };
}
