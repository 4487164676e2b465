using System.Globalization;
using System.Text.RegularExpressions;

namespace Fabric.Cluster.Tests.Traffic;

/// <summary>
/// Where the time from the death of a master to the next confirmed send went, read from the winner's log and the client's confirmations. One machine has one
/// clock, so the times of several processes can be compared; logs have milliseconds.
/// </summary>
/// <param name="Detection">Until the winner knew that its master is gone.</param>
/// <param name="Election">Until it had claimed the next epoch in the registry.</param>
/// <param name="Promises">Until a majority had promised it, and it had the best journal.</param>
/// <param name="Commit">Until the Epoch record was on a majority of disks.</param>
/// <param name="Listeners">Until clients could connect.</param>
/// <param name="Client">Until the client had found it, and had its next send confirmed.</param>
internal sealed partial record TakeOver(
    TimeSpan Detection, TimeSpan Election, TimeSpan Promises, TimeSpan Commit, TimeSpan Listeners, TimeSpan Client)
{
    private string _story = "";

    private static readonly (string Name, Func<TakeOver, TimeSpan> Of)[] Parts =
    [
        ("detection", times => times.Detection), ("election", times => times.Election), ("promises", times => times.Promises),
        ("commit", times => times.Commit), ("listeners", times => times.Listeners), ("client", times => times.Client),
        ("total", times => times.Total),
    ];

    public TimeSpan Total => Detection + Election + Promises + Commit + Listeners + Client;

    /// <param name="logs">The winner's log directory.</param>
    /// <param name="killed">When the master died.</param>
    /// <param name="confirmed">When a send was confirmed again.</param>
    public static TakeOver Read(string logs, TimeSpan killed, TimeSpan confirmed)
    {
        var lines = Directory.GetFiles(logs, "fabricd-*.log").Order().SelectMany(File.ReadLines)
            .Select(line => (At: TimeOf(line), Text: line))
            .Where(line => line.At >= killed - TimeSpan.FromMilliseconds(1)) // a millisecond is as fine as it gets
            .ToList();
        var served = Find(" serves clients at ");
        var epoch = EpochAtEnd().Match(served.Text).Value;
        var (detected, claimed, leads, committed) = (Find("is not reachable as master", "nothing heard from"), Find($" claimed {epoch}"), Find($" in {epoch}"), Find($" of {epoch} "));
        var steps = new[] { killed, detected.At, claimed.At, leads.At, committed.At, served.At, confirmed };
        var parts = steps.Zip(steps.Skip(1), (from, to) => to > from ? to - from : TimeSpan.Zero).ToArray();
        return new TakeOver(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5])
        {
            _story = string.Join('\n', lines.TakeWhile(line => line.At <= served.At).Select(line => line.Text)),
        };

        (TimeSpan At, string Text) Find(params string[] words)
        {
            var found = lines.Find(line => words.Any(word => line.Text.Contains(word, StringComparison.Ordinal)));
            Assert.That(found.Text, Is.Not.Null, () => $"no line with '{words[0]}' since the kill:\n{string.Join('\n', lines.Select(line => line.Text))}");
            return found;
        }
    }

    /// <summary>The distribution of all parts, in milliseconds, a line each, and what the winner of the slowest one wrote down.</summary>
    public static string Describe(IReadOnlyList<TakeOver> all) => $"{Distribution(all)}\nthe slowest, in the words of its winner:\n{all.MaxBy(times => times.Total)!._story}";

    private static string Distribution(IReadOnlyList<TakeOver> all) => string.Join('\n', Parts.Select(part =>
    {
        var sorted = all.Select(times => part.Of(times).TotalMilliseconds).Order().ToList();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{part.Name,-10} median {At(0.5),5:0}  p90 {At(0.9),5:0}  p99 {At(0.99),5:0}  worst {sorted[^1],5:0} ms");

        double At(double quantile) => sorted[Math.Min(sorted.Count - 1, (int)(quantile * sorted.Count))];
    }));

    private static TimeSpan TimeOf(string line) =>
        line.IndexOf(' ', StringComparison.Ordinal) is > 0 and var end
        && DateTimeOffset.TryParse(line.AsSpan(0, end), CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
            ? time - DateTimeOffset.UnixEpoch
            : TimeSpan.Zero;

    [GeneratedRegex(@"epoch \d+$")]
    private static partial Regex EpochAtEnd();
}
