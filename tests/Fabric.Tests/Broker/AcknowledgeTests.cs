using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class AcknowledgeTests
{
    private BrokerBench _bench = null!;
    private TestClient _client = null!;

    [SetUp]
    public void SetUp()
    {
        _bench = new BrokerBench();
        _client = _bench.Connect();
    }

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    [Test]
    public void A_range_is_one_record_and_consumes_in_the_order_of_dispatch()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(5);
        var before = _bench.Journal.Records.Count;

        var result = _client.Ack(consumer, AcknowledgeKind.Standard, received[0], received[3], 4);
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(_bench.Journal.Records, Has.Count.EqualTo(before + 1));
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
        Assert.That(_client.Ack(received[4]).Succeeded);
    }

    [Test]
    public void Without_a_first_message_the_range_begins_with_the_oldest_outstanding_one()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(3);
        _client.Ack(received[0]);

        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, null, received[2], 2).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void A_standard_range_must_be_outstanding_and_counted_right()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(3);

        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, received[0], received[2], 2).Status, Is.EqualTo(BrokerStatus.Unmatched));
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, received[2], received[0], 3).Status, Is.EqualTo(BrokerStatus.Unmatched));
        _client.Ack(received[0]);
        Assert.That(_client.Ack(received[0]).Status, Is.EqualTo(BrokerStatus.Unmatched), "acknowledged twice");
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(2), "a refused acknowledgement has no effect");
    }

    [Test]
    public void Inside_a_transaction_the_count_is_not_checked()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(2);
        _client.Connection.Begin(1);

        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, received[0], received[1], 77, transaction: 1).Succeeded);
        Assert.That(_client.Connection.Commit(1).Succeeded);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void Individual_acknowledgements_come_in_any_order_and_unknown_ones_are_ignored()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(300);
        foreach (var message in received.Where((_, index) => index % 3 != 0).Reverse())
        {
            Assert.That(_client.Ack(consumer, AcknowledgeKind.Individual, null, message).Status, Is.EqualTo(BrokerStatus.Accepted));
            Assert.That(_client.Ack(consumer, AcknowledgeKind.Individual, null, message).Status, Is.EqualTo(BrokerStatus.Ignored));
        }

        _client.Connection.RemoveConsumer(consumer, LastDelivered.None);
        _client.Consume();
        _bench.Journal.Commit();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(received.Where((_, index) => index % 3 == 0).Select(message => message.Text)));
    }

    [Test]
    public void Acknowledgements_of_unknown_consumers_and_of_consumers_that_got_nothing_yet_are_ignored()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(1).Single();
        var fresh = _client.Consume(DestinationName.Queue("other"));

        Assert.That(_client.Ack(new ConsumerKey(1, 99), AcknowledgeKind.Standard, received, received).Status, Is.EqualTo(BrokerStatus.Ignored));
        Assert.That(_client.Ack(fresh, AcknowledgeKind.Standard, received, received).Status, Is.EqualTo(BrokerStatus.Ignored));
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, received, received).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void Redelivered_changes_nothing()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(2);
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Redelivered, received[0], received[1], 2).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(_client.Receive(), Is.Empty);
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, received[0], received[1], 2).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void The_window_holds_messages_back_and_opens_with_each_acknowledgement()
    {
        _client.Consume(prefetch: 2);
        var first = SendAndReceive(5);
        Assert.That(first, Has.Count.EqualTo(2));

        _client.Ack(first[0]);
        var next = _client.Receive().Single();
        Assert.That(next.Text, Is.EqualTo("m2"));
        Assert.That(_client.Receive(), Is.Empty);
    }

    [Test]
    public void No_window_takes_a_whole_long_queue()
    {
        const int Messages = 3 * BrokerConsumer.PrefetchMax;
        for (var i = 0; i < Messages; i++)
        {
            _client.Send("m");
        }

        _bench.Journal.Commit();
        var consumer = _client.Consume(prefetch: int.MaxValue);
        var received = _client.Receive();
        Assert.That(received, Has.Count.EqualTo(BrokerConsumer.PrefetchMax));
        _client.Ack(consumer, AcknowledgeKind.Delivered, received[0], received[0], int.MaxValue);
        Assert.That(_client.Receive(), Has.Count.EqualTo(2 * BrokerConsumer.PrefetchMax), "what is held and a window more");
    }

    [Test]
    public void Delivered_widens_the_window_by_the_clients_count_and_acknowledging_narrows_it_again()
    {
        var consumer = _client.Consume(prefetch: 2);
        var received = SendAndReceive(9).ToList();

        // The count may exceed the range after a fail-over; it is used for the window and never as an index.
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Delivered, received[0], received[1], 3).Status, Is.EqualTo(BrokerStatus.Accepted));
        received.AddRange(_client.Receive());
        Assert.That(received, Has.Count.EqualTo(5));

        // Five held, extension 3. Consuming all five leaves none held and no extension: two more.
        _client.Ack(consumer, AcknowledgeKind.Standard, received[0], received[4], 5);
        Assert.That(_client.Receive(), Has.Count.EqualTo(2));
    }

    [Test]
    public void Delivered_of_a_message_that_is_not_outstanding_is_refused()
    {
        var consumer = _client.Consume();
        var received = SendAndReceive(1).Single();
        _client.Ack(received);
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Delivered, null, received).Status, Is.EqualTo(BrokerStatus.Unmatched));
    }

    [Test]
    public void A_window_can_be_changed_while_the_consumer_lives()
    {
        var consumer = _client.Consume(prefetch: 0);
        Assert.That(SendAndReceive(4), Is.Empty, "a failover client restores its consumers with no window");

        _client.Connection.SetPrefetch(consumer, 3);
        Assert.That(_client.Receive(), Has.Count.EqualTo(3));
        _client.Connection.SetPrefetch(consumer, 4);
        Assert.That(_client.Receive(), Has.Count.EqualTo(1));
    }

    private IReadOnlyList<Received> SendAndReceive(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _client.Send($"m{i}");
        }

        _bench.Journal.Commit();
        return _client.Receive();
    }
}
