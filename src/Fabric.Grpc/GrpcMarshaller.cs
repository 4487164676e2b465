using System.Buffers;
using Google.Protobuf;

namespace Fabric.Grpc;

/// <summary>
/// Turns messages of one type into bytes and back, without a buffer of its own: it writes into the transport's memory and reads
/// from it. Implementations are thread-safe.
/// </summary>
public abstract class GrpcMarshaller<T>
{
    /// <summary>Exact size of the message's bytes.</summary>
    public abstract int SizeOf(T message);

    /// <summary>Writes exactly as many bytes as <see cref="SizeOf"/> says.</summary>
    public abstract void Write(T message, IBufferWriter<byte> output);

    /// <summary>
    /// Reads a message that is all of the bytes. In streams the result may refer to the bytes instead of copying them; it is then valid
    /// until the next message is asked for. Single messages (the request or response that is not a stream) must be copied.
    /// </summary>
    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public abstract T Read(in ReadOnlySequence<byte> bytes);
}

/// <summary>The usual marshallers.</summary>
public static class GrpcMarshaller
{
    /// <summary>A marshaller of a message that <c>protoc</c> generated.</summary>
    public static GrpcMarshaller<T> ForProtobuf<T>()
        where T : class, IMessage<T>, IBufferMessage, new() => ProtobufMarshaller<T>.Instance;

    private sealed class ProtobufMarshaller<T> : GrpcMarshaller<T>
        where T : class, IMessage<T>, IBufferMessage, new()
    {
        public static readonly ProtobufMarshaller<T> Instance = new();

        private static readonly MessageParser<T> Parser = new(() => new T());

        public override int SizeOf(T message) => message.CalculateSize();

        public override void Write(T message, IBufferWriter<byte> output) => message.WriteTo(output);

        public override T Read(in ReadOnlySequence<byte> bytes)
        {
            try
            {
                return Parser.ParseFrom(bytes);
            }
            catch (InvalidProtocolBufferException exception)
            {
                throw new FormatException($"these bytes are no {typeof(T).Name}: {exception.Message}", exception);
            }
        }
    }
}
