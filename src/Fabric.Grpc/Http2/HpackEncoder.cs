using System.Buffers;
using System.Text;

namespace Fabric.Grpc.Http2;

/// <summary>
/// Writes header blocks (RFC 7541) with the static table and plain text only. It keeps no table of its own, so the peer needs none for us and
/// blocks may be written in any order; a call has one or two, of some hundred bytes. Thread-safe.
/// </summary>
internal static class HpackEncoder
{
    private const byte Indexed = 0x80;
    private const byte LiteralNotIndexed = 0x00;

    public static void Write(IReadOnlyList<HeaderField> fields, IBufferWriter<byte> output)
    {
        foreach (var field in fields)
        {
            if (HpackStaticTable.IndexOf(field) is > 0 and var whole)
            {
                WriteInteger(output, Indexed, prefixBits: 7, whole);
                continue;
            }

            var name = HpackStaticTable.IndexOf(field.Name);
            WriteInteger(output, LiteralNotIndexed, prefixBits: 4, name);
            if (name == 0)
            {
                WriteText(output, field.Name);
            }

            WriteText(output, field.Value);
        }
    }

    private static void WriteText(IBufferWriter<byte> output, string text)
    {
        WriteInteger(output, 0, prefixBits: 7, text.Length);
        Encoding.Latin1.GetBytes(text, output);
    }

    /// <summary>RFC 7541, section 5.1.</summary>
    private static void WriteInteger(IBufferWriter<byte> output, byte pattern, int prefixBits, int value)
    {
        Span<byte> bytes = stackalloc byte[6];
        var count = 0;
        var prefixMax = (1 << prefixBits) - 1;
        if (value < prefixMax)
        {
            bytes[count++] = (byte)(pattern | value);
        }
        else
        {
            bytes[count++] = (byte)(pattern | prefixMax);
            for (value -= prefixMax; value >= 0x80; value >>= 7)
            {
                bytes[count++] = (byte)(value | 0x80);
            }

            bytes[count++] = (byte)value;
        }

        output.Write(bytes[..count]);
    }
}
