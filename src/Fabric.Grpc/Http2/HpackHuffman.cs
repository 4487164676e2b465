namespace Fabric.Grpc.Http2;

/// <summary>
/// The Huffman code of header text (RFC 7541, appendix B). It is canonical: codes of one length follow each other in the order of their
/// symbols, so the lengths say all. Only read here; what we write goes as it is, which every peer must take.
/// </summary>
internal static class HpackHuffman
{
    private const int LengthMin = 5;
    private const int LengthMax = 30;
    private const int EndOfString = 256;
    private const int PaddingBitsMax = 7;

    /// <summary>Bits of each symbol's code; the last is the end of a string, of which only the first bits may occur, as padding.</summary>
    private static ReadOnlySpan<byte> Lengths =>
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
        28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
        6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
        21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
        19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ];

    /// <summary>Symbols by length, then by value.</summary>
    private static readonly short[] Symbols = [.. Enumerable.Range(0, EndOfString + 1).Select(symbol => (short)symbol).OrderBy(symbol => Lengths[symbol])];

    /// <summary>Per length: the first code, how many there are, and the place of the first in <see cref="Symbols"/>.</summary>
    private static readonly (int First, int Count, int Place)[] ByLength = Order();

    /// <summary>Decodes a string.</summary>
    /// <returns>Bytes written; -1 when the text is no valid code, or does not fit.</returns>
    public static int Decode(ReadOnlySpan<byte> text, Span<byte> output)
    {
        var (code, length, count) = (0, 0, 0);
        foreach (var octet in text)
        {
            for (var bit = 7; bit >= 0; bit--)
            {
                code = (code << 1) | ((octet >> bit) & 1);
                length++;
                if (length < LengthMin)
                {
                    continue;
                }

                if (length > LengthMax)
                {
                    return -1;
                }

                var (first, symbols, place) = ByLength[length];
                if (code - first is var index && index >= 0 && index < symbols)
                {
                    var symbol = Symbols[place + index];
                    if (symbol == EndOfString || count == output.Length)
                    {
                        return -1;
                    }

                    output[count++] = (byte)symbol;
                    (code, length) = (0, 0);
                }
            }
        }

        // What is left must be the beginning of the end of a string: ones, fewer than an octet.
        return length <= PaddingBitsMax && code == (1 << length) - 1 ? count : -1;
    }

    /// <summary>Bytes that a text of so many bytes decodes to at most.</summary>
    public static int DecodedBytesMax(int bytes) => bytes * 8 / LengthMin;

    private static (int First, int Count, int Place)[] Order()
    {
        var order = new (int First, int Count, int Place)[LengthMax + 1];
        var (code, place) = (0, 0);
        for (var length = 1; length <= LengthMax; length++)
        {
            code <<= 1;
            var count = Lengths.Count((byte)length);
            order[length] = (code, count, place);
            code += count;
            place += count;
        }

        return order;
    }
}
