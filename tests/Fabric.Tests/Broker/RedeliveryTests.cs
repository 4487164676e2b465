using Fabric.Broker;
using Fabric.Broker.Index;

namespace Fabric.Tests.Broker;

public sealed class RedeliveryTests
{
    private BrokerBench _bench = null!;
    private TestClient _client = null!;
    private TestClient _other = null!;

    [SetUp]
    public void SetUp()
    {
        _bench = new BrokerBench();
        _client = _bench.Connect();
        _other = _bench.Connect();
    }

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    [TestCase(-2, new[] { 1, 1, 1 })]
    [TestCase(-1, new[] { 0, 0, 0 })]
    [TestCase(0, new[] { 1, 0, 0 })]
    [TestCase(1, new[] { 1, 1, 0 })]
    [TestCase(2, new[] { 1, 1, 1 })]
    [TestCase(7, new[] { 0, 0, 0 })] // one that the consumer never had
    public void What_a_closing_consumer_holds_returns_in_order_and_counts_up_to_the_last_delivered_one(int last, int[] expected)
    {
        var consumer = _client.Consume(prefetch: 3);
        var received = Send(_client, 5);
        Assert.That(received, Has.Count.EqualTo(3));

        var lastDelivered = last switch
        {
            < 0 => new LastDelivered(last),
            < 3 => new LastDelivered(received[last].Sequence.Value),
            _ => new LastDelivered(999_999),
        };
        _client.Connection.RemoveConsumer(consumer, lastDelivered);
        _other.Consume();
        var again = _other.Receive();
        Assert.That(again.Select(message => message.Text), Is.EqualTo(new[] { "m0", "m1", "m2", "m3", "m4" }));
        Assert.That(again.Take(3).Select(message => message.Redeliveries), Is.EqualTo(expected));
        Assert.That(again.Skip(3).Select(message => message.Redeliveries), Is.EqualTo(new[] { 0, 0 }));
    }

    [TestCase(0, new[] { 0, 0, 0 })]
    [TestCase(1, new[] { 1, 0, 0 })]
    [TestCase(3, new[] { 1, 1, 1 })]
    public void One_that_was_acknowledged_since_counts_what_was_dispatched_before_it(int last, int[] expected)
    {
        var consumer = _client.Consume();
        var received = Send(_client, 4);
        _client.Ack(consumer, AcknowledgeKind.Individual, null, received[last]);

        _client.Connection.RemoveConsumer(consumer, new LastDelivered(received[last].Sequence.Value));

        _other.Consume();
        Assert.That(_other.Receive().Select(message => message.Redeliveries), Is.EqualTo(expected));
    }

    [Test]
    public void What_another_consumer_of_the_session_was_given_last_says_nothing_of_this_one()
    {
        var (a, b) = (DestinationName.Queue("A"), DestinationName.Queue("B"));
        _client.Consume(a);
        var consumer = _client.Consume(b);
        foreach (var text in new[] { "a1", "a2" })
        {
            _client.SendCommitted(text, a);
        }

        _client.SendCommitted("b1", b);
        var last = _client.Receive().Single(message => message.Text == "b1");
        _client.Ack(last);
        _bench.Journal.Commit();

        _client.Connection.RemoveSession(1, new LastDelivered(last.Sequence.Value));

        _other.Consume(a);
        Assert.That(_other.Receive().Select(message => message.Redeliveries), Is.EqualTo(new[] { 0, 0 }), $"{consumer} had the last one");
    }

    [Test]
    public void The_last_message_was_in_memory_and_the_journalled_ones_behind_it_were_never_delivered()
    {
        _other.SendCommitted("in memory", persistent: false);
        for (var i = 0; i < 2; i++)
        {
            _other.SendCommitted($"m{i}");
        }

        var consumer = _client.Consume();
        var last = _client.Receive()[0];
        _client.Ack(last);

        _client.Connection.RemoveConsumer(consumer, new LastDelivered(last.Sequence.Value));

        _other.Consume();
        Assert.That(
            _other.Receive().Select(message => (message.Text, message.Redeliveries)), Is.EqualTo(new[] { ("m0", 0), ("m1", 0) }));
    }

    [Test]
    public void Returned_messages_go_ahead_of_newer_ones_also_when_some_were_acknowledged()
    {
        var consumer = _client.Consume(prefetch: 4);
        var received = Send(_client, 4);
        _client.Ack(consumer, AcknowledgeKind.Individual, null, received[1]);
        _other.Consume(prefetch: 1);
        Send(_client, 1);
        Assert.That(_other.ReceiveTexts(), Is.EqualTo(new[] { "m0" }), "the newer m0 goes to the free window");

        _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
        var third = _bench.Connect();
        third.Consume();
        Assert.That(third.ReceiveTexts(), Is.EqualTo(new[] { "m0", "m2", "m3" }));
    }

    [Test]
    public void A_session_takes_its_consumers_with_it_and_spares_the_others()
    {
        _client.Connection.AddSession(2);
        _client.Consume(DestinationName.Queue("A"), session: 1);
        _client.Consume(DestinationName.Queue("B"), session: 2);
        _client.SendCommitted("a", DestinationName.Queue("A"));
        _client.SendCommitted("b", DestinationName.Queue("B"));
        Assert.That(_client.Receive(), Has.Count.EqualTo(2));

        _client.Connection.RemoveSession(1, LastDelivered.Unknown);
        _other.Consume(DestinationName.Queue("A"));
        _other.Consume(DestinationName.Queue("B"));
        var received = _other.Receive().Single();
        Assert.That((received.Text, received.Redeliveries), Is.EqualTo(("a", 1)));
    }

    [Test]
    public void A_lost_connection_returns_everything_and_counts_it()
    {
        _client.Consume();
        Send(_other, 2);
        _client.Connection.Disconnect(LastDelivered.Unknown);
        _other.Consume();
        Assert.That(_other.Receive().Select(message => message.Redeliveries), Is.EqualTo(new[] { 1, 1 }));
        Assert.That(_client.Send("late").Status, Is.EqualTo(BrokerStatus.NotServing));
    }

    [Test]
    public void After_a_take_over_what_may_have_been_seen_is_flagged_and_the_rest_is_not()
    {
        var other = DestinationName.Queue("no consumer");
        _client.Consume(prefetch: 1);
        Send(_other, 3);
        _other.SendCommitted("unseen", other);
        _bench.Broker.StopServing();
        _bench.Journal.Crash();
        _bench.Serve();

        var client = _bench.Connect();
        client.Consume();
        client.Consume(other);
        _other = _bench.Connect();
        _other.SendCommitted("new");
        _other.SendCommitted("new", other);
        Assert.That(
            client.Receive().Select(message => (message.Text, message.Redeliveries)),
            Is.EquivalentTo(new[] { ("m0", 1), ("m1", 1), ("m2", 1), ("new", 0), ("unseen", 0), ("new", 0) }));
    }

    [Test]
    public void Nothing_is_delivered_beyond_a_horizon_that_is_not_committed()
    {
        for (var i = 0; i < 3; i++)
        {
            _other.SendCommitted($"m{i}");
        }

        Assert.That(_client.TryConsume(new ConsumerRequest { Key = new ConsumerKey(1, 1), Destination = BrokerBench.Q, Prefetch = 10 }).Succeeded);
        Assert.That(_client.Connection.TryTakeDelivery(out _), Is.False, "a master that dies now leaves no word of it");
        Assert.That(_bench.Journal.Records[^1].Kind, Is.EqualTo(RecordKind.DeliveryHorizon));
        _bench.Journal.Commit();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m0", "m1", "m2" }));
    }

    [Test]
    public void A_horizon_is_journalled_now_and_then_and_always_ahead()
    {
        _client.Consume();
        var big = new string('x', 100_000);
        for (var i = 0; i < 100; i++)
        {
            _other.SendCommitted(big);
            Assert.That(_client.Receive(), Has.Count.EqualTo(1));
        }

        Assert.That(_bench.Journal.Records.Count(record => record.Kind == RecordKind.DeliveryHorizon), Is.InRange(4, 7));
    }

    [Test]
    public void What_was_on_its_way_to_a_closed_consumer_is_not_sent_any_more()
    {
        var consumer = _client.Consume();
        for (var i = 0; i < 3; i++)
        {
            _client.Send($"m{i}");
        }

        _bench.Journal.Commit();
        _client.Connection.RemoveConsumer(consumer, LastDelivered.None);
        Assert.That(_client.Receive(), Is.Empty);
        _client.Consume();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m0", "m1", "m2" }));
    }

    [Test]
    public void An_acknowledged_message_does_not_return_although_its_record_has_not_committed()
    {
        var consumer = _client.Consume();
        var received = Send(_client, 2);
        _client.Ack(received[0]);
        _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
        _other.Consume();
        Assert.That(_other.ReceiveTexts(), Is.EqualTo(new[] { "m1" }));
        _bench.Journal.Commit();
        Assert.That(_other.Receive(), Is.Empty);
    }

    [Test]
    public void Counters_add_up_over_several_consumers()
    {
        Send(_other, 1);
        for (var expected = 0; expected < 4; expected++)
        {
            var consumer = _client.Consume();
            Assert.That(_client.Receive().Single().Redeliveries, Is.EqualTo(expected));
            _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
        }
    }

    [Test]
    public void A_newcomer_with_the_same_connection_id_wins_and_finds_the_messages_of_the_old_one_returned()
    {
        _client.Consume();
        Send(_other, 1);
        Assert.That(_client.Receive(), Has.Count.EqualTo(1));

        var again = _bench.Connect(_client.Connection.ConnectionId);
        Assert.That(_client.ClosedBecause, Is.EqualTo("the client has connected again"));
        again.Consume();
        Assert.That(again.Receive().Single().Redeliveries, Is.EqualTo(1));
        Assert.That(_client.Send("from the old socket").Status, Is.EqualTo(BrokerStatus.NotServing));
    }

    private IReadOnlyList<Received> Send(TestClient client, int count)
    {
        for (var i = 0; i < count; i++)
        {
            client.Send($"m{i}");
        }

        _bench.Journal.Commit();
        return client.Receive();
    }
}
