using System.Globalization;
using Fabric.Broker;
using Fabric.Store.Journal;

namespace Fabric.Tests.Broker;

/// <summary>
/// Random lives of producers and consumers over masterships that end in crashes. Producers resend what was not confirmed, as failover
/// clients do. Whatever happens: a confirmed message is consumed exactly once, nothing consumed comes back, nobody holds what another
/// holds, a transaction shows whole or not at all, and each producer's messages come in order.
/// </summary>
public sealed class RandomLifeTests
{
    [TestCaseSource(nameof(Seeds))]
    public async Task Confirmed_messages_are_consumed_exactly_once_and_in_order(int seed)
    {
        await using var life = new Life(seed);
        for (var step = 0; step < 600; step++)
        {
            life.Step();
        }

        life.Drain();
    }

    private static IEnumerable<int> Seeds() => Enumerable.Range(1, 25);

    private sealed class Life : IAsyncDisposable
    {
        private static readonly DestinationName[] Queues = [DestinationName.Queue("A"), DestinationName.Queue("B")];

        private readonly Random _random;
        private readonly BrokerBench _bench = new();
        private readonly List<Producer> _producers = [];
        private readonly List<Consumer> _consumers = [];

        /// <summary>Acknowledged, with the position that confirms it; gone for good once that is confirmed.</summary>
        private readonly Dictionary<string, Position> _acknowledged = [];
        private readonly HashSet<string> _consumed = [];
        private readonly HashSet<string> _released = [];
        private readonly Dictionary<string, Consumer> _holders = [];
        private int _connections;

        public Life(int seed)
        {
            _random = new Random(seed);
            for (var i = 0; i < 3; i++)
            {
                _producers.Add(new Producer(string.Create(CultureInfo.InvariantCulture, $"P{i}"), Queues[i % 2]));
            }
        }

        public ValueTask DisposeAsync() => _bench.DisposeAsync();

        public void Step()
        {
            switch (_random.Next(21))
            {
                case <= 6:
                    Send(_producers[_random.Next(_producers.Count)]);
                    break;
                case 7:
                    SendTransaction(_producers[_random.Next(_producers.Count)]);
                    break;
                case <= 9 when _consumers.Count < 4:
                    AddConsumer();
                    break;
                case <= 13 when _consumers.Count > 0:
                    Consume(_consumers[_random.Next(_consumers.Count)]);
                    break;
                case 14 when _consumers.Count > 0:
                    Leave(_consumers[_random.Next(_consumers.Count)]);
                    break;
                case 15:
                    Reconnect(_producers[_random.Next(_producers.Count)]);
                    break;
                case 16 when _random.Next(6) == 0:
                    Crash();
                    break;
                case 17:
                    _bench.Journal.RelocateAny(_random);
                    break;
                default:
                    _bench.Journal.Commit(_random.Next(1, 20));
                    Confirm();
                    break;
            }
        }

        public void Drain()
        {
            foreach (var producer in _producers)
            {
                Reconnect(producer);
            }

            Commit();
            while (_consumers.Count > 0)
            {
                Leave(_consumers[0]);
            }

            AddConsumer(prefetch: 100_000, DestinationName.Queue("A,B"));
            Consume(_consumers[0], all: true);
            Commit();
            foreach (var queue in Queues)
            {
                Assert.That(_bench.Statistics(queue).Depth, Is.Zero, $"{queue} is not empty");
            }

            foreach (var producer in _producers)
            {
                Assert.That(producer.Unconfirmed, Is.Empty);
                Assert.That(_consumed.Where(text => text.StartsWith(producer.Id, StringComparison.Ordinal)), Is.EquivalentTo(producer.Confirmed));
            }
        }

        private void Commit()
        {
            _bench.Journal.Commit();
            Confirm();
        }

        private void Confirm()
        {
            var confirmed = _bench.Broker.Confirmed;
            foreach (var producer in _producers)
            {
                producer.Confirm(confirmed);
            }

            foreach (var (text, after) in _acknowledged.Where(pair => pair.Value <= confirmed).ToArray())
            {
                _acknowledged.Remove(text);
                Assert.That(_consumed.Add(text), $"{text} was consumed twice");
            }
        }

        private void Send(Producer producer)
        {
            producer.Client ??= Connect(producer);
            var text = producer.Next();
            var result = producer.Client.Send(text, producer.Queue, sequence: producer.Sequence, producerId: producer.Id);
            Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted));
            producer.Unconfirmed.Add(new Sent([text], [producer.Sequence], result.ConfirmAfter, null));
        }

        private void SendTransaction(Producer producer)
        {
            var client = producer.Client ??= Connect(producer);
            var (texts, sequences) = (new List<string>(), new List<long>());
            var id = producer.Sequence + 1;
            client.Connection.Begin(id);
            for (var i = _random.Next(1, 4); i > 0; i--)
            {
                texts.Add(producer.Next());
                sequences.Add(producer.Sequence);
                client.Send(texts[^1], producer.Queue, sequence: producer.Sequence, transaction: id, producerId: producer.Id);
            }

            if (_random.Next(4) == 0)
            {
                client.Connection.Rollback(id); // the texts must never be seen
                return;
            }

            var result = client.Connection.Commit(id);
            Assert.That(result.Succeeded, result.Detail);
            producer.Unconfirmed.Add(new Sent(texts, sequences, result.ConfirmAfter, id));
        }

        /// <summary>The connection is lost and the client repeats, in order, all that was not confirmed.</summary>
        private void Reconnect(Producer producer)
        {
            producer.Client = Connect(producer);
            var repeated = producer.Unconfirmed.ToArray();
            producer.Unconfirmed.Clear();
            foreach (var sent in repeated)
            {
                if (sent.Transaction is { } id)
                {
                    producer.Client.Connection.Begin(id);
                }

                var after = Position.Zero;
                for (var i = 0; i < sent.Texts.Count; i++)
                {
                    var result = producer.Client.Send(
                        sent.Texts[i], producer.Queue, sequence: sent.Sequences[i], transaction: sent.Transaction, producerId: producer.Id);
                    Assert.That(result.Succeeded, result.Detail);
                    after = result.ConfirmAfter > after ? result.ConfirmAfter : after;
                }

                if (sent.Transaction is { } commit)
                {
                    var result = producer.Client.Connection.Commit(commit);
                    Assert.That(result.Succeeded, result.Detail);
                    after = result.ConfirmAfter > after ? result.ConfirmAfter : after;
                }

                producer.Unconfirmed.Add(sent with { ConfirmAfter = after });
            }
        }

        private TestClient Connect(Producer producer) => _bench.Connect("ID:" + producer.Id, suppressDuplicates: true);

        private void AddConsumer(int? prefetch = null, DestinationName? from = null)
        {
            var client = _bench.Connect(string.Create(CultureInfo.InvariantCulture, $"ID:consumer-{++_connections}"));
            var key = client.Consume(from ?? Queues[_random.Next(2)], prefetch ?? _random.Next(1, 12), priority: _random.Next(2));
            _consumers.Add(new Consumer(client, key));
        }

        private void Consume(Consumer consumer, bool all = false)
        {
            Receive(consumer);
            while (all && consumer.Held.Count > 0)
            {
                AcknowledgeSome(consumer);
                Receive(consumer);
            }

            if (consumer.Held.Count > 0)
            {
                AcknowledgeSome(consumer);
            }
        }

        private void Receive(Consumer consumer)
        {
            foreach (var message in consumer.Client.Receive())
            {
                var text = message.Text!;
                Assert.That(_consumed, Does.Not.Contain(text), "consumed and delivered again");
                Assert.That(_acknowledged.Keys, Does.Not.Contain(text), "acknowledged and delivered again");
                Assert.That(_holders.TryAdd(text, consumer), $"{text} is held by somebody else");
                consumer.Held.Add(message);
                if (!_released.Contains(text))
                {
                    var (producer, number) = (text.Split('-')[0], int.Parse(text.Split('-')[1], CultureInfo.InvariantCulture));
                    Assert.That(number, Is.GreaterThan(consumer.Last.GetValueOrDefault(producer)), "out of order");
                    consumer.Last[producer] = number;
                }
            }
        }

        private void AcknowledgeSome(Consumer consumer)
        {
            var count = _random.Next(1, consumer.Held.Count + 1);
            var style = _random.Next(4);
            List<Received> taken;
            BrokerResult result;
            switch (style)
            {
                case 0:
                    var one = consumer.Held[_random.Next(consumer.Held.Count)];
                    taken = [one];
                    result = consumer.Client.Ack(consumer.Key, AcknowledgeKind.Individual, null, one);
                    break;
                case 1:
                    taken = consumer.Held.Take(count).ToList();
                    result = consumer.Client.Ack(consumer.Key, AcknowledgeKind.Standard, taken[0], taken[^1], count);
                    break;
                default:
                    taken = consumer.Held.Take(count).ToList();
                    consumer.Client.Connection.Begin(1);
                    result = consumer.Client.Ack(consumer.Key, AcknowledgeKind.Standard, null, taken[^1], count, transaction: 1);
                    Assert.That(result.Succeeded, result.Detail);
                    if (style == 2)
                    {
                        consumer.Client.Connection.Rollback(1); // the messages stay with the consumer
                        return;
                    }

                    result = consumer.Client.Connection.Commit(1);
                    break;
            }

            Assert.That(result.Succeeded, result.Detail);
            foreach (var message in taken)
            {
                consumer.Held.Remove(message);
                _holders.Remove(message.Text!);
                _acknowledged.Add(message.Text!, result.ConfirmAfter);
            }

            Confirm();
        }

        private void Leave(Consumer consumer)
        {
            Receive(consumer);
            foreach (var message in consumer.Held)
            {
                _holders.Remove(message.Text!);
                _released.Add(message.Text!);
            }

            var last = _random.Next(2) == 0 ? LastDelivered.Unknown : LastDelivered.None;
            if (_random.Next(2) == 0)
            {
                consumer.Client.Connection.RemoveConsumer(consumer.Key, last);
            }

            consumer.Client.Connection.Disconnect(last);
            _consumers.Remove(consumer);
        }

        private void Crash()
        {
            _bench.Broker.StopServing();
            _bench.Journal.Crash(keptUncommitted: _random.Next(6));
            _bench.Serve();
            foreach (var consumer in _consumers)
            {
                Assert.That(consumer.Client.IsHeld);
                _released.UnionWith(consumer.Held.Select(message => message.Text!));
            }

            // What was dispatched and not read by its client counts as released too: nobody can tell.
            _released.UnionWith(_producers.SelectMany(producer => producer.Confirmed));
            _released.UnionWith(_acknowledged.Keys);
            _released.UnionWith(_producers.SelectMany(producer => producer.Unconfirmed).SelectMany(sent => sent.Texts));
            _holders.Clear();
            _consumers.Clear();

            // Records that were kept have committed with the new epoch, others are lost: both for messages and for acknowledgements.
            foreach (var (text, after) in _acknowledged.ToArray())
            {
                if (after > _bench.Journal.Records[^1].Position)
                {
                    _acknowledged.Remove(text);
                }
            }

            foreach (var producer in _producers)
            {
                Reconnect(producer);
            }

            // Not before: a position says something only within the mastership that named it.
            Confirm();
        }

        private sealed record Sent(IReadOnlyList<string> Texts, IReadOnlyList<long> Sequences, Position ConfirmAfter, long? Transaction);

        private sealed record Consumer(TestClient Client, ConsumerKey Key)
        {
            public List<Received> Held { get; } = [];

            public Dictionary<string, int> Last { get; } = [];
        }

        private sealed class Producer(string id, DestinationName queue)
        {
            public string Id { get; } = id;

            public DestinationName Queue { get; } = queue;

            public TestClient? Client { get; set; }

            public long Sequence { get; private set; }

            public List<Sent> Unconfirmed { get; } = [];

            public List<string> Confirmed { get; } = [];

            public string Next() => string.Create(CultureInfo.InvariantCulture, $"{Id}-{++Sequence}");

            public void Confirm(Position confirmed)
            {
                foreach (var sent in Unconfirmed.Where(sent => sent.ConfirmAfter <= confirmed).ToArray())
                {
                    Unconfirmed.Remove(sent);
                    Confirmed.AddRange(sent.Texts);
                }
            }
        }
    }
}
