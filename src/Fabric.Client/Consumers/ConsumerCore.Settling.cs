using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client.Consumers;

/// <summary>What the application does with its deliveries, and how the broker is told.</summary>
internal sealed partial class ConsumerCore
{
    /// <summary>Of a reason for the dead letter queue, more than anybody reads and less than fits into a text on the wire; a stack trace may be longer.</summary>
    private const int ReasonCharsMax = 16 * 1024;

    /// <summary>Takes a message for good. The acknowledgement is written with others that come in the same moment.</summary>
    public void Accept(Incoming message)
    {
        bool flush;
        lock (_sync)
        {
            ThrowIfClosed();
            if (IsStale(message))
            {
                if (_carriedOver.TryGetValue(message.Key, out var carried) && carried == message)
                {
                    _carriedOver[message.Key] = null;
                    _recent.Add(message.Key);
                }

                return;
            }

            flush = MarkAccepted(message);
        }

        if (flush)
        {
            _connection.QueueAcknowledgements(this);
        }
    }

    /// <summary>Takes a message if and when the transaction commits.</summary>
    public void Accept(Incoming message, FabricTransaction transaction)
    {
        lock (_sync)
        {
            ThrowIfClosed();
            if (IsStale(message))
            {
                _carriedOver.Remove(message.Key); // this delivery is settled, so the one that comes again is a new one
                throw CameOverALostConnection();
            }

            message.State = IncomingState.InTransaction;
        }

        var ack = CreateAck(AckType.Individual, message, message, count: 1);
        if (!_connection.Accept(transaction.Core, this, message, ack))
        {
            Release(message, delay: null);
            throw transaction.Core.CreateEnded();
        }
    }

    /// <summary>What settling a message says whose connection is lost.</summary>
    public static TransactionRolledBackException CameOverALostConnection() =>
        new("the connection broke since the message was received; it will be delivered again");

    /// <summary>The transaction has committed: the broker has dropped the messages from its list.</summary>
    public void Committed(Incoming message)
    {
        lock (_sync)
        {
            if (!IsStale(message))
            {
                Remove(message);
            }
        }
    }

    /// <summary>
    /// The transaction was rolled back. The broker still counts the messages as dispatched, so they are delivered again from here, in their
    /// order and before what was not seen yet.
    /// </summary>
    public void RolledBack(IReadOnlyList<Incoming> messages)
    {
        List<Incoming> again = [];
        foreach (var message in messages)
        {
            if (!TryGiveUp(message))
            {
                again.Add(message);
            }
        }

        if (again.Count > 0)
        {
            Redeliver(again, _redelivery.GetDelay(again[0].RedeliveryCounter, _connection.Runtime.Random), first: true);
        }
    }

    /// <summary>Gives a message back for another delivery.</summary>
    public void Release(Incoming message, TimeSpan? delay)
    {
        if (TryGiveUp(message))
        {
            return;
        }

        Redeliver(
            [message], delay ?? _redelivery.GetDelay(message.RedeliveryCounter, _connection.Runtime.Random), first: false);
    }

    /// <summary>Gives a message up.</summary>
    public void DeadLetter(Incoming message, string reason)
    {
        bool flush;
        lock (_sync)
        {
            ThrowIfClosed();
            if (IsStale(message))
            {
                // It comes again; the application decides anew.
                _carriedOver.Remove(message.Key);
                return;
            }

            flush = GiveUp(message, CreatePoison(message, reason));
        }

        if (flush)
        {
            _connection.QueueAcknowledgements(this);
        }
    }

    /// <summary>Writes what was accepted since the last time. Called by the connection's writer.</summary>
    public void WriteAcknowledgements(OpenWireWriter writer)
    {
        List<MessageAck> acks = [];
        lock (_sync)
        {
            _isAckQueued = false;
            if (!_isClosed)
            {
                CollectAcknowledgements(acks);
            }
        }

        foreach (var ack in acks)
        {
            writer.WriteFrame(ack);
        }
    }

    /// <summary>Whether the message came over the last connection that this consumer knows of.</summary>
    public bool IsCurrent(Incoming message)
    {
        lock (_sync)
        {
            return !IsStale(message);
        }
    }

    private bool IsStale(Incoming message) => message.Generation != _generation;

    /// <summary>Under the lock.</summary>
    /// <returns>True when the connection must be told that acknowledgements are waiting.</returns>
    private bool MarkAccepted(Incoming message)
    {
        message.State = IncomingState.Accepted;
        _accepted.Add(message);
        _recent.Add(message.Key);
        return QueueAck();
    }

    /// <summary>
    /// Takes a message out of the list, and keeps what the broker is to be told of it in order with the acknowledgements of others: a range that
    /// reached the broker first would count one message less than the broker has there. Under the lock.
    /// </summary>
    /// <returns>True when the connection must be told that acknowledgements are waiting.</returns>
    private bool GiveUp(Incoming message, MessageAck ack)
    {
        Remove(message);
        _givenUp.Add(ack);
        return QueueAck();
    }

    private bool QueueAck()
    {
        var flush = !_isAckQueued;
        _isAckQueued = true;
        return flush;
    }

    /// <summary>
    /// Makes one range of everything accepted at the front of the list, which is the usual case, and single acknowledgements of what was
    /// accepted out of order; before them what was given up. Under the lock.
    /// </summary>
    private void CollectAcknowledgements(List<MessageAck> acks)
    {
        acks.AddRange(_givenUp);
        _givenUp.Clear();
        if (_accepted.Count == 0)
        {
            return;
        }

        while (_first is { State: IncomingState.Accepted } first)
        {
            var last = first;
            var count = 1;

            // The destination of an acknowledgement is that of its messages, and a pattern's consumer has several.
            while (last.Next is { State: IncomingState.Accepted } next && next.Destination.Equals(first.Destination))
            {
                last = next;
                count++;
            }

            acks.Add(CreateAck(AckType.Standard, first, last, count));
            for (; count > 0; count--)
            {
                Remove(_first!);
            }
        }

        foreach (var message in _accepted)
        {
            if (message.State == IncomingState.Accepted)
            {
                acks.Add(CreateAck(AckType.Individual, message, message, count: 1));
                Remove(message);
            }
        }

        _accepted.Clear();
    }

    private MessageAck CreateAck(AckType type, Incoming first, Incoming last, int count) => new()
    {
        Destination = first.Destination,
        ConsumerId = Id,
        AckType = type,
        FirstMessageId = type == AckType.Individual ? null : first.Id,
        LastMessageId = last.Id,
        MessageCount = count,
    };

    /// <summary>Counts a failed delivery, and sends the message to the dead letter queue when it was the last one allowed.</summary>
    private bool TryGiveUp(Incoming message)
    {
        bool flush;
        lock (_sync)
        {
            if (_isClosed || _failure is not null || IsStale(message))
            {
                // Back at its queue already, or coming again with the broker's own count.
                _carriedOver.Remove(message.Key);
                return true;
            }

            message.RedeliveryCounter++;
            if (_redelivery.MaximumRedeliveries < 0 || message.RedeliveryCounter <= _redelivery.MaximumRedeliveries)
            {
                message.State = IncomingState.Released;
                return false;
            }

            var reason = $"Delivery[{message.RedeliveryCounter}] exceeds redelivery policy limit: {_redelivery.MaximumRedeliveries}";
            flush = GiveUp(message, CreatePoison(message, reason));
        }

        if (flush)
        {
            _connection.QueueAcknowledgements(this);
        }

        LogGivenUp(_connection.Logger, message.Id.ToString(), message.RedeliveryCounter);
        return true;
    }

    private MessageAck CreatePoison(Incoming message, string reason)
    {
        var ack = CreateAck(AckType.Poison, message, message, count: 1);
        ack.PoisonCause = new BrokerError("java.lang.Throwable", reason.Length > ReasonCharsMax ? reason[..ReasonCharsMax] : reason);
        return ack;
    }

    private void Redeliver(List<Incoming> messages, TimeSpan delay, bool first)
    {
        if (delay <= TimeSpan.Zero)
        {
            PutBack(messages, first);
            return;
        }

        lock (_sync)
        {
            if (_isClosed)
            {
                return;
            }

            ITimer? timer = null;
            timer = _connection.Runtime.Time.CreateTimer(
                _ =>
                {
                    lock (_sync)
                    {
                        _timers.Remove(timer!);
                    }

                    timer!.Dispose();
                    PutBack(messages, first);
                },
                state: null,
                delay,
                Timeout.InfiniteTimeSpan);
            _timers.Add(timer);
        }
    }

    private void PutBack(List<Incoming> messages, bool first)
    {
        lock (_sync)
        {
            if (_isClosed)
            {
                return;
            }

            for (var i = 0; i < messages.Count; i++)
            {
                var message = messages[first ? messages.Count - 1 - i : i];
                if (IsStale(message))
                {
                    // The broker will deliver it again; then it is a new message.
                    _carriedOver.Remove(message.Key);
                    continue;
                }

                message.State = IncomingState.Buffered;
                if (first)
                {
                    _buffer.AddFirst(message);
                }
                else
                {
                    _buffer.AddLast(message);
                }

                _available.Release();
            }
        }
    }

    private void StopTimers()
    {
        foreach (var timer in _timers)
        {
            timer.Dispose();
        }

        _timers.Clear();
    }
}
