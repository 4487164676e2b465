namespace Fabric.Client;

/// <summary>
/// How often and when a released message is delivered again before it goes to the dead letter queue. Names and defaults are
/// ActiveMQ's. Immutable.
/// </summary>
public sealed record RedeliveryPolicy
{
    private const double CollisionAvoidanceFactor = 0.15;

    /// <summary>How often a message is delivered again; one more release sends it to the dead letter queue. -1 means without limit. Default 6.</summary>
    public int MaximumRedeliveries { get; init; } = 6;

    /// <summary>Time from the first release to the second delivery; default 1 s.</summary>
    public TimeSpan InitialRedeliveryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Time for all later ones, unless <see cref="UseExponentialBackOff"/>; default 1 s.</summary>
    public TimeSpan RedeliveryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Whether each delay is <see cref="BackOffMultiplier"/> times the one before; default false.</summary>
    public bool UseExponentialBackOff { get; init; }

    /// <summary>Growth of the delay; default 5.</summary>
    public double BackOffMultiplier { get; init; } = 5;

    /// <summary>The longest delay; null, the default, for no limit.</summary>
    public TimeSpan? MaximumRedeliveryDelay { get; init; }

    /// <summary>Whether delays vary at random by 15 %, so that consumers do not stay in step; default false.</summary>
    public bool UseCollisionAvoidance { get; init; }

    /// <summary>The delay before a delivery.</summary>
    /// <param name="redelivery">1 for the second delivery, and so on.</param>
    /// <param name="random">For collision avoidance.</param>
    internal TimeSpan GetDelay(int redelivery, Random random)
    {
        var delay = redelivery <= 1 ? InitialRedeliveryDelay : RedeliveryDelay;
        if (UseExponentialBackOff && BackOffMultiplier > 1 && redelivery > 1)
        {
            var grown = InitialRedeliveryDelay.TotalMilliseconds * Math.Pow(BackOffMultiplier, redelivery - 1);
            delay = TimeSpan.FromMilliseconds(Math.Min(grown, int.MaxValue));
        }

        if (MaximumRedeliveryDelay is { } maximum && delay > maximum)
        {
            delay = maximum;
        }

        return UseCollisionAvoidance
            ? delay * (1 + (CollisionAvoidanceFactor * ((random.NextDouble() * 2) - 1)))
            : delay;
    }
}
