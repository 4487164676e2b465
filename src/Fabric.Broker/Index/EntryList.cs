using Fabric.Store.Journal;

namespace Fabric.Broker.Index;

/// <summary>
/// One message in a queue: 48 bytes, so that ten million of them need neither an object nor a body each. The fields above
/// the line are derived from the journal; those below belong to the live layer and mean nothing outside a mastership.
/// </summary>
internal struct QueueEntry
{
    public long Position;
    public long Expiration;
    public long AcceptedAt;
    public ulong Origin;
    public int PayloadBytes;
    public int EnvelopeBytes;
    public byte Encoding;
    public bool Removed;

    // ---- live ----
    public bool Locked;
    public ushort Redeliveries;

    /// <summary>Length of its record in the journal.</summary>
    public readonly long RecordBytes => (long)JournalLimits.RecordHeaderBytes + EnvelopeBytes + PayloadBytes;
}

/// <summary>A run of entries. Chunks are linked in order; a dropped one still leads on to those that follow it.</summary>
internal sealed class EntryChunk(QueueEntry[] entries, long first)
{
    private const long Unknown = -1;

    private long[]? _bodies; // by slot; 0 where the message has not been copied forward, null as long as none has
    private long _oldestBody = Unknown;

    public QueueEntry[] Entries = entries;
    public int Count;
    public int Live;
    public bool Dropped;
    public EntryChunk? Next;

    /// <summary>No entry in it expires before this, in milliseconds since 1970.</summary>
    public long FirstExpiration = long.MaxValue;

    /// <summary>Whether the live fields of some entry may differ from their initial values.</summary>
    public bool Touched;

    /// <summary>Position of the first entry that was ever in it.</summary>
    public long First { get; } = first;

    /// <summary>Whether a message in it is, or was, read from a copy.</summary>
    public bool HasCopies => _bodies is not null;

    /// <summary>Where the oldest record stands that a message in it is read from; <see cref="long.MaxValue"/> when none is left in it.</summary>
    public long OldestBody
    {
        get
        {
            if (_oldestBody == Unknown)
            {
                _oldestBody = FindOldestBody();
            }

            return _oldestBody;
        }
    }

    /// <summary>Where the record stands that a message is read from: its own, or the newest copy of it.</summary>
    public long BodyOf(int slot) => _bodies is not null && _bodies[slot] != 0 ? _bodies[slot] : Entries[slot].Position;

    /// <summary>A message is read from another record from now on.</summary>
    public void MoveBody(int slot, long body)
    {
        ForgetBody(slot);
        (_bodies ??= new long[Entries.Length])[slot] = body;
    }

    /// <summary>The record that a message is read from is needed no more.</summary>
    public void ForgetBody(int slot)
    {
        if (_oldestBody == BodyOf(slot))
        {
            _oldestBody = Unknown;
        }
    }

    /// <summary>A message was added behind all others.</summary>
    public void NoteAdded()
    {
        if (_oldestBody == long.MaxValue)
        {
            _oldestBody = Unknown;
        }
    }

    /// <summary>Gives its array back; it only leads on to the next chunk from now on.</summary>
    public QueueEntry[] Empty()
    {
        var entries = Entries;
        (Entries, Count, Dropped, _bodies, _oldestBody) = ([], 0, true, null, long.MaxValue);
        return entries;
    }

    private long FindOldestBody()
    {
        var oldest = long.MaxValue;
        for (var slot = 0; slot < Count; slot++)
        {
            if (!Entries[slot].Removed)
            {
                oldest = Math.Min(oldest, BodyOf(slot));
                if (_bodies is null)
                {
                    break; // none of those behind it is older
                }
            }
        }

        return oldest;
    }
}

/// <summary>Names an entry while it is in its list.</summary>
internal readonly record struct EntryRef(EntryChunk Chunk, int Slot)
{
    public ref QueueEntry Value => ref Chunk.Entries[Slot];

    /// <summary>Where the record stands that its message is read from.</summary>
    public long Body => Chunk.BodyOf(Slot);
}

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

    /// <summary>The chunk to begin with, null when there has been no entry.</summary>
    public EntryChunk? FirstChunk => _chunks.Count > 0 ? _chunks[0] : null;

    /// <summary>Appends an entry whose position is above all others.</summary>
    public void Append(in QueueEntry entry)
    {
        var tail = _tail is { Dropped: false } open && open.Count < open.Entries.Length ? open : AddChunk(entry.Position);
        tail.Entries[tail.Count++] = entry;
        tail.Live++;
        tail.NoteAdded();
        if (entry.Expiration > 0)
        {
            tail.FirstExpiration = Math.Min(tail.FirstExpiration, entry.Expiration);
        }

        Count++;
        Bytes += entry.RecordBytes;
    }

    public bool TryFind(long position, out EntryRef found)
    {
        var chunk = FindChunk(position);
        if (chunk is { Live: > 0 })
        {
            int low = 0, high = chunk.Count - 1;
            while (low <= high)
            {
                var middle = (low + high) >>> 1;
                ref var entry = ref chunk.Entries[middle];
                if (entry.Position == position)
                {
                    found = new EntryRef(chunk, middle);
                    return !entry.Removed;
                }

                (low, high) = entry.Position < position ? (middle + 1, high) : (low, middle - 1);
            }
        }

        found = default;
        return false;
    }

    public void Remove(EntryRef found)
    {
        var chunk = found.Chunk;
        chunk.ForgetBody(found.Slot);
        found.Value.Removed = true;
        Count--;
        Bytes -= found.Value.RecordBytes;
        if (--chunk.Live == 0 && chunk.Count == chunk.Entries.Length)
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
                if (!chunk.Entries[slot].Removed)
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
            if (!chunk.Touched)
            {
                continue;
            }

            chunk.Touched = false;
            for (var slot = 0; slot < chunk.Count; slot++)
            {
                chunk.Entries[slot].Locked = false;
                chunk.Entries[slot].Redeliveries = 0;
            }
        }
    }

    private EntryChunk AddChunk(long first)
    {
        // A queue that is nearly empty most of the time keeps a few hundred bytes, a busy one works in pooled arrays.
        var chunk = new EntryChunk(arrays.Rent(Count), first);
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
        arrays.Return(chunk.Empty());
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

/// <summary>Arrays for chunks, in four sizes. Some of each are kept for the next chunk, so that a steady flow allocates none.</summary>
internal sealed class EntryArrays
{
    public const int Largest = 512;
    private const int Smallest = 8;
    private const int Growth = 4;
    private const int KeptPerSize = 64;

    private readonly Stack<QueueEntry[]>[] _kept = [new(), new(), new(), new()];

    /// <summary>An array for a queue that has this many entries already.</summary>
    public QueueEntry[] Rent(long depth)
    {
        var (length, size) = (Smallest, 0);
        for (; length < depth && length < Largest; length *= Growth)
        {
            size++;
        }

        return _kept[size].TryPop(out var array) ? array : new QueueEntry[length];
    }

    public void Return(QueueEntry[] array)
    {
        var size = 0;
        for (var length = Smallest; length < array.Length; length *= Growth)
        {
            size++;
        }

        if (_kept[size].Count < KeptPerSize)
        {
            _kept[size].Push(array);
        }
    }
}
