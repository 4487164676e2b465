namespace Fabric.Cluster.Tests;

/// <summary>
/// Compares what producers were told with what consumers got. A text is <c>PREFIX:number</c>; each prefix is one producer.
/// </summary>
internal static class Ledger
{
    /// <summary>Every confirmed number is there exactly once, in order; an unconfirmed last one may be there too.</summary>
    /// <param name="prefix">The producer.</param>
    /// <param name="confirmed">How many it had confirmed: numbers 0 to this less one.</param>
    /// <param name="received">All texts of the queue, in order.</param>
    public static void AssertExactlyOnceInOrder(string prefix, int confirmed, IEnumerable<string> received)
    {
        var numbers = received
            .Where(text => text.StartsWith(prefix + ":", StringComparison.Ordinal))
            .Select(text => int.Parse(text.AsSpan(prefix.Length + 1), System.Globalization.CultureInfo.InvariantCulture))
            .ToList();
        var wrong = numbers.Select((number, index) => (number, index)).FirstOrDefault(pair => pair.number != pair.index, (number: -1, index: -1));
        Assert.Multiple(() =>
        {
            Assert.That(wrong, Is.EqualTo((-1, -1)), $"{prefix}: (number, place) that is lost, doubled or out of order");
            Assert.That(numbers, Has.Count.GreaterThanOrEqualTo(confirmed), $"{prefix}: confirmed messages are missing");
        });
    }
}
