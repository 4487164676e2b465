namespace Fabric.Oracles;

/// <summary>O4.</summary>
internal static class Orders
{
    public static IEnumerable<Violation> Find(HistoryIndex index)
    {
        var shared = SharedQueues(index.Events);
        var latest = new Dictionary<(string Queue, string Producer), MessageStory>();
        for (var i = 0; i < index.Events.Count; i++)
        {
            var item = index.Events[i];
            if (item.Kind != HistoryEventKind.Delivered || shared.Contains(item.Queue!))
            {
                continue;
            }

            var message = index.StoryOf(item.Message);
            if (message.FirstDelivery != i || !message.IsSendConfirmed || message.LastLateDelivery >= 0)
            {
                continue; // who got it late from a master that was none may have given it back
            }

            var key = (item.Queue!, item.Message.Producer);
            if (!latest.TryGetValue(key, out var before) || before.Identity.Number < item.Message.Number)
            {
                latest[key] = message;
            }
            else
            {
                yield return new Violation(
                    Oracle.Order, $"{message.Identity} was first delivered from {item.Queue} after {before.Identity}, which was sent later",
                    [.. index.EventsOf(message), .. index.EventsOf(before)]);
            }
        }
    }

    /// <summary>Queues that more than one consumer read: what one gives back, the other gets late.</summary>
    private static HashSet<string> SharedQueues(IReadOnlyList<HistoryEvent> events)
    {
        var consumers = new Dictionary<string, string>(StringComparer.Ordinal);
        var shared = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in events)
        {
            if (item.Kind == HistoryEventKind.Delivered && !consumers.TryAdd(item.Queue!, item.Consumer!) && consumers[item.Queue!] != item.Consumer)
            {
                shared.Add(item.Queue!);
            }
        }

        return shared;
    }
}
