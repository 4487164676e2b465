using Fabric.Registry;
using Fabric.Registry.Discovery;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Connections;

/// <summary>
/// Keeps the list of brokers of a group as the registry shows it. A registry that is away, or comes later, changes nothing: the last list
/// stays, and the connection goes on waiting for one.
/// </summary>
internal sealed class FabricDiscovery : IAsyncDisposable
{
    private const string ZooKeeperVariable = "FABRIC_ZOOKEEPER";
    private static readonly EventId FoundEvent = new(4000, "BrokersFound");
    private static readonly EventId IgnoredEvent = new(4001, "AddressIgnored");
    private static readonly EventId RefusedEvent = new(4002, "RegistryRefused");

    private readonly FabricRuntime _runtime;
    private readonly ClientUrl _url;
    private readonly BrokerList _brokers;
    private readonly ILogger _logger;
    private readonly RegistryOptions _options;
    private FabricRegistry? _registry;
    private GroupDiscovery? _group;
    private Task _checking = Task.CompletedTask;

    /// <exception cref="UriFormatException">The registry's hosts are malformed.</exception>
    public FabricDiscovery(FabricRuntime runtime, ClientUrl url, FabricClientOptions options, BrokerList brokers, ILogger logger)
    {
        (_runtime, _url, _brokers, _logger) = (runtime, url, brokers, logger);
        var hosts = options.ZooKeeper ?? url.Discovery!.ZooKeeper ?? Environment.GetEnvironmentVariable(ZooKeeperVariable);
        try
        {
            _options = new RegistryOptions
            {
                ConnectString = string.IsNullOrEmpty(hosts) ? RegistryOptions.DefaultConnectString : hosts,
                Password = options.ZooKeeperPassword ?? RegistryOptions.DefaultPassword,
            };
        }
        catch (FormatException exception)
        {
            throw new UriFormatException($"the registry's hosts '{hosts}' are malformed: {exception.Message}", exception);
        }
    }

    /// <summary>Begins to watch the group, and goes on with it when a first attempt to connect has failed.</summary>
    public void Start(CancellationToken cancellationToken)
    {
        if (_registry is not null)
        {
            return;
        }

        _registry = FabricRegistry.Open(_runtime, _options, _logger);
        _group = new GroupDiscovery(_registry, _url.Discovery!.Group, OnServices);
        _checking = CheckAsync(_registry, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_group is not null)
        {
            await _group.DisposeAsync().ConfigureAwait(false);
        }

        if (_registry is not null)
        {
            await _registry.DisposeAsync().ConfigureAwait(false);
        }

        await _checking.ConfigureAwait(false);
    }

    private void OnServices(IReadOnlyList<string> services)
    {
        var found = new List<BrokerAddress>(services.Count);
        foreach (var service in services)
        {
            try
            {
                found.Add(_url.ParseFound(service));
            }
            catch (UriFormatException exception)
            {
                _logger.LogWarning(IgnoredEvent, "The registry names {Service}, which is no broker: {Reason}", service, exception.Message);
            }
        }

        _logger.LogInformation(
            FoundEvent, "Brokers of group {Group}: {Brokers}", _url.Discovery!.Group, found.Count == 0 ? "none" : string.Join(", ", found));
        _brokers.Update(found);
    }

    /// <summary>Says why nothing is found when the registry does not let us in.</summary>
    private async Task CheckAsync(FabricRegistry registry, CancellationToken cancellationToken)
    {
        try
        {
            await registry.OpenedAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (RegistryPasswordException exception)
        {
            _logger.LogError(RefusedEvent, "No broker can be discovered: {Reason}", exception.Message);
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or RegistryUnavailableException)
        {
            // The client closed before the registry answered.
        }
    }
}
