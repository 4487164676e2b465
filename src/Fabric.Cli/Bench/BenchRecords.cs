namespace Fabric.Cli.Bench;

/// <summary>What one producer was told. Thread-safe.</summary>
internal sealed class ProducerRecord(int number)
{
    private readonly Lock _gate = new();
    private readonly List<(TimeSpan Intended, TimeSpan Latency)> _confirmed = [];
    private Exception? _failure;

    public int Number => number;

    public long ConfirmedCount
    {
        get
        {
            lock (_gate)
            {
                return _confirmed.Count;
            }
        }
    }

    public void Confirm(TimeSpan intended, TimeSpan now)
    {
        lock (_gate)
        {
            _confirmed.Add((intended, now - intended));
        }
    }

    public void Fail(Exception exception)
    {
        lock (_gate)
        {
            _failure ??= exception;
        }
    }

    public void ThrowIfFailed()
    {
        lock (_gate)
        {
            if (_failure is { } failure)
            {
                throw new Client.FabricException($"a send failed: {failure.Message}", failure);
            }
        }
    }

    /// <summary>Latencies of messages that were to be sent at or after a moment.</summary>
    public IReadOnlyList<TimeSpan> LatenciesFrom(TimeSpan from)
    {
        lock (_gate)
        {
            return [.. _confirmed.Where(message => message.Intended >= from).Select(message => message.Latency)];
        }
    }
}

/// <summary>What one consumer got, in order. Written by the consumer, read when it has ended.</summary>
internal sealed class ConsumerRecord
{
    private readonly List<(int Producer, long Number, bool Redelivered)> _received = [];

    public IReadOnlyList<(int Producer, long Number, bool Redelivered)> Received => _received;

    public void Add(int producer, long number, bool redelivered) => _received.Add((producer, number, redelivered));
}
