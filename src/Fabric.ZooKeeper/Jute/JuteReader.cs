using System.Buffers.Binary;
using System.Text;

namespace Fabric.ZooKeeper.Jute;

/// <summary>
/// Reads jute fields from the bytes of one frame. Every length is checked against what is left of the frame before
/// anything is allocated. All integers are big endian; a length of -1 stands for null.
/// </summary>
internal ref struct JuteReader(ReadOnlySpan<byte> bytes)
{
    private const int NullLength = -1;

    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>Bytes not read yet.</summary>
    public readonly int Remaining => _rest.Length;

    public bool ReadBoolean() => Take(1)[0] != 0;

    public byte ReadByte() => Take(1)[0];

    public int ReadInt32() => BinaryPrimitives.ReadInt32BigEndian(Take(sizeof(int)));

    public long ReadInt64() => BinaryPrimitives.ReadInt64BigEndian(Take(sizeof(long)));

    /// <summary>A <c>buffer</c>: a copy of its bytes, or null.</summary>
    public byte[]? ReadBuffer()
    {
        var length = ReadLength();
        return length switch
        {
            NullLength => null,
            0 => [],
            _ => Take(length).ToArray(),
        };
    }

    /// <summary>A <c>ustring</c>, or null. Bytes that are not UTF-8 become U+FFFD, as in the Java library.</summary>
    public string? ReadString()
    {
        var length = ReadLength();
        return length == NullLength ? null : Encoding.UTF8.GetString(Take(length));
    }

    /// <summary>A <c>ustring</c> that the protocol does not allow to be null, a path for example.</summary>
    /// <exception cref="JuteException">It is null.</exception>
    public string ReadRequiredString() => ReadString() ?? throw new JuteException("a required string is null");

    /// <summary>The number of elements of a <c>vector</c>, or -1 for null.</summary>
    /// <param name="elementLengthMin">Bytes that one element takes at least; bounds the count by what is left.</param>
    public int ReadCount(int elementLengthMin)
    {
        var count = ReadInt32();
        if (count < NullLength || (long)count * elementLengthMin > _rest.Length)
        {
            throw new JuteException($"a vector of {count} elements does not fit into the {_rest.Length} bytes left");
        }

        return count;
    }

    /// <summary>A <c>vector&lt;ustring&gt;</c>; null is read as empty.</summary>
    public string[] ReadStrings()
    {
        var count = ReadCount(sizeof(int));
        if (count <= 0)
        {
            return [];
        }

        var strings = new string[count];
        for (var i = 0; i < count; i++)
        {
            strings[i] = ReadRequiredString();
        }

        return strings;
    }

    private int ReadLength()
    {
        var length = ReadInt32();
        return length < NullLength || length > _rest.Length
            ? throw new JuteException($"a length of {length} does not fit into the {_rest.Length} bytes left")
            : length;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _rest.Length)
        {
            throw new JuteException($"{count} bytes wanted, {_rest.Length} left");
        }

        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }
}
