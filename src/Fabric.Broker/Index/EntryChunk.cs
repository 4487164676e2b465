using Fabric.Store.Journal;

namespace Fabric.Broker.Index;

/// <summary>
/// One message in a queue: 48 bytes, or some six in a packed chunk, so that ten million of them need neither an object nor a body each. The fields above
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

    // ---- live ----
    public bool Locked;
    public ushort Redeliveries;

    /// <summary>Length of its record in the journal.</summary>
    public readonly long RecordBytes => (long)JournalLimits.RecordHeaderBytes + EnvelopeBytes + PayloadBytes;
}

/// <summary>
/// A run of entries. Chunks are linked in order; a dropped one still leads on to those that follow it. One that is full is packed after a while: an array is there then only while
/// somebody looks at its entries.
/// </summary>
/// <remarks>
/// Under the broker's lock, but for what a checkpoint reads, on the thread that applies: <see cref="PositionOf"/>, <see cref="IsRemoved"/>, <see cref="BodyOf"/>, <see cref="ToBlock"/>.
/// The live layer changes nothing that these read but whether there is an array, which stays as it is for whoever has it.
/// </remarks>
internal sealed class EntryChunk
{
    private const long Unknown = -1;

    private readonly EntryArrays _arrays;
    private QueueEntry[]? _entries; // null while packed and not looked at
    private EntryBlock? _block; // what the journal says of the entries, once it is packed; never changes
    private ulong[]? _removed; // by slot, a bit each; null as long as none was
    private long[]? _bodies; // by slot; 0 where the message has not been copied forward, null as long as none has
    private long _oldestBody = Unknown;
    private bool _isTouched; // the live fields of some entry may differ from their initial values

    /// <summary>An empty one.</summary>
    public EntryChunk(EntryArrays arrays, QueueEntry[] entries, long first)
    {
        (_arrays, _entries, First, Capacity) = (arrays, entries, first, entries.Length);
    }

    /// <summary>One of a checkpoint: a block that is full stays packed.</summary>
    public EntryChunk(EntryArrays arrays, EntryBlock block, int capacity, ulong[]? removed)
    {
        (_arrays, First, Capacity, Count, _removed) = (arrays, block.PositionAt(0), capacity, block.Count, removed);
        var entries = arrays.Take(capacity);
        block.Unpack(entries);
        for (var slot = 0; slot < Count; slot++)
        {
            NoteExpiration(entries[slot].Expiration);
            if (!IsRemoved(slot))
            {
                Live++;
                LiveBytes += entries[slot].RecordBytes;
            }
        }

        if (IsFull)
        {
            _block = block;
            arrays.Return(entries);
        }
        else
        {
            _entries = entries;
        }
    }

    /// <summary>Entries that were added to it, removed ones too.</summary>
    public int Count { get; private set; }

    /// <summary>Entries that can be added to it.</summary>
    public int Capacity { get; private set; }

    /// <summary>Entries that were not removed.</summary>
    public int Live { get; private set; }

    /// <summary>Bytes of the records of those.</summary>
    public long LiveBytes { get; private set; }

    public bool Dropped { get; private set; }

    public EntryChunk? Next { get; set; }

    public bool IsFull => Count == Capacity;

    /// <summary>No entry in it expires before this, in milliseconds since 1970.</summary>
    public long FirstExpiration { get; private set; } = long.MaxValue;

    /// <summary>Position of the first entry that was ever in it.</summary>
    public long First { get; }

    /// <summary>Whether a message in it is, or was, read from a copy.</summary>
    public bool HasCopies => _bodies is not null;

    /// <summary>Its entries, for a look: a reference into them is good until the next call that may look into another chunk.</summary>
    public QueueEntry[] Entries => _entries ?? Unpack();

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

    /// <summary>Appends an entry; there must be room.</summary>
    public void Add(in QueueEntry entry)
    {
        _entries![Count++] = entry;
        Live++;
        LiveBytes += entry.RecordBytes;
        NoteExpiration(entry.Expiration);
        if (_oldestBody == long.MaxValue)
        {
            _oldestBody = Unknown;
        }

        if (IsFull)
        {
            _arrays.NoteUnpacked(this);
        }
    }

    /// <summary>An entry whose live fields are about to change.</summary>
    public ref QueueEntry Touch(int slot)
    {
        _isTouched = true;
        return ref Entries[slot];
    }

    /// <summary>Numbers of 64 bits that say which of so many entries are removed.</summary>
    public static int RemovedWords(int capacity) => (capacity + 63) / 64;

    public bool IsRemoved(int slot) => _removed is { } removed && (removed[slot >> 6] >> (slot & 63) & 1) != 0;

    public long PositionOf(int slot) => Volatile.Read(ref _entries) is { } entries ? entries[slot].Position : _block!.PositionAt(slot);

    /// <summary>The slot of an entry, removed or not; -1 when there is none.</summary>
    public int Find(long position)
    {
        int low = 0, high = Count - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            var found = PositionOf(middle);
            if (found == position)
            {
                return middle;
            }

            (low, high) = found < position ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }

    /// <summary>Removes an entry that is there.</summary>
    public void Remove(int slot)
    {
        ForgetBody(slot);
        LiveBytes -= Entries[slot].RecordBytes;
        Live--;
        _removed ??= new ulong[RemovedWords(Capacity)];
        _removed[slot >> 6] |= 1UL << (slot & 63);
    }

    /// <summary>Where the record stands that a message is read from: its own, or the newest copy of it.</summary>
    public long BodyOf(int slot) => _bodies is not null && _bodies[slot] != 0 ? _bodies[slot] : PositionOf(slot);

    /// <summary>A message is read from another record from now on.</summary>
    public void MoveBody(int slot, long body)
    {
        ForgetBody(slot);
        (_bodies ??= new long[Capacity])[slot] = body;
    }

    /// <summary>What the journal says of its entries, removed ones too.</summary>
    public EntryBlock ToBlock() => Volatile.Read(ref _entries) is { } entries && _block is null ? EntryBlock.Pack(entries.AsSpan(0, Count)) : _block!;

    /// <summary>The removed entries, a bit each by slot; null when none was removed.</summary>
    public ulong[]? Removed => _removed;

    /// <summary>Packs it, which must be full, unless live fields in it say something.</summary>
    /// <returns>Whether it takes no array any more.</returns>
    public bool TryPack()
    {
        if (_entries is not { } entries || Dropped)
        {
            return true;
        }

        _isTouched = _isTouched && HasLive(entries);
        if (_isTouched)
        {
            return false;
        }

        _block ??= EntryBlock.Pack(entries);
        Volatile.Write(ref _entries, null); // not for the next chunk: somebody may still look at an entry
        return true;
    }

    /// <summary>Forgets locks and counters of a mastership that has ended.</summary>
    public void ResetLive()
    {
        if (!_isTouched)
        {
            return;
        }

        _isTouched = false;
        foreach (ref var entry in _entries.AsSpan(0, Count))
        {
            (entry.Locked, entry.Redeliveries) = (false, 0);
        }
    }

    /// <summary>Gives its array back, if it has one; it only leads on to the next chunk from now on.</summary>
    public QueueEntry[]? Empty()
    {
        var entries = _entries;
        (_entries, _block, _removed, _bodies) = ([], null, null, null);
        (Count, Capacity, Dropped, _isTouched, _oldestBody) = (0, 0, true, false, long.MaxValue);
        return entries;
    }

    private QueueEntry[] Unpack()
    {
        var entries = _arrays.Take(Capacity);
        _block!.Unpack(entries);
        Volatile.Write(ref _entries, entries);
        _arrays.NoteUnpacked(this);
        return entries;
    }

    private static bool HasLive(ReadOnlySpan<QueueEntry> entries)
    {
        foreach (ref readonly var entry in entries)
        {
            if (entry.Locked || entry.Redeliveries > 0)
            {
                return true;
            }
        }

        return false;
    }

    private void NoteExpiration(long expiration)
    {
        if (expiration > 0)
        {
            FirstExpiration = Math.Min(FirstExpiration, expiration);
        }
    }

    /// <summary>The record that a message is read from is needed no more.</summary>
    private void ForgetBody(int slot)
    {
        if (_oldestBody == BodyOf(slot))
        {
            _oldestBody = Unknown;
        }
    }

    private long FindOldestBody()
    {
        var oldest = long.MaxValue;
        for (var slot = 0; slot < Count; slot++)
        {
            if (!IsRemoved(slot))
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
    /// <summary>For a look, as <see cref="EntryChunk.Entries"/>.</summary>
    public ref QueueEntry Value => ref Chunk.Entries[Slot];

    /// <summary>Where the record stands that its message is read from.</summary>
    public long Body => Chunk.BodyOf(Slot);
}
