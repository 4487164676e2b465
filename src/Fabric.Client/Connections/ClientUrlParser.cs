using System.Text.RegularExpressions;

namespace Fabric.Client.Connections;

/// <summary>
/// Reads the URLs of the Java client and ours (reference/openwire.md §5.1):
/// <code>
/// tcp://HOST:PORT?OPTIONS                    one broker; also ssl, nio, nio+ssl; with or without activemq: in front
/// failover:(URL,URL,…)?OPTIONS               a list; also failover://URL,URL?OPTIONS and without parentheses
/// discovery:fabric:GROUP?zookeeper=HOSTS     a fabric's group; also discovery:(fabric:GROUP?zookeeper=HOSTS)?OPTIONS
/// discovery:(static:(URL,URL))?OPTIONS       another spelling of failover
/// </code>
/// </summary>
internal static partial class ClientUrlParser
{
    private const string DefaultGroup = "default";
    private static readonly string[] JmsPrefixes = ["jms.", "nms.", "connection."];
    private static readonly string[] NestedPrefixes = ["nested.", "discovered."];

    public static ClientUrl Parse(string text)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(text);
        var url = text.Trim();
        if (StartsWith(url, "activemq:", out var rest))
        {
            url = rest;
        }

        if (StartsWith(url, "failover:", out rest))
        {
            return ParseFailover(text, rest);
        }

        if (StartsWith(url, "discovery:", out rest))
        {
            return ParseDiscovery(text, rest);
        }

        var jms = new JmsOptions();
        var broker = ParseBroker(url, jms, []);
        return new ClientUrl
        {
            Text = Mask(text),
            Brokers = [broker],
            Reconnects = false,
            Failover = new FailoverOptions { MaxReconnectAttempts = 0 },
            Jms = jms,
            Nested = [],
        };
    }

    /// <summary>Reads the address of one broker.</summary>
    public static BrokerAddress ParseBroker(string text, JmsOptions jms, IEnumerable<KeyValuePair<string, string>> nested)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || string.IsNullOrEmpty(uri.Host))
        {
            throw new UriFormatException(
                $"'{Mask(text)}' is no broker URL; expected tcp://HOST:PORT, failover:(URL,…) or discovery:fabric:GROUP");
        }

        var scheme = uri.Scheme switch
        {
            "tcp" or "nio" => "tcp",
            "ssl" or "nio+ssl" => "ssl",
            var other => throw new UriFormatException(
                $"scheme '{other}' is not supported{Suggest(other, ["tcp", "ssl", "nio", "failover", "discovery"])}"),
        };
        var options = new TransportOptions();
        foreach (var (name, value) in nested.Concat(ParseQuery(uri.Query.TrimStart('?'))))
        {
            SetTransportOption(options, jms, name, value);
        }

        var defaultPort = scheme == "ssl" ? BrokerAddress.DefaultTlsPort : BrokerAddress.DefaultPort;
        return new BrokerAddress(scheme, uri.IdnHost, uri.Port > 0 ? uri.Port : defaultPort, options);
    }

    private static ClientUrl ParseFailover(string text, string rest)
    {
        var (inner, query) = SplitComposite(rest);
        return CreateComposite(text, SplitList(inner), discovery: null, query, []);
    }

    private static ClientUrl ParseDiscovery(string text, string rest)
    {
        var (agent, query) = SplitComposite(rest);
        if (StartsWith(agent, "static:", out var list) || StartsWith(agent, "simple:", out list))
        {
            return CreateComposite(text, SplitList(SplitComposite(list).Inner), discovery: null, query, []);
        }

        if (!StartsWith(agent, "fabric:", out var group))
        {
            throw new UriFormatException($"'{Mask(agent)}' is no known discovery; expected fabric:GROUP or static:(URL,…)");
        }

        // Without parentheses the query belongs to the agent, as in Java; what the agent does not know is then ours.
        var mark = group.IndexOf('?', StringComparison.Ordinal);
        var agentOptions = ParseQuery(mark < 0 ? "" : group[(mark + 1)..]).ToList();
        var name = (mark < 0 ? group : group[..mark]).Trim('/');
        if (name.Contains('/', StringComparison.Ordinal))
        {
            throw new UriFormatException($"'{name}' is no name of a group");
        }

        return CreateComposite(text, [], new DiscoveryAddress(name.Length == 0 ? DefaultGroup : name, null), query, agentOptions);
    }

    private static ClientUrl CreateComposite(
        string text, IReadOnlyList<string> brokers, DiscoveryAddress? discovery, string query,
        IEnumerable<KeyValuePair<string, string>> agentOptions)
    {
        var failover = new FailoverOptions();
        var jms = new JmsOptions();
        var nested = new List<KeyValuePair<string, string>>();
        foreach (var (name, value) in agentOptions.Concat(ParseQuery(query)))
        {
            if (discovery is not null && IsOption(name, "zookeeper", "zookeeper.url"))
            {
                discovery = discovery with { ZooKeeper = value };
            }
            else if (discovery is null || !IsOption(name, "id"))
            {
                SetCompositeOption(failover, jms, nested, name, value, discovery is not null);
            }
        }

        var addresses = brokers.Select(broker => ParseBroker(broker, jms, nested)).Distinct().ToList();
        if (discovery is null && addresses.Count == 0)
        {
            throw new UriFormatException($"'{Mask(text)}' names no broker");
        }

        ParseBroker("tcp://localhost", jms, nested); // so that a bad nested option is found now and not at the first discovery
        return new ClientUrl
        {
            Text = Mask(text),
            Brokers = addresses,
            Discovery = discovery,
            Reconnects = true,
            Failover = failover,
            Jms = jms,
            Nested = nested,
        };
    }

    private static void SetCompositeOption(
        FailoverOptions failover, JmsOptions jms, List<KeyValuePair<string, string>> nested, string name, string value, bool discovered)
    {
        if (TrySetJms(jms, name, value))
        {
            return;
        }

        if (TryStrip(name, NestedPrefixes, out var inner))
        {
            nested.Add(new(inner, value));
            return;
        }

        // NMS and MassTransit write "transport." in front of what Java writes plainly.
        var plain = TryStrip(name, ["transport."], out var stripped) ? stripped : name;
        if (!FailoverOptions.Table.TrySet(failover, plain, value))
        {
            throw Unknown(name, [.. FailoverOptions.Table, .. JmsOptions.Table.Select(option => "jms." + option),
                .. discovered ? ["zookeeper"] : Array.Empty<string>()]);
        }
    }

    private static void SetTransportOption(TransportOptions options, JmsOptions jms, string name, string value)
    {
        if (TrySetJms(jms, name, value))
        {
            return;
        }

        var plain = TryStrip(name, ["transport.", "socket."], out var stripped) ? stripped : name;
        if (!TransportOptions.Table.TrySet(options, plain, value))
        {
            throw Unknown(name, [.. TransportOptions.Table, .. JmsOptions.Table.Select(option => "jms." + option)]);
        }
    }

    private static bool TrySetJms(JmsOptions jms, string name, string value)
    {
        if (!TryStrip(name, JmsPrefixes, out var plain))
        {
            return false;
        }

        return JmsOptions.Table.TrySet(jms, plain, value)
            ? true
            : throw Unknown(name, JmsOptions.Table.Select(option => name[..^plain.Length] + option));
    }

    /// <summary>Splits <c>(INNER)?QUERY</c>, <c>//(INNER)?QUERY</c>, and, without parentheses, <c>INNER?QUERY</c> or <c>//INNER?QUERY</c>.</summary>
    private static (string Inner, string Query) SplitComposite(string text)
    {
        var body = text.StartsWith("//", StringComparison.Ordinal) ? text[2..] : text;
        if (!body.StartsWith('('))
        {
            // A list without parentheses shares its query with its last member; it belongs to the outer scheme.
            var mark = body.LastIndexOf('?');
            return mark < 0 || body.StartsWith("fabric:", StringComparison.OrdinalIgnoreCase)
                ? (body, "")
                : (body[..mark], body[(mark + 1)..]);
        }

        var end = FindClosing(body);
        var tail = body[(end + 1)..];
        return tail.Length == 0 || tail[0] == '?'
            ? (body[1..end], tail.TrimStart('?'))
            : throw new UriFormatException($"'{Mask(tail)}' follows the closing parenthesis; expected '?' and options");
    }

    private static int FindClosing(string text)
    {
        var depth = 0;
        for (var i = 0; i < text.Length; i++)
        {
            depth += text[i] switch { '(' => 1, ')' => -1, _ => 0 };
            if (depth == 0)
            {
                return i;
            }
        }

        throw new UriFormatException($"'{Mask(text)}' lacks a closing parenthesis");
    }

    private static string[] SplitList(string list) =>
        list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static IEnumerable<KeyValuePair<string, string>> ParseQuery(string query)
    {
        foreach (var pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var at = pair.IndexOf('=', StringComparison.Ordinal);
            yield return at < 0
                ? throw new UriFormatException($"option '{Uri.UnescapeDataString(pair)}' has no value")
                : new(Uri.UnescapeDataString(pair[..at]), Uri.UnescapeDataString(pair[(at + 1)..]));
        }
    }

    private static bool StartsWith(string text, string prefix, out string rest)
    {
        var does = text.StartsWith(prefix, StringComparison.OrdinalIgnoreCase);
        rest = does ? text[prefix.Length..] : text;
        return does;
    }

    private static bool TryStrip(string name, string[] prefixes, out string rest)
    {
        foreach (var prefix in prefixes)
        {
            if (StartsWith(name, prefix, out rest))
            {
                return true;
            }
        }

        rest = name;
        return false;
    }

    private static bool IsOption(string name, params string[] names) => names.Contains(name, StringComparer.OrdinalIgnoreCase);

    private static UriFormatException Unknown(string name, IEnumerable<string> known) =>
        new($"unknown option '{name}'{Suggest(name, known)}");

    private static string Suggest(string name, IEnumerable<string> known) =>
        NearestName.Find(name, known) is { } nearest ? $"; did you mean '{nearest}'?" : "";

    private static string Mask(string text) => UserInfo().Replace(Secrets().Replace(text, "$1***"), "//***@");

    [GeneratedRegex(@"((?:password|passwd|token|secret)[^=&]*=)[^&,)]*", RegexOptions.IgnoreCase)]
    private static partial Regex Secrets();

    [GeneratedRegex(@"//[^/@,()?]*@")]
    private static partial Regex UserInfo();
}
