using Microsoft.Extensions.Logging;

namespace Fabric.Broker.Live;

/// <summary>
/// Carries events out of the broker's lock in the order in which they happened. Whoever finds some waiting tells them, one
/// thread at a time; so when a call returns, its own events have been heard. One queue for all masterships, so that the listener
/// never hears two of them at once.
/// Lock order: <see cref="_telling"/> before the broker's lock.
/// </summary>
internal sealed class EventQueue(IBrokerEvents? listener, Lock gate, ILogger logger)
{
    private readonly Lock _telling = new();
    private readonly Queue<Event> _events = new();
    private volatile int _waiting;

    private enum Kind
    {
        ConnectionAdded,
        ConnectionRemoved,
        DestinationAdded,
        DestinationRemoved,
        TemporaryAdded,
        TemporaryRemoved,
        ConsumerAdded,
        ConsumerRemoved,
        ProducerAdded,
        ProducerRemoved,
    }

    public void Connection(BrokerConnection connection, bool added) =>
        Add(new Event(added ? Kind.ConnectionAdded : Kind.ConnectionRemoved, connection, default));

    public void Destination(LiveDestination destination, bool added)
    {
        if (destination.Owner is { } owner)
        {
            Add(new Event(added ? Kind.TemporaryAdded : Kind.TemporaryRemoved, owner, destination.Name));
            return;
        }

        Add(new Event(added ? Kind.DestinationAdded : Kind.DestinationRemoved, null, destination.Name));
    }

    public void Consumer(BrokerConsumer consumer, bool added) =>
        Add(new Event(added ? Kind.ConsumerAdded : Kind.ConsumerRemoved, consumer, default));

    public void Producer(BrokerProducer producer, bool added) =>
        Add(new Event(added ? Kind.ProducerAdded : Kind.ProducerRemoved, producer, default));

    /// <summary>Under the broker's lock: forgets what nobody has heard.</summary>
    public void Clear()
    {
        _events.Clear();
        _waiting = 0;
    }

    /// <summary>Without the broker's lock: returns when no other thread is telling an event.</summary>
    public void AwaitSilence()
    {
        if (!_telling.IsHeldByCurrentThread)
        {
            lock (_telling)
            {
            }
        }
    }

    /// <summary>Without the broker's lock: tells what waits.</summary>
    public void Drain()
    {
        // A listener that calls the broker comes back here; its own events follow when it returns.
        if (listener is null || _waiting == 0 || _telling.IsHeldByCurrentThread)
        {
            return;
        }

        lock (_telling)
        {
            while (TryTake(out var next))
            {
                try
                {
                    Tell(listener, next);
                }
                catch (Exception exception)
                {
                    // Whoever ends a turn tells it, the journal's applier too: what a listener cannot do is no failure of theirs.
                    logger.LogError(exception, "Nobody was told of {Event} {Destination}", next.Kind, next.Destination);
                }
            }
        }
    }

    private void Add(Event added)
    {
        if (listener is not null)
        {
            _events.Enqueue(added);
            _waiting = _events.Count;
        }
    }

    private bool TryTake(out Event next)
    {
        lock (gate)
        {
            _waiting = _events.Count; // with the one that is taken: until it has been told, its own caller must not pass by
            return _events.TryDequeue(out next);
        }
    }

    private static void Tell(IBrokerEvents listener, Event next)
    {
        switch (next.Kind)
        {
            case Kind.ConnectionAdded:
                listener.ConnectionAdded((BrokerConnection)next.Subject!);
                break;
            case Kind.ConnectionRemoved:
                listener.ConnectionRemoved((BrokerConnection)next.Subject!);
                break;
            case Kind.DestinationAdded:
                listener.DestinationAdded(next.Destination);
                break;
            case Kind.DestinationRemoved:
                listener.DestinationRemoved(next.Destination);
                break;
            case Kind.TemporaryAdded:
                listener.TemporaryAdded((BrokerConnection)next.Subject!, next.Destination);
                break;
            case Kind.TemporaryRemoved:
                listener.TemporaryRemoved((BrokerConnection)next.Subject!, next.Destination);
                break;
            case Kind.ConsumerAdded:
                listener.ConsumerAdded((BrokerConsumer)next.Subject!);
                break;
            case Kind.ConsumerRemoved:
                listener.ConsumerRemoved((BrokerConsumer)next.Subject!);
                break;
            case Kind.ProducerAdded:
                listener.ProducerAdded((BrokerProducer)next.Subject!);
                break;
            default:
                listener.ProducerRemoved((BrokerProducer)next.Subject!);
                break;
        }
    }

    private readonly record struct Event(Kind Kind, object? Subject, DestinationName Destination);
}
