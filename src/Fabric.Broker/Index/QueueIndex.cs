namespace Fabric.Broker.Index;

/// <summary>A queue as the journal tells it: its number, its name and its messages.</summary>
internal sealed class QueueIndex(int id, string name, EntryArrays arrays)
{
    public int Id { get; } = id;

    public string Name { get; } = name;

    public EntryList Entries { get; } = new(arrays);

    /// <summary>
    /// Messages that stand before it may have been delivered to somebody, later ones certainly not: what a mastership leaves behind for the next one,
    /// so that it flags what it delivers again.
    /// </summary>
    public long DeliveryHorizon { get; set; }

    /// <summary>Who hears of changes while the broker serves; null otherwise.</summary>
    public IQueueObserver? Observer { get; set; }
}

/// <summary>The live layer's view of what commits.</summary>
internal interface IQueueObserver
{
    /// <summary>A message became visible.</summary>
    void EntryAdded();

    /// <summary>More messages may be delivered.</summary>
    void HorizonMoved();

    /// <summary>A message is being forgotten.</summary>
    void EntryRemoved(in QueueEntry entry);
}
