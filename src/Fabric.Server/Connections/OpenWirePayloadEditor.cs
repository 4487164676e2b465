using System.Buffers;
using Fabric.Broker;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Server.Connections;

/// <summary>Changes stored OpenWire messages where the broker must (reference §4.13, §4.17). Stateless.</summary>
public sealed class OpenWirePayloadEditor : IPayloadEditor
{
    /// <inheritdoc/>
    public void DeadLetterCopy(in DeadLetterRequest request, ReadOnlySpan<byte> payload, IBufferWriter<byte> output)
    {
        var message = Decode(request.Encoding, payload);
        AddProperties(message, request.Cause);
        message.OriginalDestination = message.Destination;
        message.Destination = request.To.ToWire();
        message.OriginalTransactionId = message.TransactionId;
        message.TransactionId = null;
        message.RedeliveryCounter = 0;
        message.Expiration = 0;
        message.Persistent = true;
        Encode(message, output);
    }

    /// <summary>Says what became of the message. Properties that nobody can read or write again, which only their reader sees, stay as they are: the message has to go all the same.</summary>
    private static void AddProperties(Message message, string cause)
    {
        try
        {
            var properties = message.MarshalledProperties is { Length: > 0 } marshalled
                ? PrimitiveMarshaller.ReadMap(marshalled)
                : [];
            properties["originalExpiration"] = message.Expiration;
            properties["dlqDeliveryFailureCause"] = cause;
            if (!message.Persistent)
            {
                properties["originalDeliveryMode"] = "NON_PERSISTENT";
            }

            message.MarshalledProperties = PrimitiveMarshaller.WriteMap(properties);
        }
        catch (Exception exception) when (exception is ProtocolException or ArgumentException)
        {
            // As above.
        }
    }

    /// <inheritdoc/>
    public void RedirectedCopy(
        byte encoding, DestinationName from, DestinationName to, ReadOnlySpan<byte> payload, IBufferWriter<byte> output)
    {
        var message = Decode(encoding, payload);
        message.OriginalDestination = message.Destination;
        message.Destination = to.ToWire();
        Encode(message, output);
    }

    private static Message Decode(byte encoding, ReadOnlySpan<byte> payload) => encoding == WireNames.OpenWireEncoding
        ? (Message)OpenWireCodec.Decode(payload, OpenWireCodec.VersionMax)!
        : throw new ArgumentOutOfRangeException(nameof(encoding), encoding, "no adapter wrote this encoding");

    private static void Encode(Message message, IBufferWriter<byte> output) =>
        output.Write(OpenWireCodec.Encode(message).AsSpan(OpenWireCodec.SizeBytes));
}
