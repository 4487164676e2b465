namespace Fabric.Broker.Index;

/// <summary>A queue as the journal tells it: its number, its name and its messages.</summary>
internal sealed class QueueIndex(int id, string name, EntryArrays arrays)
{
    public int Id { get; } = id;

    public string Name { get; } = name;

    public EntryList Entries { get; } = new(arrays);

    /// <summary>Who hears of changes while the broker serves; null otherwise.</summary>
    public IQueueObserver? Observer { get; set; }
}

/// <summary>The live layer's view of what commits.</summary>
internal interface IQueueObserver
{
    /// <summary>A message became visible.</summary>
    void EntryAdded();

    /// <summary>A message is being forgotten.</summary>
    void EntryRemoved(in QueueEntry entry);
}
