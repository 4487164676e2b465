using System.Buffers;
using System.Buffers.Binary;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Protocols.OpenWire;

/// <summary>
/// Writes loose MessageDispatch frames around messages that are already marshalled, changing a few fields in the copy and
/// allocating nothing. The layout is the same in all versions; the message must be marshalled for the receiver's.
/// <code>
/// size | 21 commandId=0 responseRequired=0 | 01 consumerId | 01 destination | 01 message | redeliveryCounter
///      |------------------- DispatchHeader --------------------------------|
/// </code>
/// </summary>
public static class DispatchWriter
{
    private const int TrailerBytes = 4;

    /// <summary>Length of the whole frame.</summary>
    public static int GetFrameBytes(DispatchHeader header, int messageBytes) =>
        checked(OpenWireCodec.SizeBytes + header.Bytes.Length + messageBytes + TrailerBytes);

    /// <summary>Writes a frame, and advances the output past it.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="header">Consumer and destination.</param>
    /// <param name="message">The message from its type byte on.</param>
    /// <param name="layout">Where its fields stand, from <see cref="MessageView.Layout"/>.</param>
    /// <param name="fields">What they become.</param>
    public static void Write(
        IBufferWriter<byte> output, DispatchHeader header, ReadOnlySpan<byte> message, MessageLayout layout,
        in DispatchFields fields)
    {
        var length = GetFrameBytes(header, message.Length);
        var frame = output.GetSpan(length)[..length];
        message.CopyTo(Frame(frame, header, message.Length));
        Patch(frame, header, message.Length, layout, fields);
        output.Advance(length);
    }

    /// <summary>
    /// Writes everything around the message, so that its bytes can be read from the store straight to their place. Call
    /// <see cref="Patch"/> when they are there.
    /// </summary>
    /// <param name="frame">Exactly <see cref="GetFrameBytes"/> long.</param>
    /// <param name="header">Consumer and destination.</param>
    /// <param name="messageBytes">Length of the message.</param>
    /// <returns>The place of the message's bytes.</returns>
    public static Span<byte> Frame(Span<byte> frame, DispatchHeader header, int messageBytes)
    {
        BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - OpenWireCodec.SizeBytes);
        header.Bytes.CopyTo(frame[OpenWireCodec.SizeBytes..]);
        return frame.Slice(OpenWireCodec.SizeBytes + header.Bytes.Length, messageBytes);
    }

    /// <summary>Sets the fields that dispatch decides, in the frame and in the copy of the message within it.</summary>
    public static void Patch(
        Span<byte> frame, DispatchHeader header, int messageBytes, MessageLayout layout, in DispatchFields fields)
    {
        var message = frame.Slice(OpenWireCodec.SizeBytes + header.Bytes.Length, messageBytes);
        if (layout.BrokerSequenceIdAt > 0)
        {
            BinaryPrimitives.WriteInt64BigEndian(message[layout.BrokerSequenceIdAt..], fields.BrokerSequenceId);
        }

        BinaryPrimitives.WriteInt32BigEndian(message[layout.RedeliveryCounterAt..], fields.RedeliveryCounter);
        BinaryPrimitives.WriteInt64BigEndian(message[layout.BrokerInTimeAt..], fields.BrokerInTime);
        BinaryPrimitives.WriteInt64BigEndian(message[layout.BrokerOutTimeAt..], fields.BrokerOutTime);
        message[layout.GroupFirstAt] = fields.GroupFirst ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32BigEndian(frame[^TrailerBytes..], fields.RedeliveryCounter);
    }

    /// <summary>Writes the plain Response to a command, 14 bytes.</summary>
    public static void WriteResponse(IBufferWriter<byte> output, int correlationId)
    {
        const int length = 14;
        var frame = output.GetSpan(length)[..length];
        BinaryPrimitives.WriteInt32BigEndian(frame, length - OpenWireCodec.SizeBytes);
        frame[4] = (byte)DataType.Response;
        BinaryPrimitives.WriteInt32BigEndian(frame[5..], 0);
        frame[9] = 0;
        BinaryPrimitives.WriteInt32BigEndian(frame[10..], correlationId);
        output.Advance(length);
    }
}

/// <summary>The constant front of the dispatches to one consumer from one destination.</summary>
public sealed class DispatchHeader
{
    private readonly byte[] _bytes;

    public DispatchHeader(ConsumerId consumerId, Destination destination)
    {
        var writer = new OpenWireWriter(OpenWireCodec.VersionMax, stackTraceEnabled: false);
        writer.WriteByte((byte)DataType.MessageDispatch);
        writer.WriteInt(0);
        writer.WriteBoolean(false);
        writer.WriteNested(consumerId);
        writer.WriteNested(destination);
        writer.WriteBoolean(true);
        _bytes = writer.Written.ToArray();
        ConsumerId = consumerId;
        Destination = destination;
    }

    public ConsumerId ConsumerId { get; }

    /// <summary>The concrete destination that the message came from.</summary>
    public Destination Destination { get; }

    internal ReadOnlySpan<byte> Bytes => _bytes;
}

/// <summary>What a dispatch sets in its copy of a message.</summary>
/// <param name="BrokerSequenceId">The broker's number for the message, greater than 0.</param>
/// <param name="RedeliveryCounter">How often it was delivered before.</param>
/// <param name="BrokerInTime">Milliseconds since 1970, when the broker accepted it.</param>
/// <param name="BrokerOutTime">Milliseconds since 1970, now.</param>
/// <param name="GroupFirst">The first message of its group for this consumer.</param>
public readonly record struct DispatchFields(
    long BrokerSequenceId, int RedeliveryCounter, long BrokerInTime, long BrokerOutTime, bool GroupFirst);
