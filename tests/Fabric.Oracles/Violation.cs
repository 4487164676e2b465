using System.Text;

namespace Fabric.Oracles;

/// <summary>The promises that a history can break; the numbers are those of the list of oracles that all tests share.</summary>
public enum Oracle
{
    /// <summary>O1: every confirmed message is consumed, or still there at the end.</summary>
    Loss = 1,

    /// <summary>O2: what is delivered was sent, to that queue, with that body.</summary>
    Phantom = 2,

    /// <summary>O3: what is delivered again says so, and nothing comes back whose acknowledgement was confirmed.</summary>
    Duplicate = 3,

    /// <summary>O4: the messages of one producer in one queue are first delivered in the order of sending.</summary>
    Order = 4,

    /// <summary>O9: a transaction takes place as a whole or not at all, and is invisible before.</summary>
    Transaction = 9,

    /// <summary>O11: what was refused for certain never appears.</summary>
    Honesty = 11,
}

/// <summary>One broken promise, with what a reader needs to understand it.</summary>
/// <param name="Oracle">Which promise.</param>
/// <param name="What">What is wrong, in a sentence that names the message or the transaction.</param>
/// <param name="Events">The events that concern it, in order.</param>
public sealed record Violation(Oracle Oracle, string What, IReadOnlyList<HistoryEvent> Events)
{
    private const int LinesMax = 40;

    /// <inheritdoc/>
    public override string ToString()
    {
        var text = new StringBuilder($"O{(int)Oracle} {What}");
        foreach (var item in Events.Take(LinesMax))
        {
            text.Append("\n    ").Append(item);
        }

        return Events.Count <= LinesMax ? text.ToString() : text.Append($"\n    … {Events.Count - LinesMax} more").ToString();
    }
}
