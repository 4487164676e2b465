using System.Runtime.InteropServices;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Finds a value by the bytes that stand for it on the wire, so that a destination or producer that was seen before costs
/// one hash and one comparison. Direct-mapped: a new entry replaces the one in its slot, so it never grows. Not thread-safe.
/// </summary>
/// <typeparam name="T">What the bytes stand for.</typeparam>
public sealed class BytesCache<T>
    where T : class
{
    /// <summary>Longer keys are not worth remembering.</summary>
    private const int KeyBytesMax = 256;

    private readonly Entry[] _slots;

    /// <param name="capacity">Number of slots, a power of two.</param>
    public BytesCache(int capacity = 256)
    {
        if (capacity <= 0 || (capacity & (capacity - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(capacity), capacity, "a power of two is needed");
        }

        _slots = new Entry[capacity];
    }

    /// <summary>The value last set for these bytes, or null.</summary>
    public T? Get(ReadOnlySpan<byte> key)
    {
        ref var slot = ref Slot(key);
        return slot.Value is not null && key.SequenceEqual(slot.Key) ? slot.Value : null;
    }

    /// <summary>Remembers the value; silently does not when the key is long.</summary>
    public void Set(ReadOnlySpan<byte> key, T value)
    {
        if (key.Length <= KeyBytesMax)
        {
            Slot(key) = new Entry(key.ToArray(), value);
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear() => Array.Clear(_slots);

    private ref Entry Slot(ReadOnlySpan<byte> key)
    {
        // A multiplicative hash over eight bytes at a time; collisions only cost a replaced entry.
        var hash = (ulong)key.Length;
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(key))
        {
            hash = (ulong.RotateLeft(hash, 5) ^ word) * 0x9E3779B97F4A7C15;
        }

        foreach (var last in key[(key.Length & ~7)..])
        {
            hash = (ulong.RotateLeft(hash, 5) ^ last) * 0x9E3779B97F4A7C15;
        }

        return ref _slots[(int)(hash >> 32) & (_slots.Length - 1)];
    }

    private readonly record struct Entry(byte[] Key, T Value);
}

/// <summary>Shares the strings of a connection: ids and names come again with every message. Not thread-safe.</summary>
public sealed class StringCache
{
    private readonly BytesCache<string> _strings = new(512);

    /// <summary>The string that the bytes encode.</summary>
    /// <exception cref="ProtocolException">They are not modified UTF-8.</exception>
    public string Get(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return "";
        }

        var known = _strings.Get(bytes);
        if (known is null)
        {
            known = ModifiedUtf8.Decode(bytes);
            _strings.Set(bytes, known);
        }

        return known;
    }
}
