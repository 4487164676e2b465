using Fabric.Broker.Index;

namespace Fabric.Broker.Live;

/// <summary>
/// A queue while the broker serves: the journalled messages of its index, and those in memory, in one order. Temporary
/// queues have no index. All under the broker's lock.
/// </summary>
internal sealed partial class LiveQueue(LiveBroker broker, DestinationName name, int id) : LiveDestination(name), IQueueObserver
{
    private const int HighestPriority = 127;

    private int _filters;
    private int _rotation;

    /// <summary>Its number in the journal, 0 for a temporary queue.</summary>
    public int Id { get; } = id;

    /// <summary>Null until the record that adds the queue has committed.</summary>
    public QueueIndex? Index { get; private set; }

    /// <summary>End of the last record appended for it.</summary>
    public long AppendedEnd { get; set; }

    /// <summary>Messages that somebody holds.</summary>
    public long InFlight { get; set; }

    /// <summary>Waits to be looked at when the lock is given up.</summary>
    public bool Dirty { get; set; }

    /// <summary>Got something that the next flush shows.</summary>
    public bool Applied { get; set; }

    /// <summary>The consumer that gets everything, null when all are equal.</summary>
    public BrokerConsumer? Exclusive { get; private set; }

    /// <summary>Some consumer does not want every message.</summary>
    public bool HasFilters => _filters > 0;

    public override DestinationStatistics Statistics => new(
        Name, (Index?.Entries.Count ?? 0) + _memoryCount, Enqueued, Dequeued, InFlight, Consumers.Count, Producers);

    /// <summary>Messages before it may have been delivered by an earlier master.</summary>
    public long InheritedHorizon { get; private set; }

    /// <summary>The newest horizon that was appended; it counts when it is committed.</summary>
    public long AppendedHorizon { get; set; }

    public void Bind(QueueIndex index)
    {
        Index = index;
        AppendedHorizon = index.DeliveryHorizon;
        InheritedHorizon = Math.Min(index.DeliveryHorizon, broker.Confirmed); // what comes from now on nobody has seen
        index.Observer = this;
    }

    void IQueueObserver.EntryAdded() => broker.MarkApplied(this);

    void IQueueObserver.HorizonMoved() => broker.MarkApplied(this);

    void IQueueObserver.EntryRemoved(in QueueEntry entry)
    {
        Dequeued++;
        if (entry.Locked)
        {
            InFlight--;
        }
    }

    public override void Attach(BrokerConsumer consumer)
    {
        if (consumer.Request.Browser)
        {
            consumer.Sources.Add(this);
            consumer.Browsing = AddView(consumer);
            return;
        }

        base.Attach(consumer);
        if (consumer.Request.NoLocal && _filters++ == 0)
        {
            Consumers.ForEach(other => AddView(other));
        }
        else if (HasFilters)
        {
            AddView(consumer);
        }

        if (consumer.Request.Exclusive && (Exclusive is null || consumer.Request.Priority == HighestPriority
            || consumer.Request.Priority > Exclusive.Request.Priority))
        {
            Exclusive = consumer;
        }

        broker.MarkDirty(this);
    }

    public override void Detach(BrokerConsumer consumer)
    {
        base.Detach(consumer);
        _views.RemoveAll(view => view.Consumer == consumer);
        if (consumer.Request is { NoLocal: true, Browser: false } && --_filters == 0)
        {
            _views.RemoveAll(static view => view is { Consumer: not null, IsBrowser: false });
        }

        if (Exclusive == consumer)
        {
            Exclusive = Consumers.Find(static other => other.Request.Exclusive);
        }

        broker.MarkDirty(this);
    }

    /// <summary>Ends a round of dispatch: in the next one all consumers may find something again, here and in other queues.</summary>
    public void EndRound()
    {
        if (HasFilters)
        {
            Consumers.ForEach(static consumer => consumer.Exhausted = false);
        }
    }

    /// <summary>The consumer whose turn it is: highest priority first, in turn among equals, null when no window has room.</summary>
    public BrokerConsumer? NextConsumer()
    {
        if (Exclusive is not null)
        {
            return Exclusive is { HasRoom: true, Exhausted: false } ? Exclusive : null;
        }

        for (var first = 0; first < Consumers.Count;)
        {
            var end = first + 1;
            while (end < Consumers.Count && Consumers[end].Request.Priority == Consumers[first].Request.Priority)
            {
                end++;
            }

            for (var step = 0; step < end - first; step++)
            {
                var turn = (_rotation + step) % (end - first);
                if (Consumers[first + turn] is { HasRoom: true, Exhausted: false } consumer)
                {
                    _rotation = turn + 1;
                    return consumer;
                }
            }

            first = end;
        }

        return null;
    }

    /// <summary>Gives a held message back to the queue, to its old place.</summary>
    /// <param name="item">What was held.</param>
    /// <param name="deliveries">How many deliveries to count.</param>
    public void Release(in Outstanding item, int deliveries)
    {
        InFlight--;
        broker.MarkDirty(this);
        if (item.Memory is { } message)
        {
            message.Locked = false;
            message.Redeliveries = Count(message.Redeliveries, deliveries);
            GoBack(message);
            return;
        }

        ref var entry = ref item.Chunk!.Touch(item.Slot);
        entry.Locked = false;
        entry.Redeliveries = Count(entry.Redeliveries, deliveries);
        GoBack(item.Chunk, item.Slot, entry.Position);
    }

    private static ushort Count(ushort before, int more) => (ushort)Math.Min(ushort.MaxValue, before + more);
}
