using Fabric.Broker.Security;
using Fabric.Registry;
using Fabric.Replication;
using Fabric.Server.Node;
using Fabric.Simulation.Kernel;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Simulation.Cluster;

/// <summary>A container with one broker, on a host: <c>fabricd</c> without its command line, management port and supervision.</summary>
internal sealed class SimulatedBroker(Host host, string zooKeeper, JournalOptions journal, int batchBytesMax, long unsyncedBytesMax)
{
    private BrokerRunner? _runner;
    private FabricRegistry? _registry;

    public Host Host { get; } = host;

    /// <summary>The replica as it runs, or null.</summary>
    public RunningReplica? Running => Host.IsRunning ? _runner?.Running : null;

    /// <summary>Whether its journal is damaged, and being repaired.</summary>
    public bool IsRepairing => Host.IsRunning && _runner is { IsRepairing: true };

    /// <summary>Whether it waits with a damaged journal until somebody makes it a member.</summary>
    public bool AwaitsAdmission => IsRepairing && Problem?.Contains("fabric replica-add", StringComparison.Ordinal) == true;

    /// <summary>Why it does not take part; null when it does.</summary>
    public string? Problem => _runner?.Problem;

    /// <summary>Whether only a new start of the process can help.</summary>
    public bool IsOutOfOrder => _runner is { IsOver: true };

    /// <summary>Whether its container is to run.</summary>
    public bool IsWanted { get; private set; }

    /// <summary>Starts its process.</summary>
    public void Start()
    {
        IsWanted = true;
        var process = Host.Start();
        (_runner, _registry) = (null, null);
        process.Context.Post(async _ => await RunAsync(process), null);
    }

    /// <summary>Has it run, now or when it has come to its end.</summary>
    public void Want()
    {
        IsWanted = true;
        if (!Host.IsRunning)
        {
            Start();
        }
    }

    /// <summary>Stops it as <c>container-stop</c> does: hands over, closes, ends.</summary>
    public void Stop()
    {
        IsWanted = false;
        var process = Host.Process!;
        process.Context.Post(async _ =>
        {
            if (_runner is { } runner && _registry is { } registry)
            {
                await runner.DisposeAsync();
                await registry.DisposeAsync();
            }

            Host.World.After(TimeSpan.Zero, Host.World.Control, () => OnStopped(process));
        }, null);
    }

    private void OnStopped(Process process)
    {
        if (process.IsDead)
        {
            return; // killed meanwhile, and perhaps started again
        }

        Host.Kill();
        if (IsWanted)
        {
            Start();
        }
    }

    private async Task RunAsync(Process process)
    {
        var options = new NodeOptions { Name = Host.Name, DataDirectory = "/data", ZooKeeper = zooKeeper, BindHost = Host.Address };
        using var loggers = new TraceLoggers(process);
        var registry = _registry = FabricRegistry.Open(
            process.Runtime, new RegistryOptions { ConnectString = zooKeeper }, loggers.CreateLogger("registry"));
        await RegistryDoor.OpenAsync(process.Runtime, registry, failFast: false, new TaskCompletionSource().Task, loggers.CreateLogger("node"));
        var services = new NodeServices(
            process.Runtime, options, new Anybody(), new FabricSurroundings(process.Runtime, options, registry), loggers);
        var configuration = new BrokerConfiguration
        {
            Broker = "default",
            Group = "default",
            Replicas = 3,
            Sync = SyncPolicy.QuorumDisk,
            Weight = 1,
            OpenWirePort = null,
            UnknownConnectors = [],
            Journal = journal,
            BatchBytesMax = batchBytesMax,
            UnsyncedBytesMax = unsyncedBytesMax,
        };
        _runner = new BrokerRunner(services, configuration, isFirst: true, () => { });
    }

    private sealed class Anybody : IAuthenticator
    {
        public bool Authenticate(string? user, string? password) => true;
    }
}

/// <summary>Logs of a process, as lines of the trace.</summary>
internal sealed class TraceLoggers(Process process) : ILoggerFactory
{
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public ILogger CreateLogger(string categoryName) => new TraceLogger(process);

    public void Dispose()
    {
    }

    private sealed class TraceLogger(Process process) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => !process.IsDead && process.World.Trace.IsOn && logLevel >= LogLevel.Debug;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                process.World.Trace.Line(process.World.Now, process.Name, $"{logLevel}: {formatter(state, exception)} {exception}");
            }
        }
    }
}
