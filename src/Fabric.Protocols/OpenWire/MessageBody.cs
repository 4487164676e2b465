using System.Buffers.Binary;
using System.IO.Compression;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// What the content of a message means for its kind (reference §3.1, §3.4). For clients: a broker passes contents on as
/// they are. Null content is an empty body everywhere.
/// </summary>
public static class MessageBody
{
    /// <summary>Default limit for an inflated body, the one that ActiveMQ 6 uses: 100 MiB.</summary>
    public const int InflatedBytesMax = 100 * 1024 * 1024;

    /// <summary>The content without its compression.</summary>
    /// <exception cref="ProtocolException">The content is not what zlib made, or inflates to more than the limit.</exception>
    public static byte[]? GetContent(Message message, int inflatedBytesMax = InflatedBytesMax) =>
        message is { Compressed: true, Content: { } content }
            ? Decompress(content, message is ActiveMQBytesMessage, inflatedBytesMax)
            : message.Content;

    /// <summary>The text of a text message; null is a legal text.</summary>
    /// <exception cref="ProtocolException">The content is no text.</exception>
    public static string? ReadText(ReadOnlySpan<byte> content)
    {
        if (content.IsEmpty)
        {
            return null;
        }

        var reader = new OpenWireReader(content, OpenWireCodec.VersionMax, stackTraceEnabled: false);
        var length = reader.ReadInt();
        if (length < -1)
        {
            throw new ProtocolException($"a text message claims {length} bytes");
        }

        return length == -1 ? null : ModifiedUtf8.Decode(reader.Take(length));
    }

    /// <summary>The content of a text message.</summary>
    public static byte[]? WriteText(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var count = checked((int)ModifiedUtf8.GetByteCount(text));
        var content = new byte[4 + count];
        BinaryPrimitives.WriteInt32BigEndian(content, count);
        ModifiedUtf8.Encode(text, content.AsSpan(4));
        return content;
    }

    /// <summary>The entries of a map message.</summary>
    /// <exception cref="ProtocolException">The content is no map.</exception>
    public static Dictionary<string, object?> ReadMap(ReadOnlySpan<byte> content) => PrimitiveMarshaller.ReadMap(content);

    /// <summary>The content of a map message; an empty map is null content.</summary>
    public static byte[]? WriteMap(IReadOnlyDictionary<string, object?> map) =>
        map.Count == 0 ? null : PrimitiveMarshaller.WriteMap(map);

    /// <summary>The values of a stream message, in order.</summary>
    /// <exception cref="ProtocolException">The content is no sequence of values.</exception>
    public static List<object?> ReadStream(ReadOnlySpan<byte> content) => PrimitiveMarshaller.ReadValues(content);

    /// <summary>The content of a stream message.</summary>
    public static byte[]? WriteStream(IReadOnlyCollection<object?> values) =>
        values.Count == 0 ? null : PrimitiveMarshaller.WriteValues(values);

    /// <summary>Deflates a content as <c>compressed</c> messages carry it (zlib, RFC 1950).</summary>
    /// <param name="content">The content.</param>
    /// <param name="lengthFirst">True for bytes messages, which alone put the inflated length in front.</param>
    public static byte[] Compress(ReadOnlySpan<byte> content, bool lengthFirst)
    {
        var output = new MemoryStream();
        if (lengthFirst)
        {
            Span<byte> length = stackalloc byte[4];
            BinaryPrimitives.WriteInt32BigEndian(length, content.Length);
            output.Write(length);
        }

        using (var zlib = new ZLibStream(output, CompressionLevel.Optimal, leaveOpen: true))
        {
            zlib.Write(content);
        }

        return output.ToArray();
    }

    /// <summary>Inflates the content of a compressed message.</summary>
    /// <param name="content">As it came.</param>
    /// <param name="lengthFirst">True for bytes messages.</param>
    /// <param name="inflatedBytesMax">Limit, in bytes.</param>
    /// <exception cref="ProtocolException">The content is not what zlib made, or inflates to more than the limit.</exception>
    public static byte[] Decompress(byte[] content, bool lengthFirst, int inflatedBytesMax = InflatedBytesMax)
    {
        var skip = lengthFirst ? 4 : 0;
        if (content.Length < skip)
        {
            throw new ProtocolException("a compressed body is too short");
        }

        try
        {
            using var zlib = new ZLibStream(
                new MemoryStream(content, skip, content.Length - skip), CompressionMode.Decompress);
            var output = new MemoryStream();
            var chunk = new byte[8192];
            for (int count; (count = zlib.Read(chunk)) > 0;)
            {
                if (output.Length + count > inflatedBytesMax)
                {
                    throw new ProtocolException($"a compressed body inflates to more than {inflatedBytesMax} bytes");
                }

                output.Write(chunk, 0, count);
            }

            return output.ToArray();
        }
        catch (InvalidDataException exception)
        {
            throw new ProtocolException("a compressed body is damaged", exception);
        }
    }
}
