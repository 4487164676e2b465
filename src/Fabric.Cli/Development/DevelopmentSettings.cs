using System.Text.Json;
using Fabric.Cli.Frame;
using Fabric.Runtime.Disk;

namespace Fabric.Cli.Development;

/// <summary>
/// How a development fabric was made, kept in its directory, so that <c>up</c> can be repeated without its options and <c>down</c> knows that the
/// directory is one.
/// </summary>
/// <param name="Replicas">Containers <c>broker1…</c>, each with a replica.</param>
/// <param name="PortOffset">Added to every well-known port.</param>
/// <param name="ZooKeeper">An ensemble that runs already; null for the root's own registry.</param>
internal sealed record DevelopmentSettings(int Replicas, int PortOffset, string? ZooKeeper)
{
    /// <summary>Its name in the directory.</summary>
    public const string FileName = "up.json";

    /// <summary>Where clients and containers find the registry.</summary>
    public string Registry => ZooKeeper ?? $"localhost:{2181 + PortOffset}";

    /// <summary>Reads the file; null when there is none.</summary>
    /// <exception cref="CliException">It cannot be understood.</exception>
    public static DevelopmentSettings? Read(IDisk disk, string directory)
    {
        var path = Path.Combine(directory, FileName);
        if (!disk.FileExists(path))
        {
            return null;
        }

        using var file = disk.Open(path, DiskFileMode.Open);
        var bytes = new byte[file.Length];
        file.Read(bytes, 0);
        try
        {
            using var document = JsonDocument.Parse(bytes);
            var root = document.RootElement;
            return new DevelopmentSettings(
                root.GetProperty("replicas").GetInt32(),
                root.GetProperty("portOffset").GetInt32(),
                root.TryGetProperty("zooKeeper", out var zooKeeper) ? zooKeeper.GetString() : null);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new CliException(
                ExitCode.BadConfiguration, $"{path} cannot be read", exception.Message, "another directory: --data DIR", exception);
        }
    }

    /// <summary>Writes the file, whole or not at all.</summary>
    public void Write(IDisk disk, string directory)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(ZooKeeper is null
            ? new Dictionary<string, object> { ["replicas"] = Replicas, ["portOffset"] = PortOffset }
            : new Dictionary<string, object> { ["replicas"] = Replicas, ["portOffset"] = PortOffset, ["zooKeeper"] = ZooKeeper });
        WholeFile.Write(disk, directory, FileName, bytes);
    }
}
