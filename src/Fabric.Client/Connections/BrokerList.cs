using Fabric.Runtime.Scheduling;

namespace Fabric.Client.Connections;

/// <summary>
/// The brokers that may be connected to, which discovery and brokers themselves can change at any time. Thread-safe.
/// </summary>
internal sealed class BrokerList(IReadOnlyList<BrokerAddress> initial)
{
    private readonly AsyncSignal _changed = new();
    private volatile IReadOnlyList<BrokerAddress> _brokers = initial;
    private volatile BrokerAddress? _last;

    public IReadOnlyList<BrokerAddress> Current => _brokers;

    /// <summary>Replaces the list, and wakes who waits for a change when it is one.</summary>
    public void Update(IReadOnlyList<BrokerAddress> brokers)
    {
        if (!brokers.SequenceEqual(_brokers))
        {
            _brokers = brokers;
            _changed.Set();
        }
    }

    /// <summary>The broker whose connection just broke: it is tried last, as it most likely still is not there.</summary>
    public void PutLast(BrokerAddress broker) => _last = broker;

    /// <summary>The order in which to try.</summary>
    public List<BrokerAddress> CreateRound(bool randomize, Random random)
    {
        var round = _brokers.ToArray();
        if (randomize)
        {
            random.Shuffle(round);
        }

        var last = _last;
        return [.. round.Where(broker => !broker.Equals(last)), .. round.Where(broker => broker.Equals(last))];
    }

    /// <summary>Waits, but not longer than until the list changes.</summary>
    public async Task WaitAsync(TimeSpan delay, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timer = time.CreateTimer(
            static signal => ((AsyncSignal)signal!).Set(), _changed, delay, Timeout.InfiniteTimeSpan);
        using var registration = cancellationToken.UnsafeRegister(static signal => ((AsyncSignal)signal!).Set(), _changed);
        await _changed.WaitAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }
}
