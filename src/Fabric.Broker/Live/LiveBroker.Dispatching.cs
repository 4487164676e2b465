using System.Buffers.Binary;
using Fabric.Broker.Index;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Broker.Live;

/// <summary>
/// Messages to consumers. Dispatch puts a small struct on the outbound list of the consumer's connection; the connection's
/// writer takes it from there and fetches the payload itself.
/// </summary>
internal sealed partial class LiveBroker
{
    /// <summary>
    /// How far a horizon is ahead, in journal bytes: a record for each half of it that a queue's deliveries advance, and at most so much that is
    /// flagged after a take-over although nobody has seen it.
    /// </summary>
    private const long HorizonBytes = 4 * 1024 * 1024;

    public bool TryTakeDelivery(BrokerConnection connection, out Delivery delivery)
    {
        while (connection.Outbound.TryDequeue(out delivery))
        {
            if (delivery.Memory is { } message)
            {
                Unhold(message);
            }

            if (!delivery.Consumer.Closed && delivery.Queue is not { Removed: true })
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Copies a delivered message's payload, for the connection's writer. False when the message or its consumer has gone.</summary>
    public bool TryReadPayload(in Delivery delivery, Span<byte> destination)
    {
        var queue = delivery.Queue!;
        return TryReadMessage(queue, delivery.Sequence.Value, delivery.Body, delivery.EnvelopeBytes, destination, delivery.Consumer);
    }

    /// <summary>
    /// Copies a part of a message's record. Cleaning may copy the message forward meanwhile, and the segment go that it was to be read from: then it is read from where it stands by
    /// then. Without the lock.
    /// </summary>
    /// <param name="queue">Holds the message.</param>
    /// <param name="position">The message.</param>
    /// <param name="body">Where it was read from when that was last looked up.</param>
    /// <param name="offset">From the start of the envelope.</param>
    /// <param name="destination">Filled completely.</param>
    /// <param name="consumer">Whom it is read for; nobody needs it any more when that one has gone.</param>
    /// <returns>False when the message has gone, or whom it is for.</returns>
    /// <exception cref="StoreException">It is there, and cannot be read.</exception>
    public bool TryReadMessage(
        LiveQueue queue, long position, long body, int offset, Span<byte> destination, BrokerConsumer? consumer = null)
    {
        while (true)
        {
            try
            {
                Journal.ReadBody(new Position(body), offset, destination);
                return true;
            }
            catch (StoreException)
            {
                var now = FindBody(queue, position, consumer);
                if (now is null)
                {
                    return false;
                }

                if (now == body)
                {
                    throw;
                }

                body = now.Value;
            }
        }
    }

    /// <summary>Where a message is read from now; null when nobody needs it.</summary>
    private long? FindBody(LiveQueue queue, long position, BrokerConsumer? consumer)
    {
        using var turn = Enter();
        return !Stopped && consumer is not { Closed: true } && queue is { Removed: false, Index: { } index }
            && index.Entries.TryFind(position, out var found)
            ? found.Body
            : null;
    }

    private void Dispatch(LiveQueue queue)
    {
        long now = -1;
        while (TryMatch(queue, out var consumer, out var view, out var message))
        {
            var place = view.Cursor;
            LiveQueue.Pass(view, message);
            if (consumer.Request.NoLocal
                && consumer.Connection.Origin == (message?.Origin ?? place.Chunk!.Entries[place.Slot].Origin))
            {
                continue;
            }

            if (message is not null)
            {
                if (IsExpired(message.Expiration, ref now))
                {
                    Drop(queue, message);
                    continue;
                }

                Dispatch(queue, consumer, message);
            }
            else
            {
                ref var entry = ref place.Chunk!.Touch(place.Slot);
                entry.Locked = true;
                queue.InFlight++;
                if (IsExpired(entry.Expiration, ref now))
                {
                    GiveUpExpired(queue, new EntryRef(place.Chunk, place.Slot));
                    continue;
                }

                Dispatch(queue, consumer, new EntryRef(place.Chunk, place.Slot));
            }
        }

        queue.EndRound();
        KeepHorizonAhead(queue);
    }

    /// <summary>
    /// Journals how far deliveries may go, well before they get there, so that the next master knows which messages somebody may have seen
    /// (RECORDS.md). Nothing is delivered beyond what is committed of it.
    /// </summary>
    private void KeepHorizonAhead(LiveQueue queue)
    {
        if (queue.Index is null || queue.Consumers.Count == 0)
        {
            return;
        }

        var end = Journal.End.Value;
        if (queue.AppendedHorizon - end >= HorizonBytes / 2)
        {
            return;
        }

        var next = queue.NextPosition(end);
        if (queue.AppendedHorizon - next >= HorizonBytes / 2)
        {
            return;
        }

        Span<byte> body = stackalloc byte[12];
        BinaryPrimitives.WriteInt32LittleEndian(body, queue.Id);
        BinaryPrimitives.WriteInt64LittleEndian(body[4..], next + HorizonBytes);
        try
        {
            Journal.Append(RecordKind.DeliveryHorizon, 0, body, default);
            queue.AppendedHorizon = next + HorizonBytes;
        }
        catch (Exception exception) when (BrokerConnection.EndsService(exception))
        {
            // The mastership is over, and with it every delivery.
        }
    }

    /// <summary>Up to where the queue's messages may be delivered now.</summary>
    private long Deliverable(LiveQueue queue) => queue.Index is { } index ? Math.Min(Confirmed, index.DeliveryHorizon) : Confirmed;

    /// <summary>Finds the next message and the consumer whose turn it is.</summary>
    private bool TryMatch(LiveQueue queue, out BrokerConsumer consumer, out QueueView view, out MemoryMessage? message)
    {
        consumer = null!;
        view = queue.Shared;
        message = null;
        if (!queue.HasFilters)
        {
            return queue.Consumers.Count > 0 && queue.TryPeek(view, Deliverable(queue), out message)
                && (consumer = queue.NextConsumer()!) is not null;
        }

        while ((consumer = queue.NextConsumer()!) is not null)
        {
            view = queue.ViewOf(consumer);
            if (queue.TryPeek(view, Deliverable(queue), out message))
            {
                return true;
            }

            consumer.Exhausted = true;
        }

        return false;
    }

    private void Dispatch(LiveQueue queue, BrokerConsumer consumer, EntryRef message)
    {
        consumer.Outstanding.Add(new Outstanding
        {
            Sequence = message.Value.Position,
            Queue = queue,
            Chunk = message.Chunk,
            Slot = message.Slot,
        });
        Count(consumer);
        Send(Delivery.Of(consumer, queue, message));
    }

    private void Dispatch(LiveQueue queue, BrokerConsumer consumer, MemoryMessage message)
    {
        message.Locked = true;
        queue.InFlight++;
        consumer.Outstanding.Add(new Outstanding { Sequence = message.Sequence, Queue = queue, Memory = message });
        Count(consumer);
        Hold(message);
        Send(Delivery.Of(consumer, queue, message));
    }

    /// <summary>Shows a browser the queue as it was when it began, as far as its window has room.</summary>
    private void Browse(BrokerConsumer consumer, QueueView view)
    {
        var queue = (LiveQueue)consumer.Sources[0];
        while (consumer.HasRoom)
        {
            if (!queue.TryPeek(view, view.EndPosition, out var message))
            {
                queue.RemoveView(view);
                consumer.Browsing = null;
                if (consumer.Prefetch > 0)
                {
                    Send(Delivery.Nothing(consumer)); // the end; a pull is answered by itself
                }

                return;
            }

            var place = view.Cursor;
            LiveQueue.Pass(view, message);
            consumer.Unacknowledged++;
            Count(consumer);
            if (message is not null)
            {
                Hold(message);
                Send(Delivery.Of(consumer, queue, message));
            }
            else
            {
                Send(Delivery.Of(consumer, queue, new EntryRef(place.Chunk!, place.Slot)));
            }
        }
    }

    /// <summary>Hands a topic's message to one consumer, or lets it wait for the window.</summary>
    private void Offer(BrokerConsumer consumer, MemoryMessage message)
    {
        Hold(message);
        if (consumer.Pending.Count > 0 || !consumer.HasRoom)
        {
            consumer.Pending.Enqueue(message);
            return;
        }

        SendFromTopic(consumer, message);
    }

    private void DispatchPending(BrokerConsumer consumer)
    {
        long now = -1;
        while (consumer.HasRoom && consumer.Pending.TryDequeue(out var message))
        {
            if (IsExpired(message.Expiration, ref now))
            {
                Unhold(message);
                continue;
            }

            SendFromTopic(consumer, message);
        }
    }

    private void SendFromTopic(BrokerConsumer consumer, MemoryMessage message)
    {
        consumer.Unacknowledged++;
        Count(consumer);
        Send(Delivery.Of(consumer, null, message));
        if (_destinations.TryGetValue(message.Destination, out var topic))
        {
            topic.Dequeued++;
        }
    }

    private static void Count(BrokerConsumer consumer)
    {
        consumer.Served = true;
        if (consumer.Prefetch == 0)
        {
            consumer.Extension--;
        }
    }

    private void Send(in Delivery delivery)
    {
        delivery.Consumer.Connection.Outbound.Enqueue(delivery);
        Wake(delivery.Consumer.Connection);
    }

    private void DropOutbound(BrokerConnection connection)
    {
        while (connection.Outbound.TryDequeue(out var delivery))
        {
            if (delivery.Memory is { } message)
            {
                Unhold(message);
            }
        }
    }

    /// <summary>The clock is asked only when something can expire.</summary>
    private bool IsExpired(long expiration, ref long now)
    {
        if (expiration <= 0)
        {
            return false;
        }

        if (now < 0)
        {
            now = Now;
        }

        return now > expiration;
    }
}
