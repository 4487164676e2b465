using System.Buffers.Binary;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Primitive maps, lists and values (reference §3.2): message properties, map and stream bodies, the properties of
/// <see cref="Commands.WireFormatInfo"/>. Values are null, <see cref="bool"/>, <see cref="sbyte"/> (Java's byte),
/// <see cref="char"/>, <see cref="short"/>, <see cref="int"/>, <see cref="long"/>, <see cref="double"/>,
/// <see cref="float"/>, <see cref="string"/>, <see cref="byte"/>[], maps and lists. The same in all versions.
/// </summary>
public static class PrimitiveMarshaller
{
    /// <summary>Maps and lists within one another.</summary>
    public const int DepthMax = 32;

    /// <summary>Java writes strings of this many characters and more in the form with the long length.</summary>
    private const int BigStringLength = 8191;

    internal enum Kind : byte
    {
        Null = 0,
        Boolean = 1,
        Byte = 2,
        Char = 3,
        Short = 4,
        Int = 5,
        Long = 6,
        Double = 7,
        Float = 8,
        String = 9,
        Bytes = 10,
        Map = 11,
        List = 12,
        BigString = 13,
    }

    /// <summary>Decodes a map; null and the count -1 give an empty one.</summary>
    /// <exception cref="ProtocolException">The bytes are not a map.</exception>
    public static Dictionary<string, object?> ReadMap(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return [];
        }

        var reader = new OpenWireReader(bytes, OpenWireCodec.VersionMax, stackTraceEnabled: false);
        return ReadMap(ref reader, 1) ?? [];
    }

    /// <summary>Decodes values until the end, as a stream message holds them.</summary>
    /// <exception cref="ProtocolException">The bytes are not values.</exception>
    public static List<object?> ReadValues(ReadOnlySpan<byte> bytes)
    {
        var reader = new OpenWireReader(bytes, OpenWireCodec.VersionMax, stackTraceEnabled: false);
        var values = new List<object?>();
        while (reader.Remaining > 0)
        {
            values.Add(ReadValue(ref reader, 1));
        }

        return values;
    }

    /// <summary>Encodes a map.</summary>
    /// <exception cref="ArgumentException">A value is of a type that has no form on the wire.</exception>
    public static byte[] WriteMap(IReadOnlyDictionary<string, object?> map)
    {
        var writer = new OpenWireWriter(OpenWireCodec.VersionMax, stackTraceEnabled: false);
        WriteMap(writer, map);
        return writer.Written.ToArray();
    }

    /// <summary>Encodes values one after the other, without a count.</summary>
    /// <exception cref="ArgumentException">A value is of a type that has no form on the wire.</exception>
    public static byte[] WriteValues(IEnumerable<object?> values)
    {
        var writer = new OpenWireWriter(OpenWireCodec.VersionMax, stackTraceEnabled: false);
        foreach (var value in values)
        {
            WriteValue(writer, value);
        }

        return writer.Written.ToArray();
    }

    internal static object? ReadValue(ref OpenWireReader reader, int depth)
    {
        var kind = (Kind)reader.ReadByte();
        return kind switch
        {
            Kind.Null => null,
            Kind.Boolean => reader.ReadBoolean(),
            Kind.Byte => (sbyte)reader.ReadByte(),
            Kind.Char => (char)reader.ReadShort(),
            Kind.Short => reader.ReadShort(),
            Kind.Int => reader.ReadInt(),
            Kind.Long => reader.ReadLong(),
            Kind.Double => BitConverter.Int64BitsToDouble(reader.ReadLong()),
            Kind.Float => BitConverter.Int32BitsToSingle(reader.ReadInt()),
            Kind.String => ModifiedUtf8.Decode(reader.Take(ReadUShort(ref reader))),
            Kind.BigString => ModifiedUtf8.Decode(reader.Take(reader.ReadLength())),
            Kind.Bytes => reader.Take(reader.ReadLength()).ToArray(),
            Kind.Map => ReadMap(ref reader, depth + 1),
            Kind.List => ReadList(ref reader, depth + 1),
            _ => throw new ProtocolException($"unknown type {(int)kind} in a primitive map"),
        };
    }

    /// <summary>Moves past a value without looking at it, except that its lengths must fit.</summary>
    internal static void SkipValue(ref OpenWireReader reader, int depth)
    {
        var kind = (Kind)reader.ReadByte();
        switch (kind)
        {
            case Kind.Null:
                break;
            case Kind.Boolean or Kind.Byte:
                reader.Take(1);
                break;
            case Kind.Char or Kind.Short:
                reader.Take(2);
                break;
            case Kind.Int or Kind.Float:
                reader.Take(4);
                break;
            case Kind.Long or Kind.Double:
                reader.Take(8);
                break;
            case Kind.String:
                reader.Take(ReadUShort(ref reader));
                break;
            case Kind.BigString or Kind.Bytes:
                reader.Take(reader.ReadLength());
                break;
            case Kind.Map or Kind.List:
                CheckDepth(depth + 1);
                for (var left = ReadCount(ref reader); left > 0; left--)
                {
                    if (kind == Kind.Map)
                    {
                        reader.Take(ReadUShort(ref reader));
                    }

                    SkipValue(ref reader, depth + 1);
                }

                break;
            default:
                throw new ProtocolException($"unknown type {(int)kind} in a primitive map");
        }
    }

    internal static int ReadUShort(ref OpenWireReader reader) =>
        BinaryPrimitives.ReadUInt16BigEndian(reader.Take(2));

    /// <summary>A count of entries, each of at least one byte; -1 (a null map) counts as 0.</summary>
    internal static int ReadCount(ref OpenWireReader reader)
    {
        var count = reader.ReadInt();
        return count < -1 || count > reader.Remaining
            ? throw new ProtocolException($"a primitive map claims {count} entries in {reader.Remaining} bytes")
            : Math.Max(count, 0);
    }

    private static Dictionary<string, object?>? ReadMap(ref OpenWireReader reader, int depth)
    {
        CheckDepth(depth);
        var count = ReadCount(ref reader);
        var map = new Dictionary<string, object?>(Math.Min(count, 64));
        for (; count > 0; count--)
        {
            var key = ModifiedUtf8.Decode(reader.Take(ReadUShort(ref reader)));
            map[key] = ReadValue(ref reader, depth);
        }

        return map;
    }

    private static List<object?> ReadList(ref OpenWireReader reader, int depth)
    {
        CheckDepth(depth);
        var count = ReadCount(ref reader);
        var list = new List<object?>(Math.Min(count, 64));
        for (; count > 0; count--)
        {
            list.Add(ReadValue(ref reader, depth));
        }

        return list;
    }

    private static void CheckDepth(int depth)
    {
        if (depth > DepthMax)
        {
            throw new ProtocolException($"maps and lists are nested more than {DepthMax} deep");
        }
    }

    private static void WriteMap(OpenWireWriter writer, IReadOnlyDictionary<string, object?> map)
    {
        writer.WriteInt(map.Count);
        foreach (var (key, value) in map)
        {
            writer.WriteShortText(key);
            WriteValue(writer, value);
        }
    }

    private static void WriteValue(OpenWireWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteByte((byte)Kind.Null);
                break;
            case bool boolean:
                writer.WriteByte((byte)Kind.Boolean);
                writer.WriteBoolean(boolean);
                break;
            case sbyte number:
                writer.WriteByte((byte)Kind.Byte);
                writer.WriteByte((byte)number);
                break;
            case char unit:
                writer.WriteByte((byte)Kind.Char);
                writer.WriteShort((short)unit);
                break;
            case short number:
                writer.WriteByte((byte)Kind.Short);
                writer.WriteShort(number);
                break;
            case int number:
                writer.WriteByte((byte)Kind.Int);
                writer.WriteInt(number);
                break;
            case long number:
                writer.WriteByte((byte)Kind.Long);
                writer.WriteLong(number);
                break;
            case double number:
                writer.WriteByte((byte)Kind.Double);
                writer.WriteLong(BitConverter.DoubleToInt64Bits(number));
                break;
            case float number:
                writer.WriteByte((byte)Kind.Float);
                writer.WriteInt(BitConverter.SingleToInt32Bits(number));
                break;
            default:
                WriteLongerValue(writer, value);
                break;
        }
    }

    private static void WriteLongerValue(OpenWireWriter writer, object value)
    {
        switch (value)
        {
            case string { Length: < BigStringLength } text:
                writer.WriteByte((byte)Kind.String);
                writer.WriteShortText(text);
                break;
            case string text:
                writer.WriteByte((byte)Kind.BigString);
                writer.WriteLongText(text);
                break;
            case byte[] bytes:
                writer.WriteByte((byte)Kind.Bytes);
                writer.WriteInt(bytes.Length);
                writer.WriteRaw(bytes);
                break;
            case IReadOnlyDictionary<string, object?> map:
                writer.WriteByte((byte)Kind.Map);
                WriteMap(writer, map);
                break;
            case IReadOnlyCollection<object?> list:
                writer.WriteByte((byte)Kind.List);
                writer.WriteInt(list.Count);
                foreach (var element in list)
                {
                    WriteValue(writer, element);
                }

                break;
            default:
                throw new ArgumentException($"a value of type {value.GetType()} has no form in a primitive map");
        }
    }
}
