using System.Buffers;
using System.Buffers.Binary;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Frames in and out (reference §1.1). Stateless and pure; the caller owns buffers, caches and the connection.
/// <code>
/// +----------------+-----------+---------------------------+
/// | size  (i32)    | type (u8) | fields                    |
/// +----------------+-----------+---------------------------+
///    size = number of bytes after the size field
/// </code>
/// </summary>
public static class OpenWireCodec
{
    /// <summary>The version that Java clients since 5.14 speak, and the newest there is.</summary>
    public const int VersionMax = 12;

    /// <summary>Length of the size field, in bytes.</summary>
    public const int SizeBytes = 4;

    /// <summary>
    /// Takes one whole frame off the front of what was received. The size is checked before anything else, so a hostile
    /// one is refused when its four bytes are there.
    /// </summary>
    /// <param name="buffer">What was received; advanced past the frame when there is one.</param>
    /// <param name="maxFrameSize">Largest size that is accepted, in bytes after the size field.</param>
    /// <param name="frame">The frame from its type byte on; a slice of the buffer, not a copy.</param>
    /// <returns>False when the frame is not complete yet; the buffer is unchanged then.</returns>
    /// <exception cref="ProtocolException">The size is below 1 or above the limit.</exception>
    public static bool TryReadFrame(
        ref ReadOnlySequence<byte> buffer, long maxFrameSize, out ReadOnlySequence<byte> frame)
    {
        frame = default;
        if (buffer.Length < SizeBytes)
        {
            return false;
        }

        var size = ReadSize(buffer);
        if (size < 1 || size > maxFrameSize)
        {
            throw new ProtocolException($"frame of {size} bytes; at least 1 and at most {maxFrameSize} are accepted");
        }

        if (buffer.Length - SizeBytes < size)
        {
            return false;
        }

        frame = buffer.Slice(SizeBytes, size);
        buffer = buffer.Slice(frame.End);
        return true;
    }

    /// <summary>
    /// Decodes a frame completely. Bytes after the last field are an error: a peer whose sizes and contents disagree is lost.
    /// </summary>
    /// <param name="frame">The frame from its type byte on.</param>
    /// <param name="version">Negotiated version, 1 to 12.</param>
    /// <param name="stackTraceEnabled">Whether exceptions carry stack traces and causes.</param>
    /// <param name="strings">Shares equal strings of a connection, or null.</param>
    /// <returns>The command or other data structure; null for the null command.</returns>
    /// <exception cref="ProtocolException">The frame is not well formed or of an unknown type.</exception>
    public static IDataStructure? Decode(
        ReadOnlySpan<byte> frame, int version, bool stackTraceEnabled = false, StringCache? strings = null)
    {
        var reader = new OpenWireReader(frame, version, stackTraceEnabled, strings);
        if (frame is [(byte)DataType.Null])
        {
            return null;
        }

        var value = reader.ReadObject();
        return reader.Remaining == 0
            ? value
            : throw new ProtocolException($"a {value.DataType} is followed by {reader.Remaining} bytes too many");
    }

    /// <summary>Encodes one frame, size field included.</summary>
    public static byte[] Encode(IDataStructure? value, int version = VersionMax, bool stackTraceEnabled = false)
    {
        var writer = new OpenWireWriter(version, stackTraceEnabled);
        writer.WriteFrame(value);
        return writer.Written.ToArray();
    }

    private static int ReadSize(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.FirstSpan.Length >= SizeBytes)
        {
            return BinaryPrimitives.ReadInt32BigEndian(buffer.FirstSpan);
        }

        Span<byte> size = stackalloc byte[SizeBytes];
        buffer.Slice(0, SizeBytes).CopyTo(size);
        return BinaryPrimitives.ReadInt32BigEndian(size);
    }
}
