using Fabric.Client.Consumers;
using Fabric.Client.Producers;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client.Connections;

/// <summary>Consumers and transactions, as the broker is told of them.</summary>
internal sealed partial class FailoverConnection
{
    public ConsumerId NewConsumerId()
    {
        lock (_gate)
        {
            ThrowIfUnusable();
            return new ConsumerId(Id.Value, SessionValue, ++_lastConsumer);
        }
    }

    /// <summary>Subscribes, now or when there is a connection, and after each reconnection.</summary>
    public void AddConsumer(ConsumerCore consumer)
    {
        lock (_gate)
        {
            EnsureStarted();
            _consumers.Add(consumer.Id.Value, consumer);
            if (_transport is not null)
            {
                Subscribe(consumer);
            }
        }
    }

    /// <summary>Ends a subscription. Its acknowledgements are to be posted before.</summary>
    /// <param name="consumer">Which.</param>
    /// <param name="lastDelivered">Broker's number of the last outstanding message that the application has seen; -1 for none.</param>
    public void RemoveConsumer(ConsumerCore consumer, long lastDelivered)
    {
        lock (_gate)
        {
            if (_consumers.Remove(consumer.Id.Value))
            {
                Post(new RemoveInfo { ObjectId = consumer.Id, LastDeliveredSequenceId = lastDelivered });
            }
        }
    }

    /// <summary>A consumer that has failed is announced to no further broker.</summary>
    public void ForgetConsumer(ConsumerCore consumer)
    {
        lock (_gate)
        {
            _consumers.Remove(consumer.Id.Value);
        }
    }

    public TransactionCore NewTransaction()
    {
        lock (_gate)
        {
            EnsureStarted();
            if (!_transactionProducers.TryPop(out var producer))
            {
                producer = NewProducer(destination: null);
            }

            return new TransactionCore(new LocalTransactionId(++_lastTransaction, Id), producer);
        }
    }

    /// <summary>Acknowledges a message within a transaction.</summary>
    /// <returns>False when the transaction has ended.</returns>
    /// <exception cref="TransactionRolledBackException">The message came over a connection that is lost.</exception>
    public bool Accept(TransactionCore transaction, ConsumerCore consumer, Incoming message, MessageAck ack)
    {
        lock (_gate)
        {
            if (!CanSettle(consumer, message))
            {
                throw ConsumerCore.CameOverALostConnection();
            }

            if (transaction.HasEnded)
            {
                return false;
            }

            Begin(transaction);
            transaction.Accepts.Add((consumer, message));
            ack.TransactionId = transaction.Id;
            Post(ack);
            return true;
        }
    }

    /// <summary>
    /// Whether the message came over the connection that there is. The consumers learn of a loss after the connection and before the next one, so both are asked; what belongs to neither would be taken by the next
    /// connection for an acknowledgement of whatever it brings. Under the gate.
    /// </summary>
    private bool CanSettle(ConsumerCore consumer, Incoming message) => _transport is not null && consumer.IsCurrent(message);

    /// <summary>Ends a transaction.</summary>
    /// <returns>The request to wait for; null when the broker knows nothing of the transaction.</returns>
    public PendingRequest? End(TransactionCore transaction, TransactionOperation how)
    {
        lock (_gate)
        {
            ThrowIfUnusable();
            transaction.HasEnded = true;
            if (!_transactions.Contains(transaction) || (_transport is null && how == TransactionOperation.Rollback))
            {
                // Never begun, or lost with its connection: the broker has nothing to end.
                return null;
            }

            // Written and not answered, it is in doubt. Given while there is no connection, it follows the transaction's sends on the next.
            var request = new PendingRequest(new TransactionInfo { ConnectionId = Id, TransactionId = transaction.Id, Type = how })
            {
                AfterLoss = AfterLoss.FailIfWritten,
            };
            Enlist(request);
            Post(request.Frame);
            return request;
        }
    }

    /// <summary>Checks that every send of the transaction has ended: the commit would overtake it, or it could fail after the commit.</summary>
    /// <exception cref="InvalidOperationException">A send was not awaited.</exception>
    public void ThrowIfIncomplete(TransactionCore transaction)
    {
        lock (_gate)
        {
            if (transaction.Sends.Exists(message => !message.IsFinished))
            {
                throw new InvalidOperationException("a send of the transaction is not complete; await it before the commit");
            }
        }
    }

    /// <summary>The transaction is over for the broker as well; its producer may serve the next one.</summary>
    public void Release(TransactionCore transaction)
    {
        lock (_gate)
        {
            Forget(transaction);
            _transactionProducers.Push(transaction.Producer);
        }

        var ended = new FabricException("the transaction has ended");
        foreach (var message in transaction.Sends)
        {
            message.Fail(ended);
        }
    }

    private void Begin(TransactionCore transaction)
    {
        if (transaction.HasEnded)
        {
            throw transaction.CreateEnded();
        }

        if (!transaction.HasBegun)
        {
            transaction.HasBegun = true;
            _transactions.Add(transaction);
            Post(new TransactionInfo { ConnectionId = Id, TransactionId = transaction.Id, Type = TransactionOperation.Begin });
        }
    }

    private void Forget(TransactionCore transaction)
    {
        _transactions.Remove(transaction);
        foreach (var message in transaction.Sends)
        {
            if (_pending.Remove(message.CommandId))
            {
                _inFlight--;
            }
        }

        AdmitWaiting();
    }

    private void Subscribe(ConsumerCore consumer)
    {
        var request = new PendingRequest(consumer.CreateInfo()) { AfterLoss = AfterLoss.Forget };
        Enlist(request);
        Post(request.Frame);
        _ = consumer.AwaitSubscriptionAsync(request.Done);
    }
}
