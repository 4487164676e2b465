namespace Fabric.Broker.Live;

/// <summary>The messages in memory, and the ways through the queue.</summary>
internal sealed partial class LiveQueue
{
    private readonly List<QueueView> _views = [new QueueView(null)];
    private MemoryMessage? _firstMemory;
    private MemoryMessage? _lastMemory;
    private int _memoryCount;

    public MemoryMessage? FirstMemory => _firstMemory;

    /// <summary>The way of the consumers without filters, as long as there are no others.</summary>
    public QueueView Shared => _views[0];

    /// <summary>A consumer's way, when some consumer has a filter.</summary>
    public QueueView ViewOf(BrokerConsumer consumer) => _views.Find(view => view.Consumer == consumer)!;

    /// <summary>Moves a view to the next message that nobody holds.</summary>
    /// <param name="view">Of this queue.</param>
    /// <param name="confirmed">Nothing journalled from here on is shown, and nothing in memory that follows such.</param>
    /// <param name="memory">The message when it is one in memory; else it is the entry at the view's cursor.</param>
    /// <returns>False when there is none.</returns>
    public bool TryPeek(QueueView view, long confirmed, out MemoryMessage? memory)
    {
        ref var cursor = ref view.Cursor;
        var position = long.MaxValue;
        while (Index is not null && Index.Entries.TryNext(ref cursor.Chunk, ref cursor.Slot))
        {
            ref var entry = ref cursor.Chunk!.Entries[cursor.Slot];
            cursor.Position = entry.Position;
            if (!entry.Locked || view.IsBrowser)
            {
                position = entry.Position < confirmed ? entry.Position : long.MaxValue;
                break;
            }

            Pass(view, null);
        }

        while (cursor.Memory is { Locked: true } held && !view.IsBrowser)
        {
            cursor.Memory = held.Next;
        }

        memory = cursor.Memory is { } next && next.OrderAfter <= confirmed && next.OrderAfter <= position
            && next.Sequence <= view.EndMemory ? next : null;
        return memory is not null || position != long.MaxValue;
    }

    /// <summary>Where the furthest of the consumers' ways goes on; the given end when nothing lies ahead of it.</summary>
    public long NextPosition(long end)
    {
        long furthest = 0;
        foreach (var view in _views)
        {
            if (view.IsBrowser)
            {
                continue;
            }

            var (chunk, slot) = (view.Cursor.Chunk, view.Cursor.Slot);
            furthest = Math.Max(furthest, Index!.Entries.TryNext(ref chunk, ref slot) ? chunk!.PositionOf(slot) : end);
        }

        return furthest;
    }

    /// <summary>Moves a view past the message that <see cref="TryPeek"/> found.</summary>
    public static void Pass(QueueView view, MemoryMessage? memory)
    {
        if (memory is not null)
        {
            view.Cursor.Memory = memory.Next;
            return;
        }

        view.Cursor.Slot++;
        view.Cursor.Position++;
    }

    public void RemoveView(QueueView view) => _views.Remove(view);

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
        foreach (var view in _views)
        {
            view.Cursor.Memory ??= message;
        }

        broker.MarkDirty(this);
    }

    public void RemoveMemory(MemoryMessage message)
    {
        foreach (var view in _views)
        {
            if (view.Cursor.Memory == message)
            {
                view.Cursor.Memory = message.Next;
            }
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

    private QueueView AddView(BrokerConsumer consumer)
    {
        var browses = consumer.Request.Browser;
        var view = new QueueView(consumer)
        {
            EndPosition = browses ? broker.Confirmed : long.MaxValue,
            EndMemory = browses ? _lastMemory?.Sequence ?? 0 : long.MaxValue,
        };
        view.Cursor.Memory = _firstMemory;
        _views.Add(view);
        return view;
    }

    private void GoBack(MemoryMessage message)
    {
        foreach (var view in _views)
        {
            if (!view.IsBrowser && (view.Cursor.Memory is not { } next || message.Sequence < next.Sequence))
            {
                view.Cursor.Memory = message;
            }
        }
    }

    private void GoBack(Index.EntryChunk chunk, int slot, long position)
    {
        foreach (var view in _views)
        {
            ref var cursor = ref view.Cursor;
            if (!view.IsBrowser && position < cursor.Position)
            {
                (cursor.Chunk, cursor.Slot, cursor.Position) = (chunk, slot, position);
            }
        }
    }
}
