namespace Fabric.Client.Connections;

/// <summary>
/// How long to wait between rounds over the brokers: the Java client's delays, but never more than a tenth of the outage so far. So
/// a take-over that lasts 700 ms is noticed at most 70 ms late, while the load on brokers that are away for hours stays Java's. Where
/// the rounds are counted they are Java's: whoever allows ten of them means the five seconds that these last there.
/// </summary>
internal sealed class ReconnectBackOff(FailoverOptions options)
{
    private const double ShareOfOutage = 0.1;

    private TimeSpan _next = options.InitialReconnectDelay;

    /// <summary>The delay before the next round.</summary>
    /// <param name="outage">Time since the connection was lost, or since the first attempt; null when the rounds are counted.</param>
    public TimeSpan Next(TimeSpan? outage)
    {
        var delay = _next;
        if (options.UseExponentialBackOff)
        {
            var grown = Math.Min(_next.TotalMilliseconds * options.ReconnectDelayExponent, options.MaxReconnectDelay.TotalMilliseconds);
            _next = TimeSpan.FromMilliseconds(Math.Max(grown, options.InitialReconnectDelay.TotalMilliseconds));
        }

        if (outage is null)
        {
            return delay;
        }

        var limit = outage.Value * ShareOfOutage;
        limit = limit < options.InitialReconnectDelay ? options.InitialReconnectDelay : limit;
        return delay < limit ? delay : limit;
    }
}
