using Fabric.Registry;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;
using Fabric.Runtime.Scheduling;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>
/// Makes the container run what its profiles say and tells the registry how far it is. One loop applies the newest configuration;
/// configurations that came and went meanwhile are left out. While the registry is away everything runs on as it was.
/// </summary>
internal sealed class Provisioner : IAsyncDisposable
{
    private readonly NodeServices _services;
    private readonly ContainerPresence _presence;
    private readonly ILogger _logger;
    private readonly BrokerConfigurations _configurations;
    private readonly AsyncSignal _wake = new();
    private readonly IAsyncDisposable _watch;
    private readonly Task _loop;
    private volatile ContainerConfiguration? _configuration;
    private volatile bool _disposing;

    public Provisioner(NodeServices services, FabricRegistry registry, ContainerPresence presence)
    {
        (_services, _presence, _logger) = (services, presence, services.Loggers.CreateLogger("node"));
        _configurations = new BrokerConfigurations(services.Options.Name, services.Options.DataDirectory);
        Brokers = new BrokerSet(services, _wake.Set);
        _loop = services.Runtime.Scheduler.Start("provisioner", RunAsync);
        _watch = ContainerConfiguration.Watch(registry, services.Options.Name, configuration =>
        {
            _configuration = configuration;
            _wake.Set();
        });
    }

    public BrokerSet Brokers { get; }

    /// <summary>Follows the profiles no more and stops the brokers, masters handing over first.</summary>
    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        _disposing = true;
        _wake.Set();
        await _loop;
        await Brokers.DisposeAsync();
    }

    private async Task RunAsync()
    {
        ContainerConfiguration? applied = null;
        string? wrong = null;
        while (true)
        {
            await _wake.WaitAsync();
            if (_disposing)
            {
                return;
            }

            if (_configuration is { } configuration && configuration != applied)
            {
                wrong = await ApplyAsync(configuration);
                applied = configuration;
            }

            Report(applied, wrong);
        }
    }

    /// <returns>What is wrong with the configuration; null when nothing is.</returns>
    private async Task<string?> ApplyAsync(ContainerConfiguration configuration)
    {
        if (configuration.Version is null)
        {
            _logger.LogWarning(
                "The registry knows no container {Container}; it runs nothing until it is created", _services.Options.Name);
            return null;
        }

        var (wanted, wrong) = _configurations.Read(configuration.Pids);
        foreach (var reason in wrong)
        {
            _logger.LogError("A broker of the profiles {Profiles} cannot be run as they say: {Reason}", configuration.Profiles, reason);
        }

        _logger.LogInformation("Profiles {Profiles} of version {Version} give {Count} brokers to run",
            string.Join(' ', configuration.Profiles), configuration.Version, wanted.Count);
        await Brokers.ApplyAsync(wanted);
        return wrong.Count == 0 ? null : string.Join("; ", wrong);
    }

    private void Report(ContainerConfiguration? applied, string? wrong)
    {
        var problems = wrong is null ? Brokers.Problems : [wrong, .. Brokers.Problems];
        if (applied is null)
        {
            _presence.SetProvision("analyzing");
        }
        else if (problems.Count > 0)
        {
            _presence.SetProvision("error", string.Join("; ", problems));
        }
        else
        {
            _presence.SetProvision(Brokers.IsUp ? "success" : "finalizing");
        }
    }
}
