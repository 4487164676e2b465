using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Fabric.ZooKeeper.Jute;

/// <summary>Writes jute fields: big endian, no tags, -1 as the length of null.</summary>
internal readonly struct JuteWriter(IBufferWriter<byte> output)
{
    private const int NullLength = -1;

    public void WriteBoolean(bool value) => WriteByte(value ? (byte)1 : (byte)0);

    public void WriteByte(byte value)
    {
        output.GetSpan(1)[0] = value;
        output.Advance(1);
    }

    public void WriteInt32(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(output.GetSpan(sizeof(int)), value);
        output.Advance(sizeof(int));
    }

    public void WriteInt64(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(output.GetSpan(sizeof(long)), value);
        output.Advance(sizeof(long));
    }

    public void WriteBuffer(byte[]? value)
    {
        if (value is null)
        {
            WriteInt32(NullLength);
            return;
        }

        WriteInt32(value.Length);
        output.Write(value);
    }

    public void WriteString(string? value)
    {
        if (value is null)
        {
            WriteInt32(NullLength);
            return;
        }

        var length = Encoding.UTF8.GetByteCount(value);
        var span = output.GetSpan(sizeof(int) + length);
        BinaryPrimitives.WriteInt32BigEndian(span, length);
        Encoding.UTF8.GetBytes(value, span[sizeof(int)..]);
        output.Advance(sizeof(int) + length);
    }

    public void WriteStrings(IReadOnlyCollection<string> values)
    {
        WriteInt32(values.Count);
        foreach (var value in values)
        {
            WriteString(value);
        }
    }
}
