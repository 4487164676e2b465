namespace Fabric.Oracles;

/// <summary>A history, read once: its events in order, and from each message and transaction to what concerns it.</summary>
internal sealed class HistoryIndex
{
    private readonly Dictionary<MessageIdentity, MessageStory> _messages = [];
    private readonly Dictionary<string, TransactionStory> _transactions = new(StringComparer.Ordinal);
    private readonly int[] _previousOfMessage;

    public HistoryIndex(IReadOnlyList<HistoryEvent> events)
    {
        Events = events;
        _previousOfMessage = new int[events.Count];
        for (var i = 0; i < events.Count; i++)
        {
            if (events[i].Message.Producer is null)
            {
                ReadTransaction(i, events[i]);
            }
            else
            {
                ReadMessage(i, events[i]);
            }
        }

        SettleAcknowledges();
    }

    public IReadOnlyList<HistoryEvent> Events { get; }

    /// <summary>In the order of their first event.</summary>
    public List<MessageStory> Messages { get; } = [];

    /// <summary>In the order of their first event.</summary>
    public List<TransactionStory> Transactions { get; } = [];

    public MessageStory StoryOf(MessageIdentity message) => _messages[message];

    public List<HistoryEvent> EventsOf(MessageStory message)
    {
        var events = new List<HistoryEvent>();
        for (var i = message.LastEvent; i >= 0; i = _previousOfMessage[i])
        {
            events.Add(Events[i]);
        }

        events.Reverse();
        return events;
    }

    /// <summary>The events of a transaction and of all messages in it.</summary>
    public List<HistoryEvent> EventsOf(TransactionStory transaction)
    {
        var places = new SortedSet<int>(transaction.Events);
        foreach (var message in transaction.Sends.Concat(transaction.Acknowledges.Select(item => item.Message)))
        {
            for (var i = message.LastEvent; i >= 0; i = _previousOfMessage[i])
            {
                places.Add(i);
            }
        }

        return [.. places.Select(place => Events[place])];
    }

    private void ReadMessage(int place, in HistoryEvent item)
    {
        if (!_messages.TryGetValue(item.Message, out var story))
        {
            story = new MessageStory(item.Message);
            _messages.Add(item.Message, story);
            Messages.Add(story);
        }

        _previousOfMessage[place] = story.LastEvent;
        story.LastEvent = place;
        switch (item.Kind)
        {
            case HistoryEventKind.SendAttempted:
                ReadAttempt(story, item);
                break;
            case HistoryEventKind.SendConfirmed:
                story.IsSendConfirmed = true;
                break;
            case HistoryEventKind.SendRefused:
                story.Refusals++;
                break;
            case HistoryEventKind.Delivered:
                ReadDelivery(place, story, item);
                break;
            case HistoryEventKind.Browsed:
                story.IsBrowsed = true;
                story.FirstAppearance = story.FirstAppearance < 0 ? place : story.FirstAppearance;
                break;
            case HistoryEventKind.AcknowledgeAttempted when item.Transaction is null:
                story.MayBeConsumed = story.IsAcknowledgedAlone = true;
                break;
            case HistoryEventKind.AcknowledgeAttempted:
                TransactionOf(item.Transaction!).Acknowledges.Add(
                    new TransactedAcknowledge(story, LastOf(place, HistoryEventKind.Delivered, item.Consumer), place));
                break;
            case HistoryEventKind.AcknowledgeConfirmed:
                ReadAcknowledged(place, story, item);
                break;
        }
    }

    private void ReadAttempt(MessageStory story, in HistoryEvent item)
    {
        var transaction = item.Transaction is null ? null : TransactionOf(item.Transaction);
        if (story.Attempts > 0 && (story.Queue != item.Queue || story.BodyHash != item.BodyHash || story.Transaction != transaction))
        {
            throw new ArgumentException($"{item.Message} was sent twice, but not as the same: give the second one a number of its own");
        }

        if (story.Attempts++ == 0)
        {
            (story.Queue, story.BodyHash, story.Transaction) = (item.Queue, item.BodyHash, transaction);
            transaction?.Sends.Add(story);
        }
    }

    private static void ReadDelivery(int place, MessageStory story, in HistoryEvent item)
    {
        if (item.IsLate)
        {
            story.FirstAppearance = story.FirstAppearance < 0 ? place : story.FirstAppearance;
            story.LastLateDelivery = place;
            return;
        }

        // A dead letter is a message of its own to whoever takes it from the other queue, as in ActiveMQ.
        var isElsewhere = item.Queue is not null && story.Queue is not null && item.Queue != story.Queue;
        if (story.FirstDelivery < 0)
        {
            story.FirstDelivery = place;
        }
        else if (!item.IsFlagged && (!isElsewhere || story.WasElsewhere))
        {
            story.UnflaggedRepeats++;
        }

        story.WasElsewhere |= isElsewhere;
        story.FirstAppearance = story.FirstAppearance < 0 ? place : story.FirstAppearance;
        story.LastDelivery = place;
    }

    private void ReadAcknowledged(int place, MessageStory story, in HistoryEvent item)
    {
        var attempt = LastOf(place, HistoryEventKind.AcknowledgeAttempted, item.Consumer);
        if (attempt >= 0 && Events[attempt].Transaction is null)
        {
            story.GoneSince = Math.Min(story.GoneSince, place);
        }
    }

    private void ReadTransaction(int place, in HistoryEvent item)
    {
        var story = TransactionOf(item.Transaction ?? throw new ArgumentException($"an event without a subject: {item}"));
        story.Events.Add(place);
        switch (item.Kind)
        {
            case HistoryEventKind.CommitAttempted:
                story.CommitAttempted = Math.Min(story.CommitAttempted, place);
                break;
            case HistoryEventKind.Committed:
                story.CommittedAt = place;
                break;
            case HistoryEventKind.Aborted:
                story.IsAborted = true;
                break;
        }

        if (story.CommittedAt >= 0 && story.IsAborted)
        {
            throw new ArgumentException($"{story.Name} is said to be committed and undone: give each transaction a name of its own");
        }
    }

    /// <summary>The latest event before a place of the same message, of a kind, by a consumer; -1 when there is none.</summary>
    private int LastOf(int place, HistoryEventKind kind, string? consumer)
    {
        for (var i = _previousOfMessage[place]; i >= 0; i = _previousOfMessage[i])
        {
            if (Events[i].Kind == kind && Events[i].Consumer == consumer)
            {
                return i;
            }
        }

        return -1;
    }

    private TransactionStory TransactionOf(string name)
    {
        if (!_transactions.TryGetValue(name, out var story))
        {
            story = new TransactionStory(name);
            _transactions.Add(name, story);
            Transactions.Add(story);
        }

        return story;
    }

    private void SettleAcknowledges()
    {
        foreach (var transaction in Transactions.Where(transaction => transaction.Outcome != TransactionOutcome.Undone))
        {
            foreach (var (message, _, _) in transaction.Acknowledges)
            {
                message.MayBeConsumed = true;
                if (transaction.Outcome == TransactionOutcome.Committed)
                {
                    message.GoneSince = Math.Min(message.GoneSince, transaction.CommittedAt);
                }
            }
        }
    }
}
