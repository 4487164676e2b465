using Fabric.Server.Admin;

namespace Fabric.Server.Node;

/// <summary>The brokers that a container's profiles give it, running. One task at a time applies changes; the rest is thread-safe.</summary>
/// <param name="services">What the brokers of a node share.</param>
/// <param name="changed">Told when a broker's health may have changed.</param>
internal sealed class BrokerSet(NodeServices services, Action changed) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Group, string Broker), BrokerRunner> _runners = [];
    private bool _disposed;

    /// <summary>What each broker is doing, by name.</summary>
    public IReadOnlyList<BrokerStatus> Status => [.. Runners().Select(runner => runner.Status).OrderBy(status => status.Broker, StringComparer.Ordinal)];

    /// <summary>Whether all brokers take part in their replication.</summary>
    public bool IsUp => Runners().All(runner => runner.IsUp);

    /// <summary>What is wrong with which broker; empty when all is well.</summary>
    public IReadOnlyList<string> Problems => [.. Runners()
        .Where(runner => runner.Problem is not null)
        .Select(runner => $"broker {runner.Configuration.Broker}: {runner.Problem}")];

    /// <summary>
    /// Runs exactly these: stops what is not among them or is configured otherwise, then starts what is missing. One of them is the
    /// first, which has the container's own OpenWire port; others get any free port unless their profile names one.
    /// </summary>
    public async Task ApplyAsync(IReadOnlyList<BrokerConfiguration> wanted)
    {
        var ended = Runners().Where(runner => !wanted.Contains(runner.Configuration)).ToArray();
        await Task.WhenAll(ended.Select(runner => runner.DisposeAsync().AsTask()));
        lock (_gate)
        {
            foreach (var runner in ended)
            {
                _runners.Remove(KeyOf(runner.Configuration));
            }

            foreach (var configuration in wanted.Where(configuration => !_disposed && !_runners.ContainsKey(KeyOf(configuration))))
            {
                var isFirst = !_runners.Values.Any(runner => runner.IsFirst);
                _runners.Add(KeyOf(configuration), new BrokerRunner(services, configuration, isFirst, changed));
            }
        }
    }

    /// <summary>Ends when one of the present brokers has ended for good; <see cref="Problems"/> says why.</summary>
    public Task AnyEndedAsync() => Task.WhenAny(Runners().Select(runner => runner.Completion));

    /// <summary>Stops all, masters handing over first.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _disposed = true;
        }

        await Task.WhenAll(Runners().Select(runner => runner.DisposeAsync().AsTask()));
    }

    private BrokerRunner[] Runners()
    {
        lock (_gate)
        {
            return [.. _runners.Values];
        }
    }

    private static (string Group, string Broker) KeyOf(BrokerConfiguration configuration) => (configuration.Group, configuration.Broker);
}
