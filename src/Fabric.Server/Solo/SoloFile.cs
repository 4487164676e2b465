using System.Globalization;
using System.Text;
using System.Text.Json;
using Fabric.Runtime.Disk;
using Fabric.Server.Node;

namespace Fabric.Server.Solo;

/// <summary>The configuration file of a broker that runs without a fabric: JSON with comments, one object <c>Fabric</c>.</summary>
internal sealed record SoloFile
{
    /// <summary>The node that the file describes.</summary>
    public required NodeOptions Options { get; init; }

    public required BrokerConfiguration Broker { get; init; }

    /// <summary>Absolute path of <c>name=password,role</c> lines; null when nobody may connect.</summary>
    public required string? UsersFile { get; init; }

    /// <summary>Largest file that is read, in bytes.</summary>
    private const int BytesMax = 1024 * 1024;

    /// <summary>Reads a file.</summary>
    /// <param name="disk">Where it is.</param>
    /// <param name="path">Absolute.</param>
    /// <exception cref="NodeException">It cannot be read, or is no such configuration (exit code 78).</exception>
    public static SoloFile Load(IDisk disk, string path)
    {
        try
        {
            using var file = disk.Open(path, DiskFileMode.Open);
            var bytes = new byte[Math.Min(file.Length, BytesMax)];
            return Parse(Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(bytes, 0))), path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Wrong(path, $"it cannot be read: {exception.Message}");
        }
    }

    /// <summary>Reads a file's text.</summary>
    /// <param name="text">JSON; comments and trailing commas are allowed.</param>
    /// <param name="path">Absolute path of the file; relative paths in it start from its directory.</param>
    /// <exception cref="NodeException">It is no such configuration; the message names the key (exit code 78).</exception>
    public static SoloFile Parse(string text, string path)
    {
        var reading = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
        try
        {
            using var document = JsonDocument.Parse(text, reading);
            return Read(new Section(document.RootElement, "", path), Path.GetDirectoryName(path)!);
        }
        catch (JsonException exception)
        {
            throw Wrong(path, $"it is not JSON: {exception.Message}");
        }
    }

    private static SoloFile Read(Section root, string directory)
    {
        var fabric = root.Child("Fabric", required: true)!;
        var broker = fabric.Child("Broker", required: true)!;
        var connectors = broker.Child("Connectors");
        var management = fabric.Child("Management");
        var security = fabric.Child("Security");
        var container = fabric.Text("Container") ?? broker.Text("Name") ?? "default";
        var name = broker.Text("Name") ?? container;
        var data = Path.GetFullPath(broker.Text("DataDirectory") ?? "data", directory);
        var kind = broker.Text("Kind") ?? "StandAlone";
        if (kind != "StandAlone")
        {
            throw broker.Wrong("Kind", $"{kind} is not possible without a fabric; it is StandAlone here");
        }

        if (!CommandLine.IsContainerName(container) || !CommandLine.IsContainerName(name))
        {
            throw fabric.Wrong("Container", "and the broker's name are made of letters, digits, dots, dashes and underscores");
        }

        var openWire = Listening(connectors, "openwire", "tcp", NodeOptions.OpenWirePortBase);
        var admin = Listening(management, "Urls", "http", NodeOptions.AdminPortBase);
        if (openWire.Host != admin.Host && management is not null)
        {
            throw management.Wrong("Urls", "names another address than the connector; one node listens on one address");
        }

        var users = security?.Text("UsersFile");
        foreach (var section in new[] { root, fabric, broker, connectors, management, security })
        {
            section?.RefuseRest();
        }

        return new SoloFile
        {
            Options = new NodeOptions
            {
                Name = container,
                DataDirectory = data,
                BindHost = openWire.Host,
                AdminPort = admin.Port,
                OpenWirePort = openWire.Port,
            },
            Broker = BrokerConfiguration.Read(
                BrokerConfiguration.PidPrefix + name,
                new Dictionary<string, string> { ["kind"] = "StandAlone", ["data"] = "journal" }, container, data),
            UsersFile = users is null ? null : Path.GetFullPath(users, directory),
        };
    }

    private static (string Host, int Port) Listening(Section? section, string key, string scheme, int defaultPort)
    {
        if (section?.Text(key) is not { } text)
        {
            return ("127.0.0.1", defaultPort);
        }

        return Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == scheme && uri.PathAndQuery == "/" && uri.Port >= -1
            ? (uri.Host, uri.Port < 0 ? defaultPort : uri.Port)
            : throw section.Wrong(key, string.Create(CultureInfo.InvariantCulture, $"{text} is not {scheme}://ADDRESS:PORT"));
    }

    private static NodeException Wrong(string path, string what) => new(ExitCode.BadConfiguration, $"{path}: {what}");

    /// <summary>An object of the file that knows which of its keys were asked for, so that a misspelt one is not ignored.</summary>
    private sealed class Section(JsonElement element, string name, string path)
    {
        private readonly HashSet<string> _known = new(StringComparer.Ordinal);

        public Section? Child(string key, bool required = false)
        {
            _known.Add(key);
            if (element.ValueKind == JsonValueKind.Object && element.TryGetProperty(key, out var child))
            {
                return child.ValueKind == JsonValueKind.Object ? new Section(child, Full(key), path) : throw Wrong(key, "is not an object");
            }

            return required ? throw Wrong(key, "is missing") : null;
        }

        public string? Text(string key)
        {
            _known.Add(key);
            return !element.TryGetProperty(key, out var value) ? null
                : value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text
                : throw Wrong(key, "is not a text");
        }

        public void RefuseRest()
        {
            foreach (var property in element.EnumerateObject().Where(property => !_known.Contains(property.Name)))
            {
                throw Wrong(property.Name, "is unknown");
            }
        }

        public NodeException Wrong(string key, string what) => SoloFile.Wrong(path, $"{Full(key)} {what}");

        private string Full(string key) => name.Length == 0 ? key : $"{name}.{key}";
    }
}
