namespace Fabric.Server.Node;

/// <summary>
/// Tells trouble that lasts from trouble that passes. A disk that cannot be read may have lost what it held, or the way to it may be cut for a while, for all replicas at once perhaps: what is given up as
/// damaged for that can be all there is. One caller at a time.
/// </summary>
/// <param name="time">Of the process.</param>
internal sealed class RepeatedTrouble(TimeProvider time)
{
    /// <summary>What comes back later than this lasts: longer than a disk's path takes to change.</summary>
    private static readonly TimeSpan Passes = TimeSpan.FromMinutes(5);

    /// <summary>What was longer ago than this does not count. A slave reads little of what it has, so it may take until it leads again.</summary>
    private static readonly TimeSpan Forgotten = TimeSpan.FromDays(1);

    private readonly Dictionary<string, long> _first = [];

    /// <summary>To be called each time that it comes.</summary>
    /// <param name="what">What cannot be read, in words that are the same each time.</param>
    /// <returns>Whether the same has been there before, and not just now.</returns>
    public bool IsLasting(string what)
    {
        var now = time.GetTimestamp();
        foreach (var old in _first.Where(pair => time.GetElapsedTime(pair.Value, now) > Forgotten).ToArray())
        {
            _first.Remove(old.Key);
        }

        return !_first.TryAdd(what, now) && time.GetElapsedTime(_first[what], now) >= Passes;
    }
}
