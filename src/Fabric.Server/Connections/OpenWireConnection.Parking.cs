using System.Buffers;
using System.IO.Pipelines;
using Fabric.Broker;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Server.Connections;

/// <summary>
/// Messages for which there is no room; runs on the reader. While memory or the disk is short of it, those whose sender waits for an answer are set aside, and what comes behind them waits for its turn, but for
/// what consumers send: that makes room, and a connection that consumes and produces would wait for itself. So do the messages in a transaction of who holds messages: the commit behind them may acknowledge these. Otherwise, and when too much is set aside, the connection is read no further, which holds the client
/// back. So it is with messages whose sender does not wait: were they set aside and lost with the connection, the acknowledgement of what they answer must not have overtaken them.
/// </summary>
internal sealed partial class OpenWireConnection
{
    /// <summary>Bytes set aside for one connection; a synchronous producer has one message on its way.</summary>
    private const long ParkedBytesMax = 1024 * 1024;

    /// <summary>What is waited for may change: from the commit of what was taken to room that only consumers make.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(250);

    private readonly Queue<byte[]> _parked = new();
    private readonly HashSet<long> _parkedTransactions = []; // of which something is set aside
    private int _parkedAcknowledgements;
    private long _parkedBytes;
    private Task _room = Task.CompletedTask; // for the first of them

    /// <summary>Reads on while there is no room, and takes what was set aside when there is.</summary>
    private async ValueTask<ReadResult> ReadBesideParkedAsync(ValueTask<ReadResult> reading)
    {
        var read = reading.AsTask();
        await TakeParkedAsync();
        while (_parked.Count > 0 && !read.IsCompleted)
        {
            await Task.WhenAny(read, _room);
            await TakeParkedAsync();
        }

        return await read;
    }

    /// <summary>The client is gone, or sends nothing more: what it sent is taken all the same, as long as nobody cuts the connection.</summary>
    private async ValueTask TakeAllParkedAsync()
    {
        while (_parked.Count > 0 && _endReason is null && !_refused)
        {
            await WaitAsync(_room);
            await TakeParkedAsync();
        }
    }

    private async ValueTask TakeWithoutRoomAsync(ReadOnlySequence<byte> frame, BrokerConnection connection, ValueTask room)
    {
        var waiting = room.AsTask();
        while (true)
        {
            if (connection.IsShortOfRoom)
            {
                if (IsTransacted(connection, frame))
                {
                    TakeNow(frame);
                    return;
                }

                if (TryPark(frame))
                {
                    break;
                }
            }

            await WaitAsync(waiting);
            if (waiting.IsCompleted)
            {
                await waiting;
                TakeNow(frame);
                return;
            }
        }

        _room = waiting;
    }

    private async ValueTask TakeBehindParkedAsync(ReadOnlySequence<byte> frame)
    {
        if (MayOvertake(frame))
        {
            TakeNow(frame);
            return;
        }

        while (!TryPark(frame))
        {
            await WaitAsync(_room);
            await TakeParkedAsync();
            if (_held || _refused)
            {
                return;
            }

            if (_parked.Count == 0)
            {
                await TakeAsync(frame);
                return;
            }
        }
    }

    /// <summary>Waits for room, but not for long, and reads nothing meanwhile.</summary>
    private async ValueTask WaitAsync(Task room)
    {
        _wake.Set(); // what was taken so far must not wait for the room
        _waitsForRoom = true; // nobody listens, so silence says nothing; whether the client lives is seen by what is written
        using var enough = new CancellationTokenSource();
        await Task.WhenAny(room, Task.Delay(LookAgain, _services.Runtime.Time, enough.Token));
        await enough.CancelAsync();
        Volatile.Write(ref _lastRead, _services.Now.Ticks);
        _waitsForRoom = false;
    }

    private bool TryPark(in ReadOnlySequence<byte> frame)
    {
        if (_parkedBytes + frame.Length > ParkedBytesMax)
        {
            return false;
        }

        var bytes = frame.ToArray();
        var type = (DataType)bytes[0];
        if (MessageView.IsMessage(type) && (_wireFormat!.Version < MessageView.VersionMin || !new MessageView(bytes).ResponseRequired))
        {
            return false;
        }

        if (!_services.TryPark(bytes.Length))
        {
            return false;
        }

        _parked.Enqueue(bytes);
        _parkedBytes += bytes.Length;
        _parkedAcknowledgements += type == DataType.MessageAck ? 1 : 0;
        if (TransactionOf(bytes) is { } transaction)
        {
            _parkedTransactions.Add(transaction);
        }

        return true;
    }

    /// <summary>Takes what was set aside, in order, as far as there is room.</summary>
    private async ValueTask TakeParkedAsync()
    {
        while (_parked.TryPeek(out var frame) && !_refused && !_held)
        {
            if (MessageView.IsMessage((DataType)frame[0]) && !await HasRoomAsync())
            {
                break;
            }

            _parked.Dequeue();
            _parkedBytes -= frame.Length;
            _services.Unpark(frame.Length);
            Take(frame);
        }

        if (_held)
        {
            _parked.Clear(); // nobody was told that it was taken
        }

        if (_parked.Count == 0)
        {
            _parkedTransactions.Clear();
            _parkedAcknowledgements = 0;
        }

        WakeForResponses();
    }

    private async ValueTask<bool> HasRoomAsync()
    {
        if (!_room.IsCompleted)
        {
            return false;
        }

        await _room;
        var now = _connection!.WaitForRoomAsync(_ended.Token);
        if (now.IsCompletedSuccessfully)
        {
            return true;
        }

        _room = now.AsTask();
        return false;
    }

    /// <summary>
    /// Whether a command may come before what is set aside: it is a consumer's and concerns nothing of that. A consumer is not removed before acknowledgements that name it, which are set aside with their transaction only.
    /// </summary>
    private bool MayOvertake(in ReadOnlySequence<byte> frame) => (DataType)frame.FirstSpan[0] switch
    {
        DataType.KeepAliveInfo or DataType.SessionInfo or DataType.ProducerInfo or DataType.ConsumerInfo or DataType.ConsumerControl or DataType.MessagePull => true,
        DataType.MessageAck or DataType.TransactionInfo => TransactionOf(frame.ToArray()) is not { } transaction || !_parkedTransactions.Contains(transaction),
        DataType.RemoveInfo => _parkedAcknowledgements == 0 && Decode(frame.ToArray()) is RemoveInfo { ObjectId: ConsumerId },
        _ => IsMessage(frame) && IsTransacted(_connection!, frame) && IsFirstOfItsProducer(frame.ToArray()), // also when there is room at the moment: set aside, its commit would be, too
    };

    /// <summary>Whether the frame is a message of a transaction, of which nothing is set aside, that need not wait for room.</summary>
    private bool IsTransacted(BrokerConnection connection, in ReadOnlySequence<byte> message) =>
        TransactionOf(message.ToArray()) is { } transaction && !_parkedTransactions.Contains(transaction) && connection.TakesTransactedWithoutRoom;

    /// <summary>Whether no message of the same producer is set aside: the broker takes one with a lower number for a duplicate when it comes later.</summary>
    private bool IsFirstOfItsProducer(ReadOnlySpan<byte> message)
    {
        var producer = new MessageView(message).MessageIdProducerBytes;
        foreach (var parked in _parked)
        {
            if (MessageView.IsMessage((DataType)parked[0]) && new MessageView(parked).MessageIdProducerBytes.SequenceEqual(producer))
            {
                return false;
            }
        }

        return true;
    }

    private long? TransactionOf(ReadOnlySpan<byte> frame)
    {
        var type = (DataType)frame[0];
        var isMessage = MessageView.IsMessage(type);
        if (isMessage && _wireFormat!.Version >= MessageView.VersionMin)
        {
            return TryGetTransaction(new MessageView(frame).TransactionIdBytes, out var transaction) ? transaction : null;
        }

        var id = isMessage || type is DataType.MessageAck or DataType.TransactionInfo
            ? Decode(frame) switch
            {
                Message message => message.TransactionId,
                MessageAck acknowledgement => acknowledgement.TransactionId,
                TransactionInfo info => info.TransactionId,
                _ => null,
            }
            : null;
        return (id as LocalTransactionId)?.Value;
    }

    private object? Decode(ReadOnlySpan<byte> frame) => OpenWireCodec.Decode(frame, _wireFormat!.Version, _wireFormat.StackTraceEnabled);
}
