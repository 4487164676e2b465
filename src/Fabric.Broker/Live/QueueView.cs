using Fabric.Broker.Index;

namespace Fabric.Broker.Live;

/// <summary>A place in a queue: what is before it was passed.</summary>
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
/// Somebody's way through a queue. Consumers without filters share one; as soon as one of them has a filter, each walks by
/// itself, because what one passes may be for another. A browser walks by itself always.
/// </summary>
internal sealed class QueueView(BrokerConsumer? consumer)
{
    private QueueCursor _cursor;

    /// <summary>Whose it is, null for the shared one.</summary>
    public BrokerConsumer? Consumer { get; } = consumer;

    public ref QueueCursor Cursor => ref _cursor;

    /// <summary>For a browser, where the queue ended when it began; nothing from here on is shown.</summary>
    public long EndPosition { get; init; } = long.MaxValue;

    /// <summary>For a browser, the last message in memory when it began.</summary>
    public long EndMemory { get; init; } = long.MaxValue;

    public bool IsBrowser => Consumer is { Request.Browser: true };
}
