using System.Buffers.Binary;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Writes the loose encoding (reference §1.6) into a buffer of its own, which it keeps from frame to frame. Not thread-safe.
/// </summary>
/// <param name="version">Negotiated version, 1 to 12.</param>
/// <param name="stackTraceEnabled">Whether exceptions carry stack traces and causes.</param>
public sealed class OpenWireWriter(int version, bool stackTraceEnabled)
{
    private const int StringBytesMax = 65535;
    private const int KeptBufferBytesMax = 256 * 1024;

    private byte[] _buffer = new byte[512];
    private int _length;

    /// <summary>Negotiated version.</summary>
    public int Version { get; } = version;

    /// <summary>What was written since <see cref="Clear"/>. Valid until the next write.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>Starts over, and gives back a buffer that one large frame has blown up.</summary>
    public void Clear()
    {
        _length = 0;
        if (_buffer.Length > KeptBufferBytesMax)
        {
            _buffer = new byte[512];
        }
    }

    /// <summary>Appends one frame: size, type byte and fields.</summary>
    /// <param name="value">The command; null writes the null command, which receivers ignore.</param>
    /// <exception cref="ArgumentException">A text does not fit into its field; nothing has been written.</exception>
    public void WriteFrame(IDataStructure? value)
    {
        var start = _length;
        WriteInt(0);
        try
        {
            if (value is null)
            {
                WriteByte((byte)DataType.Null);
            }
            else
            {
                WriteObject(value);
            }
        }
        catch
        {
            _length = start;
            throw;
        }

        BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(start), _length - start - 4);
    }

    /// <summary>The type byte and the fields.</summary>
    public void WriteObject(IDataStructure value)
    {
        WriteByte((byte)value.DataType);
        value.WriteFields(this);
    }

    public void WriteBoolean(bool value) => WriteByte(value ? (byte)1 : (byte)0);

    public void WriteByte(byte value) => Reserve(1)[0] = value;

    public void WriteShort(short value) => BinaryPrimitives.WriteInt16BigEndian(Reserve(2), value);

    public void WriteInt(int value) => BinaryPrimitives.WriteInt32BigEndian(Reserve(4), value);

    public void WriteLong(long value) => BinaryPrimitives.WriteInt64BigEndian(Reserve(8), value);

    /// <exception cref="ArgumentException">The string takes more than 65535 bytes.</exception>
    public void WriteString(string? value)
    {
        WriteBoolean(value is not null);
        if (value is null)
        {
            return;
        }

        WriteShortText(value);
    }

    /// <summary>Presence flag, length and bytes.</summary>
    public void WriteBytes(byte[]? value)
    {
        WriteBoolean(value is not null);
        if (value is not null)
        {
            WriteInt(value.Length);
            WriteRaw(value);
        }
    }

    /// <summary>The bytes alone.</summary>
    public void WriteRaw(ReadOnlySpan<byte> value) => value.CopyTo(Reserve(value.Length));

    /// <summary>Presence flag, type byte and fields.</summary>
    public void WriteNested(IDataStructure? value)
    {
        WriteBoolean(value is not null);
        if (value is not null)
        {
            WriteObject(value);
        }
    }

    /// <exception cref="ArgumentException">More than 32767 elements.</exception>
    public void WriteArray(IReadOnlyList<IDataStructure?>? values)
    {
        WriteBoolean(values is not null);
        if (values is null)
        {
            return;
        }

        if (values.Count > short.MaxValue)
        {
            throw new ArgumentException($"an array of {values.Count} elements does not fit into an OpenWire field");
        }

        WriteShort((short)values.Count);
        foreach (var value in values)
        {
            WriteNested(value);
        }
    }

    /// <summary>An exception (reference §1.7). Texts that are too long for their fields are cut: they are for people, and may quote what the peer has sent.</summary>
    public void WriteException(BrokerError? error)
    {
        WriteBoolean(error is not null);
        if (error is null)
        {
            return;
        }

        WriteString(Cut(error.ClassName));
        WriteString(Cut(error.Message));
        if (!stackTraceEnabled)
        {
            return;
        }

        WriteShort((short)Math.Min(error.StackTrace.Count, short.MaxValue));
        foreach (var element in error.StackTrace.Take(short.MaxValue))
        {
            WriteString(Cut(element.ClassName));
            WriteString(Cut(element.MethodName));
            WriteString(Cut(element.FileName));
            WriteInt(element.LineNumber);
        }

        WriteException(error.Cause);
    }

    /// <summary>A text with a two-byte length and no presence flag.</summary>
    internal void WriteShortText(string value)
    {
        var count = ModifiedUtf8.GetByteCount(value);
        if (count > StringBytesMax)
        {
            throw new ArgumentException($"a string of {count} bytes does not fit into an OpenWire field (at most {StringBytesMax})");
        }

        WriteShort((short)(ushort)count);
        ModifiedUtf8.Encode(value, Reserve((int)count));
    }

    /// <summary>A text with a four-byte length and no presence flag.</summary>
    internal void WriteLongText(string value)
    {
        var count = checked((int)ModifiedUtf8.GetByteCount(value));
        WriteInt(count);
        ModifiedUtf8.Encode(value, Reserve(count));
    }

    /// <summary>What surely fits: a character takes three bytes at most.</summary>
    private static string? Cut(string? text) => text is { Length: > StringBytesMax / 3 } && ModifiedUtf8.GetByteCount(text) > StringBytesMax
        ? $"{text.AsSpan(0, (StringBytesMax / 3) - 1)}…"
        : text;

    private Span<byte> Reserve(int count)
    {
        if (count > _buffer.Length - _length)
        {
            Array.Resize(ref _buffer, (int)Math.Min(Array.MaxLength, Math.Max(2L * _buffer.Length, (long)_length + count)));
        }

        var span = _buffer.AsSpan(_length, count);
        _length += count;
        return span;
    }
}
