using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Development;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;

namespace Fabric.Cli.Commands;

/// <summary>
/// <c>up</c>: a replicated broker for development (DESIGN §8). It brings things to where they should be from wherever they are: a fresh
/// directory, a fabric that runs, one whose root or containers were killed.
/// </summary>
internal static class UpCommand
{
    private const string DevelopmentUser = "admin";
    private const string Profile = $"mq-broker-{DevelopmentFabric.BrokerName}.{DevelopmentFabric.BrokerName}";
    private const int ReplicasMax = 9;
    private const int PortOffsetMax = 3800;
    private static readonly TimeSpan ContainerLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(1);

    private static readonly Option<int?> Replicas = new("--replicas") { Description = "How many replicas, 1 to 9. Default: 3.", HelpName = "N" };
    private static readonly Option<int?> PortOffset = new("--port-offset")
    {
        Description = "Added to every port: 61616 (clients), 2181 (registry), 8161 (management). Default: 0.",
        HelpName = "N",
    };

    private static readonly Option<int> Timeout = new("--timeout")
    {
        Description = "Seconds to wait until all is in sync.",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 120,
    };

    public static Option<string?> DataDirectory { get; } = new("--data")
    {
        Description = "Directory of the fabric. Default: .fabric in the checkout.",
        HelpName = "DIR",
    };

    public static Command Create(FabricCommandLine line) => line.Create(
        "up", "Start a replicated broker for development on this machine, or repair it.",
        [Replicas, DataDirectory, PortOffset, Timeout], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var fabric = Open(invocation);
        using var root = await EnsureRootAsync(invocation, fabric).ConfigureAwait(false);
        await using var registry = await fabric.ConnectAsync(
            fabric.KeepPassword(RegistryOptions.DefaultPassword), root, invocation.CancellationToken).ConfigureAwait(false);
        await WriteContentAsync(fabric, registry, invocation.CancellationToken).ConfigureAwait(false);
        fabric.Settings.Write(invocation.Context.Runtime.Disk, fabric.Directory); // a root that ran before may have none
        await EnsureContainersAsync(invocation, fabric, registry).ConfigureAwait(false);
        await WaitUntilInSyncAsync(invocation, fabric, registry).ConfigureAwait(false);
        await ReportAsync(invocation, fabric, registry).ConfigureAwait(false);
        return ExitCode.Done;
    }

    /// <summary>What is asked for, completed by what the directory says.</summary>
    private static DevelopmentFabric Open(Invocation invocation)
    {
        var directory = DevelopmentFabric.DirectoryOf(invocation.Get(DataDirectory), invocation.Context, AppContext.BaseDirectory);
        var kept = DevelopmentSettings.Read(invocation.Context.Runtime.Disk, directory);
        var asked = new DevelopmentSettings(
            Range("--replicas", invocation.Get(Replicas) ?? kept?.Replicas ?? 3, 1, ReplicasMax),
            Range("--port-offset", invocation.Get(PortOffset) ?? kept?.PortOffset ?? 0, 0, PortOffsetMax),
            invocation.GivenZooKeeper ?? kept?.ZooKeeper);
        var fabric = new DevelopmentFabric(invocation.Context, directory, asked);
        if (kept is not null && kept != asked && fabric.IsBegun)
        {
            throw new CliException(
                ExitCode.BadConfiguration,
                $"the fabric in {directory} was made with --replicas {kept.Replicas} --port-offset {kept.PortOffset}"
                    + (kept.ZooKeeper is null ? "" : $" --zookeeper {kept.ZooKeeper}"),
                null, "the same options or none, another directory with --data DIR, or fabric down --wipe");
        }

        try
        {
            invocation.Context.Runtime.Disk.CreateDirectory(directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CliException(
                ExitCode.LocalFailure, $"the directory {directory} cannot be made", exception.Message, "--data DIR", exception);
        }

        return fabric;
    }

    private static async Task<Runtime.Processes.ISupervisedProcess?> EnsureRootAsync(Invocation invocation, DevelopmentFabric fabric)
    {
        if (fabric.IsRootRunning)
        {
            return null;
        }

        try
        {
            await fabric.CheckPortsAsync().ConfigureAwait(false);
        }
        catch (CliException) when (fabric.IsRootRunning)
        {
            return null; // somebody else's up has started it meanwhile
        }

        fabric.KeepPassword(RegistryOptions.DefaultPassword);

        // Before the root, so that what comes of it can be wiped, however far it comes.
        fabric.Settings.Write(invocation.Context.Runtime.Disk, fabric.Directory);
        invocation.Error.WriteLine($"starting the root in {fabric.Directory}");
        return fabric.StartRoot(AppContext.BaseDirectory);
    }

    private static async Task WriteContentAsync(DevelopmentFabric fabric, FabricRegistry registry, CancellationToken cancellationToken)
    {
        var creation = new FabricCreation
        {
            Root = DevelopmentFabric.RootName,
            ExternalRegistry = fabric.Settings.ZooKeeper,
            RegistryPort = 2181 + fabric.Settings.PortOffset,
            Password = fabric.KeepPassword(RegistryOptions.DefaultPassword),
            Users = UserList.Empty.With(DevelopmentUser, DevelopmentUser, "admin"),
        };
        await creation.CreateAsync(registry, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Creates what is missing and asks for what is down. New ones one after the other, because a root gives ports in the order of
    /// creation, and people expect <c>broker1</c> on the first.
    /// </summary>
    private static async Task EnsureContainersAsync(Invocation invocation, DevelopmentFabric fabric, FabricRegistry registry)
    {
        var directory = new ContainerDirectory(registry);
        var known = (await directory.ListAsync(invocation.CancellationToken).ConfigureAwait(false))
            .ToDictionary(container => container.Name, StringComparer.Ordinal);
        var profile = await EnsureBrokerAsync(fabric, registry, invocation.CancellationToken).ConfigureAwait(false);
        foreach (var name in fabric.Containers)
        {
            if (known.TryGetValue(name, out var container))
            {
                if (!container.IsAlive || !fabric.IsContainerRunning(name) || container.Wish != ContainerWishState.Running)
                {
                    invocation.Error.WriteLine($"starting {name}");
                    await directory.WishAsync(name, DevelopmentFabric.RootName, ContainerWishState.Running, invocation.CancellationToken)
                        .ConfigureAwait(false);
                }

                continue;
            }

            invocation.Error.WriteLine($"creating {name}");
            if (!await directory.TryCreateChildAsync(
                name, DevelopmentFabric.RootName, FabricCreation.FirstVersion, [profile], invocation.CancellationToken).ConfigureAwait(false))
            {
                // Else somebody else's up has created it meanwhile.
                await ContainerCreateCommand.CheckIsGoneAsync(directory, name, invocation.CancellationToken).ConfigureAwait(false);
            }

            await ContainerStartCommand.WaitUntilUpAsync(invocation, registry, name, ContainerLimit, provisioned: false).ConfigureAwait(false);
        }
    }

    private static async Task<string> EnsureBrokerAsync(DevelopmentFabric fabric, FabricRegistry registry, CancellationToken cancellationToken)
    {
        if (!await new ProfileStore(registry).ExistsAsync(FabricCreation.FirstVersion, Profile, cancellationToken).ConfigureAwait(false))
        {
            await new BrokerProfile
            {
                Name = DevelopmentFabric.BrokerName,
                Profile = Profile,
                Version = FabricCreation.FirstVersion,
                Group = DevelopmentFabric.BrokerName,
                Kind = BrokerProfile.Replicated,
                Replicas = fabric.Settings.Replicas,
                Properties = new Dictionary<string, string> { [BrokerSettings.AnonymousAccess] = BrokerSettings.Loopback },
            }.WriteAsync(registry, cancellationToken).ConfigureAwait(false);
        }

        return Profile;
    }

    /// <summary>Whether a client of this machine needs no password: a broker of an earlier version, or one that somebody has changed, may want one.</summary>
    private static async Task<bool> IsOpenToThisMachineAsync(FabricRegistry registry, CancellationToken cancellationToken)
    {
        var values = await new ProfileStore(registry).TryReadPidAsync(
            FabricCreation.FirstVersion, Profile, BrokerProfile.PidPrefix + DevelopmentFabric.BrokerName, cancellationToken).ConfigureAwait(false);
        return values?[BrokerSettings.AnonymousAccess] == BrokerSettings.Loopback;
    }

    private static async Task WaitUntilInSyncAsync(Invocation invocation, DevelopmentFabric fabric, FabricRegistry registry)
    {
        var limit = TimeSpan.FromSeconds(Range("--timeout", invocation.Get(Timeout), 1, 86_400));
        invocation.Error.WriteLine("waiting for a master and slaves in sync");
        ClusterBroker? last = null;
        var isInSync = await Waiting.UntilAsync(invocation.Context.Runtime, limit, async () =>
        {
            last = await FindBrokerAsync(registry, invocation.CancellationToken).ConfigureAwait(false);
            return last is not null && IsComplete(last, fabric.Settings.Replicas) && await AnswersAsync(invocation, last).ConfigureAwait(false);
        }, invocation.CancellationToken).ConfigureAwait(false);
        if (!isInSync)
        {
            throw new CliException(
                ExitCode.Temporary,
                $"the broker is not complete after {limit.TotalSeconds:0} s",
                last is null ? "no replica has registered" : $"master: {Names(last.MasterContainers)}; slaves: {Names(last.SlaveContainers)}",
                $"fabric container-list --zookeeper {fabric.Settings.Registry}; logs are in {fabric.Directory}/log and {fabric.Directory}/containers/*/log");
        }

        static string Names(IEnumerable<string> names) => string.Join(", ", names) is { Length: > 0 } text ? text : "none";
    }

    /// <summary>Whether somebody listens where the registry says that the master does: it names one that was killed until its session ends.</summary>
    private static async Task<bool> AnswersAsync(Invocation invocation, ClusterBroker broker)
    {
        if (broker.Services.FirstOrDefault() is not { } service)
        {
            return false;
        }

        using var limit = new CancellationTokenSource(AnswerLimit, invocation.Context.Runtime.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, invocation.CancellationToken);
        try
        {
            var address = new Uri(service);
            await using var connection = await invocation.Context.Runtime.Network.ConnectAsync(address.Host, address.Port, null, either.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception exception) when (exception is IOException || (exception is OperationCanceledException && !invocation.CancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private static bool IsComplete(ClusterBroker broker, int replicas) =>
        broker.MasterContainers.Count() == 1
        && broker.SlaveContainers.Count() == replicas - 1
        && (replicas == 1 || (broker.Slaves is { } report
            && broker.SlaveContainers.All(name => report.Slaves.Any(slave => slave.Container == name && slave.InSync))));

    private static async Task<ClusterBroker?> FindBrokerAsync(FabricRegistry registry, CancellationToken cancellationToken) =>
        (await ClusterList.ReadAsync(registry, $"fusemq/{DevelopmentFabric.BrokerName}", cancellationToken).ConfigureAwait(false))
            .SelectMany(cluster => cluster.Brokers)
            .FirstOrDefault(broker => broker.Id == DevelopmentFabric.BrokerName);

    private static async Task ReportAsync(Invocation invocation, DevelopmentFabric fabric, FabricRegistry registry)
    {
        var clusters = ClusterList.WithoutMirrors(
            await ClusterList.ReadAsync(registry, null, invocation.CancellationToken).ConfigureAwait(false));
        if (invocation.IsJson)
        {
            invocation.WriteJson(writer => ClusterListCommand.WriteJson(writer, clusters));
            return;
        }

        var offset = fabric.Settings.PortOffset;
        var brokers = string.Join(',', Enumerable.Range(0, fabric.Settings.Replicas).Select(index =>
            string.Create(CultureInfo.InvariantCulture, $"tcp://localhost:{61616 + offset + index}")));
        var orNone = await IsOpenToThisMachineAsync(registry, invocation.CancellationToken).ConfigureAwait(false) ? "; or none, from this machine" : "";
        ClusterListCommand.WriteTable(invocation.Out, clusters);
        invocation.Out.WriteLine();
        invocation.Out.WriteLine($"clients     discovery:fabric:{DevelopmentFabric.BrokerName}   (user {DevelopmentUser}, password {DevelopmentUser}{orNone})");
        invocation.Out.WriteLine($"            failover:({brokers})");
        invocation.Out.WriteLine($"registry    {fabric.Settings.Registry}");
        invocation.Out.WriteLine($"management  {string.Join("  ", Enumerable.Range(0, fabric.Settings.Replicas).Select(index =>
            string.Create(CultureInfo.InvariantCulture, $"http://localhost:{8161 + offset + index}")))}");
        invocation.Out.WriteLine($"data        {fabric.Directory}");
    }

    private static int Range(string option, int value, int least, int most) => value >= least && value <= most
        ? value
        : throw new CliException(ExitCode.Usage, $"{option} {value} is not a number from {least} to {most}");
}
