using Fabric.Broker.Index;

namespace Fabric.Broker.Live;

/// <summary>A message that a consumer holds.</summary>
internal struct Outstanding
{
    public long Sequence;
    public LiveQueue Queue;

    /// <summary>Set for a message in memory, else <see cref="Chunk"/> and <see cref="Slot"/> name its entry.</summary>
    public MemoryMessage? Memory;
    public EntryChunk? Chunk;
    public int Slot;

    /// <summary>The open transaction that acknowledged it.</summary>
    public LocalTransaction? Transaction;

    /// <summary>Taken out of the list; the place is reused later.</summary>
    public bool Gone;

    /// <summary>How many messages the consumer had been given before this one; set by the list.</summary>
    public long Dispatched;
}

/// <summary>
/// The messages a consumer holds, in the order of dispatch. Most are taken from the front; those taken from the middle leave
/// a gap that is closed when gaps prevail. Indices are valid until the next <see cref="Add"/> or <see cref="Trim"/>.
/// </summary>
internal sealed class OutstandingList
{
    private const int GapsTolerated = 64;

    private Outstanding[] _items = [];
    private int _first;
    private int _length;
    private long _dispatched;
    private (long Sequence, long Dispatched) _newestSettled = (-1, -1);

    /// <summary>Messages in the list.</summary>
    public int Count { get; private set; }

    /// <summary>One behind the last index.</summary>
    public int Length => _length;

    public ref Outstanding this[int index] => ref _items[(_first + index) & (_items.Length - 1)];

    public void Add(in Outstanding item)
    {
        if (_length == _items.Length)
        {
            Grow();
        }

        _length++;
        this[_length - 1] = item with { Dispatched = _dispatched++ };
        Count++;
    }

    /// <returns>The index, or -1. Looks from the front, where acknowledgements are, or from the back.</returns>
    public int Find(long sequence, bool fromBack = false)
    {
        for (var step = 0; step < _length; step++)
        {
            var index = fromBack ? _length - 1 - step : step;
            ref var item = ref this[index];
            if (item.Sequence == sequence && !item.Gone)
            {
                return index;
            }
        }

        return -1;
    }

    /// <summary>Finds what had been dispatched when a message had, which may have been acknowledged since.</summary>
    /// <param name="sequence">The message, as the client names the last one that its application got.</param>
    /// <returns>The index of the last of those that are still there; -1 when there is none, or the consumer never got the message.</returns>
    public int FindDispatchedBy(long sequence)
    {
        if (Find(sequence) is >= 0 and var held)
        {
            return held;
        }

        var last = -1;
        for (var index = 0; sequence == _newestSettled.Sequence && index < _length; index++)
        {
            if (!this[index].Gone && this[index].Dispatched < _newestSettled.Dispatched)
            {
                last = index;
            }
        }

        return last;
    }

    /// <returns>The index of the oldest message, or -1.</returns>
    public int FindOldest()
    {
        for (var index = 0; index < _length; index++)
        {
            if (!this[index].Gone)
            {
                return index;
            }
        }

        return -1;
    }

    /// <summary>Takes a message out that the application got and has settled.</summary>
    public void Settle(int index)
    {
        ref var item = ref this[index];
        if (item.Dispatched > _newestSettled.Dispatched)
        {
            _newestSettled = (item.Sequence, item.Dispatched);
        }

        Remove(index);
    }

    /// <summary>Takes a message out of which nobody knows whether the application got it.</summary>
    public void Remove(int index)
    {
        ref var item = ref this[index];
        item = new Outstanding { Gone = true };
        Count--;
    }

    /// <summary>Reclaims the places of what was removed. Ends the validity of indices.</summary>
    public void Trim()
    {
        while (_length > 0 && this[0].Gone)
        {
            _first = (_first + 1) & (_items.Length - 1);
            _length--;
        }

        var gaps = _length - Count;
        if (gaps > GapsTolerated && gaps > Count)
        {
            CloseGaps();
        }
    }

    private void CloseGaps()
    {
        var kept = 0;
        for (var index = 0; index < _length; index++)
        {
            if (!this[index].Gone)
            {
                this[kept++] = this[index];
            }
        }

        for (var index = kept; index < _length; index++)
        {
            this[index] = default;
        }

        _length = kept;
    }

    private void Grow()
    {
        var larger = new Outstanding[Math.Max(16, _items.Length * 2)];
        for (var index = 0; index < _length; index++)
        {
            larger[index] = this[index];
        }

        _items = larger;
        _first = 0;
    }
}
