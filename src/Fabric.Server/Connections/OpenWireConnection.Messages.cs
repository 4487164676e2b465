using Fabric.Broker;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Server.Connections;

/// <summary>
/// Messages as they come off the socket; runs on the reader. A message of a current client is walked, not decoded: the frame
/// goes into the journal as it is, and comes out of it the same way.
/// </summary>
internal sealed partial class OpenWireConnection
{
    private const byte PriorityMax = 9;

    private readonly BytesCache<KnownDestination> _destinations = new();
    private readonly BytesCache<string> _producers = new();
    private readonly HashSet<ProducerId> _windowedProducers = [];

    private sealed record KnownDestination(DestinationName Name);

    private void TakeMessage(ReadOnlySpan<byte> frame, int version)
    {
        var connection = _isRemoved ? null : _connection;
        if (connection is null)
        {
            throw new ProtocolException("a message without a connection");
        }

        if (version < MessageView.VersionMin)
        {
            // An old client: from here on its message is one of the newest version.
            var old = OpenWireCodec.Decode(frame, version) ?? throw new ProtocolException("an empty message");
            frame = OpenWireCodec.Encode(old).AsSpan(OpenWireCodec.SizeBytes);
        }

        var message = new MessageView(frame);
        if (!message.HasMessageId || message.MessageIdProducerBytes.IsEmpty)
        {
            Fail(message.CommandId, message.ResponseRequired, new BrokerError("javax.jms.JMSException", "the message has no id"));
            return;
        }

        if (message.DestinationBytes.IsEmpty)
        {
            Fail(
                message.CommandId, message.ResponseRequired,
                new BrokerError("javax.jms.InvalidDestinationException", "the message has no destination"));
            return;
        }

        if (!TryGetTransaction(message.TransactionIdBytes, out var transaction))
        {
            Fail(message.CommandId, message.ResponseRequired, Unsupported("XA transactions").ToError());
            return;
        }

        var result = connection.Publish(
            new PublishRequest
            {
                Destination = DestinationOf(message.DestinationBytes),
                ProducerId = ProducerOf(message.MessageIdProducerBytes),
                ProducerSequence = message.ProducerSequenceId,
                Persistent = message.Persistent,
                Priority = Math.Min(message.Priority, PriorityMax),
                Expiration = message.Expiration,
                Timestamp = message.Timestamp,
                Encoding = WireNames.OpenWireEncoding,
                Transaction = transaction,
                Scheduled = IsScheduled(message.MarshalledProperties),
                GroupId = message.GroupId.IsEmpty ? null : _strings.Get(message.GroupId),
            },
            frame);
        FinishMessage(message, result);
    }

    /// <summary>Whether the message is to be delivered later (reference §4.18).</summary>
    private static bool IsScheduled(ReadOnlySpan<byte> properties)
    {
        if (properties.IndexOf("AMQ_SCHEDULED_"u8) < 0)
        {
            return false;
        }

        var view = new PropertiesView(properties);
        return view.TryGet("AMQ_SCHEDULED_DELAY"u8, out _) || view.TryGet("AMQ_SCHEDULED_CRON"u8, out _)
            || view.TryGet("AMQ_SCHEDULED_PERIOD"u8, out _) || view.TryGet("AMQ_SCHEDULED_REPEAT"u8, out _);
    }

    private void FinishMessage(in MessageView message, in BrokerResult result)
    {
        if (result.Status == BrokerStatus.NotServing)
        {
            Hold();
        }
        else if (!result.Succeeded)
        {
            Fail(message.CommandId, message.ResponseRequired, result.ToError());
        }
        else if (message.ResponseRequired)
        {
            _outbound!.Respond(message.CommandId, result.ConfirmAfter);
        }
        else if (_windowedProducers.Count > 0
            && MessageView.Decode<ProducerId>(message.ProducerIdBytes, _strings) is var producer && _windowedProducers.Contains(producer))
        {
            _outbound!.WriteAfter(new ProducerAck { ProducerId = producer, Size = message.WindowBytes }, result.ConfirmAfter);
        }
    }

    private static bool TryGetTransaction(ReadOnlySpan<byte> bytes, out long? transaction)
    {
        transaction = null;
        if (bytes.IsEmpty)
        {
            return true;
        }

        transaction = (MessageView.Decode<TransactionId>(bytes) as LocalTransactionId)?.Value;
        return transaction is not null;
    }

    private DestinationName DestinationOf(ReadOnlySpan<byte> bytes)
    {
        if (_destinations.Get(bytes) is not { } known)
        {
            known = new KnownDestination(MessageView.Decode<Destination>(bytes).ToBroker());
            _destinations.Set(bytes, known);
        }

        return known.Name;
    }

    private string ProducerOf(ReadOnlySpan<byte> bytes)
    {
        if (_producers.Get(bytes) is not { } known)
        {
            known = MessageView.Decode<ProducerId>(bytes).ToString();
            _producers.Set(bytes, known);
        }

        return known;
    }
}
