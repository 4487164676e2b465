namespace Fabric.Cluster.Tests.Traffic;

/// <summary>When a producer's sends were confirmed. Safe for one writer and any readers.</summary>
internal sealed class Confirmations
{
    private readonly Lock _lock = new();
    private readonly List<TimeSpan> _times = [];

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _times.Count;
            }
        }
    }

    public void Add(TimeSpan at)
    {
        lock (_lock)
        {
            _times.Add(at);
        }
    }

    /// <summary>The first confirmation after a moment.</summary>
    public TimeSpan FirstAfter(TimeSpan moment)
    {
        lock (_lock)
        {
            return _times.First(time => time > moment);
        }
    }

    /// <summary>The longest time between two confirmations since a moment.</summary>
    public TimeSpan LongestGapSince(TimeSpan moment)
    {
        lock (_lock)
        {
            var recent = _times.Where(time => time >= moment).ToList();
            return recent.Zip(recent.Skip(1), (first, second) => second - first).DefaultIfEmpty().Max();
        }
    }
}
