using Fabric.Broker.Index;

namespace Fabric.Broker.Live;

/// <summary>A place in a queue: what is before it is removed or held by somebody.</summary>
internal struct QueueCursor
{
    public EntryChunk? Chunk;
    public int Slot;

    /// <summary>Lowest position that was not passed.</summary>
    public long Position;

    /// <summary>First message in memory that was not passed, null for none.</summary>
    public MemoryMessage? Memory;
}

/// <summary>
/// A queue while the broker serves: the journalled messages of its index, and those in memory, in one order. Temporary
/// queues have no index. All under the broker's lock.
/// </summary>
internal sealed class LiveQueue(LiveBroker broker, DestinationName name, int id) : LiveDestination(name), IQueueObserver
{
    private MemoryMessage? _firstMemory;
    private MemoryMessage? _lastMemory;
    private QueueCursor _cursor;
    private int _rotation;
    private int _memoryCount;

    /// <summary>Its number in the journal, 0 for a temporary queue.</summary>
    public int Id { get; } = id;

    /// <summary>Null until the record that adds the queue has committed.</summary>
    public QueueIndex? Index { get; private set; }

    /// <summary>End of the last record appended for it.</summary>
    public long AppendedEnd { get; set; }

    /// <summary>Messages that consumers hold.</summary>
    public long InFlight { get; set; }

    /// <summary>Waits to be looked at when the lock is given up.</summary>
    public bool Dirty { get; set; }

    /// <summary>The consumer that gets everything, null when all are equal.</summary>
    public BrokerConsumer? Exclusive { get; private set; }

    public MemoryMessage? FirstMemory => _firstMemory;

    public ref QueueCursor Cursor => ref _cursor;

    public override DestinationStatistics Statistics => new(
        Name, (Index?.Entries.Count ?? 0) + _memoryCount, Enqueued, Dequeued, InFlight, Consumers.Count, Producers);

    public void Bind(QueueIndex index)
    {
        Index = index;
        index.Observer = this;
    }

    void IQueueObserver.EntryAdded() => broker.MarkDirty(this);

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
        base.Attach(consumer);
        if (consumer.Request.Exclusive
            && (Exclusive is null || consumer.Request.Priority > Exclusive.Request.Priority || consumer.Request.Priority == 127))
        {
            Exclusive = consumer;
        }

        broker.MarkDirty(this);
    }

    public override void Detach(BrokerConsumer consumer)
    {
        base.Detach(consumer);
        if (Exclusive == consumer)
        {
            Exclusive = Consumers.Find(static other => other.Request.Exclusive);
        }

        broker.MarkDirty(this);
    }

    /// <summary>The consumer whose turn it is: highest priority first, in turn among equals, null when no window has room.</summary>
    public BrokerConsumer? NextConsumer()
    {
        if (Exclusive is not null)
        {
            return Exclusive.HasRoom ? Exclusive : null;
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
                if (Consumers[first + turn].HasRoom)
                {
                    _rotation = turn + 1;
                    return Consumers[first + turn];
                }
            }

            first = end;
        }

        return null;
    }

    /// <summary>Moves a cursor to the next message that nobody holds.</summary>
    /// <param name="cursor">Of this queue.</param>
    /// <param name="confirmed">Nothing journalled from here on is shown, and nothing in memory that follows such.</param>
    /// <param name="memory">The message when it is one in memory; else it is the entry at the cursor.</param>
    /// <returns>False when there is none.</returns>
    public bool TryPeek(ref QueueCursor cursor, long confirmed, out MemoryMessage? memory)
    {
        var position = long.MaxValue;
        while (Index is not null && Index.Entries.TryNext(ref cursor.Chunk, ref cursor.Slot))
        {
            ref var entry = ref cursor.Chunk!.Entries[cursor.Slot];
            cursor.Position = entry.Position;
            if (!entry.Locked)
            {
                position = entry.Position < confirmed ? entry.Position : long.MaxValue;
                break;
            }

            cursor.Slot++;
            cursor.Position++;
        }

        while (cursor.Memory is { Locked: true } held)
        {
            cursor.Memory = held.Next;
        }

        memory = cursor.Memory is { } next && next.OrderAfter <= confirmed && next.OrderAfter <= position ? next : null;
        return memory is not null || position != long.MaxValue;
    }

    /// <summary>Moves a cursor past the message that <see cref="TryPeek"/> found.</summary>
    public static void Pass(ref QueueCursor cursor, MemoryMessage? memory)
    {
        if (memory is not null)
        {
            cursor.Memory = memory.Next;
            return;
        }

        cursor.Slot++;
        cursor.Position++;
    }

    public void AddMemory(MemoryMessage message)
    {
        message.Previous = _lastMemory;
        if (_lastMemory is null)
        {
            _firstMemory = message;
        }
        else
        {
            _lastMemory.Next = message;
        }

        _lastMemory = message;
        _memoryCount++;
        _cursor.Memory ??= message;
        broker.MarkDirty(this);
    }

    public void RemoveMemory(MemoryMessage message)
    {
        if (_cursor.Memory == message)
        {
            _cursor.Memory = message.Next;
        }

        if (message.Previous is null)
        {
            _firstMemory = message.Next;
        }
        else
        {
            message.Previous.Next = message.Next;
        }

        if (message.Next is null)
        {
            _lastMemory = message.Previous;
        }
        else
        {
            message.Next.Previous = message.Previous;
        }

        message.Removed = true;
        message.Next = message.Previous = null;
        _memoryCount--;
        Dequeued++;
        if (message.Locked)
        {
            InFlight--;
        }
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
            if (_cursor.Memory is null || message.Sequence < _cursor.Memory.Sequence)
            {
                _cursor.Memory = message;
            }

            return;
        }

        ref var entry = ref item.Chunk!.Entries[item.Slot];
        entry.Locked = false;
        entry.Redeliveries = Count(entry.Redeliveries, deliveries);
        if (entry.Position < _cursor.Position)
        {
            _cursor.Chunk = item.Chunk;
            _cursor.Slot = item.Slot;
            _cursor.Position = entry.Position;
        }
    }

    private static ushort Count(ushort before, int more) => (ushort)Math.Min(ushort.MaxValue, before + more);
}
