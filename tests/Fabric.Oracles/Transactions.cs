namespace Fabric.Oracles;

/// <summary>O9, and O11 for transactions: one whose outcome is unknown took place wholly or not at all.</summary>
internal static class Transactions
{
    public static IEnumerable<Violation> Find(HistoryIndex index) => index.Transactions
        .Select(transaction => (transaction, Fault: Fault(transaction)))
        .Where(item => item.Fault is not null)
        .Select(item => new Violation(Oracle.Transaction, $"{item.transaction.Name} {item.Fault}", index.EventsOf(item.transaction)));

    private static string? Fault(TransactionStory transaction)
    {
        var early = transaction.Sends.Find(message => message.IsVisible && message.FirstAppearance < transaction.CommitAttempted);
        if (early is not null && transaction.CommitAttempted != int.MaxValue)
        {
            return $"was not committed yet when {early.Identity} was seen";
        }

        // A message that is gone may be so by somebody's acknowledgement outside of a transaction, or after it came from the past once more.
        // What a refused send or one of unknown outcome adds to its transaction cannot be told; copies cannot be told apart.
        var parts = transaction.Sends.Where(message => message.IsSendConfirmed)
            .Select(message => (Name: $"the send of {message.Identity}", TookPlace: message.IsVisible))
            .Concat(transaction.Acknowledges.Where(item => item.Message.Attempts == 1 && (CameBack(item) || !IsGoneForOtherReasons(item)))
                .Select(item => (Name: $"the acknowledgement of {item.Message.Identity}", TookPlace: !CameBack(item))))
            .ToList();
        var done = parts.FirstOrDefault(part => part.TookPlace).Name;
        var undone = parts.FirstOrDefault(part => !part.TookPlace).Name;
        return transaction.Outcome switch
        {
            TransactionOutcome.Committed when undone is not null => $"is committed, but {undone} did not take place",
            TransactionOutcome.Undone when done is not null => $"was not committed, but {done} took place",
            TransactionOutcome.Unknown when done is not null && undone is not null => $"took place in part: {done} did, {undone} did not",
            _ => null,
        };
    }

    /// <summary>Whether somebody else has got it meanwhile, whose acknowledgement may have taken place, and may not: it may have come back from there to who acknowledges here.</summary>
    private static bool IsGoneForOtherReasons(TransactedAcknowledge acknowledge) =>
        acknowledge.Message.IsAcknowledgedAlone || acknowledge.Message.LastLateDelivery > acknowledge.Delivery || acknowledge.Message.LastDelivery > acknowledge.Delivery;

    private static bool CameBack(TransactedAcknowledge acknowledge) =>
        acknowledge.Message.IsBrowsed || acknowledge.Message.LastDelivery > acknowledge.Attempt;
}
