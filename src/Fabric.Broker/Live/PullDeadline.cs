namespace Fabric.Broker.Live;

/// <summary>When a pull is to be answered although there is nothing.</summary>
/// <param name="Due">Monotonic time, in ticks of the clock.</param>
/// <param name="Number">Tells deadlines of the same moment apart.</param>
/// <param name="Consumer">Who pulls.</param>
internal readonly record struct PullDeadline(long Due, long Number, BrokerConsumer Consumer) : IComparable<PullDeadline>
{
    public int CompareTo(PullDeadline other) => (Due, Number).CompareTo((other.Due, other.Number));
}
