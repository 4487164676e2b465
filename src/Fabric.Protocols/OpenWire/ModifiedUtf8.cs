using System.Text;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Java's modified UTF-8 (reference §1.6): every UTF-16 unit by itself, one to three bytes; NUL takes two bytes and a
/// supplementary character is two surrogates of three bytes each. Lone surrogates survive.
/// </summary>
public static class ModifiedUtf8
{
    /// <summary>Refuses a text that does not fit where the wire has two bytes for its length.</summary>
    /// <param name="text">The text, or null.</param>
    /// <param name="name">What the caller calls it.</param>
    /// <exception cref="ArgumentException">It takes more than 65,535 bytes.</exception>
    public static void CheckShort(string? text, string name)
    {
        if (text is not null && GetByteCount(text) > ushort.MaxValue)
        {
            throw new ArgumentException($"{name} takes more than {ushort.MaxValue} bytes", name);
        }
    }

    /// <summary>How many bytes the text takes.</summary>
    public static long GetByteCount(ReadOnlySpan<char> text)
    {
        if (IsPlain(text))
        {
            return text.Length;
        }

        long count = 0;
        foreach (var unit in text)
        {
            count += unit is >= '\u0001' and <= '\u007f' ? 1 : unit <= '\u07ff' ? 2 : 3;
        }

        return count;
    }

    /// <summary>Encodes into a span of exactly the length that <see cref="GetByteCount"/> gave.</summary>
    public static void Encode(ReadOnlySpan<char> text, Span<byte> destination)
    {
        if (destination.Length == text.Length)
        {
            Encoding.ASCII.GetBytes(text, destination);
            return;
        }

        var at = 0;
        foreach (var unit in text)
        {
            if (unit is >= '\u0001' and <= '\u007f')
            {
                destination[at++] = (byte)unit;
            }
            else if (unit <= '\u07ff')
            {
                destination[at++] = (byte)(0xC0 | (unit >> 6));
                destination[at++] = (byte)(0x80 | (unit & 0x3F));
            }
            else
            {
                destination[at++] = (byte)(0xE0 | (unit >> 12));
                destination[at++] = (byte)(0x80 | ((unit >> 6) & 0x3F));
                destination[at++] = (byte)(0x80 | (unit & 0x3F));
            }
        }
    }

    /// <summary>Decodes the bytes.</summary>
    /// <exception cref="ProtocolException">They are not modified UTF-8; four-byte sequences are not.</exception>
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        if (Ascii.IsValid(bytes))
        {
            return Encoding.ASCII.GetString(bytes);
        }

        var units = CountUnits(bytes);
        return string.Create(units, bytes, static (text, source) =>
        {
            var at = 0;
            for (var i = 0; i < text.Length; i++)
            {
                int first = source[at];
                if (first < 0x80)
                {
                    text[i] = (char)first;
                    at++;
                }
                else if (first < 0xE0)
                {
                    text[i] = (char)(((first & 0x1F) << 6) | (source[at + 1] & 0x3F));
                    at += 2;
                }
                else
                {
                    text[i] = (char)(((first & 0x0F) << 12) | ((source[at + 1] & 0x3F) << 6) | (source[at + 2] & 0x3F));
                    at += 3;
                }
            }
        });
    }

    /// <summary>Checks the bytes without decoding them.</summary>
    /// <exception cref="ProtocolException">They are not modified UTF-8, or too many when written again: a NUL of one byte is read, and takes two then.</exception>
    public static void Validate(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Contains((byte)0) && bytes.Length + bytes.Count((byte)0) > ushort.MaxValue)
        {
            throw new ProtocolException("a string does not fit into an OpenWire field when its NULs are written as they have to be");
        }

        if (!Ascii.IsValid(bytes))
        {
            CountUnits(bytes);
        }
    }

    private static bool IsPlain(ReadOnlySpan<char> text) => Ascii.IsValid(text) && !text.Contains('\0');

    /// <summary>Checks the whole input and counts the UTF-16 units, so that decoding allocates once and cannot fail.</summary>
    private static int CountUnits(ReadOnlySpan<byte> bytes)
    {
        var units = 0;
        for (var at = 0; at < bytes.Length; units++)
        {
            var first = bytes[at];
            var length = first < 0x80 ? 1 : first is >= 0xC0 and < 0xE0 ? 2 : first is >= 0xE0 and < 0xF0 ? 3 : 0;
            if (length == 0 || length > bytes.Length - at)
            {
                throw new ProtocolException("a string is not valid modified UTF-8");
            }

            for (var i = 1; i < length; i++)
            {
                if ((bytes[at + i] & 0xC0) != 0x80)
                {
                    throw new ProtocolException("a string is not valid modified UTF-8");
                }
            }

            at += length;
        }

        return units;
    }
}
