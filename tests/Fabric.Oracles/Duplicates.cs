namespace Fabric.Oracles;

/// <summary>O3.</summary>
internal static class Duplicates
{
    public static IEnumerable<Violation> Find(HistoryIndex index)
    {
        foreach (var message in index.Messages)
        {
            // Sent n times by the application, it may be there n times; which copy is which, nobody can tell.
            if (message.UnflaggedRepeats > Math.Max(0, message.Attempts - 1))
            {
                yield return new Violation(
                    Oracle.Duplicate, $"{message.Identity} was delivered again without the redelivered flag", index.EventsOf(message));
            }

            if (message.Attempts > 1 || message.GoneSince == int.MaxValue)
            {
                continue;
            }

            if (message.LastDelivery > message.GoneSince)
            {
                yield return new Violation(
                    Oracle.Duplicate, $"{message.Identity} was delivered after its acknowledgement was confirmed", index.EventsOf(message));
            }
            else if (message.IsBrowsed)
            {
                yield return new Violation(
                    Oracle.Duplicate, $"{message.Identity} is still there although its acknowledgement was confirmed", index.EventsOf(message));
            }
        }
    }
}
