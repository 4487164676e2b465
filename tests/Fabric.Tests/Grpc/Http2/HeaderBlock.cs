using System.Text;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>
/// HPACK (RFC 7541) as far as tests need it. Written are literals without indexing and without Huffman. Read is all but Huffman, which
/// neither the servers nor the clients under test use; a Huffman string reads as <see cref="Huffman"/>.
/// </summary>
internal sealed class HeaderBlock
{
    public const string Huffman = "(huffman)";

    private static readonly (string Name, string Value)[] StaticTable = [.. """
        :authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206
        |:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept
        |access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language
        |content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since
        |if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range
        |referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate
        """.ReplaceLineEndings(string.Empty).Split('|').Select(entry => entry.Split(' ', 2)).Select(
            parts => (parts[0], parts.Length > 1 ? parts[1] : string.Empty))];

    private readonly List<(string Name, string Value)> _dynamic = [];

    public static byte[] Encode(params (string Name, string Value)[] headers) =>
        [.. headers.SelectMany(header => (byte[])[0, .. EncodeText(header.Name), .. EncodeText(header.Value)])];

    /// <summary>A literal that enters the dynamic table.</summary>
    public static byte[] EncodeIndexed(string name, string value) => [0x40, .. EncodeText(name), .. EncodeText(value)];

    public static byte[] EncodeInteger(byte pattern, int prefixBits, int value)
    {
        var limit = (1 << prefixBits) - 1;
        if (value < limit)
        {
            return [(byte)(pattern | value)];
        }

        var bytes = new List<byte> { (byte)(pattern | limit) };
        for (value -= limit; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        return [.. bytes, (byte)value];
    }

    public List<(string Name, string Value)> Decode(ReadOnlySpan<byte> block)
    {
        var headers = new List<(string Name, string Value)>();
        while (!block.IsEmpty)
        {
            var first = block[0];
            if (first >= 0x80)
            {
                headers.Add(Entry(Integer(ref block, 7)));
            }
            else if (first >= 0x40)
            {
                headers.Add(Literal(ref block, 6));
                _dynamic.Insert(0, headers[^1]);
            }
            else if (first >= 0x20)
            {
                if (Integer(ref block, 5) == 0)
                {
                    _dynamic.Clear();
                }
            }
            else
            {
                headers.Add(Literal(ref block, 4));
            }
        }

        return headers;
    }

    private static byte[] EncodeText(string text) => [.. EncodeInteger(0, 7, text.Length), .. Encoding.Latin1.GetBytes(text)];

    private static int Integer(ref ReadOnlySpan<byte> block, int prefixBits)
    {
        var limit = (1 << prefixBits) - 1;
        var value = block[0] & limit;
        block = block[1..];
        for (var shift = 0; value >= limit; shift += 7)
        {
            var next = block[0];
            block = block[1..];
            value += (next & 0x7F) << shift;
            if (next < 0x80)
            {
                break;
            }
        }

        return value;
    }

    private static string Text(ref ReadOnlySpan<byte> block)
    {
        var compressed = block[0] >= 0x80;
        var length = Integer(ref block, 7);
        var text = compressed ? Huffman : Encoding.Latin1.GetString(block[..length]);
        block = block[length..];
        return text;
    }

    private (string Name, string Value) Literal(ref ReadOnlySpan<byte> block, int prefixBits)
    {
        var index = Integer(ref block, prefixBits);
        var name = index == 0 ? Text(ref block) : Entry(index).Name;
        return (name, Text(ref block));
    }

    private (string Name, string Value) Entry(int index) =>
        index <= StaticTable.Length ? StaticTable[index - 1] : _dynamic[index - StaticTable.Length - 1];
}
