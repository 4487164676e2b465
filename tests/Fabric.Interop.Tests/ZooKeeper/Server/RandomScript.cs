using System.Text.Json;
using System.Text.Json.Nodes;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Interop.Tests.ZooKeeper.Server;

/// <summary>
/// Makes up a script for three sessions: any operation with sensible and senseless arguments, on few paths so that they
/// meet. Session P holds persistent watches only, because Apache ZooKeeper 3.8 confuses them with one-shot watches of the
/// same session and path; A and B hold one-shot watches only. checkWatches stays out of it: that server takes a watch of any
/// session for one of the asking session.
/// </summary>
internal sealed class RandomScript(int seed)
{
    private const int TimeOut = 30_000;

    private static readonly string[] Sessions = ["A", "B", "P"];
    private static readonly string[] Names = ["a", "b", "c"];

    private readonly Random _random = new(seed);

    /// <summary>Two levels deep, because the scripts of all seeds share one Apache ZooKeeper and the counter of its root.</summary>
    private readonly string _root = $"/r{seed}/x";

    public IEnumerable<JsonElement> Steps(int count)
    {
        foreach (var session in Sessions)
        {
            yield return Step(session, "open", new JsonObject { ["timeOut"] = TimeOut });
        }

        yield return Step("A", "create", Create($"/r{seed}", 0, Open()));
        yield return Step("A", "create", Create(_root, 0, Open()));
        for (var i = 0; i < count; i++)
        {
            var session = Pick(Sessions);
            switch (_random.Next(60))
            {
                case 0:
                    yield return Step(session, "closeSession", []);
                    yield return Step(session, "open", new JsonObject { ["timeOut"] = TimeOut });
                    break;
                case 1:
                    yield return Step(session, "dropConnection", []);
                    yield return Step(session, "reattach", []);
                    break;
                default:
                    yield return NextRequest(session);
                    break;
            }
        }

        // A session that expired later would take a transaction number in the middle of another script.
        foreach (var session in Sessions)
        {
            yield return Step(session, "closeSession", []);
        }
    }

    private JsonElement NextRequest(string session)
    {
        var (operation, request) = _random.Next(22) switch
        {
            0 or 1 or 2 or 3 => NextCreate(),
            4 or 5 => ("delete", NextVersioned()),
            6 or 7 => ("setData", NextSetData()),
            8 => ("setACL", new JsonObject { ["path"] = NextPath(_root), ["acl"] = NextAcl(), ["version"] = NextVersion() }),
            9 or 10 => ("multi", NextMulti()),
            11 => ("multiRead", NextMultiRead()),
            12 => ("getACL", new JsonObject { ["path"] = NextPath() }),
            13 => ("getEphemerals", new JsonObject { ["prefixPath"] = NextPath() }),
            14 => ("getAllChildrenNumber", new JsonObject { ["path"] = NextPath() }),
            15 => (_random.Next(3) == 0 ? "whoAmI" : "sync", new JsonObject { ["path"] = NextPath() }),
            16 => ("auth", new JsonObject { ["scheme"] = "digest", ["auth"] = session == "B" ? "eve:pw" : "bob:pw" }),
            17 => ("removeWatches", new JsonObject { ["path"] = NextPath(), ["type"] = _random.Next(1, 4) }),
            _ => NextWatchedRead(session),
        };
        return Step(session, operation, request);
    }

    private (string Operation, JsonObject Request) NextCreate()
    {
        // Wrong flags stay out of it: for some pairs of operation and flags Apache ZooKeeper runs into errors of its own.
        var (acl, path) = (NextAcl(), NextPath(_root));
        switch (_random.Next(6))
        {
            case 0:
                return ("createContainer", Create(path, (int)CreateMode.Container, acl));
            case 1:
                var create = Create(path, Pick((int)CreateMode.PersistentWithTtl, (int)CreateMode.PersistentSequentialWithTtl), acl);
                create["ttl"] = Pick(600_000L, 0L, -1L, 1L << 41);
                return ("createTTL", create);
            case 2:
                return ("create2", Create(path, _random.Next(4), acl));
            default:
                return ("create", Create(path, _random.Next(4), acl));
        }
    }

    private JsonObject NextMulti()
    {
        var operations = new JsonArray();
        for (var i = _random.Next(5); i > 0; i--)
        {
            var (operation, item) = _random.Next(5) switch
            {
                0 => ("check", NextVersioned()),
                1 => ("delete", NextVersioned()),
                2 => ("setData", NextSetData()),
                _ => NextCreate(),
            };
            item["op"] = operation;
            operations.Add(item);
        }

        return new JsonObject { ["ops"] = operations };
    }

    private JsonObject NextMultiRead() => new()
    {
        ["ops"] = new JsonArray([.. Enumerable.Range(0, _random.Next(4)).Select(_ =>
            (JsonNode)new JsonObject { ["op"] = Pick("getData", "getChildren"), ["path"] = NextPath() })]),
    };

    private (string Operation, JsonObject Request) NextWatchedRead(string session)
    {
        if (session == "P" && _random.Next(3) == 0)
        {
            // One kind per path: Apache ZooKeeper lets the later of two kinds replace the earlier.
            var path = NextPath();
            return ("addWatch", new JsonObject { ["path"] = path, ["mode"] = path.Length % 2 });
        }

        return (Pick("exists", "getData", "getChildren2"), new JsonObject
        {
            ["path"] = NextPath(),
            ["watch"] = session != "P" && _random.Next(2) == 0,
        });
    }

    private JsonObject NextVersioned() => new() { ["path"] = NextPath(), ["version"] = NextVersion() };

    private JsonObject NextSetData() =>
        new() { ["path"] = NextPath(_root), ["dataHex"] = Pick<string?>(null, "", "01", "0203"), ["version"] = NextVersion() };

    private int NextVersion() => _random.Next(6) switch { 0 => 0, 1 => 1, 2 => -2, _ => -1 };

    private string NextPath() => _random.Next(20) switch
    {
        0 => "/zookeeper",
        1 => "/zookeeper/config",
        _ => NextPath(_root),
    };

    private string NextPath(string path)
    {
        for (var depth = _random.Next(4); depth > 0; depth--)
        {
            path += "/" + Pick(Names);
        }

        return _random.Next(40) switch
        {
            0 => path + "/",
            1 => path + "/..",
            2 => path[1..],
            3 => path + "/\u0001",
            _ => path,
        };
    }

    private JsonArray? NextAcl() => _random.Next(10) switch
    {
        0 => [Entry(31, "auth", "")],
        1 => [Entry(_random.Next(32), "world", "anyone"), Entry(31, "digest", Bob())],
        2 => [Entry(1, "world", "anyone"), Entry(1, "world", "anyone"), Entry(30, "auth", "")],
        3 => [Entry(31, "ip", "127.0.0.0/8")],
        4 => _random.Next(4) switch
        {
            0 => null,
            1 => [],
            2 => [Entry(31, "world", "bob")],
            _ => [Entry(31, "ip", "1.2.3")],
        },
        _ => Open(),
    };

    private static JsonArray Open() => [Entry(31, "world", "anyone")];

    private static string Bob() => DigestAuthentication.CreateId("bob:pw").Value;

    private static JsonObject Entry(int permissions, string scheme, string id) =>
        new() { ["perms"] = permissions, ["scheme"] = scheme, ["id"] = id };

    private static JsonObject Create(string path, int flags, JsonArray? acl) =>
        new() { ["path"] = path, ["dataHex"] = "aa", ["acl"] = acl, ["flags"] = flags };

    private static JsonElement Step(string session, string operation, JsonObject request) => JsonSerializer.SerializeToElement(
        new JsonObject { ["session"] = session, ["op"] = operation, ["request"] = request });

    private T Pick<T>(params T[] choices) => choices[_random.Next(choices.Length)];
}
