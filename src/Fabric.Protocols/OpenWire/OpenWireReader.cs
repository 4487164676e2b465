using System.Buffers.Binary;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Reads the loose encoding (reference §1.6) from the bytes of one frame. Nothing is allocated from a length that was not
/// first compared with the bytes left in the frame, and nesting is limited, so hostile input costs no more than its size.
/// </summary>
/// <remarks>All methods throw <see cref="ProtocolException"/> when the frame ends too early or holds what it must not.</remarks>
public ref partial struct OpenWireReader
{
    /// <summary>
    /// Objects within objects. The deepest honest frame is a dispatch of an advisory about a message, or an exception with
    /// a long chain of causes; Java programs rarely reach ten of those.
    /// </summary>
    internal const int DepthMax = 64;

    private readonly ReadOnlySpan<byte> _frame;
    private readonly StringCache? _strings;
    private int _depth;

    /// <summary>Reads a frame, or any part of one that starts at a field.</summary>
    /// <param name="frame">The bytes after the size field.</param>
    /// <param name="version">Negotiated version, 1 to 12.</param>
    /// <param name="stackTraceEnabled">Whether exceptions carry stack traces and causes.</param>
    /// <param name="strings">Shares equal strings of a connection, or null.</param>
    public OpenWireReader(ReadOnlySpan<byte> frame, int version, bool stackTraceEnabled, StringCache? strings = null)
    {
        _frame = frame;
        _strings = strings;
        Version = version;
        StackTraceEnabled = stackTraceEnabled;
    }

    /// <summary>Negotiated version.</summary>
    public int Version { get; }

    /// <summary>Negotiated: exceptions carry stack traces and causes.</summary>
    public bool StackTraceEnabled { get; }

    /// <summary>Offset of the next byte.</summary>
    public int Position { get; private set; }

    /// <summary>Bytes left in the frame.</summary>
    public readonly int Remaining => _frame.Length - Position;

    public bool ReadBoolean() => ReadByte() != 0;

    public byte ReadByte() => Take(1)[0];

    public short ReadShort() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int ReadInt() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public long ReadLong() => BinaryPrimitives.ReadInt64BigEndian(Take(8));

    /// <summary>A string of at most 65535 bytes, or null.</summary>
    public string? ReadString()
    {
        if (!ReadBoolean())
        {
            return null;
        }

        var bytes = Take(BinaryPrimitives.ReadUInt16BigEndian(Take(2)));
        if (bytes.Length > ushort.MaxValue / 2)
        {
            ModifiedUtf8.Validate(bytes); // what is read can be written again
        }

        return _strings is null ? ModifiedUtf8.Decode(bytes) : _strings.Get(bytes);
    }

    /// <summary>A byte array, copied, or null.</summary>
    public byte[]? ReadBytes() => ReadBoolean() ? Take(ReadLength()).ToArray() : null;

    /// <summary>Bytes without presence flag and length.</summary>
    public byte[] ReadRaw(int length) => Take(length).ToArray();

    /// <summary>The next bytes, not copied.</summary>
    public ReadOnlySpan<byte> Take(int length)
    {
        if (length > Remaining)
        {
            throw new ProtocolException("a frame ends in the middle of a field");
        }

        var bytes = _frame.Slice(Position, length);
        Position += length;
        return bytes;
    }

    /// <summary>An object with its presence flag and type byte, or null.</summary>
    public T? ReadNested<T>()
        where T : class, IDataStructure
    {
        if (!ReadBoolean())
        {
            return null;
        }

        var value = ReadObject();
        return value as T ?? throw new ProtocolException($"a {value.DataType} stands where {typeof(T).Name} belongs");
    }

    /// <summary>An array of objects, elements may be null; or null.</summary>
    public T?[]? ReadArray<T>()
        where T : class, IDataStructure
    {
        if (!ReadBoolean())
        {
            return null;
        }

        int count = ReadShort();
        if (count < 0 || count > Remaining)
        {
            throw new ProtocolException($"an array claims {count} elements in {Remaining} bytes");
        }

        var elements = new T?[count];
        for (var i = 0; i < count; i++)
        {
            elements[i] = ReadNested<T>();
        }

        return elements;
    }

    /// <summary>An exception (reference §1.7), or null.</summary>
    public BrokerError? ReadException()
    {
        if (!ReadBoolean())
        {
            return null;
        }

        Enter();
        var className = ReadString();
        var message = ReadString();
        BrokerError? cause = null;
        StackTraceElement[] stackTrace = [];
        if (StackTraceEnabled)
        {
            stackTrace = ReadStackTrace();
            cause = ReadException();
        }

        _depth--;
        return new BrokerError(className ?? "", message, stackTrace, cause);
    }

    private StackTraceElement[] ReadStackTrace()
    {
        int count = ReadShort();
        if (count < 0 || count > Remaining)
        {
            throw new ProtocolException($"a stack trace claims {count} elements in {Remaining} bytes");
        }

        var elements = new StackTraceElement[count];
        for (var i = 0; i < count; i++)
        {
            elements[i] = new StackTraceElement(ReadString(), ReadString(), ReadString(), ReadInt());
        }

        return elements;
    }

    /// <summary>A four-byte length that was compared with the bytes left.</summary>
    internal int ReadLength()
    {
        var length = ReadInt();
        if (length < 0 || length > Remaining)
        {
            throw new ProtocolException($"a field claims {length} bytes where {Remaining} are left");
        }

        return length;
    }

    private void Enter()
    {
        if (++_depth > DepthMax)
        {
            throw new ProtocolException($"objects are nested more than {DepthMax} deep");
        }
    }
}
