namespace Fabric.Oracles;

/// <summary>O11 for single messages: what was refused for certain never appears.</summary>
internal static class Refusals
{
    public static IEnumerable<Violation> Find(HistoryIndex index) => index.Messages
        .Where(message => message.Refusals > 0 && message.Refusals >= message.Attempts && message.IsVisible)
        .Select(message => new Violation(
            Oracle.Honesty, $"{message.Identity} was refused for certain, and is there all the same", index.EventsOf(message)));
}
