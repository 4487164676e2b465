using Fabric.Broker;

namespace Fabric.Tests.Broker;

/// <summary>Who gets which message of a queue.</summary>
public sealed class DistributionTests
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
    public void Equal_consumers_take_turns()
    {
        var keys = new[] { _client.Consume(), _client.Consume(), _client.Consume() };
        Send(7);
        Assert.That(_client.Receive().Select(message => Array.IndexOf(keys, message.Consumer)), Is.EqualTo(new[] { 0, 1, 2, 0, 1, 2, 0 }));
    }

    [Test]
    public void A_lower_priority_gets_messages_only_when_all_higher_windows_are_full()
    {
        var low = _client.Consume(priority: -5);
        var high = _client.Consume(priority: 5, prefetch: 2);
        var alsoHigh = _client.Consume(priority: 5, prefetch: 1);
        Send(5);
        Assert.That(_client.Receive().Select(message => message.Consumer), Is.EqualTo(new[] { high, alsoHigh, high, low, low }));
    }

    [Test]
    public void An_exclusive_consumer_gets_everything_and_the_next_exclusive_one_follows_it()
    {
        var plain = _client.Consume();
        var first = _client.Consume(exclusive: true);
        var second = _client.Consume(exclusive: true);
        Send(3);
        var received = _client.Receive();
        Assert.That(received.Select(message => message.Consumer), Is.All.EqualTo(first));

        _client.Connection.RemoveConsumer(first, LastDelivered.None);
        Assert.That(_client.Receive().Select(message => message.Consumer), Is.EqualTo(new[] { second, second, second }));
        _client.Connection.RemoveConsumer(second, LastDelivered.None);
        Assert.That(_client.Receive().Select(message => message.Consumer), Is.EqualTo(new[] { plain, plain, plain }));
    }

    [Test]
    public void A_later_exclusive_consumer_replaces_the_first_only_with_a_higher_priority()
    {
        _client.Consume(exclusive: true);
        var higher = _client.Consume(exclusive: true, priority: 1);
        Send(1);
        Assert.That(_client.Receive().Single().Consumer, Is.EqualTo(higher));
    }

    [Test]
    public void One_consumer_may_read_several_queues_and_acknowledge_a_range_over_them()
    {
        var key = _client.Consume(DestinationName.Queue("A,B"), prefetch: 3);
        var (a, b) = (DestinationName.Queue("A"), DestinationName.Queue("B"));
        foreach (var name in new[] { a, b, a, b })
        {
            _client.SendCommitted("m", name);
        }

        var received = _client.Receive();
        Assert.That(received.Select(message => message.Destination), Is.EqualTo(new[] { a, b, a }));
        Assert.That(_client.Ack(key, AcknowledgeKind.Standard, received[0], received[2], 3).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();
        Assert.That((_bench.Statistics(a).Depth, _bench.Statistics(b).Depth), Is.EqualTo((0L, 1L)));
        Assert.That(_client.Receive().Single().Destination, Is.EqualTo(b));
    }

    [Test]
    public void A_pattern_covers_queues_that_exist_and_queues_that_come_later()
    {
        _client.SendCommitted("old", DestinationName.Queue("X.old"));
        _client.Consume(DestinationName.Queue("X.>"));
        _client.SendCommitted("new", DestinationName.Queue("X.new"));
        _client.SendCommitted("foreign", DestinationName.Queue("Y"));
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "old", "new" }));
    }

    [Test]
    public void With_noLocal_own_messages_stay_in_the_queue_for_others()
    {
        var picky = _client.Consume(noLocal: true);
        var other = _bench.Connect();
        _client.SendCommitted("mine 1");
        other.SendCommitted("theirs 1");
        _client.SendCommitted("mine 2", persistent: false);
        other.SendCommitted("theirs 2", persistent: false);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "theirs 1", "theirs 2" }));

        other.Consume();
        Assert.That(other.ReceiveTexts(), Is.EqualTo(new[] { "mine 1", "mine 2" }));
        _client.Connection.RemoveConsumer(picky, LastDelivered.Unknown);
        Assert.That(other.ReceiveTexts(), Is.EqualTo(new[] { "theirs 1", "theirs 2" }));
        other.SendCommitted("after");
        Assert.That(other.ReceiveTexts(), Is.EqualTo(new[] { "after" }));
    }

    [Test]
    public void Filtered_and_plain_consumers_share_a_queue_without_losing_or_doubling_messages()
    {
        _client.Consume(noLocal: true, prefetch: 2);
        var other = _bench.Connect();
        other.Consume(prefetch: 2);
        for (var i = 0; i < 12; i++)
        {
            (i % 3 == 0 ? _client : other).Send($"m{i}", persistent: i % 2 == 0);
        }

        _bench.Journal.Commit();
        var seen = new List<string?>();
        for (var round = 0; round < 12 && seen.Count < 12; round++)
        {
            foreach (var client in new[] { _client, other })
            {
                foreach (var message in client.Receive())
                {
                    Assert.That(client == _client && int.Parse(message.Text![1..]) % 3 == 0, Is.False, "its own message");
                    seen.Add(message.Text);
                    client.Ack(message);
                }
            }
        }

        Assert.That(seen, Is.Unique);
        Assert.That(seen, Has.Count.EqualTo(12));
    }

    [Test]
    public void Persistent_and_other_messages_of_a_producer_keep_their_order()
    {
        _client.Consume();
        _bench.Journal.Commit();
        for (var i = 0; i < 8; i++)
        {
            _client.Send($"m{i}", persistent: i % 3 == 0);
        }

        Assert.That(_client.Receive(), Is.Empty, "m1 must not overtake m0, which is still on its way to the disk");
        _bench.Journal.Commit(1);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m0", "m1", "m2" }));
        _bench.Journal.Commit();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m3", "m4", "m5", "m6", "m7" }));
    }

    [Test]
    public void Without_persistent_messages_under_way_others_are_dispatched_at_once()
    {
        _client.Consume();
        _bench.Journal.Commit();
        Assert.That(_client.Send("m", persistent: false), Is.EqualTo(BrokerResult.Accepted));
        var received = _client.Receive().Single();
        Assert.That(received.Sequence.Value, Is.GreaterThan(_bench.Journal.End.Value));
        Assert.That(_client.Ack(received), Is.EqualTo(BrokerResult.Accepted));
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void A_message_to_a_list_is_copied_to_each_element_in_one_piece()
    {
        _client.Consume(DestinationName.Queue("A"));
        _client.Consume(BrokerBench.T);
        _bench.Journal.Commit();
        var result = _client.Send("m", DestinationName.Queue("A,topic://T,B"));
        Assert.That(result.ConfirmAfter, Is.EqualTo(_bench.Journal.End));
        _bench.Journal.Commit(3); // B is added, then two of the three records of the group
        Assert.That(_client.Receive(), Is.Empty, "half of a list is visible");
        _bench.Journal.Commit();
        Assert.That(_client.ReceiveTexts(), Is.EquivalentTo(new[] { "m for queue://A", "m for topic://T" }));
        Assert.That(_bench.Statistics(DestinationName.Queue("B")).Depth, Is.EqualTo(1));
    }

    private void Send(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _client.Send($"m{i}");
        }

        _bench.Journal.Commit();
    }
}
