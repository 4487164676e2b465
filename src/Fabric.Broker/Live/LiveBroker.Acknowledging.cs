using Fabric.Broker.Index;

namespace Fabric.Broker.Live;

/// <summary>
/// Acknowledgements. Ranges are in the order of dispatch to the consumer. The window opens at once; the message itself is
/// forgotten when the record commits, and stays locked until then.
/// </summary>
internal sealed partial class LiveBroker
{
    public BrokerResult Acknowledge(BrokerConnection connection, in AcknowledgeRequest request, ref List<DeadLetter>? dead)
    {
        LocalTransaction? transaction = null;
        if (request.Transaction is { } id && !connection.Transactions.TryGetValue(id, out transaction))
        {
            return TransactionUnknown(connection, id);
        }

        // Before the first dispatch an acknowledgement can only belong to the broker that the client was connected to earlier.
        if (!connection.Consumers.TryGetValue(request.Consumer, out var consumer) || !consumer.Served)
        {
            return BrokerResult.Ignored;
        }

        var result = consumer.Counted
            ? AcknowledgeCounted(consumer, request, transaction)
            : AcknowledgeQueue(consumer, request, transaction, ref dead);
        return result.Succeeded || transaction is null ? result : Fail(transaction, result);
    }

    private BrokerResult AcknowledgeCounted(
        BrokerConsumer consumer, in AcknowledgeRequest request, LocalTransaction? transaction)
    {
        switch (request.Kind)
        {
            case AcknowledgeKind.Delivered:
                consumer.Widen(request.Count);
                break;
            case AcknowledgeKind.Redelivered:
                return BrokerResult.Accepted;
            default:
                var count = request.Kind == AcknowledgeKind.Individual ? 1 : Math.Max(0, request.Count);
                if (transaction is not null)
                {
                    transaction.TopicCounts.Add((consumer, count));
                    return BrokerResult.Accepted;
                }

                CountAcknowledged(consumer, count);
                break;
        }

        Refill(consumer);
        return BrokerResult.Accepted;
    }

    private void CountAcknowledged(BrokerConsumer consumer, int count)
    {
        consumer.Unacknowledged = Math.Max(0, consumer.Unacknowledged - count);
        consumer.Shrink(count);
        Refill(consumer);
    }

    private BrokerResult AcknowledgeQueue(
        BrokerConsumer consumer, in AcknowledgeRequest request, LocalTransaction? transaction, ref List<DeadLetter>? dead)
    {
        var held = consumer.Outstanding;
        var last = held.Find(request.Last.Value, fromBack: request.Kind == AcknowledgeKind.Delivered);
        if (last < 0 && request.Kind == AcknowledgeKind.Individual)
        {
            return BrokerResult.Ignored;
        }

        var first = request.Kind == AcknowledgeKind.Individual ? last
            : request.Kind == AcknowledgeKind.Delivered ? 0
            : request.First is { } named ? held.Find(named.Value)
            : request.Kind == AcknowledgeKind.Expired ? last // NMS names the one that has expired, and no range
            : held.FindOldest();
        if (last < 0 || first < 0 || first > last)
        {
            return Unmatched(consumer, request, "not every end of the range is outstanding");
        }

        switch (request.Kind)
        {
            case AcknowledgeKind.Delivered:
                consumer.Widen(request.Count);
                Refill(consumer);
                return BrokerResult.Accepted;
            case AcknowledgeKind.Redelivered:
                return BrokerResult.Accepted;
            case AcknowledgeKind.Poison or AcknowledgeKind.Expired:
                return GiveUp(consumer, request, first, last, ref dead);
            case AcknowledgeKind.Standard or AcknowledgeKind.Individual when transaction is not null:
                return Mark(consumer, request.Kind, first, last, transaction);
            case AcknowledgeKind.Standard or AcknowledgeKind.Individual:
                return Consume(consumer, request, first, last);
            default:
                return Unmatched(consumer, request, "there is no such kind of acknowledgement");
        }
    }

    /// <summary>Acknowledged in a transaction: kept until it ends, but marked.</summary>
    private BrokerResult Mark(
        BrokerConsumer consumer, AcknowledgeKind kind, int first, int last, LocalTransaction transaction)
    {
        var held = consumer.Outstanding;
        for (var index = first; index <= last; index++)
        {
            ref var item = ref held[index];
            if (!item.Gone && item.Transaction is null)
            {
                item.Transaction = transaction;
                if (kind == AcknowledgeKind.Individual)
                {
                    consumer.Widen(1);
                }
            }
        }

        if (!transaction.Consumers.Contains(consumer))
        {
            transaction.Consumers.Add(consumer);
        }

        Refill(consumer);
        return BrokerResult.Accepted;
    }

    private BrokerResult Consume(BrokerConsumer consumer, in AcknowledgeRequest request, int first, int last)
    {
        var held = consumer.Outstanding;
        var count = 0;
        for (var index = first; index <= last; index++)
        {
            count += held[index] is { Gone: false, Transaction: null } ? 1 : 0;
        }

        if (request.Kind == AcknowledgeKind.Standard && count != request.Count)
        {
            return Unmatched(consumer, request, $"the range holds {count} messages");
        }

        _acknowledged.Clear();
        for (var index = first; index <= last; index++)
        {
            ref var item = ref held[index];
            if (item.Gone || item.Transaction is not null)
            {
                continue;
            }

            if (item.Memory is { } message)
            {
                Drop(item.Queue, message);
            }
            else
            {
                _acknowledged.Add(item.Queue.Id, item.Sequence);
            }

            held.Settle(index);
        }

        held.Trim();
        consumer.Shrink(count);
        Refill(consumer);
        return AppendAcknowledged(consumer.Connection);
    }

    private BrokerResult AppendAcknowledged(BrokerConnection connection)
    {
        if (_acknowledged.Count == 0)
        {
            return BrokerResult.Accepted;
        }

        var end = Journal.Append(RecordKind.Acknowledged, 0, _acknowledged.Body, default).End;
        AwaitConfirm(connection, end);
        return new BrokerResult(BrokerStatus.Accepted, end);
    }

    /// <summary>Takes a range away from its consumer: journalled messages for the dead letter queue, the others for good.</summary>
    private BrokerResult GiveUp(
        BrokerConsumer consumer, in AcknowledgeRequest request, int first, int last, ref List<DeadLetter>? dead)
    {
        var held = consumer.Outstanding;
        var cause = request.Cause ?? (request.Kind == AcknowledgeKind.Expired ? "Message Expired." : "the consumer gave up on it");
        for (var index = first; index <= last; index++)
        {
            ref var item = ref held[index];
            if (item.Gone || item.Transaction is not null)
            {
                continue;
            }

            if (item.Memory is { } message)
            {
                Drop(item.Queue, message);
            }
            else
            {
                (dead ??= []).Add(DeadLetter.Of(item.Queue, new EntryRef(item.Chunk!, item.Slot), cause));
            }

            if (request.Kind == AcknowledgeKind.Expired)
            {
                held.Remove(index);
            }
            else
            {
                held.Settle(index);
            }
        }

        held.Trim();
        consumer.Shrink(1);
        Refill(consumer);
        return BrokerResult.Accepted;
    }

    private static BrokerResult Unmatched(BrokerConsumer consumer, in AcknowledgeRequest request, string reason) =>
        BrokerResult.Fail(
            BrokerStatus.Unmatched,
            $"Unmatched acknowledge: {request.Kind} of {request.Count} messages from {request.First} to {request.Last} by {consumer}: {reason}");

    /// <summary>Forgets a message that is in memory only.</summary>
    private void Drop(LiveQueue queue, MemoryMessage message)
    {
        if (!message.Removed)
        {
            queue.RemoveMemory(message);
            Unhold(message);
        }
    }
}
