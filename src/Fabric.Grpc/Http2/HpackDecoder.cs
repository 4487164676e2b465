using System.Buffers;
using System.Text;

namespace Fabric.Grpc.Http2;

/// <summary>
/// Reads the header blocks of one connection, in order (RFC 7541). Whatever is wrong ends the connection, because the table of the two sides
/// may differ from then on. Not thread-safe.
/// </summary>
/// <param name="tableBytesMax">Size of the table that the peer was allowed.</param>
/// <param name="listBytesMax">Largest block, decoded, as the fields count in the table: a small block may refer to a large field many times.</param>
internal sealed class HpackDecoder(int tableBytesMax, int listBytesMax)
{
    private readonly List<HeaderField> _table = []; // the newest is the last
    private int _tableBytes;
    private int? _tableBytesLimit; // when the peer has made it smaller

    /// <exception cref="Http2ConnectionException">The block is malformed or too large.</exception>
    public List<HeaderField> Decode(ReadOnlySpan<byte> block)
    {
        var fields = new List<HeaderField>();
        var size = 0;
        while (!block.IsEmpty)
        {
            var first = block[0];
            if ((first & 0xe0) == 0x20)
            {
                Resize(ReadInteger(ref block, prefixBits: 5), isFirst: fields.Count == 0);
                continue;
            }

            var field = ReadField(first, ref block);
            size += field.TableBytes;
            if (size > listBytesMax)
            {
                throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, $"headers of more than {listBytesMax} bytes");
            }

            fields.Add(field);
        }

        return fields;
    }

    private static Http2ConnectionException Malformed(string what) => new(Http2Error.Compression, what);

    /// <summary>RFC 7541, section 5.1. Nothing here is as large as 2^28.</summary>
    private static int ReadInteger(ref ReadOnlySpan<byte> block, int prefixBits)
    {
        const int ShiftMax = 21;
        var prefixMax = (1 << prefixBits) - 1;
        var value = block[0] & prefixMax;
        block = block[1..];
        if (value < prefixMax)
        {
            return value;
        }

        for (var shift = 0; shift <= ShiftMax; shift += 7)
        {
            if (block.IsEmpty)
            {
                throw Malformed("a header block ends inside a number");
            }

            var octet = block[0];
            block = block[1..];
            value += (octet & 0x7f) << shift;
            if (octet < 0x80)
            {
                return value;
            }
        }

        throw Malformed("a number in a header block is too large");
    }

    private static string ReadText(ref ReadOnlySpan<byte> block)
    {
        if (block.IsEmpty)
        {
            throw Malformed("a header block ends inside a field");
        }

        var isHuffman = (block[0] & 0x80) != 0;
        var length = ReadInteger(ref block, prefixBits: 7);
        if (length > block.Length)
        {
            throw Malformed("a header block ends inside a text");
        }

        var text = block[..length];
        block = block[length..];
        return isHuffman ? ReadHuffman(text) : Encoding.Latin1.GetString(text);
    }

    private static string ReadHuffman(ReadOnlySpan<byte> text)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(HpackHuffman.DecodedBytesMax(text.Length));
        try
        {
            var count = HpackHuffman.Decode(text, buffer);
            return count >= 0 ? Encoding.Latin1.GetString(buffer, 0, count) : throw Malformed("a text in a header block is no Huffman code");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private HeaderField ReadField(byte first, ref ReadOnlySpan<byte> block)
    {
        if ((first & 0x80) != 0)
        {
            return Get(ReadInteger(ref block, prefixBits: 7));
        }

        var isKept = (first & 0xc0) == 0x40;
        var name = ReadInteger(ref block, isKept ? 6 : 4);
        var field = new HeaderField(name == 0 ? ReadText(ref block) : Get(name).Name, ReadText(ref block));
        if (isKept)
        {
            Keep(field);
        }

        return field;
    }

    private HeaderField Get(int index)
    {
        if (index is > 0 && index <= HpackStaticTable.Count)
        {
            return HpackStaticTable.Get(index);
        }

        var place = _table.Count - (index - HpackStaticTable.Count);
        return index > 0 && place >= 0 ? _table[place] : throw Malformed($"there is no header field {index}");
    }

    private void Keep(HeaderField field)
    {
        var limit = _tableBytesLimit ?? tableBytesMax;
        Shrink(limit - field.TableBytes);
        if (field.TableBytes <= limit)
        {
            _table.Add(field);
            _tableBytes += field.TableBytes;
        }
    }

    private void Resize(int bytes, bool isFirst)
    {
        if (!isFirst || bytes > tableBytesMax)
        {
            throw Malformed("a change of the table's size that is not allowed");
        }

        _tableBytesLimit = bytes;
        Shrink(bytes);
    }

    private void Shrink(int bytes)
    {
        var count = 0;
        while (_tableBytes > bytes && count < _table.Count)
        {
            _tableBytes -= _table[count++].TableBytes;
        }

        _table.RemoveRange(0, count);
    }
}
