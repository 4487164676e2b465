using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.ZooKeeper.Server.Connections;

/// <summary>What the admin words are answered from; valid while the executor's lock is held.</summary>
/// <param name="Options">The server's options.</param>
/// <param name="Statistics">Its counters.</param>
/// <param name="Zxid">Last durable transaction.</param>
/// <param name="Connections">All connections, the asking one included.</param>
/// <param name="Outstanding">Answers and events not yet sent.</param>
/// <param name="State">Tree and sessions.</param>
/// <param name="Watches">All watches.</param>
/// <param name="Now">Milliseconds since the start.</param>
internal sealed record ServerView(
    ZooKeeperServerOptions Options,
    ServerStatistics Statistics,
    long Zxid,
    IReadOnlyList<ServerConnection> Connections,
    int Outstanding,
    ServerState State,
    WatchTable Watches,
    long Now);

/// <summary>
/// The "four-letter words": four ASCII bytes instead of a frame, answered in text (reference §1.14). As frame lengths they
/// would all be far beyond any limit, so that the two cannot be confused.
/// </summary>
internal static class AdminWords
{
    private const int WordLength = 4;

    /// <summary>Version of ZooKeeper whose behaviour this server has; monitoring tools look at it.</summary>
    private const string Version = "3.8.0-fabric";

    private static readonly Dictionary<string, Func<ServerView, string>> Words = new(StringComparer.Ordinal)
    {
        ["ruok"] = _ => "imok",
        ["isro"] = _ => "rw",
        ["srvr"] = Server,
        ["stat"] = Stat,
        ["mntr"] = Monitor,
        ["conf"] = Configuration,
        ["cons"] = view => Lines(view.Connections.Select(Describe)) + "\n",
        ["envi"] = _ => Environment(),
        ["dump"] = Dump,
        ["wchs"] = view => $"{view.Watches.WatcherCount} connections watching {view.Watches.PathCount} paths\n"
            + $"Total watches:{view.Watches.Count}\n",
        ["srst"] = ResetServer,
        ["crst"] = ResetConnections,
    };

    /// <summary>Whether the first bytes of a connection are one of the words.</summary>
    public static bool TryRead(in ReadOnlySequence<byte> buffer, out string word)
    {
        word = "";
        if (buffer.Length < WordLength)
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[WordLength];
        buffer.Slice(0, WordLength).CopyTo(bytes);
        word = Encoding.ASCII.GetString(bytes);
        return Words.ContainsKey(word);
    }

    /// <summary>The answer to a word that <see cref="TryRead"/> found.</summary>
    public static string Answer(string word, ServerView view) => Words[word](view);

    private static string Server(ServerView view) => $"Zookeeper version: {Version}\n{Summary(view)}";

    private static string Stat(ServerView view) =>
        $"Zookeeper version: {Version}\nClients:\n{Lines(view.Connections.Select(Shortly))}\n{Summary(view)}";

    private static string Summary(ServerView view)
    {
        var (received, sent, min, average, max) = view.Statistics.Read();
        return string.Create(CultureInfo.InvariantCulture, $"""
            Latency min/avg/max: {min}/{average:0.####}/{max}
            Received: {received}
            Sent: {sent}
            Connections: {view.Connections.Count}
            Outstanding: {view.Outstanding}
            Zxid: 0x{view.Zxid:x}
            Mode: standalone
            Node count: {view.State.Tree.Count}

            """);
    }

    private static string Monitor(ServerView view)
    {
        var (received, sent, min, average, max) = view.Statistics.Read();
        return Lines(
        [
            $"zk_version\t{Version}",
            "zk_server_state\tstandalone",
            string.Create(CultureInfo.InvariantCulture, $"zk_avg_latency\t{average:0.####}"),
            $"zk_min_latency\t{min}",
            $"zk_max_latency\t{max}",
            $"zk_packets_received\t{received}",
            $"zk_packets_sent\t{sent}",
            $"zk_num_alive_connections\t{view.Connections.Count}",
            $"zk_outstanding_requests\t{view.Outstanding}",
            $"zk_znode_count\t{view.State.Tree.Count}",
            $"zk_watch_count\t{view.Watches.Count}",
            $"zk_ephemerals_count\t{view.State.Tree.EphemeralCount}",
            $"zk_approximate_data_size\t{view.State.Tree.DataBytes}",
            $"zk_global_sessions\t{view.State.Sessions.Count}",
            $"zk_uptime\t{view.Now}",
        ]);
    }

    private static string Configuration(ServerView view) => Lines(
    [
        $"clientPort={view.Options.Port}",
        $"clientPortAddress={view.Options.Host}",
        $"dataDir={view.Options.DataDirectory}",
        $"dataLogDir={view.Options.DataDirectory}",
        $"tickTime={(long)view.Options.TickTime.TotalMilliseconds}",
        $"maxClientCnxns={view.Options.ConnectionsPerHostMax}",
        $"minSessionTimeout={view.Options.MinSessionTimeoutMs}",
        $"maxSessionTimeout={view.Options.MaxSessionTimeoutMs}",
        "serverId=0",
    ]);

    private static string Environment() => Lines(
    [
        "Environment:",
        $"zookeeper.version={Version}",
        $"runtime.version={RuntimeInformation.FrameworkDescription}",
        $"os.name={RuntimeInformation.OSDescription}",
        $"os.arch={RuntimeInformation.OSArchitecture}",
    ]);

    /// <summary>Sessions by deadline, then the ephemerals of each.</summary>
    private static string Dump(ServerView view)
    {
        var text = new StringBuilder("SessionTracker dump:\n");
        text.Append(CultureInfo.InvariantCulture, $"Sessions ({view.State.Sessions.Count}):\n");
        foreach (var session in view.State.Sessions.All.OrderBy(session => session.Deadline))
        {
            text.Append(CultureInfo.InvariantCulture, $"0x{session.Id:x}\texpires in {session.Deadline - view.Now}ms\n");
        }

        text.Append("ephemeral nodes dump:\n");
        text.Append(CultureInfo.InvariantCulture, $"Sessions with Ephemerals ({view.State.Tree.EphemeralOwners.Count}):\n");
        foreach (var owner in view.State.Tree.EphemeralOwners)
        {
            text.Append(CultureInfo.InvariantCulture, $"0x{owner:x}:\n");
            foreach (var path in view.State.Tree.EphemeralsOf(owner).Order(StringComparer.Ordinal))
            {
                text.Append(CultureInfo.InvariantCulture, $"\t{path}\n");
            }
        }

        return text.ToString();
    }

    private static string Shortly(ServerConnection connection) => $"{Peer(connection)})";

    private static string Describe(ServerConnection connection)
    {
        if (connection.Session is not { } session)
        {
            return Shortly(connection);
        }

        var statistics = connection.Statistics;
        return $"{Peer(connection)},sid=0x{session.Id:x},lop={statistics.LastOperation},est={statistics.Established},"
            + $"to={session.Timeout},lcxid=0x{statistics.LastXid:x},lzxid=0x{connection.RequiredZxid:x},"
            + $"llat={statistics.LatencyLast},minlat=0,avglat={statistics.LatencyAverage},maxlat={statistics.LatencyMax})";
    }

    private static string Peer(ServerConnection connection) =>
        $" /{connection.RemoteEndPoint}[{(connection.Session is null ? 0 : 1)}](queued={connection.Outgoing.Count},"
        + $"recved={connection.Statistics.Received},sent={connection.Statistics.Sent}";

    private static string ResetServer(ServerView view)
    {
        view.Statistics.Reset();
        return "Server stats reset.\n";
    }

    private static string ResetConnections(ServerView view)
    {
        foreach (var connection in view.Connections)
        {
            connection.Statistics.Reset();
        }

        return "Connection stats reset.\n";
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));
}
