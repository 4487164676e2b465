using System.Globalization;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Runtime.Processes;

namespace Fabric.Cli.Development;

/// <summary>
/// A fabric on this machine for development: one root that hosts the registry and supervises the containers, in one directory. What there
/// is and runs is looked up each time; nothing is assumed from an earlier run.
/// </summary>
internal sealed class DevelopmentFabric
{
    public const string RootName = "root";

    /// <summary>The broker, and the group it is found in.</summary>
    public const string BrokerName = "default";

    private const string ContainersDirectory = "containers";
    private const string RegistryDirectory = "registry";
    private const string PasswordFile = "registry.password";
    private static readonly TimeSpan RootLimit = TimeSpan.FromSeconds(60);
    private static readonly string[] OwnEntries =
        [ContainersDirectory, RegistryDirectory, "data", "log", "fabricd.pid", "lock", "slot", PasswordFile, DevelopmentSettings.FileName];

    private readonly CliContext _context;

    public DevelopmentFabric(CliContext context, string directory, DevelopmentSettings settings) =>
        (_context, Directory, Settings) = (context, directory, settings);

    public string Directory { get; }

    public DevelopmentSettings Settings { get; }

    /// <summary>The containers, in the order of their ports.</summary>
    public IReadOnlyList<string> Containers =>
        [.. Enumerable.Range(1, Settings.Replicas).Select(number => string.Create(CultureInfo.InvariantCulture, $"broker{number}"))];

    /// <summary>The directory that <c>--data</c> names; else <c>.fabric</c> in the checkout that this program was built in, else here.</summary>
    public static string DirectoryOf(string? given, CliContext context, string ownDirectory)
    {
        if (given is not null)
        {
            return Path.GetFullPath(given, context.WorkingDirectory);
        }

        for (var directory = new DirectoryInfo(ownDirectory); directory is not null; directory = directory.Parent)
        {
            if (context.Runtime.Disk.FileExists(Path.Combine(directory.FullName, "Fabric.sln")))
            {
                return Path.Combine(directory.FullName, ".fabric");
            }
        }

        return Path.Combine(context.WorkingDirectory, ".fabric");
    }

    /// <summary>Whether the directory has entries of the names that <see cref="Wipe"/> removes.</summary>
    public bool HoldsAnything => OwnEntries.Any(Holds);

    /// <summary>Whether its settings have had consequences, so that other ones would contradict them. Not when its root did not even start.</summary>
    public bool IsBegun => Holds(ContainersDirectory) || Holds(RegistryDirectory) || Running().Count > 0;

    /// <summary>Whether the root's process runs.</summary>
    public bool IsRootRunning => IsRunning(Directory);

    /// <summary>Whether a container's process runs, whatever the registry still says.</summary>
    public bool IsContainerRunning(string container) => IsRunning(DirectoryOfContainer(container));

    /// <summary>Processes of this fabric that run: the root's and the containers'.</summary>
    public IReadOnlyList<ProcessIdentity> Running()
    {
        string[] directories = [Directory, .. KnownContainers().Select(DirectoryOfContainer)];
        var running = new List<ProcessIdentity>();
        foreach (var directory in directories)
        {
            if (Find(directory) is { } process)
            {
                running.Add(process.Identity);
                process.Dispose();
            }
        }

        return running;
    }

    /// <summary>
    /// Fails when a port that somebody of ours will need is taken by somebody else. The ports of containers that run already (an earlier root's) are
    /// theirs.
    /// </summary>
    /// <exception cref="CliException">One is taken; nothing has been started.</exception>
    public async Task CheckPortsAsync()
    {
        var ports = new List<(int Port, string Use)> { (8160 + Settings.PortOffset, "the root's management") };
        if (Settings.ZooKeeper is null)
        {
            ports.Add((2181 + Settings.PortOffset, "the registry"));
        }

        foreach (var (container, index) in Containers.Select((container, index) => (container, index)))
        {
            if (!IsRunning(DirectoryOfContainer(container)))
            {
                ports.Add((61616 + Settings.PortOffset + index, $"clients of {container}"));
                ports.Add((8161 + Settings.PortOffset + index, $"the management of {container}"));
            }
        }

        foreach (var (port, use) in ports)
        {
            try
            {
                await using var listener = _context.Runtime.Network.Listen("127.0.0.1", port);
            }
            catch (IOException exception)
            {
                throw new CliException(
                    ExitCode.LocalFailure, $"port {port}, for {use}, is in use", exception.Message,
                    "end the program that has it, or choose other ports with --port-offset N", exception);
            }
        }
    }

    /// <summary>The registry's password: kept in the directory, made when the fabric is.</summary>
    /// <param name="wanted">For a new fabric.</param>
    public string KeepPassword(string wanted)
    {
        var path = Path.Combine(Directory, PasswordFile);
        if (SecretFile.Read(path) is { Length: > 0 } kept)
        {
            return kept;
        }

        SecretFile.Write(path, wanted);
        return wanted;
    }

    /// <summary>Starts the root, which leaves our terminal by itself.</summary>
    public ISupervisedProcess StartRoot(string ownDirectory)
    {
        string[] registry = Settings.ZooKeeper is { } hosts ? ["--zookeeper", hosts] : [];
        var start = FabricdProgram.With(
            _context.Environment, ownDirectory, _context.Runtime.Disk.FileExists,
            [
                "run", "--root", "--name", RootName, "--data", Directory, .. registry,
                "--port-offset", Settings.PortOffset.ToString(CultureInfo.InvariantCulture), "--detach",
            ]);

        // They name the registry of other commands; this one's is its own unless the command line says otherwise, and so is the password in its directory.
        return _context.Processes.Start(start with { WithheldVariables = [GlobalOptions.ZooKeeperVariable, GlobalOptions.PasswordVariable] });
    }

    /// <summary>Connects to the registry as soon as it answers.</summary>
    /// <param name="password">The registry's.</param>
    /// <param name="root">The root that was just started; null when it ran before.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="CliException">The root ended, or nothing answers.</exception>
    public async Task<FabricRegistry> ConnectAsync(string password, ISupervisedProcess? root, CancellationToken cancellationToken)
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var connecting = FabricRegistry.ConnectAsync(
            _context.Runtime,
            new RegistryOptions { ConnectString = Settings.Registry, Password = password, ConnectTimeout = RootLimit },
            null, giveUp.Token);
        if (root is null || await Task.WhenAny(connecting, root.Ended).ConfigureAwait(false) == connecting || IsRootRunning)
        {
            // It may have ended because somebody else's up was first: that one's root is as good.
            return await connecting.ConfigureAwait(false);
        }

        await giveUp.CancelAsync().ConfigureAwait(false);
        await Task.WhenAny(connecting).ConfigureAwait(false);
        if (connecting.IsCompletedSuccessfully)
        {
            await connecting.Result.DisposeAsync().ConfigureAwait(false);
        }

        var code = await root.Ended.ConfigureAwait(false);
        throw new CliException(
            Enum.IsDefined((ExitCode)(code ?? 0)) && code > 0 ? (ExitCode)code : ExitCode.LocalFailure,
            $"the root ended as it started, with exit code {code}", null, $"look into {Path.Combine(Directory, "log")}");
    }

    /// <summary>Stops everything by the pid files.</summary>
    public async Task<int?> StopAsync(string ownDirectory, TimeSpan limit)
    {
        using var stop = _context.Processes.Start(FabricdProgram.With(
            _context.Environment, ownDirectory, _context.Runtime.Disk.FileExists,
            ["stop", "--data", Directory, "--timeout", ((int)limit.TotalSeconds).ToString(CultureInfo.InvariantCulture)]));
        return await stop.Ended.ConfigureAwait(false);
    }

    /// <summary>Removes what a fabric keeps in the directory, and nothing else.</summary>
    public void Wipe()
    {
        foreach (var path in OwnEntries.Select(entry => Path.Combine(Directory, entry)))
        {
            if (System.IO.Directory.Exists(path))
            {
                System.IO.Directory.Delete(path, recursive: true);
            }
            else
            {
                _context.Runtime.Disk.Delete(path);
            }
        }
    }

    private bool Holds(string entry) => Path.Exists(Path.Combine(Directory, entry));

    private IEnumerable<string> KnownContainers() =>
        System.IO.Directory.Exists(Path.Combine(Directory, ContainersDirectory))
            ? System.IO.Directory.EnumerateDirectories(Path.Combine(Directory, ContainersDirectory)).Select(path => Path.GetFileName(path)!)
            : [];

    private string DirectoryOfContainer(string container) => Path.Combine(Directory, ContainersDirectory, container);

    private bool IsRunning(string directory)
    {
        using var process = Find(directory);
        return process is not null;
    }

    private ISupervisedProcess? Find(string directory) =>
        PidFile.Read(_context.Runtime.Disk, directory) is { } identity ? _context.Processes.Find(identity) : null;
}
