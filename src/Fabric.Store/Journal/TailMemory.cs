namespace Fabric.Store.Journal;

/// <summary>
/// The newest bytes of a journal in memory: what appenders fill, the writer writes, and readers that keep up copy. Chunks are
/// allocated when first needed and reused for ever; bytes that are not on disk yet are never given up, so the number of chunks
/// exceeds its limit while the disk is behind, and shrinks again afterwards.
/// </summary>
/// <remarks>
/// Written by one caller at a time (under the journal's lock), read by any number without a lock: a reader copies first and then
/// looks whether what it copied was still there (<see cref="TryCopy"/>).
/// </remarks>
internal sealed class TailMemory
{
    /// <summary>Size of a chunk, in bytes: a journal that is idle holds one.</summary>
    public const int ChunkBytes = 1024 * 1024;

    private readonly int _chunksMax;
    private byte[]?[] _slots; // chunk n lies in slot n modulo length
    private long _firstChunk;
    private long _nextChunk;
    private long _first;

    /// <param name="start">Where the first byte will be written.</param>
    /// <param name="bytes">How much to keep, in bytes.</param>
    public TailMemory(Position start, long bytes)
    {
        _chunksMax = (int)Math.Max(2, bytes / ChunkBytes);
        _slots = new byte[]?[_chunksMax];
        Reset(start);
    }

    /// <summary>The oldest byte that is here.</summary>
    public Position First => new(Volatile.Read(ref _first));

    /// <summary>Forgets everything; the next byte will be written at the position.</summary>
    public void Reset(Position position)
    {
        Volatile.Write(ref _first, position.Value);
        Interlocked.MemoryBarrier();
        Array.Clear(_slots);
        _firstChunk = _nextChunk = position.Value / ChunkBytes;
    }

    /// <summary>Writes bytes at the position; all before it has been written.</summary>
    /// <param name="position">Where.</param>
    /// <param name="bytes">What.</param>
    /// <param name="onDisk">What lies before it may be given up.</param>
    public void Write(Position position, ReadOnlySpan<byte> bytes, Position onDisk)
    {
        for (var at = position.Value; bytes.Length > 0;)
        {
            var (chunk, offset) = Math.DivRem(at, ChunkBytes);
            var count = (int)Math.Min(bytes.Length, ChunkBytes - offset);
            bytes[..count].CopyTo(Chunk(chunk, onDisk).AsSpan((int)offset));
            bytes = bytes[count..];
            at += count;
        }
    }

    /// <summary>
    /// The bytes from the position on, as far as they lie together. To be used for bytes that cannot be given up meanwhile: those that
    /// are not on disk, by the one who writes them, or by the caller that may write.
    /// </summary>
    public ReadOnlySpan<byte> Piece(Position position, long bytesMax)
    {
        var (chunk, offset) = Math.DivRem(position.Value, ChunkBytes);
        var count = (int)Math.Min(bytesMax, ChunkBytes - offset);
        var slots = Volatile.Read(ref _slots);
        return slots[chunk % slots.Length].AsSpan((int)offset, count);
    }

    /// <summary>Copies bytes that have been written; false when the oldest of them is not here any more.</summary>
    public bool TryCopy(Position from, Span<byte> destination)
    {
        if (from < First)
        {
            return false;
        }

        var slots = Volatile.Read(ref _slots);
        for (var at = from.Value; destination.Length > 0;)
        {
            var (chunk, offset) = Math.DivRem(at, ChunkBytes);
            var count = (int)Math.Min(destination.Length, ChunkBytes - offset);
            if (slots[chunk % slots.Length] is not { } bytes)
            {
                return false;
            }

            bytes.AsSpan((int)offset, count).CopyTo(destination);
            destination = destination[count..];
            at += count;
        }

        // A chunk is given up by moving _first, then reused: what was copied is right if _first has not passed it.
        Interlocked.MemoryBarrier();
        return from >= First;
    }

    private byte[] Chunk(long chunk, Position onDisk)
    {
        if (chunk >= _nextChunk)
        {
            AddChunk(onDisk);
        }

        return _slots[chunk % _slots.Length]!;
    }

    private void AddChunk(Position onDisk)
    {
        byte[]? reused = null;
        while (_nextChunk - _firstChunk >= _chunksMax && (_firstChunk + 1) * ChunkBytes <= onDisk.Value)
        {
            _firstChunk++;
            Volatile.Write(ref _first, _firstChunk * ChunkBytes);
            Interlocked.MemoryBarrier();
            ref var slot = ref _slots[(_firstChunk - 1) % _slots.Length];
            (reused, slot) = (slot, null);
        }

        if (_nextChunk - _firstChunk == _slots.Length)
        {
            var larger = new byte[]?[_slots.Length * 2];
            for (var number = _firstChunk; number < _nextChunk; number++)
            {
                larger[number % larger.Length] = _slots[number % _slots.Length];
            }

            Volatile.Write(ref _slots, larger);
        }

        _slots[_nextChunk % _slots.Length] = reused ?? GC.AllocateUninitializedArray<byte>(ChunkBytes, pinned: true);
        _nextChunk++;
    }
}
