using Fabric.Broker;
using Fabric.Broker.Security;
using Fabric.Replication;
using Fabric.Runtime;
using Fabric.Server.Connections;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>What the brokers of a node share.</summary>
/// <param name="Runtime">The outside world.</param>
/// <param name="Options">The node's.</param>
/// <param name="Users">Who may connect.</param>
/// <param name="Surroundings">What ties each of them to others.</param>
/// <param name="Loggers">Where to log.</param>
internal sealed record NodeServices(
    FabricRuntime Runtime, NodeOptions Options, IAuthenticator Users, IBrokerSurroundings Surroundings, ILoggerFactory Loggers);

/// <summary>Where a broker finds its other replicas and its clients: a fabric, or nothing at all.</summary>
internal interface IBrokerSurroundings
{
    /// <summary>Makes the ties of one life of a replica, which owns them.</summary>
    /// <param name="configuration">Of the broker.</param>
    /// <param name="isFirst">Whether it is the container's first broker, which goes by the container's name.</param>
    /// <param name="logger">For the ties.</param>
    BrokerTies Tie(BrokerConfiguration configuration, bool isFirst, ILogger logger);
}

/// <summary>What ties a replica to the world outside its process.</summary>
/// <param name="Link">To the other replicas; the replica disposes it.</param>
/// <param name="Coordinator">To the registry, for elections; the replica disposes it.</param>
/// <param name="Presence">To the registry, for clients.</param>
internal sealed record BrokerTies(IReplicaLink Link, ICoordinator Coordinator, IBrokerPresence Presence);

/// <summary>One life of a broker's replica: the broker's state, its journal, its ties, and its connectors while it leads.</summary>
internal sealed class RunningReplica : IAsyncDisposable
{
    /// <summary>How long the ends of clients and of the broker's loop are waited for. They read messages from a disk, which may hang.</summary>
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(5);

    private readonly IBrokerPresence _presence;
    private readonly TimeProvider _time;

    private RunningReplica(MessageBroker broker, IBrokerPresence presence, BrokerHost host, Replica replica, TimeProvider time) =>
        (Broker, _presence, Host, Replica, _time) = (broker, presence, host, replica, time);

    public MessageBroker Broker { get; }

    public BrokerHost Host { get; }

    public Replica Replica { get; }

    /// <summary>Starts it; waits for the other replicas when the broker is new.</summary>
    /// <param name="services">What the brokers of the node share.</param>
    /// <param name="configuration">Of this one.</param>
    /// <param name="isFirst">Whether it is the container's first broker, which gets the container's port and name.</param>
    /// <param name="logger">Of this broker.</param>
    /// <param name="changed">Told when its connectors have opened or could not be opened.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<RunningReplica> StartAsync(
        NodeServices services,
        BrokerConfiguration configuration,
        bool isFirst,
        ILogger logger,
        Action changed,
        CancellationToken cancellationToken)
    {
        var (runtime, options) = (services.Runtime, services.Options);
        var brokerOptions = new BrokerOptions
        {
            Name = configuration.Broker, Authenticator = services.Users, AnonymousFromLoopback = configuration.AnonymousFromLoopback,
        };
        var brokerId = $"ID:{configuration.Group}-{configuration.Broker}";
        var advisories = new Advisories(brokerId, configuration.Broker);
        var broker = new MessageBroker(runtime, brokerOptions, new OpenWirePayloadEditor(), advisories, logger);
        var ties = services.Surroundings.Tie(configuration, isFirst, logger);
        var openWire = new OpenWireOptions
        {
            Host = options.BindHost,
            Port = configuration.OpenWirePort ?? (isFirst ? options.EffectiveOpenWirePort : 0),
            BrokerName = configuration.Broker,
            BrokerId = brokerId,
        };
        var host = new BrokerHost(runtime, broker, advisories, ties.Presence, openWire, options.EffectiveAdvertisedHost, logger, changed);
        try
        {
            var replica = await Replica.StartAsync(
                runtime, OptionsOf(options, configuration), broker, ties.Link, ties.Coordinator, host, logger, cancellationToken);
            host.Use(replica.Journal);
            return new RunningReplica(broker, ties.Presence, host, replica, runtime.Time);
        }
        catch
        {
            await ties.Presence.DisposeAsync();
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>The settings of a broker's replica.</summary>
    public static ReplicaOptions OptionsOf(NodeOptions node, BrokerConfiguration configuration) => new()
    {
        Broker = configuration.Broker,
        Container = node.Name,
        Journal = configuration.Journal,
        Weight = configuration.Weight,
        Sync = configuration.Sync,
        BatchBytesMax = configuration.BatchBytesMax,
        UnsyncedBytesMax = configuration.UnsyncedBytesMax,
    };

    public async ValueTask DisposeAsync()
    {
        await Replica.DisposeAsync();
        await EndAsync(Host.DisposeAsync());
        await _presence.DisposeAsync();
        await EndAsync(Broker.DisposeAsync());
    }

    private async Task EndAsync(ValueTask ending)
    {
        try
        {
            await ending.AsTask().WaitAsync(EndLimit, _time);
        }
        catch (TimeoutException)
        {
            // It answers nobody any more, and ends when the disk does.
        }
    }
}
