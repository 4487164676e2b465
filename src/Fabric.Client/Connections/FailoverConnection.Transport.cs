using System.Buffers.Binary;
using Fabric.Client.Consumers;
using Fabric.Client.Producers;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Microsoft.Extensions.Logging;

namespace Fabric.Client.Connections;

/// <summary>What is written to and read from the transport.</summary>
internal sealed partial class FailoverConnection
{
    /// <summary>A Response frame: type, command id (4), response required (1), correlation id (4).</summary>
    private const int ResponseBytes = 10;
    private const int CorrelationIdAt = 6;

    private readonly BytesCache<ProducerId> _knownProducers = new();
    private List<ConsumerCore> _acknowledgersSwap = [];

    bool ITransportOwner.Fill(OpenWireTransport transport, OpenWireWriter writer)
    {
        FillAcknowledgements(transport, writer);
        while (writer.Written.Length < FillBytesMax)
        {
            IDataStructure? frame;
            OutgoingMessage? tooLarge = null;
            lock (_gate)
            {
                if (_transport != transport || !_outgoing.TryDequeue(out frame))
                {
                    return false;
                }

                if (frame is OutgoingMessage message)
                {
                    tooLarge = IsTooLarge(message, transport.Format) ? message : null;
                    message.WasWritten |= tooLarge is null;
                }
            }

            if (tooLarge is null)
            {
                writer.WriteFrame(frame);
            }
            else
            {
                Refuse(tooLarge.CommandId, new BrokerError(
                    "javax.jms.JMSException", $"the message takes more than the {transport.Format.MaxFrameSize} bytes that the broker accepts"));
            }
        }

        return true;
    }

    PendingCommand? ITransportOwner.OnFrame(OpenWireTransport transport, ReadOnlySpan<byte> frame)
    {
        switch ((DataType)frame[0])
        {
            case DataType.Response when frame.Length == ResponseBytes:
                return TakeAnswered(BinaryPrimitives.ReadInt32BigEndian(frame[CorrelationIdAt..]));
            case DataType.MessageDispatch:
                Dispatch(transport, frame);
                break;
            default:
                OnCommand(transport, OpenWireCodec.Decode(frame, transport.Format.Version, transport.Format.StackTraceEnabled));
                break;
        }

        return null;
    }

    private static bool IsTooLarge(OutgoingMessage message, WireFormat format) =>
        format.MaxFrameSize > 0 && message.FrameBytesMax > format.MaxFrameSize;

    private void FillAcknowledgements(OpenWireTransport transport, OpenWireWriter writer)
    {
        List<ConsumerCore> acknowledgers;
        lock (_gate)
        {
            if (_transport != transport || _acknowledgers.Count == 0)
            {
                return;
            }

            acknowledgers = _acknowledgers;
            (_acknowledgers, _acknowledgersSwap) = (_acknowledgersSwap, _acknowledgers);
        }

        foreach (var consumer in acknowledgers)
        {
            consumer.WriteAcknowledgements(writer);
        }

        acknowledgers.Clear();
    }

    /// <summary>
    /// <code>21 commandId(4) responseRequired(1) | 1 consumerId | 1 destination | 1 message | redeliveryCounter(4)</code>
    /// The message is copied once, to memory that the delivery keeps.
    /// </summary>
    private void Dispatch(OpenWireTransport transport, ReadOnlySpan<byte> frame)
    {
        const int trailerBytes = 4;
        var reader = new OpenWireReader(frame, transport.Format.Version, transport.Format.StackTraceEnabled, transport.Strings);
        reader.ReadByte();
        reader.ReadInt();
        reader.ReadBoolean();
        var consumerId = reader.ReadNested<ConsumerId>();
        var destination = reader.ReadNested<WireDestination>();
        if (consumerId is null || destination is null || !reader.ReadBoolean())
        {
            return; // the end of a pull or a browse, neither of which is used here
        }

        if (reader.Remaining <= trailerBytes)
        {
            throw new ProtocolException("a dispatch ends in the middle of its message");
        }

        var message = frame[reader.Position..^trailerBytes].ToArray();
        var redeliveryCounter = BinaryPrimitives.ReadInt32BigEndian(frame[^trailerBytes..]);
        ConsumerCore? consumer;
        lock (_gate)
        {
            _consumers.TryGetValue(consumerId.Value, out consumer);
        }

        consumer?.Dispatch(new Incoming(message, destination, redeliveryCounter, _knownProducers));
    }

    private void OnCommand(OpenWireTransport transport, IDataStructure? command)
    {
        switch (command)
        {
            case ExceptionResponse refusal:
                Refuse(refusal.CorrelationId, refusal.Exception ?? new BrokerError("javax.jms.JMSException", "the broker gave no reason"));
                break;
            case Response response:
                TakeAnswered(response.CorrelationId)?.Complete();
                break;
            case ConnectionError { Exception: { } error }:
                LogBrokerError(error.ToString());
                break;
            case ConnectionControl control:
                OnControl(transport, control);
                break;
            case ConsumerControl { ConsumerId: { } id, Close: true }:
                CloseByBroker(id);
                break;
        }
    }

    /// <returns>The command that waited for this answer; null for a repeated answer to what was sent again.</returns>
    private PendingCommand? TakeAnswered(int commandId)
    {
        lock (_gate)
        {
            if (_pending.Remove(commandId, out var command) && command is OutgoingMessage)
            {
                _inFlight--;
                AdmitWaiting();
            }

            return command;
        }
    }

    private void Refuse(int commandId, BrokerError error) => TakeAnswered(commandId)?.Fail(BrokerErrorException.Translate(error));

    private void AdmitWaiting()
    {
        while (_inFlight < _inFlightMax && _waiting.TryDequeue(out var next))
        {
            // What a transaction that has ended still has here fails with it; admitted, it would wait for an answer that never comes.
            if (!next.IsFinished && next.Transaction is not { HasEnded: true })
            {
                Admit(next);
            }
        }
    }

    private void CloseByBroker(ConsumerId id)
    {
        ConsumerCore? consumer;
        lock (_gate)
        {
            _consumers.Remove(id.Value, out consumer);
        }

        consumer?.Fail(new FabricException("the broker closed the consumer"));
    }

    /// <summary>A broker tells where else to connect (reference §4.22).</summary>
    private void OnControl(OpenWireTransport transport, ConnectionControl control)
    {
        if (!_url.Reconnects || _url.Discovery is not null)
        {
            return;
        }

        if (!string.IsNullOrWhiteSpace(control.ReconnectTo) && _url.Failover.ReconnectSupported)
        {
            UpdateBrokers(control.ReconnectTo);
            transport.Abort(new IOException($"the broker asks to reconnect to {control.ReconnectTo}"));
        }
        else if (!string.IsNullOrWhiteSpace(control.ConnectedBrokers) && _url.Failover.UpdateUrisSupported)
        {
            UpdateBrokers(control.ConnectedBrokers);
            if (control.RebalanceConnection && !_brokers.Current[0].Equals(transport.Address))
            {
                transport.Abort(new IOException("the broker asks to rebalance"));
            }
        }
    }

    private void UpdateBrokers(string addresses)
    {
        try
        {
            var brokers = addresses.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Select(_url.ParseFound).ToList();
            _brokers.Update([.. brokers, .. _url.Brokers.Except(brokers)]);
        }
        catch (UriFormatException exception)
        {
            LogBrokerError($"its list of brokers cannot be read: {exception.Message}");
        }
    }

    [LoggerMessage(EventId = 1020, Level = LogLevel.Warning, Message = "The broker reports: {Error}")]
    private partial void LogBrokerError(string error);
}
