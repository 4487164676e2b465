using System.Buffers;
using System.Buffers.Binary;

namespace Fabric.ZooKeeper.Jute;

/// <summary>
/// Framing, in both directions (reference §1.1):
/// <code>
/// +--------+------------------+
/// | int n  | n bytes          |   n excludes itself, 1 ≤ n ≤ the receiver's limit
/// +--------+------------------+
/// </code>
/// </summary>
internal static class JuteFrame
{
    /// <summary>Length of the length.</summary>
    public const int HeaderLength = sizeof(int);

    /// <summary>Largest frame that a server accepts unless told otherwise (jute.maxbuffer), in bytes, inclusive.</summary>
    public const int DefaultServerLengthMax = 1_048_575;

    /// <summary>Largest frame that our client accepts unless told otherwise, in bytes, inclusive.</summary>
    public const int DefaultClientLengthMax = 4 * 1024 * 1024;

    /// <summary>Cuts the first complete frame off the buffer.</summary>
    /// <param name="buffer">What was received; moved behind the frame on success.</param>
    /// <param name="lengthMax">The receiver's limit, inclusive.</param>
    /// <param name="content">The frame without its length.</param>
    /// <returns>False when the frame is not complete yet.</returns>
    /// <exception cref="JuteException">The length is not positive or exceeds the limit.</exception>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, int lengthMax, out ReadOnlySequence<byte> content)
    {
        content = default;
        if (buffer.Length < HeaderLength)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        buffer.Slice(0, HeaderLength).CopyTo(header);
        var length = BinaryPrimitives.ReadInt32BigEndian(header);
        if (length <= 0 || length > lengthMax)
        {
            throw new JuteException($"a frame of {length} bytes, allowed are 1 to {lengthMax}");
        }

        if (buffer.Length - HeaderLength < length)
        {
            return false;
        }

        content = buffer.Slice(HeaderLength, length);
        buffer = buffer.Slice(content.End);
        return true;
    }

    /// <summary>Appends a frame that holds the records in order.</summary>
    public static void Append(JuteBuffer buffer, params ReadOnlySpan<IJuteRecord> records)
    {
        var start = buffer.BeginFrame();
        var writer = new JuteWriter(buffer);
        foreach (var record in records)
        {
            record.Write(writer);
        }

        buffer.EndFrame(start);
    }
}
