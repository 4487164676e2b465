namespace Fabric.ZooKeeper.Server.Connections;

/// <summary>Numbers of the whole server, for the admin words. Thread-safe.</summary>
internal sealed class ServerStatistics(TimeProvider time)
{
    private readonly Lock _gate = new();
    private long _received;
    private long _sent;
    private long _answers;
    private double _latencySum;
    private double _latencyMin;
    private double _latencyMax;

    public void CountReceived() => Interlocked.Increment(ref _received);

    /// <param name="received">Timestamp of the request that was answered; 0 for an event.</param>
    public void CountSent(long received)
    {
        Interlocked.Increment(ref _sent);
        if (received == 0)
        {
            return;
        }

        var milliseconds = time.GetElapsedTime(received).TotalMilliseconds;
        lock (_gate)
        {
            _latencyMin = _answers == 0 ? milliseconds : Math.Min(_latencyMin, milliseconds);
            _latencyMax = Math.Max(_latencyMax, milliseconds);
            _latencySum += milliseconds;
            _answers++;
        }
    }

    public void Reset()
    {
        lock (_gate)
        {
            _answers = 0;
            _latencySum = _latencyMin = _latencyMax = 0;
        }

        Interlocked.Exchange(ref _received, 0);
        Interlocked.Exchange(ref _sent, 0);
    }

    /// <summary>The present numbers; latencies in milliseconds.</summary>
    public (long Received, long Sent, long LatencyMin, double LatencyAverage, long LatencyMax) Read()
    {
        lock (_gate)
        {
            return (
                Interlocked.Read(ref _received),
                Interlocked.Read(ref _sent),
                (long)_latencyMin,
                _answers == 0 ? 0 : _latencySum / _answers,
                (long)_latencyMax);
        }
    }
}

/// <summary>Numbers of one connection, for the admin words. The reader counts received, the writer sent.</summary>
internal sealed class ConnectionStatistics(TimeProvider time)
{
    private long _received;
    private long _sent;
    private long _answers;
    private double _latencySum;

    /// <summary>When the connection came, in milliseconds since 1970 UTC.</summary>
    public long Established { get; } = time.GetUtcNow().ToUnixTimeMilliseconds();

    public long Received => Interlocked.Read(ref _received);

    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Average time between request and answer, in milliseconds.</summary>
    public long LatencyAverage => _answers == 0 ? 0 : (long)(_latencySum / _answers);

    public long LatencyMax { get; private set; }

    public long LatencyLast { get; private set; }

    /// <summary>Name of the last operation, as in Apache ZooKeeper's list of connections.</summary>
    public string LastOperation { get; set; } = "NA";

    /// <summary>Number that the client gave to its last request.</summary>
    public long LastXid { get; set; }

    public void CountReceived() => Interlocked.Increment(ref _received);

    /// <param name="received">Timestamp of the request that was answered; 0 for an event.</param>
    public void CountSent(long received)
    {
        Interlocked.Increment(ref _sent);
        if (received != 0)
        {
            var milliseconds = time.GetElapsedTime(received).TotalMilliseconds;
            _answers++;
            _latencySum += milliseconds;
            LatencyLast = (long)milliseconds;
            LatencyMax = Math.Max(LatencyMax, LatencyLast);
        }
    }

    public void Reset()
    {
        Interlocked.Exchange(ref _received, 0);
        Interlocked.Exchange(ref _sent, 0);
        (_answers, _latencySum, LatencyMax, LatencyLast) = (0, 0, 0, 0);
    }
}
