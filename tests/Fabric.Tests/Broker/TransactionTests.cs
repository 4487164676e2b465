using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class TransactionTests
{
    private static readonly DestinationName Other = DestinationName.Queue("other");

    private BrokerBench _bench = null!;
    private TestClient _client = null!;

    [SetUp]
    public void SetUp()
    {
        _bench = new BrokerBench(new BrokerOptions { TransactionBytesMax = 64 * 1024 });
        _client = _bench.Connect();
    }

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    [Test]
    public void Sends_are_invisible_until_the_commit_and_keep_their_order()
    {
        _client.Consume();
        _client.Connection.Begin(1);
        for (var i = 0; i < 3; i++)
        {
            Assert.That(_client.Send($"m{i}", transaction: 1), Is.EqualTo(BrokerResult.Accepted));
        }

        _bench.Journal.Commit();
        Assert.That(_client.Receive(), Is.Empty);

        var committed = _client.Connection.Commit(1);
        Assert.That(committed.ConfirmAfter, Is.EqualTo(_bench.Journal.End));
        Assert.That(_client.Receive(), Is.Empty, "the commit is not durable yet");
        _bench.Journal.Commit();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m0", "m1", "m2" }));
    }

    [Test]
    public void A_group_takes_effect_with_its_last_record_and_not_before()
    {
        _client.SendCommitted("in");
        _client.Consume();
        var received = _client.Receive().Single();
        _client.Connection.Begin(1);
        _client.Ack(received.Consumer, AcknowledgeKind.Standard, received, received, transaction: 1);
        _client.Send("out 1", Other, transaction: 1);
        _client.Send("out 2", Other, transaction: 1);
        _bench.Journal.Commit();
        _client.Connection.Commit(1);

        _bench.Journal.Commit(3);
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
        Assert.That(_bench.Statistics(Other).Depth, Is.Zero);
        _bench.Journal.Commit(1);
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
        Assert.That(_bench.Statistics(Other).Depth, Is.EqualTo(2));
    }

    [Test]
    public void A_group_that_a_crash_cut_has_no_effect_even_if_its_first_records_commit()
    {
        _client.SendCommitted("in");
        _client.Consume();
        var received = _client.Receive().Single();
        _client.Connection.Begin(1);
        _client.Ack(received.Consumer, AcknowledgeKind.Standard, received, received, transaction: 1);
        _client.Send("out", transaction: 1);
        _client.Connection.Commit(1);

        _bench.Broker.StopServing();
        _bench.Journal.Crash(keptUncommitted: 2);
        _bench.Serve();
        var after = _bench.Connect();
        after.Consume();
        Assert.That(after.ReceiveTexts(), Is.EqualTo(new[] { "in" }));
        after.SendCommitted("next");
        Assert.That(after.ReceiveTexts(), Is.EqualTo(new[] { "next" }));
    }

    [Test]
    public void A_transaction_of_one_record_needs_no_commit_record()
    {
        _client.Connection.Begin(1);
        _client.Send("only", transaction: 1);
        _bench.Journal.Commit();
        var before = _bench.Journal.Records.Count;
        _client.Connection.Commit(1);
        Assert.That(_bench.Journal.Records.Skip(before).Select(record => (record.Kind, record.Flags)), Is.EqualTo(new[] { ((byte)18, (byte)0) }));
    }

    [Test]
    public void Rollback_forgets_sends_and_leaves_acknowledged_messages_with_their_consumer()
    {
        _client.SendCommitted("m");
        var consumer = _client.Consume();
        var received = _client.Receive().Single();
        _client.Connection.Begin(1);
        _client.Ack(consumer, AcknowledgeKind.Standard, received, received, transaction: 1);
        _client.Send("never", transaction: 1);
        Assert.That(_client.Connection.Rollback(1).Succeeded);
        _bench.Journal.Commit();
        Assert.That(_client.Receive(), Is.Empty, "the client delivers it again by itself");

        _client.Connection.Begin(2);
        _client.Ack(consumer, AcknowledgeKind.Standard, received, received, transaction: 2);
        Assert.That(_client.Connection.Commit(2).Succeeded);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void The_loss_of_the_connection_rolls_back()
    {
        _client.SendCommitted("m");
        _client.Consume();
        var received = _client.Receive().Single();
        _client.Connection.Begin(1);
        _client.Ack(received.Consumer, AcknowledgeKind.Standard, received, received, transaction: 1);
        _client.Send("never", transaction: 1);
        _client.Connection.Disconnect(LastDelivered.Unknown);

        var next = _bench.Connect();
        next.Consume();
        _bench.Journal.Commit();
        var again = next.Receive().Single();
        Assert.That((again.Text, again.Redeliveries), Is.EqualTo(("m", 1)));
    }

    [Test]
    public void What_an_open_transaction_acknowledged_waits_for_its_outcome_when_the_consumer_closes()
    {
        _client.SendCommitted("kept");
        _client.SendCommitted("consumed");
        var other = _bench.Connect();
        foreach (var (id, commit) in new[] { (1, false), (2, true) })
        {
            var consumer = _client.Consume(prefetch: 1);
            var received = _client.Receive().Single();
            _client.Connection.Begin(id);
            _client.Ack(consumer, AcknowledgeKind.Standard, received, received, transaction: id);
            _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
            var watcher = other.Consume(prefetch: 1);
            Assert.That(other.Receive().Select(message => message.Text), Does.Not.Contain(received.Text));
            other.Connection.RemoveConsumer(watcher, LastDelivered.None);
            _ = commit ? _client.Connection.Commit(id) : _client.Connection.Rollback(id);
        }

        _bench.Journal.Commit();
        other.Consume();
        var left = other.Receive();
        Assert.That(left.Select(message => message.Text), Is.EqualTo(new[] { "consumed" }), "the first one was taken again by the second consumer");
    }

    [Test]
    public void Unknown_transactions_are_an_outcome_and_a_repeated_begin_is_none()
    {
        Assert.That(_client.Connection.Commit(9).Status, Is.EqualTo(BrokerStatus.TransactionUnknown));
        Assert.That(_client.Connection.Rollback(9).Status, Is.EqualTo(BrokerStatus.TransactionUnknown));
        Assert.That(_client.Send("m", transaction: 9).Status, Is.EqualTo(BrokerStatus.TransactionUnknown));
        Assert.That(_client.Connection.Commit(9).Detail, Is.EqualTo("Transaction 'TX:ID:c-1:9' has not been started."));

        _client.Connection.Begin(1);
        _client.Send("m", transaction: 1);
        Assert.That(_client.Connection.Begin(1).Succeeded);
        _client.Connection.Commit(1);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
    }

    [Test]
    public void A_failure_within_a_transaction_makes_its_commit_roll_back()
    {
        _client.Connection.Begin(1);
        _client.Send("good", transaction: 1);
        Assert.That(_client.Send("bad", DestinationName.TempQueue("gone"), transaction: 1).Status, Is.EqualTo(BrokerStatus.DestinationUnknown));

        var result = _client.Connection.Commit(1);
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.TransactionRolledBack));
        Assert.That(result.Detail, Is.EqualTo("the destination temp-queue://gone does not exist"));
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void A_transaction_is_bounded()
    {
        _client.Connection.Begin(1);
        Assert.That(_client.Send(new string('x', 40_000), transaction: 1).Succeeded);
        Assert.That(_client.Send(new string('x', 40_000), transaction: 1).Status, Is.EqualTo(BrokerStatus.TooLarge));
        Assert.That(_client.Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.TransactionRolledBack));
    }

    [Test]
    public void Messages_in_memory_wait_for_the_commit_of_what_is_journalled_with_them()
    {
        _client.Consume(BrokerBench.T);
        _client.Consume(Other);
        _bench.Journal.Commit();
        _client.Connection.Begin(1);
        _client.Send("stored", transaction: 1);
        _client.Send("to the topic", BrokerBench.T, transaction: 1);
        _client.Send("in memory", Other, persistent: false, transaction: 1);
        _client.Connection.Commit(1);
        Assert.That(_client.Receive(), Is.Empty, "a crash would undo the rest");

        _bench.Journal.Commit();
        Assert.That(_client.ReceiveTexts(), Is.EquivalentTo(new[] { "to the topic", "in memory" }));
    }

    [Test]
    public void A_transaction_in_memory_only_is_committed_at_once()
    {
        _client.Consume(BrokerBench.T);
        _client.Connection.Begin(1);
        _client.Send("m", BrokerBench.T, transaction: 1);
        Assert.That(_client.Receive(), Is.Empty);
        Assert.That(_client.Connection.Commit(1), Is.EqualTo(BrokerResult.Accepted));
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m" }));
    }

    [Test]
    public void Messages_that_expire_before_the_commit_are_dropped()
    {
        _client.Connection.Begin(1);
        _client.Send("short", transaction: 1, expiration: _bench.Clock.NowMilliseconds + 1000);
        _client.Send("long", transaction: 1);
        _bench.Clock.Advance(TimeSpan.FromSeconds(2));
        _client.Connection.Commit(1);
        _bench.Journal.Commit();
        _client.Consume();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "long" }));
    }

    [Test]
    public void A_transacted_consumer_keeps_receiving_because_delivered_widens_its_window()
    {
        var consumer = _client.Consume(prefetch: 2);
        for (var i = 0; i < 6; i++)
        {
            _client.Send($"m{i}");
        }

        _bench.Journal.Commit();
        _client.Connection.Begin(1);
        var all = _client.Receive().ToList();
        while (all.Count < 6)
        {
            Assert.That(_client.Ack(consumer, AcknowledgeKind.Delivered, null, all[^1], 2, transaction: 1).Succeeded);
            var more = _client.Receive();
            Assert.That(more, Is.Not.Empty);
            all.AddRange(more);
        }

        _client.Ack(consumer, AcknowledgeKind.Standard, all[0], all[5], 6, transaction: 1);
        _client.Connection.Commit(1);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void Individual_acknowledgements_in_a_transaction_widen_the_window_until_it_ends()
    {
        var consumer = _client.Consume(prefetch: 1);
        _client.Send("m0");
        _client.Send("m1");
        _client.Send("m2");
        _bench.Journal.Commit();
        _client.Connection.Begin(1);
        var first = _client.Receive().Single();
        _client.Ack(consumer, AcknowledgeKind.Individual, null, first, transaction: 1);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m1" }));
        _client.Connection.Rollback(1);
        Assert.That(_client.Receive(), Is.Empty, "two are held, the window is one");
    }
}
