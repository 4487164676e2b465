using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class TopicTests
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

    [Test]
    public void Every_subscriber_gets_what_is_published_while_it_subscribes_and_the_journal_gets_nothing()
    {
        var before = _bench.Journal.End;
        _client.Send("early", BrokerBench.T);
        _client.Consume(BrokerBench.T);
        _other.Consume(BrokerBench.T);
        Assert.That(_client.Send("now", BrokerBench.T), Is.EqualTo(BrokerResult.Accepted), "confirmed at once");

        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "now" }));
        Assert.That(_other.ReceiveTexts(), Is.EqualTo(new[] { "now" }));
        Assert.That(_bench.Journal.End, Is.EqualTo(before));
    }

    [Test]
    public void A_slow_subscribers_messages_wait_behind_its_window()
    {
        var consumer = _client.Consume(BrokerBench.T, prefetch: 2);
        for (var i = 0; i < 5; i++)
        {
            _other.Send($"m{i}", BrokerBench.T, persistent: false);
        }

        var received = _client.Receive();
        Assert.That(received.Select(message => message.Text), Is.EqualTo(new[] { "m0", "m1" }));
        _client.Ack(consumer, AcknowledgeKind.Standard, null, received[1], 2);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m2", "m3" }));
        _client.Ack(consumer, AcknowledgeKind.Delivered, null, received[1], 1);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m4" }));
    }

    [Test]
    public void Unknown_messages_in_an_acknowledgement_are_no_error()
    {
        var consumer = _client.Consume(BrokerBench.T, prefetch: 1);
        _other.Send("m0", BrokerBench.T);
        _other.Send("m1", BrokerBench.T);
        var received = _client.Receive().Single();
        var unknown = received with { Sequence = new MessageSequence(12345) };
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, null, unknown, 1), Is.EqualTo(BrokerResult.Accepted));
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m1" }));
    }

    [Test]
    public void A_closed_subscription_forgets_everything()
    {
        var consumer = _client.Consume(BrokerBench.T, prefetch: 1);
        _other.Send("m0", BrokerBench.T);
        _other.Send("m1", BrokerBench.T);
        _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
        _client.Consume(BrokerBench.T);
        Assert.That(_client.Receive(), Is.Empty);
    }

    [Test]
    public void With_noLocal_a_subscriber_gets_no_messages_of_its_own_connection()
    {
        _client.Consume(BrokerBench.T, noLocal: true);
        _client.Send("mine", BrokerBench.T);
        _other.Send("theirs", BrokerBench.T);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "theirs" }));
    }

    [Test]
    public void Expired_messages_are_not_dispatched()
    {
        var consumer = _client.Consume(BrokerBench.T, prefetch: 1);
        _other.Send("m0", BrokerBench.T);
        _other.Send("short", BrokerBench.T, expiration: _bench.Clock.NowMilliseconds + 1000);
        _other.Send("long", BrokerBench.T);
        _bench.Clock.Advance(TimeSpan.FromSeconds(2));
        var first = _client.Receive().Single();
        _client.Ack(consumer, AcknowledgeKind.Standard, null, first);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "long" }));
    }

    [Test]
    public void One_consumer_may_subscribe_to_a_list_and_to_patterns_and_sees_the_concrete_destination()
    {
        _client.Consume(DestinationName.Topic("A,B.>,C.*"));
        foreach (var name in new[] { "A", "B", "B.x.y", "C.x", "C.x.y", "D", "A" })
        {
            _other.Send(name, DestinationName.Topic(name), persistent: false);
        }

        var received = _client.Receive();
        Assert.That(received.Select(message => message.Text), Is.EqualTo(new[] { "A", "B", "B.x.y", "C.x", "A" }));
        Assert.That(received.Select(message => message.Destination.Name), Is.EqualTo(received.Select(message => message.Text)));
    }

    [Test]
    public void A_queue_of_the_same_name_is_another_destination()
    {
        _client.Consume(DestinationName.Topic("X"));
        _other.SendCommitted("m", DestinationName.Queue("X"));
        Assert.That(_client.Receive(), Is.Empty);
    }

    [Test]
    public void Internal_messages_reach_subscribers_and_patterns_and_make_no_destination_for_nobody()
    {
        var advisories = DestinationName.Topic("ActiveMQ.Advisory.Consumer.Queue.Q");
        _bench.Broker.PublishInternal(advisories, 1, "nobody"u8.ToArray());
        Assert.That(_bench.Broker.GetStatistics().Select(statistics => statistics.Name), Does.Not.Contain(advisories));

        _client.Consume(DestinationName.Topic("ActiveMQ.Advisory.Consumer.>"));
        _bench.Broker.PublishInternal(advisories, 1, "somebody"u8.ToArray());
        var received = _client.Receive().Single();
        Assert.That((received.Text, received.Destination), Is.EqualTo(("somebody", advisories)));
        Assert.That(_bench.Broker.GetStatistics().Select(statistics => statistics.Name), Does.Not.Contain(advisories), "nobody would remove it");
    }

    [Test]
    public void A_message_for_one_consumer_comes_before_later_ones_and_to_nobody_else()
    {
        _client.Connection.AddConsumer(
            new ConsumerRequest { Key = new ConsumerKey(-1, 1), Destination = BrokerBench.T, Prefetch = 1 }, out var consumer);
        _other.Consume(BrokerBench.T);
        _bench.Broker.DeliverTo(consumer!, BrokerBench.T, 1, "state"u8.ToArray());
        _bench.Broker.PublishInternal(BrokerBench.T, 1, "change"u8.ToArray());

        Assert.That(_other.ReceiveTexts(), Is.EqualTo(new[] { "change" }));
        var first = _client.Receive().Single();
        Assert.That(first.Text, Is.EqualTo("state"));
        _client.Ack(consumer!.Key, AcknowledgeKind.Standard, null, first);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "change" }));
    }
}
