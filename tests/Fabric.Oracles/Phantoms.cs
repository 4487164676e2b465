using System.Globalization;

namespace Fabric.Oracles;

/// <summary>O2.</summary>
internal static class Phantoms
{
    public static IEnumerable<Violation> Find(HistoryIndex index, HistoryCheckerOptions options)
    {
        foreach (var item in index.Events)
        {
            if (item.Kind is HistoryEventKind.Delivered or HistoryEventKind.Browsed && Fault(index.StoryOf(item.Message), item, options) is { } fault)
            {
                yield return new Violation(Oracle.Phantom, $"{item.Message} {fault}", index.EventsOf(index.StoryOf(item.Message)));
            }
        }
    }

    private static string? Fault(MessageStory story, in HistoryEvent item, HistoryCheckerOptions options)
    {
        if (story.Attempts == 0)
        {
            return $"is in {item.Queue}, but nobody sent it";
        }

        if (story.BodyHash != item.BodyHash)
        {
            return string.Create(CultureInfo.InvariantCulture, $"was sent with body {story.BodyHash:x16} and arrived with {item.BodyHash:x16}");
        }

        return story.Queue == item.Queue || options.OtherQueues.Contains(item.Queue!) ? null : $"was sent to {story.Queue} and is in {item.Queue}";
    }
}
