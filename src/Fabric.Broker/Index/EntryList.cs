namespace Fabric.Broker.Index;

/// <summary>
/// The entries of one queue in journal order: appended at the end, removed anywhere, found by position in logarithmic time.
/// </summary>
internal sealed partial class EntryList(EntryArrays arrays)
{
    private const int DeadChunksTolerated = 32;

    private readonly List<EntryChunk> _chunks = [];
    private EntryChunk? _tail;
    private int _dropped;

    /// <summary>Entries in the list.</summary>
    public long Count { get; private set; }

    /// <summary>Its chunks in order, dropped ones left out.</summary>
    public IEnumerable<EntryChunk> Chunks => _chunks.Where(static chunk => !chunk.Dropped);

    /// <summary>The chunk to begin with, null when there has been no entry.</summary>
    public EntryChunk? FirstChunk => _chunks.Count > 0 ? _chunks[0] : null;

    /// <summary>Appends an entry whose position is above all others.</summary>
    public void Append(in QueueEntry entry)
    {
        var tail = _tail is { Dropped: false, IsFull: false } open ? open : AddChunk(new EntryChunk(arrays, arrays.Rent(Count), entry.Position));
        tail.Add(entry);
        Count++;
        Bytes += entry.RecordBytes;
    }

    /// <summary>Appends a chunk of a checkpoint, whose positions are above all others.</summary>
    public void Append(EntryChunk chunk)
    {
        AddChunk(chunk);
        Count += chunk.Live;
        Bytes += chunk.LiveBytes;
    }

    public bool TryFind(long position, out EntryRef found)
    {
        var chunk = FindChunk(position);
        if (chunk is { Live: > 0 } && chunk.Find(position) is >= 0 and var slot)
        {
            found = new EntryRef(chunk, slot);
            return !chunk.IsRemoved(slot);
        }

        found = default;
        return false;
    }

    public void Remove(EntryRef found)
    {
        var chunk = found.Chunk;
        Count--;
        Bytes -= found.Value.RecordBytes;
        chunk.Remove(found.Slot);
        if (chunk is { Live: 0, IsFull: true })
        {
            Drop(chunk);
        }
    }

    /// <summary>The first entry at or behind a place, in order.</summary>
    /// <param name="chunk">Where to begin; moves on to the chunk of what was found.</param>
    /// <param name="slot">Where to begin within it; moves on likewise.</param>
    /// <returns>False at the end of the list; then the place is where the next entry will be found.</returns>
    public bool TryNext(ref EntryChunk? chunk, ref int slot)
    {
        if (chunk is null)
        {
            chunk = FirstChunk;
            slot = 0;
        }

        while (chunk is not null)
        {
            for (; slot < chunk.Count; slot++)
            {
                if (!chunk.IsRemoved(slot))
                {
                    return true;
                }
            }

            if (chunk.Next is null)
            {
                return false;
            }

            chunk = chunk.Next;
            slot = 0;
        }

        return false;
    }

    /// <summary>Forgets locks and counters of a mastership that has ended.</summary>
    public void ResetLive()
    {
        foreach (var chunk in _chunks)
        {
            chunk.ResetLive();
        }
    }

    private EntryChunk AddChunk(EntryChunk chunk)
    {
        if (_tail is not null)
        {
            _tail.Next = chunk;
        }

        _tail = chunk;
        _chunks.Add(chunk);
        return chunk;
    }

    private EntryChunk? FindChunk(long position)
    {
        int low = 0, high = _chunks.Count - 1;
        while (low < high)
        {
            var middle = (low + high + 1) >>> 1;
            (low, high) = _chunks[middle].First <= position ? (middle, high) : (low, middle - 1);
        }

        return low == high ? _chunks[low] : null;
    }

    private void Drop(EntryChunk chunk)
    {
        if (chunk.Empty() is { } array)
        {
            arrays.Return(array);
        }

        _dropped++;
        if (_dropped > DeadChunksTolerated && _dropped > _chunks.Count / 2)
        {
            _chunks.RemoveAll(static candidate => candidate.Dropped);
            _dropped = 0;
            Relink();
        }
    }

    /// <summary>Takes dropped chunks out of the way of those who walk the links.</summary>
    private void Relink()
    {
        for (var i = 0; i + 1 < _chunks.Count; i++)
        {
            _chunks[i].Next = _chunks[i + 1];
        }

        if (_chunks.Count > 0 && _chunks[^1] != _tail)
        {
            _chunks[^1].Next = _tail; // dropped, but the next chunk will be linked to it
        }
    }
}
