using System.Text.Json.Nodes;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Tests.ZooKeeper.Jute;

/// <summary>Records in the words of the recordings, and the record that belongs to an operation.</summary>
internal static class RecordDescription
{
    /// <summary>Reads the body of a request; null when the operation has none.</summary>
    public static IJuteRecord? ReadRequest(string operation, ref JuteReader reader) => operation switch
    {
        "ping" or "closeSession" or "whoAmI" => null,
        "create" or "create2" or "createContainer" => CreateRequest.Read(ref reader),
        "createTTL" => CreateTtlRequest.Read(ref reader),
        "delete" => PathVersionRequest.Read(ref reader),
        "exists" or "getData" or "getChildren" or "getChildren2" => PathWatchRequest.Read(ref reader),
        "setData" => SetDataRequest.Read(ref reader),
        "getACL" or "sync" or "getEphemerals" or "getAllChildrenNumber" => PathRecord.Read(ref reader),
        "setACL" => SetAclRequest.Read(ref reader),
        "multi" or "multiRead" => MultiRequest.Read(ref reader),
        "reconfig" => ReconfigRequest.Read(ref reader),
        "removeWatches" or "checkWatches" => RemoveWatchesRequest.Read(ref reader),
        "addWatch" => AddWatchRequest.Read(ref reader),
        "setWatches" => SetWatchesRequest.Read(ref reader),
        "setWatches2" => SetWatches2Request.Read(ref reader),
        "auth" => AuthPacket.Read(ref reader),
        "sasl" => SaslToken.Read(ref reader),
        _ => throw new ArgumentException(operation),
    };

    /// <summary>Reads the body of a successful reply; null when there is none.</summary>
    public static IJuteRecord? ReadReply(string? operation, ref JuteReader reader) => operation switch
    {
        "create" or "sync" => PathRecord.Read(ref reader),
        "create2" or "createContainer" or "createTTL" => Create2Response.Read(ref reader),
        "exists" or "setData" or "setACL" => StatResponse.Read(ref reader),
        "getData" => GetDataResponse.Read(ref reader),
        "getChildren" or "getEphemerals" => StringsResponse.Read(ref reader),
        "getChildren2" => GetChildren2Response.Read(ref reader),
        "getACL" => GetAclResponse.Read(ref reader),
        "getAllChildrenNumber" or "addWatch" => Int32Record.Read(ref reader),
        "multi" or "multiRead" => MultiResponse.Read(ref reader),
        "whoAmI" => WhoAmIResponse.Read(ref reader),
        "sasl" => SaslToken.Read(ref reader),
        _ => null,
    };

    public static JsonObject Describe(string? operation, IJuteRecord? record) => record switch
    {
        null => [],
        CreateRequest r => new() { ["path"] = r.Path, ["dataHex"] = Hex(r.Data), ["acl"] = Describe(r.Acl), ["flags"] = r.Flags },
        CreateTtlRequest r => new()
        {
            ["path"] = r.Path, ["dataHex"] = Hex(r.Data), ["acl"] = Describe(r.Acl), ["flags"] = r.Flags, ["ttl"] = r.Ttl,
        },
        PathVersionRequest r => new() { ["path"] = r.Path, ["version"] = r.Version },
        PathWatchRequest r => new() { ["path"] = r.Path, ["watch"] = r.Watch },
        SetDataRequest r => new() { ["path"] = r.Path, ["dataHex"] = Hex(r.Data), ["version"] = r.Version },
        PathRecord r => new() { [operation == "getEphemerals" ? "prefixPath" : "path"] = r.Path },
        SetAclRequest r => new() { ["path"] = r.Path, ["acl"] = Describe(r.Acl), ["version"] = r.Version },
        MultiRequest r => new() { ["ops"] = List(r.Operations, Describe), ["end"] = End() },
        ReconfigRequest r => new()
        {
            ["joiningServers"] = r.JoiningServers,
            ["leavingServers"] = r.LeavingServers,
            ["newMembers"] = r.NewMembers,
            ["curConfigId"] = r.CurrentConfigId,
        },
        RemoveWatchesRequest r => new() { ["path"] = r.Path, ["type"] = r.Type },
        AddWatchRequest r => new() { ["path"] = r.Path, ["mode"] = r.Mode },
        SetWatchesRequest r => Describe(r),
        SetWatches2Request r => Describe(r),
        AuthPacket r => new() { ["type"] = r.Type, ["scheme"] = r.Scheme, ["authHex"] = Hex(r.Auth) },
        SaslToken r => new() { ["tokenHex"] = Hex(r.Token) },
        Create2Response r => new() { ["path"] = r.Path, ["stat"] = Describe(r.Stat) },
        StatResponse r => new() { ["stat"] = Describe(r.Stat) },
        GetDataResponse r => new() { ["dataHex"] = Hex(r.Data), ["stat"] = Describe(r.Stat) },
        StringsResponse r => new() { [operation == "getEphemerals" ? "ephemerals" : "children"] = List(r.Values, value => value) },
        GetChildren2Response r => new() { ["children"] = List(r.Children, value => value), ["stat"] = Describe(r.Stat) },
        GetAclResponse r => new() { ["acl"] = Describe(r.Acl), ["stat"] = Describe(r.Stat) },
        Int32Record r => new() { [operation == "addWatch" ? "err" : "totalNumber"] = r.Value },
        MultiResponse r => new() { ["results"] = List(r.Results, Describe), ["end"] = End() },
        WhoAmIResponse r => new()
        {
            ["clientInfo"] = List(r.Clients, client => new JsonObject { ["authScheme"] = client.AuthScheme, ["user"] = client.User }),
        },
        _ => throw new ArgumentException(record.GetType().Name),
    };

    public static JsonObject Describe(Stat stat) => new()
    {
        ["czxid"] = stat.Czxid,
        ["mzxid"] = stat.Mzxid,
        ["ctime"] = stat.Ctime,
        ["mtime"] = stat.Mtime,
        ["version"] = stat.Version,
        ["cversion"] = stat.Cversion,
        ["aversion"] = stat.Aversion,
        ["ephemeralOwner"] = stat.EphemeralOwner,
        ["dataLength"] = stat.DataLength,
        ["numChildren"] = stat.NumChildren,
        ["pzxid"] = stat.Pzxid,
    };

    public static JsonArray? Describe(IReadOnlyList<Acl>? acl) => acl is null ? null : List(
        acl, entry => new JsonObject { ["perms"] = (int)entry.Permissions, ["scheme"] = entry.Id.Scheme, ["id"] = entry.Id.Value });

    public static string? Hex(byte[]? bytes) => bytes is null ? null : Convert.ToHexStringLower(bytes);

    private static JsonObject Describe(SetWatchesRequest request) => new()
    {
        ["relativeZxid"] = request.RelativeZxid,
        ["dataWatches"] = List(request.DataWatches, path => path),
        ["existWatches"] = List(request.ExistWatches, path => path),
        ["childWatches"] = List(request.ChildWatches, path => path),
    };

    private static JsonObject Describe(SetWatches2Request request)
    {
        var description = Describe(request.OneShot);
        description["persistentWatches"] = List(request.PersistentWatches, path => path);
        description["persistentRecursiveWatches"] = List(request.PersistentRecursiveWatches, path => path);
        return description;
    }

    private static JsonObject Describe(MultiOperation operation) =>
        Merge(Header(operation.Type, -1), Describe(null, operation.Body));

    private static JsonObject Describe(MultiResult result) => Merge(
        Header(result.Type, (int)result.Error),
        result.Body is Int32Record failed ? new JsonObject { ["errorResponseErr"] = failed.Value } : Describe(null, result.Body));

    private static JsonObject Header(OpCode type, int error) => new()
    {
        ["type"] = (int)type,
        ["op"] = type switch
        {
            OpCode.CreateTtl => "createTTL",
            _ => char.ToLowerInvariant(type.ToString()[0]) + type.ToString()[1..],
        },
        ["done"] = false,
        ["err"] = error,
    };

    private static JsonObject End() => new() { ["type"] = -1, ["done"] = true, ["err"] = -1 };

    private static JsonObject Merge(JsonObject first, JsonObject second)
    {
        foreach (var (name, value) in second)
        {
            first[name] = value?.DeepClone();
        }

        return first;
    }

    private static JsonArray List<T>(IEnumerable<T> values, Func<T, JsonNode?> describe) => [.. values.Select(describe)];
}
