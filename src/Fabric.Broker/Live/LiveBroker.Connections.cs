namespace Fabric.Broker.Live;

/// <summary>The life of connections, sessions, producers and consumers.</summary>
internal sealed partial class LiveBroker
{
    private readonly Dictionary<string, BrokerConnection> _connections = new(StringComparer.Ordinal);
    private readonly Dictionary<string, BrokerConnection> _clients = new(StringComparer.Ordinal);

    public BrokerResult Connect(ConnectRequest request, IConnectionSink sink, out BrokerConnection? connection)
    {
        connection = null;
        if (_connections.TryGetValue(request.ConnectionId, out var old))
        {
            // The client came back before its loss was noticed: what the old connection holds must return first.
            Disconnect(old, LastDelivered.Unknown);
            (Closes ??= []).Add((old, "the client has connected again"));
        }

        if (_clients.TryGetValue(request.ClientId, out var other))
        {
            return BrokerResult.Fail(
                BrokerStatus.ClientIdInUse,
                $"Broker: {Options.Name} - Client: {request.ClientId} already connected from {other.RemoteAddress}");
        }

        if (_connections.Count >= Options.ConnectionsMax)
        {
            return BrokerResult.Fail(
                BrokerStatus.LimitReached, $"there are {_connections.Count} connections, as many as the options allow");
        }

        connection = new BrokerConnection(this, request, sink);
        _connections.Add(connection.ConnectionId, connection);
        _clients.Add(connection.ClientId, connection);
        Events.Connection(connection, added: true);
        return BrokerResult.Accepted;
    }

    public void Disconnect(BrokerConnection connection, LastDelivered lastDelivered)
    {
        connection.Closed = true;
        foreach (var consumer in connection.Consumers.Values.ToArray())
        {
            Remove(consumer, lastDelivered);
        }

        foreach (var producer in connection.Producers.Values.ToArray())
        {
            Remove(producer);
        }

        foreach (var destination in connection.Temporaries.ToArray())
        {
            Remove(connection, destination);
        }

        foreach (var transaction in connection.Transactions.Values)
        {
            Undo(transaction);
        }

        connection.Transactions.Clear();
        DropOutbound(connection);
        LetGoOfTracks(connection);
        _connections.Remove(connection.ConnectionId);
        _clients.Remove(connection.ClientId);
        Events.Connection(connection, added: false);
    }

    public BrokerResult AddSession(BrokerConnection connection, long session)
    {
        if (connection.Sessions.Contains(session))
        {
            return BrokerResult.Accepted;
        }

        if (connection.Sessions.Count >= Options.ClientObjectsMax)
        {
            return TooMany("sessions", connection.Sessions.Count);
        }

        connection.Sessions.Add(session);
        return BrokerResult.Accepted;
    }

    public BrokerResult RemoveSession(BrokerConnection connection, long session, LastDelivered lastDelivered)
    {
        if (session == -1 || !connection.Sessions.Remove(session))
        {
            return BrokerResult.Ignored;
        }

        foreach (var consumer in connection.Consumers.Values.Where(consumer => consumer.Key.Session == session).ToArray())
        {
            Remove(consumer, lastDelivered);
        }

        foreach (var producer in connection.Producers.Values.Where(producer => producer.Key.Session == session).ToArray())
        {
            Remove(producer);
        }

        return BrokerResult.Accepted;
    }

    public BrokerResult AddProducer(
        BrokerConnection connection, ProducerKey key, DestinationName? destination, object? tag)
    {
        if (!connection.Sessions.Contains(key.Session))
        {
            return SessionUnknown("producer", connection, key.Session);
        }

        if (connection.Producers.ContainsKey(key))
        {
            return BrokerResult.Accepted;
        }

        if (connection.Producers.Count >= Options.ClientObjectsMax)
        {
            return TooMany("producers", connection.Producers.Count);
        }

        if (destination is { } name)
        {
            if (name.Name.Length > ListCharsMax)
            {
                return BrokerResult.Fail(BrokerStatus.DestinationInvalid, $"a list of {name.Name.Length} characters is too long: {ListCharsMax} at most");
            }

            foreach (var element in name.Split())
            {
                if (!ResolveForWriting(connection, element, out var target, out var failure))
                {
                    return failure;
                }

                target.Producers++;
            }
        }

        var producer = new BrokerProducer(connection, key, destination, tag);
        connection.Producers.Add(key, producer);
        Events.Producer(producer, added: true);
        return BrokerResult.Accepted;
    }

    public BrokerResult RemoveProducer(BrokerConnection connection, ProducerKey key)
    {
        if (!connection.Producers.TryGetValue(key, out var producer))
        {
            return BrokerResult.Ignored;
        }

        Remove(producer);
        return BrokerResult.Accepted;
    }

    public BrokerResult AddConsumer(BrokerConnection connection, ConsumerRequest request, out BrokerConsumer? consumer)
    {
        if (connection.Consumers.TryGetValue(request.Key, out consumer))
        {
            return BrokerResult.Accepted;
        }

        if (!connection.Sessions.Contains(request.Key.Session))
        {
            return SessionUnknown("consumer", connection, request.Key.Session);
        }

        if (connection.Consumers.Count >= Options.ClientObjectsMax)
        {
            return TooMany("consumers", connection.Consumers.Count);
        }

        var added = new BrokerConsumer(connection, request);
        var result = Subscribe(added);
        if (result.Succeeded)
        {
            consumer = added;
            connection.Consumers.Add(request.Key, added);
            Events.Consumer(added, added: true);
            if (added is { Prefetch: 0, Counted: false })
            {
                // It may ask at once for what is there and be told that there is nothing: so not before its queue may be delivered from.
                Settle();
                AwaitConfirm(connection, Journal.End);
                result = result with { ConfirmAfter = Journal.End };
            }
        }

        return result;
    }

    public BrokerResult RemoveConsumer(BrokerConnection connection, ConsumerKey key, LastDelivered lastDelivered)
    {
        if (!connection.Consumers.TryGetValue(key, out var consumer))
        {
            return BrokerResult.Ignored;
        }

        Remove(consumer, lastDelivered);
        return BrokerResult.Accepted;
    }

    private void Remove(BrokerProducer producer)
    {
        producer.Connection.Producers.Remove(producer.Key);
        if (producer.Destination is { } name)
        {
            foreach (var element in name.Split())
            {
                if (_destinations.TryGetValue(element, out var destination) && destination.Producers > 0)
                {
                    destination.Producers--;
                }
            }
        }

        Events.Producer(producer, added: false);
    }

    private void Remove(BrokerConsumer consumer, LastDelivered lastDelivered)
    {
        consumer.Closed = true;
        consumer.Connection.Consumers.Remove(consumer.Key);
        _patternConsumers.Remove(consumer);
        ForgetPullTimeout(consumer);
        foreach (var source in consumer.Sources)
        {
            source.Detach(consumer);
        }

        consumer.Sources.Clear();
        ReturnHeld(consumer, lastDelivered);
        Events.Consumer(consumer, added: false);
    }

    private static BrokerResult TooMany(string what, int count) =>
        BrokerResult.Fail(BrokerStatus.LimitReached, $"this connection has {count} {what}, as many as the options allow");

    private static BrokerResult SessionUnknown(string what, BrokerConnection connection, long session) =>
        BrokerResult.Fail(
            BrokerStatus.SessionUnknown,
            $"Cannot add a {what} to a session that had not been registered: {connection.ConnectionId}:{session}");
}
