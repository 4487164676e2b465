using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class EventTests
{
    [Test]
    public async Task Comings_and_goings_are_told_in_order_before_the_call_returns()
    {
        var diary = new Diary();
        await using var bench = new BrokerBench(events: diary);
        var client = bench.Connect("ID:c");
        var reply = DestinationName.TempQueue("ID:c:1");
        client.Connection.AddDestination(reply);
        client.Connection.AddProducer(new ProducerKey(1, 1), BrokerBench.Q);
        client.Consume(reply);
        client.Send("m", BrokerBench.T);
        Assert.That(diary.Take(), Is.EqualTo(new[]
        {
            "connection ID:c added", "temporary temp-queue://ID:c:1 added by ID:c", "destination queue://Q added", "producer 1:1 added",
            "consumer 1:1 added", "destination topic://T added",
        }));

        client.Connection.Disconnect(LastDelivered.Unknown);
        Assert.That(diary.Take(), Is.EqualTo(new[]
        {
            "consumer 1:1 removed", "producer 1:1 removed", "temporary temp-queue://ID:c:1 removed by ID:c", "connection ID:c removed",
        }));

        var other = bench.Connect("ID:d");
        other.Connection.RemoveDestination(BrokerBench.Q, force: true);
        Assert.That(diary.Take(), Is.EqualTo(new[] { "connection ID:d added", "destination queue://Q removed" }));
    }

    [Test]
    public async Task A_listener_may_publish_and_deliver_and_its_messages_keep_the_order_of_events()
    {
        var diary = new Diary();
        await using var bench = new BrokerBench(events: diary);
        var advisories = DestinationName.Topic("ActiveMQ.Advisory.TempQueue");
        diary.Broker = bench.Broker;
        diary.Advisories = advisories;

        var first = bench.Connect();
        first.Connection.AddDestination(DestinationName.TempQueue("t1"));
        var watcher = bench.Connect();
        watcher.Consume(advisories);
        first.Connection.AddDestination(DestinationName.TempQueue("t2"));
        first.Connection.RemoveDestination(DestinationName.TempQueue("t1"), force: false);
        Assert.That(watcher.ReceiveTexts(), Is.EqualTo(new[] { "state: t1", "added t2", "removed t1" }));
    }

    [Test]
    public async Task Many_threads_see_their_own_events_told_when_their_calls_return()
    {
        var diary = new Diary();
        await using var bench = new BrokerBench(events: diary);
        var clients = Enumerable.Range(0, 4).Select(_ => bench.Connect()).ToArray();
        await Task.WhenAll(clients.Select((client, number) => Task.Run(() =>
        {
            for (var i = 0; i < 200; i++)
            {
                var name = DestinationName.TempQueue($"{number}-{i}");
                client.Connection.AddDestination(name);
                Assert.That(diary.Heard($"temporary {name} added by {client.Connection.ConnectionId}"));
                client.Connection.RemoveDestination(name, force: false);
                Assert.That(diary.Heard($"temporary {name} removed by {client.Connection.ConnectionId}"));
            }
        })));
    }

    [Test]
    public async Task What_a_listener_cannot_do_fails_nobodys_turn()
    {
        var diary = new Diary { Fails = true };
        await using var bench = new BrokerBench(events: diary);
        var client = bench.Connect("ID:c");
        client.Send("m", BrokerBench.Q);
        bench.Journal.Commit();
        diary.Fails = false;
        client.Send("m", BrokerBench.T);
        Assert.That(diary.Take(), Is.EqualTo(new[] { "destination topic://T added" }));
    }

    /// <summary>Writes down what it hears; with a broker, it also publishes it as an adapter does.</summary>
    private sealed class Diary : IBrokerEvents
    {
        private readonly Lock _lock = new();
        private readonly HashSet<string> _temporaries = [];
        private readonly HashSet<string> _all = [];
        private List<string> _lines = [];

        public MessageBroker? Broker { get; set; }

        public DestinationName Advisories { get; set; }

        /// <summary>Throws instead of hearing anything.</summary>
        public bool Fails { get; set; }

        public IReadOnlyList<string> Take()
        {
            lock (_lock)
            {
                (var taken, _lines) = (_lines, []);
                return taken;
            }
        }

        public bool Heard(string line)
        {
            lock (_lock)
            {
                return _all.Contains(line);
            }
        }

        public void ConnectionAdded(BrokerConnection connection) => Note($"connection {connection.ConnectionId} added");

        public void ConnectionRemoved(BrokerConnection connection) => Note($"connection {connection.ConnectionId} removed");

        public void DestinationAdded(DestinationName destination) => Note($"destination {destination} added");

        public void DestinationRemoved(DestinationName destination) => Note($"destination {destination} removed");

        public void TemporaryAdded(BrokerConnection owner, DestinationName destination)
        {
            Note($"temporary {destination} added by {owner.ConnectionId}");
            _temporaries.Add(destination.Name);
            Publish($"added {destination.Name}");
        }

        public void TemporaryRemoved(BrokerConnection owner, DestinationName destination)
        {
            Note($"temporary {destination} removed by {owner.ConnectionId}");
            _temporaries.Remove(destination.Name);
            Publish($"removed {destination.Name}");
        }

        public void ConsumerAdded(BrokerConsumer consumer)
        {
            Note($"consumer {consumer.Key} added");
            if (consumer.Destination == Advisories)
            {
                foreach (var name in _temporaries)
                {
                    Broker!.DeliverTo(consumer, Advisories, 1, System.Text.Encoding.UTF8.GetBytes($"state: {name}"));
                }
            }
        }

        public void ConsumerRemoved(BrokerConsumer consumer) => Note($"consumer {consumer.Key} removed");

        public void ProducerAdded(BrokerProducer producer) => Note($"producer {producer.Key} added");

        public void ProducerRemoved(BrokerProducer producer) => Note($"producer {producer.Key} removed");

        private void Publish(string text) => Broker?.PublishInternal(Advisories, 1, System.Text.Encoding.UTF8.GetBytes(text));

        private void Note(string line)
        {
            if (Fails)
            {
                throw new InvalidOperationException(line);
            }

            lock (_lock)
            {
                _lines.Add(line);
                _all.Add(line);
            }
        }
    }
}
