using Fabric.Broker.Live;

namespace Fabric.Broker;

/// <summary>A subscription of a connection. Its public members never change, but for <see cref="Prefetch"/>.</summary>
public sealed class BrokerConsumer
{
    /// <summary>The largest window; the Java client's limit.</summary>
    public const int PrefetchMax = short.MaxValue;

    internal BrokerConsumer(BrokerConnection connection, ConsumerRequest request)
    {
        Connection = connection;
        Request = request;
        Prefetch = Math.Clamp(request.Prefetch, 0, PrefetchMax);
    }

    public BrokerConnection Connection { get; }

    public ConsumerRequest Request { get; }

    public ConsumerKey Key => Request.Key;

    /// <summary>As subscribed to: it may be a pattern or a list.</summary>
    public DestinationName Destination => Request.Destination;

    /// <summary>Window in messages; 0 means that each message is pulled.</summary>
    public int Prefetch { get; internal set; }

    /// <summary>The adapter's own.</summary>
    public object? Tag => Request.Tag;

    // ---- live state, under the broker's lock ----

    internal bool Closed { get; set; }

    /// <summary>Reads topics, or browses: its window is counted, nothing is locked, nothing returns.</summary>
    internal bool Counted { get; set; }

    /// <summary>Its way through the queue that it browses, until it has come to the end.</summary>
    internal QueueView? Browsing { get; set; }

    /// <summary>Found nothing for itself in this round of dispatch.</summary>
    internal bool Exhausted { get; set; }

    /// <summary>Where it reads from; grows as destinations appear that its pattern covers.</summary>
    internal List<LiveDestination> Sources { get; } = [];

    /// <summary>What a queue consumer holds, in the order of dispatch.</summary>
    internal OutstandingList Outstanding { get; } = new();

    /// <summary>What waits for the window of a topic consumer.</summary>
    internal Queue<MemoryMessage> Pending { get; } = new();

    /// <summary>Messages dispatched and not acknowledged, when its window is counted.</summary>
    internal long Unacknowledged { get; set; }

    /// <summary>Widens the window: messages that the application has seen and keeps. For a pull consumer, pulls to answer.</summary>
    internal long Extension { get; set; }

    /// <summary>Whether anything was ever dispatched to it; acknowledgements before that belong to an earlier broker.</summary>
    internal bool Served { get; set; }

    /// <summary>When its newest pull is answered at the latest, whether or not it has been by now; null when never or when that has passed.</summary>
    internal PullDeadline? PullDeadline { get; set; }

    internal bool HasRoom
    {
        get
        {
            if (Prefetch == 0)
            {
                return Extension > 0;
            }

            return (Counted ? Unacknowledged : Outstanding.Count) - Extension < Prefetch;
        }
    }

    public override string ToString() => $"consumer {Connection.ConnectionId}:{Key} of {Destination}";

    /// <summary>Narrows the window again by what was acknowledged.</summary>
    internal void Shrink(long messages)
    {
        if (Prefetch > 0)
        {
            Extension = Math.Max(0, Extension - messages);
        }
    }

    /// <summary>
    /// Widens it by what the application has seen. After a failover that may be some more than what is held (reference §4.8), but not a whole long queue, whose dispatch would hold up everybody.
    /// </summary>
    internal void Widen(long messages)
    {
        if (Prefetch > 0)
        {
            Extension = Math.Min(Extension + Math.Max(0, messages), (Counted ? Unacknowledged : Outstanding.Count) + PrefetchMax);
        }
    }
}

/// <summary>A producer of a connection.</summary>
public sealed class BrokerProducer
{
    internal BrokerProducer(BrokerConnection connection, ProducerKey key, DestinationName? destination, object? tag)
    {
        Connection = connection;
        Key = key;
        Destination = destination;
        Tag = tag;
    }

    public BrokerConnection Connection { get; }

    public ProducerKey Key { get; }

    /// <summary>Where it always publishes; null when each message says so.</summary>
    public DestinationName? Destination { get; }

    /// <summary>The adapter's own.</summary>
    public object? Tag { get; }
}
