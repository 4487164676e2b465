using System.Buffers;
using System.IO.Pipelines;
using Fabric.Broker;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Connections;

/// <summary>
/// What goes out; runs on the writer. Responses first, then messages, pulled from the broker while there are any and read
/// from the journal straight into the socket's buffer: from its memory, or on a thread of its own from its disk. One flush takes along whatever has gathered.
/// </summary>
internal sealed partial class OpenWireConnection
{
    /// <summary>Enough for one system call to be cheap, and little enough for responses not to wait behind messages.</summary>
    private const int FlushBytes = 64 * 1024;

    private Delivery? _cold; // taken from the broker and to be read from the disk; owned by the writer

    private async Task WriteAsync()
    {
        var output = _network.Output;
        try
        {
            output.Write(OpenWireCodec.Encode(Offer().ToInfo()));
            await output.FlushAsync(_ended.Token);
            while (!_cut && !_ended.IsCancellationRequested)
            {
                await _wake.WaitAsync();
                while (Fill(output) || await FillFromDiskAsync(output))
                {
                    var flushed = await output.FlushAsync(_ended.Token);
                    Volatile.Write(ref _lastWritten, _services.Now.Ticks);
                    if (flushed.IsCompleted)
                    {
                        return;
                    }
                }
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            _endReason ??= exception.Message;
        }
        catch (Exception exception)
        {
            _services.Logger.LogError(exception, "Messages cannot be sent to {Remote}", _network.RemoteEndPoint);
        }
        finally
        {
            // Without a writer the reader has no business any more, whatever it waits for.
            Abort();
            await _ended.CancelAsync();
        }
    }

    /// <summary>Takes what is in memory; what comes after a message that is not has to wait for it.</summary>
    /// <returns>Whether there is something to flush.</returns>
    private bool Fill(PipeWriter output)
    {
        if (_outbound is not { } outbound)
        {
            return false;
        }

        // Until a connection is there, nothing waits for a position.
        var connection = _connection;
        var count = outbound.MoveTo(output, connection?.Confirmed ?? Position.Zero);
        if (connection is not null && _cold is null)
        {
            count += WriteDeliveries(output, connection, FlushBytes - count, fromDisk: false);
        }

        return count > 0;
    }

    /// <summary>
    /// Reads the message that has left memory, and those behind it, on a thread of its own: this loop goes on wherever the socket or the broker wakes it, and nobody else may wait there for our disk.
    /// </summary>
    /// <returns>Whether there is something to flush.</returns>
    private async ValueTask<bool> FillFromDiskAsync(PipeWriter output)
    {
        if (_cold is not { } cold || _connection is not { } connection)
        {
            return false;
        }

        var count = 0;
        await _services.ReadDiskAsync(
            $"OpenWire reader of the journal {_network.RemoteEndPoint}",
            () =>
            {
                _cold = null;
                count = Write(output, connection, cold, _services.UnixMilliseconds, fromDisk: true);
                count += WriteDeliveries(output, connection, FlushBytes - count, fromDisk: true);
            },
            _ended.Token);
        return count > 0;
    }

    private int WriteDeliveries(PipeWriter output, BrokerConnection connection, int bytesMax, bool fromDisk)
    {
        var now = _services.UnixMilliseconds;
        var count = 0;
        while (count < bytesMax && _cold is null && connection.TryTakeDelivery(out var delivery))
        {
            count += Write(output, connection, delivery, now, fromDisk);
        }

        return count;
    }

    private int Write(PipeWriter output, BrokerConnection connection, in Delivery delivery, long now, bool fromDisk)
    {
        var consumer = (WireConsumer)delivery.Consumer.Tag!;
        if (!delivery.HasMessage)
        {
            return WriteEmpty(output, consumer); // the end of a pull
        }

        if (_wireFormat!.Version < MessageView.VersionMin)
        {
            return WriteOld(output, connection, delivery, consumer, now, fromDisk);
        }

        var header = consumer.HeaderFor(delivery.Destination);
        var length = DispatchWriter.GetFrameBytes(header, delivery.PayloadBytes);
        var frame = output.GetSpan(length)[..length];
        var message = DispatchWriter.Frame(frame, header, delivery.PayloadBytes);
        if (!TryRead(connection, delivery, message, fromDisk))
        {
            return 0;
        }

        DispatchWriter.Patch(frame, header, delivery.PayloadBytes, new MessageView(message).Layout, new DispatchFields(
            delivery.Sequence.Value, delivery.RedeliveryCounter, delivery.AcceptedAt, now, GroupFirst: false));
        output.Advance(length);
        return length;
    }

    /// <returns>False when there is nothing to send: the message has gone, or is to be read from the disk first, which is noted.</returns>
    private bool TryRead(BrokerConnection connection, in Delivery delivery, Span<byte> destination, bool fromDisk)
    {
        if (fromDisk)
        {
            return connection.ReadPayload(delivery, destination);
        }

        if (connection.TryReadRecentPayload(delivery, destination))
        {
            return true;
        }

        _cold = delivery;
        return false;
    }

    private int WriteEmpty(PipeWriter output, WireConsumer consumer)
    {
        var frame = OpenWireCodec.Encode(new MessageDispatch { ConsumerId = consumer.Id }, _wireFormat!.Version);
        output.Write(frame);
        return frame.Length;
    }

    /// <summary>For clients before version 10 the message is decoded and written in their layout.</summary>
    private int WriteOld(PipeWriter output, BrokerConnection connection, in Delivery delivery, WireConsumer consumer, long now, bool fromDisk)
    {
        var payload = new byte[delivery.PayloadBytes];
        if (!TryRead(connection, delivery, payload, fromDisk))
        {
            return 0;
        }

        var message = (Message)OpenWireCodec.Decode(payload, OpenWireCodec.VersionMax)!;
        message.MessageId = message.MessageId! with { BrokerSequenceId = delivery.Sequence.Value };
        message.RedeliveryCounter = delivery.RedeliveryCounter;
        message.BrokerInTime = delivery.AcceptedAt;
        message.BrokerOutTime = now;
        var frame = OpenWireCodec.Encode(
            new MessageDispatch
            {
                ConsumerId = consumer.Id,
                Destination = delivery.Destination.ToWire(),
                Message = message,
                RedeliveryCounter = delivery.RedeliveryCounter,
            },
            _wireFormat!.Version);
        output.Write(frame);
        return frame.Length;
    }
}
