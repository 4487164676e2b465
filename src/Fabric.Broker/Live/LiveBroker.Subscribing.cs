using Fabric.Broker.Security;

namespace Fabric.Broker.Live;

/// <summary>Consumers: what they read from, their windows, and what becomes of what they hold when they leave.</summary>
internal sealed partial class LiveBroker
{
    /// <summary>Attaches a new consumer to all that its destination names, or to nothing.</summary>
    private BrokerResult Subscribe(BrokerConsumer consumer)
    {
        var request = consumer.Request;
        if (FindUnsupported(request) is { } what)
        {
            return BrokerResult.Unsupported(what);
        }

        var elements = request.Destination.Split();
        if (elements.Count == 0)
        {
            return BrokerResult.Fail(BrokerStatus.DestinationInvalid, "a consumer needs a destination");
        }

        var onTopics = !elements[0].IsQueue;
        consumer.Counted = onTopics || request.Browser;
        var sources = new List<LiveDestination>();
        foreach (var element in elements)
        {
            if (element.IsQueue == onTopics)
            {
                return BrokerResult.Unsupported("one consumer of queues and topics");
            }

            if (!IsAllowed(consumer.Connection, DestinationAction.Read, element, out var refused))
            {
                return refused;
            }

            if (element.IsPattern)
            {
                if (IsTooLong(element, out var tooLong))
                {
                    return tooLong;
                }

                continue;
            }

            if (!FindOrAdd(element, out var source, out var failure))
            {
                return failure;
            }

            if (source.Owner is { } owner && owner != consumer.Connection)
            {
                return ForeignTemporary(element);
            }

            sources.Add(source);
        }

        foreach (var source in sources)
        {
            source.Attach(consumer);
        }

        if (request.Browser)
        {
            Refill(consumer);
        }

        if (elements.Any(element => element.IsPattern))
        {
            _patternConsumers.Add(consumer);
            foreach (var destination in _destinations.Values)
            {
                AttachMatching(consumer, destination);
            }
        }

        return BrokerResult.Accepted;
    }

    private static string? FindUnsupported(ConsumerRequest request)
    {
        if (!string.IsNullOrWhiteSpace(request.Selector))
        {
            return "selectors";
        }

        if (!string.IsNullOrEmpty(request.SubscriptionName))
        {
            return "durable subscriptions";
        }

        var oneQueue = request.Destination is { IsQueue: true, IsComposite: false, IsPattern: false };
        return request.Browser && !oneQueue ? "browsing anything but one queue" : null;
    }

    private static void AttachMatching(BrokerConsumer consumer, LiveDestination destination)
    {
        if (destination.Owner is not null && destination.Owner != consumer.Connection)
        {
            return;
        }

        foreach (var element in consumer.Destination.Split())
        {
            if (element.IsPattern && element.Matches(destination.Name) && !consumer.Sources.Contains(destination))
            {
                destination.Attach(consumer);
            }
        }
    }

    public BrokerResult SetPrefetch(BrokerConnection connection, ConsumerKey key, int prefetch)
    {
        if (!connection.Consumers.TryGetValue(key, out var consumer))
        {
            return BrokerResult.Ignored;
        }

        prefetch = Math.Clamp(prefetch, 0, BrokerConsumer.PrefetchMax);
        if ((prefetch == 0) != (consumer.Prefetch == 0))
        {
            // The extension means something else in the other mode: pulls to answer here, seen messages there.
            consumer.Extension = 0;
        }

        consumer.Prefetch = prefetch;
        Refill(consumer);
        return BrokerResult.Accepted;
    }

    public BrokerResult Pull(BrokerConnection connection, ConsumerKey key, TimeSpan timeout)
    {
        if (!connection.Consumers.TryGetValue(key, out var consumer))
        {
            return BrokerResult.Fail(BrokerStatus.ConsumerUnknown, $"there is no consumer {connection.ConnectionId}:{key}");
        }

        if (consumer.Prefetch > 0)
        {
            return BrokerResult.Ignored;
        }

        var request = consumer.Request;
        consumer.Extension = 1;
        ForgetPullTimeout(consumer);
        Refill(consumer);
        Settle();
        if (consumer.Extension > 0 && (timeout != Timeout.InfiniteTimeSpan || request.Browser))
        {
            if (timeout <= TimeSpan.Zero || request.Browser)
            {
                AnswerPull(consumer);
            }
            else
            {
                SchedulePullTimeout(consumer, timeout);
            }
        }

        return BrokerResult.Accepted;
    }

    /// <summary>Tells a pulling consumer that there is nothing.</summary>
    private void AnswerPull(BrokerConsumer consumer)
    {
        consumer.Extension = 0;
        Send(Delivery.Nothing(consumer));
    }

    /// <summary>Looks for messages for a consumer whose window may have room.</summary>
    private void Refill(BrokerConsumer consumer)
    {
        if (consumer.Counted)
        {
            if (consumer.Browsing is { } view)
            {
                Browse(consumer, view);
            }

            DispatchPending(consumer);
            return;
        }

        foreach (var source in consumer.Sources)
        {
            MarkDirty((LiveQueue)source);
        }
    }

    /// <summary>
    /// Gives back what a leaving consumer holds. Which messages count as delivered once more follows from the last one that
    /// reached the application (reference: OpenWire's lastDeliveredSequenceId).
    /// </summary>
    private void ReturnHeld(BrokerConsumer consumer, LastDelivered lastDelivered)
    {
        while (consumer.Pending.TryDequeue(out var pending))
        {
            Unhold(pending);
        }

        var held = consumer.Outstanding;
        var deliveredLast = lastDelivered == LastDelivered.Unknown ? held.Length - 1 : -1;
        if (lastDelivered.Value >= 0)
        {
            deliveredLast = held.FindDispatchedBy(lastDelivered.Value);
        }

        for (var index = 0; index < held.Length; index++)
        {
            ref var item = ref held[index];
            if (item.Gone)
            {
                continue;
            }

            var deliveries = index <= deliveredLast ? 1 : 0;
            if (item.Transaction is { } transaction)
            {
                // Acknowledged by a transaction that is still open: its outcome decides.
                transaction.Orphans.Add((item, deliveries));
            }
            else
            {
                item.Queue.Release(item, deliveries);
            }

            held.Remove(index);
        }

        held.Trim();
    }

    /// <summary>Takes away what a consumer holds of a destination that is being deleted.</summary>
    private void ForgetHeld(BrokerConsumer consumer, LiveDestination destination)
    {
        var held = consumer.Outstanding;
        for (var index = 0; index < held.Length; index++)
        {
            if (!held[index].Gone && held[index].Queue == destination)
            {
                held.Remove(index);
            }
        }

        held.Trim();
        Refill(consumer);
    }
}
