using System.Globalization;
using Fabric.ZooKeeper.Client;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>What the command line asks for.</summary>
internal abstract record Request
{
    /// <summary>Run a node.</summary>
    public sealed record Run(NodeOptions Options) : Request;

    /// <summary>Run one broker without a fabric.</summary>
    public sealed record RunSolo(string ConfigFile, bool Detached, LogLevel LogLevel) : Request;

    /// <summary>Stop the node of a data directory.</summary>
    public sealed record Stop(string DataDirectory, TimeSpan Limit) : Request;

    /// <summary>Print something and end.</summary>
    public sealed record Print(string Text) : Request;
}

/// <summary>Reads <c>fabricd</c>'s command line. It has few options, and its errors must be one clear line; so no library.</summary>
internal static class CommandLine
{
    public const string Help = """
        fabricd - a container of a fabric of message brokers

          fabricd run --name NAME --data DIR --zookeeper HOSTS   run a container
          fabricd run --root --data DIR [--zookeeper HOSTS]      run a root: registry and this machine's containers
          fabricd run --config FILE                              run one broker without a fabric
          fabricd stop --data DIR [--timeout SECONDS]            stop the node of DIR, a root's containers first
          fabricd --help | --version

        Options of run
          --name NAME             the container's name (a root's default is root)
          --parent NAME           the root that looks after it
          --data DIR              its directory; created when absent
          --zookeeper HOSTS       the registry, host:port[,host:port...]; also FABRIC_ZOOKEEPER
          --root                  host the registry, unless --zookeeper names one, and start this machine's containers
          --port-offset N         added to every well-known port, 0 to 3800
          --bind ADDRESS          address to listen on, default 127.0.0.1; 0.0.0.0 for all
          --advertise HOST        what others connect to, default the bound address or this machine's name
          --admin-port N          management port, default 8161 (root 8160) plus offset; 0 for any
          --openwire-port N       OpenWire port while master, default 61616 plus offset; 0 for any
          --detach                leave the terminal; output goes to DIR/log/fabricd.out
          --fail-fast             end when the registry cannot be reached, instead of waiting for it
          --log-level LEVEL       trace, debug, information, warning or error; default information

        The registry's password is read from FABRIC_ZOOKEEPER_PASSWORD, or from DIR/registry.password (mode 0600).
        """;

    private const int NameLengthMax = 64;
    private static readonly TimeSpan StopLimitDefault = TimeSpan.FromSeconds(30);

    /// <param name="arguments">As given to the program.</param>
    /// <param name="environment">Looks up an environment variable; null when it is not set.</param>
    /// <param name="currentDirectory">What relative paths start from.</param>
    /// <exception cref="NodeException">It asks for nothing we know (exit code 64).</exception>
    public static Request Parse(string[] arguments, Func<string, string?> environment, string currentDirectory)
    {
        if (arguments.Any(argument => argument is "--help" or "-h" or "-?") || arguments is ["help", ..])
        {
            return new Request.Print(Help);
        }

        return arguments switch
        {
            [] => throw Wrong("no command"),
            ["--version" or "version", ..] => new Request.Print(NodeVersion.Text),
            ["run", .. var rest] => ParseRun(new Options(rest, currentDirectory), environment),
            ["stop", .. var rest] => ParseStop(new Options(rest, currentDirectory)),
            [var other, ..] => throw Wrong($"unknown command {other}"),
        };
    }

    private static Request ParseRun(Options options, Func<string, string?> environment)
    {
        string? config = null, parent = null, name = null, data = null, bind = null, advertise = null;
        var zooKeeper = environment("FABRIC_ZOOKEEPER") is { Length: > 0 } hosts ? hosts : null;
        var (root, detach, failFast, offset) = (false, false, false, 0);
        int? adminPort = null, openWirePort = null;
        var level = LogLevel.Information;
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case "--config": config = options.Path(); break;
                case "--name": name = options.Value(); break;
                case "--parent": parent = options.Value(); break;
                case "--data": data = options.Path(); break;
                case "--zookeeper": zooKeeper = options.Value(); break;
                case "--root": root = true; break;
                case "--port-offset": offset = options.Number(0, NodeOptions.PortOffsetMax); break;
                case "--bind": bind = options.Value(); break;
                case "--advertise": advertise = options.Value(); break;
                case "--admin-port": adminPort = options.Number(0, ushort.MaxValue); break;
                case "--openwire-port": openWirePort = options.Number(0, ushort.MaxValue); break;
                case "--detach": detach = true; break;
                case "--fail-fast": failFast = true; break;
                case "--log-level": level = options.Level(); break;
                default: throw options.Unknown();
            }
        }

        if (config is not null)
        {
            return name is null && parent is null && data is null && !root && bind is null && advertise is null && offset == 0 && !failFast
                && adminPort is null && openWirePort is null
                    ? new Request.RunSolo(config, detach, level)
                    : throw Wrong("--config says everything about the node; only --detach and --log-level go with it");
        }

        name ??= root ? "root" : throw Wrong("--name is missing");
        if (!IsContainerName(name))
        {
            throw Wrong($"--name {name}: a container's name has 1 to {NameLengthMax} letters, digits, dots, dashes and underscores");
        }

        if (zooKeeper is null && !root)
        {
            throw Wrong("--zookeeper is missing");
        }

        CheckHosts(zooKeeper);
        return new Request.Run(new NodeOptions
        {
            Name = name,
            DataDirectory = data ?? throw Wrong("--data is missing"),
            IsRoot = root,
            Parent = parent,
            ZooKeeper = zooKeeper,
            PortOffset = offset,
            BindHost = bind ?? "127.0.0.1",
            AdvertisedHost = advertise,
            AdminPort = adminPort,
            OpenWirePort = openWirePort,
            Detached = detach,
            FailFast = failFast,
            LogLevel = level,
        });
    }

    private static void CheckHosts(string? zooKeeper)
    {
        try
        {
            _ = zooKeeper is null ? null : ConnectString.Parse(zooKeeper);
        }
        catch (FormatException exception)
        {
            throw Wrong($"--zookeeper {zooKeeper}: {exception.Message}");
        }
    }

    private static Request.Stop ParseStop(Options options)
    {
        string? data = null;
        var limit = StopLimitDefault;
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case "--data": data = options.Path(); break;
                case "--timeout": limit = TimeSpan.FromSeconds(options.Number(1, 3600)); break;
                default: throw options.Unknown();
            }
        }

        return new Request.Stop(data ?? throw Wrong("--data is missing"), limit);
    }

    /// <summary>Whether it can be a znode, a directory and a word in a table.</summary>
    internal static bool IsContainerName(string name) =>
        name.Length is > 0 and <= NameLengthMax && name is not "." and not ".."
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    private static NodeException Wrong(string what) => new(ExitCode.Usage, what, "fabricd --help");

    private sealed class Options(string[] arguments, string currentDirectory)
    {
        private int _next;
        private string _option = "";
        private string? _attached;

        public string? Next()
        {
            if (_attached is not null)
            {
                throw Wrong($"{_option} takes no value");
            }

            if (_next == arguments.Length)
            {
                return null;
            }

            var argument = arguments[_next++];
            var equals = argument.StartsWith("--", StringComparison.Ordinal) ? argument.IndexOf('=', StringComparison.Ordinal) : -1;
            (_option, _attached) = equals < 0 ? (argument, null) : (argument[..equals], argument[(equals + 1)..]);
            return _option;
        }

        public string Value()
        {
            if (_attached is { } attached)
            {
                _attached = null;
                return NotEmpty(attached);
            }

            return _next < arguments.Length && !arguments[_next].StartsWith("--", StringComparison.Ordinal)
                ? NotEmpty(arguments[_next++])
                : throw Wrong($"{_option} needs a value");
        }

        public string Path() => System.IO.Path.GetFullPath(Value(), currentDirectory);

        public int Number(int least, int most)
        {
            var text = Value();
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
                ? number
                : throw Wrong($"{_option} {text}: not a number from {least} to {most}");
        }

        public LogLevel Level()
        {
            var text = Value();
            return text switch
            {
                "trace" => LogLevel.Trace,
                "debug" => LogLevel.Debug,
                "information" or "info" => LogLevel.Information,
                "warning" => LogLevel.Warning,
                "error" => LogLevel.Error,
                _ => throw Wrong($"{_option} {text}: not one of trace, debug, information, warning, error"),
            };
        }

        public NodeException Unknown()
        {
            _attached = null;
            var dashes = _option.Any(c => c is >= '\u2010' and <= '\u2015' or '\u2212');
            return dashes
                ? Wrong($"unknown option {_option}: it is written with typographic dashes; type plain hyphens")
                : Wrong($"unknown option {_option}");
        }

        private string NotEmpty(string value) => value.Length > 0 ? value : throw Wrong($"{_option} needs a value");
    }
}
