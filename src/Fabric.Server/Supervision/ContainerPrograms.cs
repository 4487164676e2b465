using System.Globalization;
using System.Text;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Processes;
using Fabric.Server.Node;

namespace Fabric.Server.Supervision;

/// <summary>
/// Runs containers as <c>fabricd</c> processes in directories below the root's. A container keeps its slot, and with it its ports,
/// in its directory, so that they stay the same over restarts.
/// </summary>
/// <param name="runtime">The disk.</param>
/// <param name="processes">The machine's processes.</param>
/// <param name="options">The root's.</param>
/// <param name="zooKeeper">Where the containers find the registry.</param>
/// <param name="password">The registry's password, written into each container's directory.</param>
internal sealed class ContainerPrograms(
    FabricRuntime runtime, IProcesses processes, NodeOptions options, string zooKeeper, string? password) : IContainerPrograms
{
    private const string SlotFile = "slot";
    private readonly Lock _gate = new();

    /// <summary>
    /// The container's slot: the one it has, else the lowest that no other container has, which is its own from then on, also after a
    /// loss of power.
    /// </summary>
    /// <exception cref="IOException">It cannot be kept.</exception>
    /// <exception cref="UnauthorizedAccessException">The container's directory is not ours.</exception>
    public int TakeSlot(string container)
    {
        lock (_gate)
        {
            if (ReadSlot(container) is { } slot)
            {
                return slot;
            }

            var taken = Known().Select(ReadSlot).OfType<int>().ToHashSet();
            var free = Enumerable.Range(0, ushort.MaxValue).First(candidate => !taken.Contains(candidate));
            DurableDirectory.Create(runtime.Disk, DirectoryOf(container));
            WholeFile.Write(runtime.Disk, DirectoryOf(container), SlotFile, Encoding.ASCII.GetBytes(Text(free)));
            return free;
        }
    }

    public ISupervisedProcess? Find(string container) =>
        PidFile.Read(runtime.Disk, DirectoryOf(container)) is { } identity ? processes.Find(identity) : null;

    public ISupervisedProcess Start(string container)
    {
        var directory = DirectoryOf(container);
        runtime.Disk.CreateDirectory(Path.Combine(directory, "log"));
        if (password is not null)
        {
            SecretFile.Write(NodeOptions.PasswordFileOf(directory), password);
        }

        return processes.Start(CommandOf(container, directory));
    }

    public bool StoppedInOrder(string container, ProcessIdentity process) =>
        PidFile.Read(runtime.Disk, DirectoryOf(container)) != process;

    public string DirectoryOf(string container) => Path.Combine(options.ContainersDirectory, container);

    /// <summary>Names of the containers that have a directory here, in ordinal order.</summary>
    public IReadOnlyList<string> Known() => Directory.Exists(options.ContainersDirectory)
        ? [.. Directory.EnumerateDirectories(options.ContainersDirectory).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Removes everything the container kept here. It must not run.</summary>
    public void Wipe(string container)
    {
        var directory = DirectoryOf(container);
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private ProcessStart CommandOf(string container, string directory)
    {
        var slot = TakeSlot(container);
        string[] arguments =
        [
            "run", "--name", container, "--parent", options.Name, "--data", directory, "--zookeeper", zooKeeper,
            "--port-offset", Text(options.PortOffset), "--bind", options.BindHost, "--advertise", options.EffectiveAdvertisedHost,
            "--admin-port", Text(NodeOptions.AdminPortBase + options.PortOffset + slot),
            "--openwire-port", Text(NodeOptions.OpenWirePortBase + options.PortOffset + slot),
            "--log-level", options.LogLevel.ToString().ToLowerInvariant(), "--detach",
        ];
        return SelfProgram.With(arguments);
    }

    private int? ReadSlot(string container)
    {
        var path = Path.Combine(DirectoryOf(container), SlotFile);
        if (!runtime.Disk.FileExists(path))
        {
            return null;
        }

        using var file = runtime.Disk.Open(path, DiskFileMode.Open);
        Span<byte> text = stackalloc byte[8];
        return int.TryParse(text[..file.Read(text, 0)], NumberStyles.None, CultureInfo.InvariantCulture, out var slot) ? slot : null;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>This program, to be started again with other arguments.</summary>
internal static class SelfProgram
{
    public static ProcessStart With(IReadOnlyList<string> arguments)
    {
        var host = Environment.ProcessPath ?? throw new IOException("the path of this program is unknown");
        return Path.GetFileNameWithoutExtension(host) == "dotnet"
            ? new ProcessStart(host, [Path.Combine(AppContext.BaseDirectory, "fabricd.dll"), .. arguments])
            : new ProcessStart(host, arguments);
    }
}
