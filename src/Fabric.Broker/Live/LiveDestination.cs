namespace Fabric.Broker.Live;

/// <summary>A destination while the broker serves. All under the broker's lock.</summary>
internal abstract class LiveDestination(DestinationName name)
{
    public DestinationName Name { get; } = name;

    /// <summary>The connection that a temporary destination lives with.</summary>
    public BrokerConnection? Owner { get; init; }

    public bool Removed { get; set; }

    /// <summary>For queues, higher priorities first and equal ones in the order in which they came.</summary>
    public List<BrokerConsumer> Consumers { get; } = [];

    public int Producers { get; set; }

    public long Enqueued { get; set; }

    public long Dequeued { get; set; }

    public abstract DestinationStatistics Statistics { get; }

    public virtual void Attach(BrokerConsumer consumer)
    {
        var index = Consumers.Count;
        while (index > 0 && Consumers[index - 1].Request.Priority < consumer.Request.Priority)
        {
            index--;
        }

        Consumers.Insert(index, consumer);
        consumer.Sources.Add(this);
    }

    public virtual void Detach(BrokerConsumer consumer) => Consumers.Remove(consumer);
}

/// <summary>A topic while the broker serves; it keeps nothing itself.</summary>
internal sealed class LiveTopic(DestinationName name) : LiveDestination(name)
{
    public override DestinationStatistics Statistics => new(Name, 0, Enqueued, Dequeued, 0, Consumers.Count, Producers);
}
