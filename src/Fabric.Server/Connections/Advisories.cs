using Fabric.Broker;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Server.Connections;

/// <summary>
/// Tells OpenWire clients what comes and goes, as messages on <c>ActiveMQ.Advisory.*</c> topics (reference §4.20), and tells a
/// new consumer of such a topic first what is there already. Java clients depend on the advisories of temporary destinations:
/// they refuse to reply to one that they were not told of.
/// </summary>
/// <remarks>
/// The broker calls it in the order of events, one at a time, so its state needs no lock. What nobody reads costs one look-up.
/// </remarks>
public sealed class Advisories : IBrokerEvents
{
    private const string Prefix = "ActiveMQ.Advisory.";

    private readonly ProducerId _producer;
    private readonly Dictionary<string, object?> _origin;
    private readonly Dictionary<DestinationName, BrokerConnection?> _destinations = [];
    private readonly HashSet<BrokerConnection> _connections = [];
    private readonly HashSet<BrokerConsumer> _consumers = [];
    private readonly HashSet<BrokerProducer> _producers = [];
    private readonly Dictionary<BrokerConsumer, DestinationName[]> _readers = [];
    private MessageBroker? _broker;
    private long _sequence;

    /// <param name="brokerId">Identity of the broker on the wire.</param>
    /// <param name="brokerName">Its name.</param>
    public Advisories(string brokerId, string brokerName)
    {
        _producer = new ProducerId(brokerId, 0, 0);
        _origin = new Dictionary<string, object?>
        {
            ["originBrokerId"] = brokerId,
            ["originBrokerName"] = brokerName,
            ["originBrokerURL"] = "",
        };
    }

    /// <summary>
    /// A mastership begins: forgets the clients of an earlier one and starts with the destinations that there are. To be called
    /// before the broker takes connections.
    /// </summary>
    public void Start(MessageBroker broker, IEnumerable<DestinationName> destinations)
    {
        _broker = broker;
        _destinations.Clear();
        _connections.Clear();
        _consumers.Clear();
        _producers.Clear();
        _readers.Clear();
        foreach (var destination in destinations)
        {
            _destinations[destination] = null;
        }
    }

    /// <inheritdoc/>
    public void ConnectionAdded(BrokerConnection connection)
    {
        _connections.Add(connection);
        Publish(Prefix + "Connection", Describe(connection));
    }

    /// <inheritdoc/>
    public void ConnectionRemoved(BrokerConnection connection)
    {
        if (_connections.Remove(connection))
        {
            Publish(Prefix + "Connection", Removed(new ConnectionId(connection.ConnectionId)));
        }
    }

    /// <inheritdoc/>
    public void DestinationAdded(DestinationName destination) => Add(destination, null);

    /// <inheritdoc/>
    public void DestinationRemoved(DestinationName destination) => Remove(destination);

    /// <inheritdoc/>
    public void TemporaryAdded(BrokerConnection owner, DestinationName destination) => Add(destination, owner);

    /// <inheritdoc/>
    public void TemporaryRemoved(BrokerConnection owner, DestinationName destination) => Remove(destination);

    /// <inheritdoc/>
    public void ConsumerAdded(BrokerConsumer consumer)
    {
        var elements = consumer.Destination.Split();
        DestinationName[] topics = [.. elements.Where(element => IsAdvisory(element) || (element.Type == DestinationType.Topic && element.IsPattern))];
        if (topics.Length > 0)
        {
            _readers.Add(consumer, topics);
            Replay(consumer, topics);
        }

        if (elements.All(IsAdvisory))
        {
            return;
        }

        _consumers.Add(consumer);
        foreach (var destination in elements)
        {
            Publish(TopicOf("Consumer", destination), Describe(consumer), ("consumerCount", CountConsumers(destination)));
        }
    }

    /// <inheritdoc/>
    public void ConsumerRemoved(BrokerConsumer consumer)
    {
        _readers.Remove(consumer);
        if (!_consumers.Remove(consumer))
        {
            return;
        }

        foreach (var destination in consumer.Destination.Split())
        {
            Publish(TopicOf("Consumer", destination), Removed(IdOf(consumer)), ("consumerCount", CountConsumers(destination)));
        }
    }

    /// <inheritdoc/>
    public void ProducerAdded(BrokerProducer producer)
    {
        if (producer.Destination is { } destination && !IsAdvisory(destination))
        {
            _producers.Add(producer);
            Publish(TopicOf("Producer", destination), Describe(producer), ("producerCount", CountProducers(destination)));
        }
    }

    /// <inheritdoc/>
    public void ProducerRemoved(BrokerProducer producer)
    {
        if (_producers.Remove(producer))
        {
            var destination = producer.Destination!.Value;
            Publish(TopicOf("Producer", destination), Removed(IdOf(producer)), ("producerCount", CountProducers(destination)));
        }
    }

    private void Add(DestinationName destination, BrokerConnection? owner)
    {
        if (!IsAdvisory(destination))
        {
            _destinations[destination] = owner;
            Publish(Prefix + destination.Type, Describe(destination, owner, operation: 0));
        }
    }

    private void Remove(DestinationName destination)
    {
        if (_destinations.Remove(destination, out var owner))
        {
            Publish(Prefix + destination.Type, Describe(destination, owner, operation: 1));
        }
    }

    /// <summary>Tells a new consumer, and it alone, what it would know had it been here all the time.</summary>
    private void Replay(BrokerConsumer consumer, DestinationName[] topics)
    {
        bool Wants(string topic) => Array.Exists(topics, element => element.Matches(DestinationName.Topic(topic)));

        foreach (var connection in _connections.Where(_ => Wants(Prefix + "Connection")))
        {
            Deliver(consumer, Prefix + "Connection", Describe(connection));
        }

        foreach (var (destination, owner) in _destinations.Where(entry => Wants(Prefix + entry.Key.Type)))
        {
            Deliver(consumer, Prefix + destination.Type, Describe(destination, owner, operation: 0));
        }

        foreach (var producer in _producers)
        {
            var destination = producer.Destination!.Value;
            if (Wants(TopicOf("Producer", destination)))
            {
                Deliver(
                    consumer, TopicOf("Producer", destination), Describe(producer), ("producerCount", CountProducers(destination)));
            }
        }

        foreach (var other in _consumers)
        {
            foreach (var destination in other.Destination.Split().Where(element => Wants(TopicOf("Consumer", element))))
            {
                Deliver(consumer, TopicOf("Consumer", destination), Describe(other), ("consumerCount", CountConsumers(destination)));
            }
        }
    }

    private void Publish(string topic, IDataStructure payload, (string Name, int Count)? count = null)
    {
        var name = DestinationName.Topic(topic);
        if (_readers.Values.Any(topics => Array.Exists(topics, element => element.Matches(name))))
        {
            _broker?.PublishInternal(name, WireNames.OpenWireEncoding, Encode(topic, payload, count, null));
        }
    }

    private void Deliver(BrokerConsumer consumer, string topic, IDataStructure payload, (string Name, int Count)? count = null) =>
        _broker?.DeliverTo(
            consumer, DestinationName.Topic(topic), WireNames.OpenWireEncoding, Encode(topic, payload, count, IdOf(consumer)));

    private byte[] Encode(string topic, IDataStructure payload, (string Name, int Count)? count, ConsumerId? target)
    {
        var properties = _origin;
        if (count is { } counted)
        {
            properties = new Dictionary<string, object?>(_origin) { [counted.Name] = counted.Count };
        }

        return OpenWireCodec.Encode(new ActiveMQMessage
        {
            ProducerId = _producer,
            MessageId = new MessageId(_producer, ++_sequence),
            Destination = Destination.Topic(topic),
            Type = "Advisory",
            DataStructure = payload,
            TargetConsumerId = target,
            MarshalledProperties = PrimitiveMarshaller.WriteMap(properties),
        })[OpenWireCodec.SizeBytes..];
    }

    private int CountConsumers(DestinationName destination) =>
        _consumers.Count(consumer => consumer.Destination.Split().Contains(destination));

    private int CountProducers(DestinationName destination) =>
        _producers.Count(producer => producer.Destination == destination);

    private static bool IsAdvisory(DestinationName destination) =>
        destination.Type == DestinationType.Topic && destination.Name.StartsWith(Prefix, StringComparison.Ordinal);

    private static string TopicOf(string kind, DestinationName destination) =>
        $"{Prefix}{kind}.{(destination.IsQueue ? "Queue" : "Topic")}.{destination.Name}";

    private static RemoveInfo Removed(IDataStructure id) =>
        new() { ObjectId = id, LastDeliveredSequenceId = LastDelivered.Unknown.Value };

    private static ConnectionInfo Describe(BrokerConnection connection) => new()
    {
        ConnectionId = new ConnectionId(connection.ConnectionId),
        ClientId = connection.ClientId,
        UserName = connection.User,
        Password = "",
        ClientIp = connection.RemoteAddress,
    };

    private static DestinationInfo Describe(DestinationName destination, BrokerConnection? owner, byte operation) => new()
    {
        ConnectionId = owner is null ? null : new ConnectionId(owner.ConnectionId),
        Destination = destination.ToWire(),
        OperationType = operation,
    };

    private static ProducerInfo Describe(BrokerProducer producer) => new()
    {
        ProducerId = IdOf(producer),
        Destination = producer.Destination?.ToWire(),
    };

    private static ConsumerInfo Describe(BrokerConsumer consumer) => (consumer.Tag as WireConsumer)?.Info ?? new ConsumerInfo
    {
        ConsumerId = IdOf(consumer),
        Destination = consumer.Destination.ToWire(),
        PrefetchSize = consumer.Prefetch,
        Priority = (sbyte)consumer.Request.Priority,
        Exclusive = consumer.Request.Exclusive,
        NoLocal = consumer.Request.NoLocal,
        ClientId = consumer.Connection.ClientId,
    };

    private static ConsumerId IdOf(BrokerConsumer consumer) =>
        new(consumer.Connection.ConnectionId, consumer.Key.Session, consumer.Key.Value);

    private static ProducerId IdOf(BrokerProducer producer) =>
        new(producer.Connection.ConnectionId, producer.Key.Value, producer.Key.Session);
}
