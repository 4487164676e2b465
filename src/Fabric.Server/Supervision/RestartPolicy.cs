namespace Fabric.Server.Supervision;

/// <summary>
/// When a container that ended by itself is started again: after 1 s, then twice as long each time up to 30 s, and from the beginning
/// once it has lived for a minute. One per container; not thread-safe.
/// </summary>
internal sealed class RestartPolicy
{
    /// <summary>The first pause.</summary>
    public static readonly TimeSpan PauseMin = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause.</summary>
    public static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(30);

    /// <summary>A life of this length counts as success.</summary>
    public static readonly TimeSpan GoodLife = TimeSpan.FromMinutes(1);

    private TimeSpan _next = PauseMin;

    /// <summary>How long to wait after a life that ended unasked.</summary>
    public TimeSpan PauseAfter(TimeSpan life)
    {
        if (life >= GoodLife)
        {
            _next = PauseMin;
        }

        var pause = _next;
        _next = pause + pause > PauseMax ? PauseMax : pause + pause;
        return pause;
    }

    /// <summary>Somebody asked for a start: what was before does not count any more.</summary>
    public void Reset() => _next = PauseMin;
}
