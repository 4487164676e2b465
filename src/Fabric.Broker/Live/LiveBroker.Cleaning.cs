using Fabric.Broker.Index;
using Fabric.Store.Journal;

namespace Fabric.Broker.Live;

/// <summary>What <see cref="JournalCleaner"/> sees of the broker.</summary>
internal sealed partial class LiveBroker
{
    private readonly JournalCleaner _cleaner;

    /// <summary>Runs until the broker stops serving; on a thread that may block.</summary>
    public Task RunCleanerAsync() => _cleaner.RunAsync();

    /// <summary>The messages to be copied forward now: those that keep the oldest segment. None when that is not worthwhile.</summary>
    public IReadOnlyList<MovableMessage> FindMovable(MovableBatch batch)
    {
        var space = Journal.Space;
        lock (Gate)
        {
            var end = new Position(Confirmed);
            var oldest = _index.OldestLive(end);
            if (!Stopped && CleaningRule.IsWorthwhile(space, oldest, end, _index.LiveBytes))
            {
                _index.CollectBefore(oldest + space.SegmentBytes, batch);
            }
        }

        return batch.Messages;
    }

    /// <summary>Copies a message's envelope and payload. Without the lock. False when it has gone meanwhile.</summary>
    public bool TryReadMessage(in MovableMessage message, Span<byte> destination)
    {
        LiveQueue? queue;
        lock (Gate)
        {
            queue = _index.FindQueue(message.QueueId)?.Observer as LiveQueue;
        }

        return queue is not null && TryReadMessage(queue, message.Position, message.Body, 0, destination);
    }
}
