namespace Fabric.Oracles;

/// <summary>Where a transaction ended, as its client knows it.</summary>
internal enum TransactionOutcome
{
    /// <summary>Nobody asked for the commit, or it was undone.</summary>
    Undone,
    Committed,
    Unknown,
}

/// <summary>All that a history says of one message. Indexes are places in the ordered events; -1 is none.</summary>
internal sealed class MessageStory(MessageIdentity identity)
{
    public MessageIdentity Identity { get; } = identity;

    /// <summary>The last event of this message: the head of a chain that <see cref="HistoryIndex.EventsOf(MessageStory)"/> walks.</summary>
    public int LastEvent { get; set; } = -1;

    public int Attempts { get; set; }

    public string? Queue { get; set; }

    public ulong BodyHash { get; set; }

    public TransactionStory? Transaction { get; set; }

    public bool IsSendConfirmed { get; set; }

    public int Refusals { get; set; }

    public int FirstDelivery { get; set; } = -1;

    public int LastDelivery { get; set; } = -1;

    /// <summary>Whether it was delivered from another queue than it was sent to.</summary>
    public bool WasElsewhere { get; set; }

    /// <summary>Deliveries after the first one from a queue that do not tell so.</summary>
    public int UnflaggedRepeats { get; set; }

    public int FirstAppearance { get; set; } = -1;

    /// <summary>The last delivery that came from the past; -1 for none.</summary>
    public int LastLateDelivery { get; set; } = -1;

    public bool IsBrowsed { get; set; }

    /// <summary>Whether somebody acknowledged it, or tried to, outside of any transaction.</summary>
    public bool IsAcknowledgedAlone { get; set; }

    /// <summary>Whether some acknowledgement may have taken place.</summary>
    public bool MayBeConsumed { get; set; }

    /// <summary>From when on it is certainly gone: an acknowledgement, or the commit of one, was confirmed.</summary>
    public int GoneSince { get; set; } = int.MaxValue;

    public bool IsVisible => FirstAppearance >= 0;

    public bool MustBeThere => IsSendConfirmed && (Transaction is null || Transaction.Outcome == TransactionOutcome.Committed);

    public bool IsLost => MustBeThere && !IsBrowsed && !MayBeConsumed;
}

/// <summary>One acknowledgement inside a transaction, with the delivery that it is about and its own place.</summary>
internal readonly record struct TransactedAcknowledge(MessageStory Message, int Delivery, int Attempt);

/// <summary>All that a history says of one transaction.</summary>
internal sealed class TransactionStory(string name)
{
    public string Name { get; } = name;

    public List<MessageStory> Sends { get; } = [];

    public List<TransactedAcknowledge> Acknowledges { get; } = [];

    public List<int> Events { get; } = [];

    public int CommitAttempted { get; set; } = int.MaxValue;

    public int CommittedAt { get; set; } = -1;

    public bool IsAborted { get; set; }

    public TransactionOutcome Outcome =>
        CommittedAt >= 0 ? TransactionOutcome.Committed
        : IsAborted || CommitAttempted == int.MaxValue ? TransactionOutcome.Undone
        : TransactionOutcome.Unknown;
}
