using System.Buffers;
using System.Collections;
using Fabric.Grpc.Wire;

namespace Fabric.Grpc;

/// <summary>
/// What travels beside the messages: an ordered list of keys with values. A key that ends in <c>-bin</c> has bytes as its value, any
/// other has printable ASCII text. A key may occur several times. Not thread-safe.
/// </summary>
public sealed class GrpcMetadata : IReadOnlyList<GrpcMetadata.Entry>
{
    private const string BinarySuffix = "-bin";
    private static readonly SearchValues<char> KeyCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-.");

    private readonly List<Entry> _entries = [];

    /// <summary>One key with its value.</summary>
    /// <param name="Key">In lower case.</param>
    /// <param name="Text">The text; null when the value is bytes.</param>
    /// <param name="Bytes">The bytes; empty when the value is text.</param>
    public readonly record struct Entry(string Key, string? Text, ReadOnlyMemory<byte> Bytes)
    {
        public bool IsBinary => Text is null;

        internal string WireValue => Text ?? Convert.ToBase64String(Bytes.Span);
    }

    public int Count => _entries.Count;

    public Entry this[int index] => _entries[index];

    /// <summary>Adds a text.</summary>
    /// <exception cref="ArgumentException">The key or the value may not travel.</exception>
    public GrpcMetadata Add(string key, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        key = CheckedKey(key, binary: false);
        if (value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new ArgumentException($"the value of {key} is not printable ASCII; a key that ends in -bin takes any bytes");
        }

        _entries.Add(new Entry(key, value, default));
        return this;
    }

    /// <summary>Adds bytes.</summary>
    /// <exception cref="ArgumentException">The key may not travel or does not end in <c>-bin</c>.</exception>
    public GrpcMetadata Add(string key, ReadOnlyMemory<byte> value)
    {
        _entries.Add(new Entry(CheckedKey(key, binary: true), null, value));
        return this;
    }

    /// <summary>The last text of the key; null when there is none.</summary>
    public string? GetText(string key) => _entries.FindLast(entry => Matches(entry, key)).Text;

    /// <summary>The last bytes of the key; null when there are none.</summary>
    public ReadOnlyMemory<byte>? GetBytes(string key)
    {
        var index = _entries.FindLastIndex(entry => Matches(entry, key));
        return index >= 0 && _entries[index].IsBinary ? _entries[index].Bytes : null;
    }

    public IEnumerator<Entry> GetEnumerator() => _entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Takes in a header as it came; what is not metadata of the application is left out.</summary>
    internal void AddFromWire(string key, string value)
    {
        key = key.ToLowerInvariant();
        if (WireNames.IsReserved(key))
        {
            return;
        }

        if (!key.EndsWith(BinarySuffix, StringComparison.Ordinal))
        {
            _entries.Add(new Entry(key, value, default));
            return;
        }

        // Several values of one key may have been joined with commas, which base64 never contains.
        foreach (var part in value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (TryDecode(part, out var bytes))
            {
                _entries.Add(new Entry(key, null, bytes));
            }
        }
    }

    private static bool Matches(Entry entry, string key) => string.Equals(entry.Key, key, StringComparison.OrdinalIgnoreCase);

    /// <summary>Base64 with or without padding: the specification allows both.</summary>
    private static bool TryDecode(string text, out byte[] bytes)
    {
        var padded = text.PadRight((text.Length + 3) / 4 * 4, '=');
        bytes = new byte[padded.Length / 4 * 3];
        if (!Convert.TryFromBase64String(padded, bytes, out var count))
        {
            return false;
        }

        bytes = bytes[..count];
        return true;
    }

    private static string CheckedKey(string key, bool binary)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        key = key.ToLowerInvariant();
        if (key.AsSpan().ContainsAnyExcept(KeyCharacters) || WireNames.IsReserved(key))
        {
            throw new ArgumentException($"'{key}' cannot be a metadata key");
        }

        if (key.EndsWith(BinarySuffix, StringComparison.Ordinal) != binary)
        {
            throw new ArgumentException($"'{key}': keys that end in -bin take bytes, others take text");
        }

        return key;
    }
}
