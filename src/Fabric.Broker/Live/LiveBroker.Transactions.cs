using System.Buffers.Binary;
using System.Globalization;
using Fabric.Broker.Index;
using Fabric.Store.Journal;

namespace Fabric.Broker.Live;

/// <summary>
/// Local transactions. Sends wait in memory and acknowledgements are marks on what consumers hold, until the commit appends
/// all of them as one group that ends with its commit record; the index applies the group as a whole or not at all.
/// </summary>
internal sealed partial class LiveBroker
{
    /// <summary>What the sends of all open transactions hold.</summary>
    private long _transactionBytes;

    public BrokerResult Begin(BrokerConnection connection, long id)
    {
        if (!connection.Transactions.ContainsKey(id))
        {
            if (connection.Transactions.Count >= Options.ClientObjectsMax)
            {
                return TooMany("transactions", connection.Transactions.Count);
            }

            connection.Transactions.Add(id, new LocalTransaction(id));
        }

        return BrokerResult.Accepted;
    }

    public BrokerResult Commit(BrokerConnection connection, long id)
    {
        if (!connection.Transactions.Remove(id, out var transaction))
        {
            return TransactionUnknown(connection, id);
        }

        if (transaction.Failure is { } failure)
        {
            Undo(transaction);
            return BrokerResult.Fail(BrokerStatus.TransactionRolledBack, failure);
        }

        Uncount(transaction);
        long now = -1;
        transaction.Sends.RemoveAll(send => send.Destination.Removed || IsExpired(send.Expiration, ref now));
        var consumed = TakeAcknowledged(transaction);
        var end = AppendTogether(transaction.Sends, consumed);
        Show(transaction.Sends, end);
        if (end > Position.Zero)
        {
            AwaitConfirm(connection, end);
        }

        return new BrokerResult(BrokerStatus.Accepted, end);
    }

    public BrokerResult Rollback(BrokerConnection connection, long id)
    {
        if (!connection.Transactions.Remove(id, out var transaction))
        {
            return TransactionUnknown(connection, id);
        }

        Undo(transaction);
        return BrokerResult.Accepted;
    }

    private static BrokerResult TransactionUnknown(BrokerConnection connection, long id) => BrokerResult.Fail(
        BrokerStatus.TransactionUnknown,
        string.Create(CultureInfo.InvariantCulture, $"Transaction 'TX:{connection.ConnectionId}:{id}' has not been started."));

    private void Undo(LocalTransaction transaction)
    {
        Uncount(transaction);
        foreach (var consumer in transaction.Consumers)
        {
            var held = consumer.Outstanding;
            for (var index = 0; index < held.Length; index++)
            {
                if (held[index].Transaction == transaction)
                {
                    // It stays with its consumer, which delivers it again by itself.
                    held[index].Transaction = null;
                    consumer.Shrink(1);
                }
            }
        }

        foreach (var (held, deliveries) in transaction.Orphans)
        {
            if (!held.Queue.Removed)
            {
                held.Queue.Release(held, deliveries);
            }
        }
    }

    private BrokerResult PublishLater(
        BrokerConnection connection, in PublishRequest request, ReadOnlySpan<byte> payload, LocalTransaction transaction)
    {
        return Prepare(connection, request, payload, out var send, out var answer) ? AddTo(transaction, [send]) : answer;
    }

    /// <remarks>
    /// Open transactions do not take up the room that publishers wait for: when all waited in the middle of one, nobody would ever commit. So they have limits of their own, and who exceeds one is
    /// rolled back.
    /// </remarks>
    private BrokerResult AddTo(LocalTransaction transaction, IReadOnlyList<PendingSend> sends)
    {
        if (transaction.Failure is not null)
        {
            return BrokerResult.Accepted; // it can only be rolled back
        }

        foreach (var send in sends)
        {
            if (transaction.Bytes + send.Bytes > Options.TransactionBytesMax)
            {
                return BrokerResult.Fail(
                    BrokerStatus.TooLarge, $"the transaction is larger than {Options.TransactionBytesMax} bytes");
            }

            if (_transactionBytes + send.Bytes > Options.TransactionsBytesMax)
            {
                return BrokerResult.Fail(
                    BrokerStatus.LimitReached, $"the open transactions of all clients are larger than {Options.TransactionsBytesMax} bytes; try again, and commit more often");
            }

            transaction.Sends.Add(send);
            transaction.Bytes += send.Bytes;
            _transactionBytes += send.Bytes;
        }

        return BrokerResult.Accepted;
    }

    /// <summary>Makes a transaction one that can only be rolled back. Its messages are of no use any more.</summary>
    private BrokerResult Fail(LocalTransaction transaction, in BrokerResult result)
    {
        transaction.Failure ??= result.Detail;
        transaction.Sends.Clear();
        Uncount(transaction);
        return result;
    }

    private void Uncount(LocalTransaction transaction)
    {
        _transactionBytes -= transaction.Bytes;
        transaction.Bytes = 0;
    }

    /// <summary>Makes a message ready to be appended or shown later.</summary>
    private bool Prepare(
        BrokerConnection connection, in PublishRequest request, ReadOnlySpan<byte> payload, out PendingSend send,
        out BrokerResult answer)
    {
        send = default;
        if (!Admit(connection, request, payload.Length, out var destination, out answer))
        {
            return false;
        }

        if (destination is LiveQueue { Id: > 0 } queue && request.Persistent)
        {
            var length = Envelope.GetLength(request.ProducerId);
            var body = new byte[length + payload.Length];
            Envelope.Write(body.AsSpan(0, length), FieldsOf(connection, queue, request), request.ProducerId);
            payload.CopyTo(body.AsSpan(length));
            send = new PendingSend(
                queue, body, null, TrackOf(connection, request.ProducerId), request.ProducerSequence, request.Expiration);
            return true;
        }

        var message = NewMemoryMessage(connection, destination.Name, request, payload.ToArray());
        send = new PendingSend(destination, null, message, null, request.ProducerSequence, request.Expiration);
        return true;
    }

    /// <summary>Takes what a committing transaction acknowledged out of its consumers' hands.</summary>
    /// <returns>The journalled ones; those in memory are forgotten at once.</returns>
    private List<(LiveQueue Queue, long Position)> TakeAcknowledged(LocalTransaction transaction)
    {
        var journalled = new List<(LiveQueue, long)>();
        foreach (var consumer in transaction.Consumers)
        {
            var held = consumer.Outstanding;
            for (var index = 0; index < held.Length; index++)
            {
                if (held[index].Transaction == transaction)
                {
                    Take(held[index]);
                    held.Settle(index);
                    consumer.Shrink(1);
                }
            }

            held.Trim();
            Refill(consumer);
        }

        foreach (var (held, _) in transaction.Orphans)
        {
            Take(held);
        }

        foreach (var (consumer, count) in transaction.TopicCounts)
        {
            CountAcknowledged(consumer, count);
        }

        return journalled;

        void Take(in Outstanding item)
        {
            if (item.Queue.Removed)
            {
                return;
            }

            if (item.Memory is { } message)
            {
                Drop(item.Queue, message);
            }
            else
            {
                journalled.Add((item.Queue, item.Sequence));
            }
        }
    }

    /// <summary>
    /// Appends messages and an acknowledgement so that all or none take effect: alone when there is one record, else as a group.
    /// </summary>
    /// <returns>The end of what was appended, zero when nothing had to be.</returns>
    private Position AppendTogether(List<PendingSend> sends, List<(LiveQueue Queue, long Position)> consumed)
    {
        var messages = sends.Count(send => send.Body is not null);
        var records = messages + (consumed.Count > 0 ? 1 : 0);
        if (records == 0)
        {
            return Position.Zero;
        }

        var flags = records > 1 ? RecordKind.InTransaction : (byte)0;
        var group = new List<PendingRecord>(records + 1);
        foreach (var send in sends)
        {
            if (send.Body is not null)
            {
                group.Add(new PendingRecord(RecordKind.Message, flags, send.Body));
            }
        }

        if (consumed.Count > 0)
        {
            _acknowledged.Clear();
            foreach (var (queue, position) in consumed)
            {
                _acknowledged.Add(queue.Id, position);
            }

            group.Add(new PendingRecord(RecordKind.Acknowledged, flags, _acknowledged.Body.ToArray()));
        }

        if (records > 1)
        {
            var count = new byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(count, records);
            group.Add(new PendingRecord(RecordKind.TransactionCommitted, 0, count));
        }

        var end = Journal.AppendGroup(group)[^1].End;
        foreach (var send in sends)
        {
            if (send.Track is { } track)
            {
                NoteAppended((LiveQueue)send.Destination, Current(track), send.Sequence, end);
            }
        }

        return end;
    }

    /// <summary>Shows the messages in memory of a group, after its records have committed.</summary>
    private void Show(List<PendingSend> sends, Position after)
    {
        sends.RemoveAll(static send => send.Memory is null);
        if (sends.Count == 0)
        {
            return;
        }

        _deferred.Enqueue((after.Value, sends));
        PublishDeferred();
    }

    private void PublishDeferred()
    {
        while (_deferred.TryPeek(out var next) && next.After <= Confirmed)
        {
            _deferred.Dequeue();
            foreach (var send in next.Sends)
            {
                if (send.Destination.Removed)
                {
                    continue;
                }

                if (send.Destination is LiveQueue queue)
                {
                    Enqueue(queue, send.Memory!);
                }
                else
                {
                    PublishToTopic((LiveTopic)send.Destination, send.Memory!);
                }
            }
        }
    }
}
