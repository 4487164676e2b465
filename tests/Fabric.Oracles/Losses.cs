using System.Globalization;

namespace Fabric.Oracles;

/// <summary>
/// O1. Told apart per producer: a lost <i>prefix</i> or <i>middle</i> is never excusable, a <i>postfix</i> may be a reader that has not read to the end.
/// </summary>
internal static class Losses
{
    private const int NumbersMax = 20;
    private const int MessagesWithEventsMax = 5;

    public static IEnumerable<Violation> Find(HistoryIndex index)
    {
        foreach (var producer in index.Messages.Where(message => message.MustBeThere).GroupBy(message => message.Identity.Producer))
        {
            if (!producer.Any(message => message.IsLost))
            {
                continue;
            }

            var confirmed = producer.OrderBy(message => message.Identity.Number).ToList();
            var first = confirmed.FindIndex(message => !message.IsLost);
            var last = confirmed.FindLastIndex(message => !message.IsLost);
            var lost = confirmed.Index().Where(item => item.Item.IsLost);
            foreach (var part in lost.GroupBy(item => first < 0 ? "(all)" : item.Index < first ? "prefix" : item.Index > last ? "postfix" : "middle"))
            {
                yield return Describe(index, producer.Key, part.Key, [.. part.Select(item => item.Item)], confirmed.Count);
            }
        }
    }

    private static Violation Describe(HistoryIndex index, string producer, string part, List<MessageStory> lost, int confirmed)
    {
        var numbers = string.Join(", ", lost.Take(NumbersMax).Select(message => message.Identity.Number.ToString(CultureInfo.InvariantCulture)));
        var unacknowledged = lost.Count(message => message.FirstDelivery >= 0);
        return new Violation(
            Oracle.Loss,
            $"{producer} lost {lost.Count} of {confirmed} confirmed messages, {part}: {numbers}{(lost.Count > NumbersMax ? ", …" : "")}"
                + (unacknowledged == 0 ? "" : $" ({unacknowledged} of them after a delivery that nobody acknowledged)"),
            [.. lost.Take(MessagesWithEventsMax).SelectMany(index.EventsOf)]);
    }
}
