using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class PullAndBrowseTests
{
    private static readonly TimeSpan Forever = Timeout.InfiniteTimeSpan;

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
    public void Whoever_asks_without_waiting_as_soon_as_it_may_gets_what_is_there()
    {
        _client.SendCommitted("m");
        var request = new ConsumerRequest { Key = new ConsumerKey(1, 1), Destination = BrokerBench.Q, Prefetch = 0 };
        var added = _client.TryConsume(request);
        Assert.That(added.Status, Is.EqualTo(BrokerStatus.Accepted));
        while (_client.Connection.Confirmed < added.ConfirmAfter)
        {
            _bench.Journal.Commit();
        }

        _client.Connection.Pull(request.Key, TimeSpan.Zero);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m" }));
    }

    [Test]
    public void A_pull_grants_exactly_one_message_and_pulls_do_not_accumulate()
    {
        var consumer = _client.Consume(prefetch: 0);
        Assert.That(_client.Receive(), Is.Empty);
        _client.Connection.Pull(consumer, Forever);
        _client.Connection.Pull(consumer, Forever);
        for (var i = 0; i < 3; i++)
        {
            _client.SendCommitted($"m{i}");
        }

        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m0" }));
        _client.Connection.Pull(consumer, Forever);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m1" }));
    }

    [Test]
    public void A_pull_without_patience_is_answered_at_once()
    {
        var consumer = _client.Consume(prefetch: 0);
        _client.Connection.Pull(consumer, TimeSpan.Zero);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new string?[] { null }));

        _client.SendCommitted("m");
        Assert.That(_client.Receive(), Is.Empty, "the null answer ended the pull");
        _client.Connection.Pull(consumer, TimeSpan.Zero);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m" }));
    }

    [Test]
    public async Task A_pull_that_finds_nothing_in_time_is_answered_without_a_message()
    {
        var consumer = _client.Consume(prefetch: 0);
        _client.Connection.Pull(consumer, TimeSpan.FromSeconds(5));
        Assert.That(_client.Receive(), Is.Empty);

        IReadOnlyList<Received> received = [];
        await Eventually.HoldsAsync(
            () =>
            {
                _bench.Clock.Advance(TimeSpan.FromSeconds(1));
                received = _client.Receive();
                return received.Count > 0;
            }, "the pull is answered");
        Assert.That(received.Single().Text, Is.Null);
        Assert.That(received.Single().Consumer, Is.EqualTo(consumer));
    }

    [Test]
    public async Task The_timeout_of_an_answered_pull_does_nothing_to_the_next_one()
    {
        var consumer = _client.Consume(prefetch: 0);
        _client.Connection.Pull(consumer, TimeSpan.FromSeconds(5));
        _client.SendCommitted("m");
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m" }));
        _client.Connection.Pull(consumer, TimeSpan.FromSeconds(100));

        var marker = _client.Consume(DestinationName.Queue("marker"), prefetch: 0);
        _client.Connection.Pull(marker, TimeSpan.FromSeconds(50));
        IReadOnlyList<Received> received = [];
        await Eventually.HoldsAsync(
            () =>
            {
                _bench.Clock.Advance(TimeSpan.FromSeconds(1));
                received = _client.Receive();
                return received.Count > 0;
            }, "the later pull is answered");
        Assert.That(received.Single().Consumer, Is.EqualTo(marker));
    }

    [Test]
    public void Pulls_with_long_limits_leave_nothing_behind_when_another_follows_or_their_consumer_is_gone()
    {
        const int pulls = 200_000;
        const int consumers = 5_000;
        var patient = _client.Consume(prefetch: 0);
        Pull(patient);
        Come();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < pulls; i++)
        {
            Pull(patient);
        }

        for (var i = 0; i < consumers; i++)
        {
            Come();
        }

        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(pulls * 5)); // kept, a pull alone takes some thirty bytes, and a consumer hundreds

        void Pull(ConsumerKey consumer) => _client.Connection.Pull(consumer, TimeSpan.FromHours(1));

        void Come()
        {
            var consumer = _client.Consume(prefetch: 0);
            Pull(consumer);
            _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
            _client.Receive();
        }
    }

    [Test]
    public void A_pull_consumer_acknowledges_like_any_other()
    {
        var consumer = _client.Consume(prefetch: 0);
        _client.SendCommitted("m0");
        _client.SendCommitted("m1");
        _client.Connection.Pull(consumer, TimeSpan.Zero);
        var received = _client.Receive().Single();
        _client.Ack(consumer, AcknowledgeKind.Delivered, null, received, 5);
        Assert.That(_client.Receive(), Is.Empty, "delivered grants no pull");
        Assert.That(_client.Ack(received).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(_client.Receive(), Is.Empty);
    }

    [Test]
    public void A_browser_sees_the_queue_in_order_with_what_others_hold_and_then_the_end()
    {
        _client.SendCommitted("held");
        _client.Consume(prefetch: 1);
        _client.SendCommitted("stored");
        _client.SendCommitted("in memory", persistent: false);
        var other = _bench.Connect();
        Browse(other, prefetch: 500);
        _client.SendCommitted("later");
        Assert.That(other.ReceiveTexts(), Is.EqualTo(new[] { "held", "stored", "in memory", null }));

        other.Consume();
        Assert.That(other.ReceiveTexts(), Is.EqualTo(new[] { "stored", "in memory", "later" }), "browsing takes nothing");
    }

    [Test]
    public void A_browsers_acknowledgements_move_its_window_only()
    {
        for (var i = 0; i < 5; i++)
        {
            _client.SendCommitted($"m{i}");
        }

        var browser = Browse(_client, prefetch: 2);
        var first = _client.Receive();
        Assert.That(first.Select(message => message.Text), Is.EqualTo(new[] { "m0", "m1" }));
        _client.Ack(browser, AcknowledgeKind.Standard, first[0], first[1], 2);
        var second = _client.Receive();
        _client.Ack(browser, AcknowledgeKind.Standard, second[0], second[1], 2);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m4", null }));
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(5));
    }

    [Test]
    public void A_browser_that_pulls_gets_one_message_per_pull_and_an_empty_answer_at_the_end()
    {
        _client.SendCommitted("m0");
        _client.SendCommitted("m1");
        var browser = Browse(_client, prefetch: 0);
        var seen = new List<string?>();
        for (var i = 0; i < 4; i++)
        {
            _client.Connection.Pull(browser, TimeSpan.Zero);
            seen.AddRange(_client.ReceiveTexts());
        }

        Assert.That(seen, Is.EqualTo(new[] { "m0", "m1", null, null }));
    }

    [Test]
    public void A_message_that_is_consumed_before_the_browser_reads_it_is_left_out()
    {
        _client.SendCommitted("m0");
        _client.SendCommitted("m1");
        var other = _bench.Connect();
        Browse(other, prefetch: 500);
        _client.Consume();
        var received = _client.Receive();
        _client.Ack(received[0]);
        _bench.Journal.Commit();
        _bench.Journal.ReadFails = position => position.Value == received[0].Sequence.Value;
        Assert.That(other.ReceiveTexts(), Is.EqualTo(new[] { "m1", null }));
    }

    private static ConsumerKey Browse(TestClient client, int prefetch)
    {
        var key = new ConsumerKey(1, 1000);
        var result = client.TryConsume(
            new ConsumerRequest { Key = key, Destination = BrokerBench.Q, Prefetch = prefetch, Browser = true });
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted), result.Detail);
        return key;
    }
}
