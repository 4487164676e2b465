namespace Fabric.Oracles;

/// <summary>What a checker cannot know from a history.</summary>
public sealed record HistoryCheckerOptions
{
    public static HistoryCheckerOptions Default { get; } = new();

    /// <summary>Queues in which messages sent to others may turn up: dead letters. Empty unless said otherwise.</summary>
    public IReadOnlySet<string> OtherQueues { get; init; } = new HashSet<string>(StringComparer.Ordinal);
}

/// <summary>
/// Judges the history of a run that has ended: everything healed, every consumer drained as far as it wanted, what is left browsed.
/// Takes time and memory in proportion to the events, reads no clock, and says the same of the same history.
/// </summary>
/// <remarks>
/// The rules assume queues (each message to one consumer). Order is judged where one consumer, by name, read the whole queue, and only among
/// messages whose send was confirmed: one that a client gave up may turn up late. A message that the application sent <i>n</i> times may come
/// <i>n</i> times without a flag.
/// </remarks>
public static class HistoryChecker
{
    /// <summary>All violations, oracle by oracle, each in the order of the history; empty when every promise was kept.</summary>
    /// <exception cref="ArgumentException">The history contradicts itself: it was recorded wrongly.</exception>
    public static IReadOnlyList<Violation> Check(History history, HistoryCheckerOptions? options = null)
    {
        options ??= HistoryCheckerOptions.Default;
        var index = new HistoryIndex(history.InOrder());
        return
        [
            .. Losses.Find(index),
            .. Phantoms.Find(index, options),
            .. Duplicates.Find(index),
            .. Orders.Find(index),
            .. Transactions.Find(index),
            .. Refusals.Find(index),
        ];
    }
}
