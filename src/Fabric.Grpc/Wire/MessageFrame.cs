using System.Buffers;
using System.Buffers.Binary;

namespace Fabric.Grpc.Wire;

/// <summary>
/// A message on the wire (<c>PROTOCOL-HTTP2.md</c>, "Length-Prefixed-Message"):
/// <code>
/// +-----------------+------------------------+---------+
/// | compressed: 0,1 | length, 4, big endian  | message |
/// +-----------------+------------------------+---------+
/// </code>
/// </summary>
internal static class MessageFrame
{
    /// <summary>A flag and a length before every message.</summary>
    public const int PrefixBytes = 5;

    public static void Write<T>(GrpcMarshaller<T> marshaller, T message, IBufferWriter<byte> output)
    {
        var prefix = output.GetSpan(PrefixBytes);
        prefix[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], marshaller.SizeOf(message));
        output.Advance(PrefixBytes);
        marshaller.Write(message, output);
    }

    /// <summary>The length of the message that follows the prefix.</summary>
    /// <exception cref="GrpcException">The message is compressed or too large, or the prefix is none.</exception>
    public static int ReadLength(ReadOnlySpan<byte> prefix, int messageBytesMax)
    {
        var length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (prefix[0] != 0)
        {
            throw new GrpcException(
                GrpcStatusCode.Internal, prefix[0] == 1 ? "a message is compressed, which was not agreed on" : "malformed message prefix");
        }

        return length <= messageBytesMax
            ? (int)length
            : throw new GrpcException(
                GrpcStatusCode.ResourceExhausted, $"a message of {length} bytes is larger than the limit of {messageBytesMax}");
    }
}
