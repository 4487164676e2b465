using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class DeadLetterTests
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
    public void A_poison_range_moves_to_the_dead_letter_queue_in_order()
    {
        var consumer = _client.Consume();
        var received = Send(3);
        var result = _client.Ack(consumer, AcknowledgeKind.Poison, received[0], received[1], 2, cause: "too often");
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(result.ConfirmAfter, Is.EqualTo(_bench.Journal.End));
        _bench.Journal.Commit();

        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
        _client.Consume(BrokerBench.DeadLetters);
        var dead = _client.Receive();
        Assert.That(dead.Select(message => message.Text), Is.EqualTo(new[]
        {
            "m0 dead from queue://Q: too often", "m1 dead from queue://Q: too often",
        }));
        Assert.That(dead.Select(message => message.Redeliveries), Is.EqualTo(new[] { 0, 0 }));
    }

    [Test]
    public void Copy_and_removal_are_all_or_nothing()
    {
        var consumer = _client.Consume();
        var received = Send(1).Single();
        _client.Ack(consumer, AcknowledgeKind.Poison, received, received);
        _bench.Broker.StopServing();
        _bench.Journal.Crash(keptUncommitted: 3); // the queue's record, the copy and the acknowledgement, but not the commit
        _bench.Serve();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
        Assert.That(_bench.Statistics(BrokerBench.DeadLetters).Depth, Is.Zero);
    }

    [Test]
    public void A_message_in_the_dead_letter_queue_that_is_refused_there_is_dropped()
    {
        _client.SendCommitted("m", BrokerBench.DeadLetters);
        var consumer = _client.Consume(BrokerBench.DeadLetters);
        var received = _client.Receive().Single();
        _client.Ack(consumer, AcknowledgeKind.Poison, received, received);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.DeadLetters).Depth, Is.Zero);
        Assert.That(_client.Receive(), Is.Empty);
    }

    [Test]
    public void A_message_in_memory_that_is_refused_is_dropped()
    {
        var consumer = _client.Consume();
        _client.SendCommitted("m", persistent: false);
        var received = _client.Receive().Single();
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Poison, received, received), Is.EqualTo(BrokerResult.Accepted));
        Assert.That(_bench.Broker.GetStatistics().Select(statistics => statistics.Name), Does.Not.Contain(BrokerBench.DeadLetters));
    }

    [Test]
    public void One_that_cannot_be_copied_stays_and_the_others_of_its_range_go()
    {
        var consumer = _client.Consume();
        foreach (var text in new[] { "m1", "unreadable", "m3" })
        {
            _client.SendCommitted(text);
        }

        var received = _client.Receive();
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Poison, received[0], received[2], 3).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.DeadLetters).Depth, Is.EqualTo(2));
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
    }

    [Test]
    public void A_copy_in_the_dead_letter_queue_does_not_count_as_stored_by_its_producer()
    {
        var client = _bench.Connect("ID:p");
        client.SendCommitted("m1");
        var consumer = _client.Consume();
        var received = _client.Receive().Single();
        _bench.Journal.Commit();
        _client.Ack(consumer, AcknowledgeKind.Poison, received, received);
        _bench.Journal.Commit();
        var again = _bench.Connect("ID:p", suppressDuplicates: true);
        Assert.That(again.Send("m1", sequence: 1).Status, Is.EqualTo(BrokerStatus.Duplicate));
        Assert.That(again.Send("m2", sequence: 2).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void A_message_that_has_expired_on_arrival_is_answered_and_dropped()
    {
        var result = _client.Send("late", expiration: _bench.Clock.NowMilliseconds - 1);
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Expired));
        Assert.That(result.Succeeded);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
        Assert.That(_bench.Journal.Records.Count(record => record.Kind == 18), Is.Zero);
    }

    [Test]
    public async Task What_expires_in_the_queue_is_not_dispatched_but_moved()
    {
        _client.SendCommitted("short", expiration: _bench.Clock.NowMilliseconds + 1000);
        _client.SendCommitted("short in memory", persistent: false, expiration: _bench.Clock.NowMilliseconds + 1000);
        _client.SendCommitted("long", expiration: _bench.Clock.NowMilliseconds + 100_000);
        _bench.Clock.Advance(TimeSpan.FromSeconds(2));
        _client.Consume();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "long" }));

        await CommitUntilDeadAsync(1);
        _client.Consume(BrokerBench.DeadLetters);
        Assert.That(_client.ReceiveTexts().Single(), Does.StartWith("short dead from queue://Q: Message Expired. Expiration:"));
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
    }

    [Test]
    public async Task The_sweep_finds_what_expires_in_queues_without_consumers()
    {
        var soon = _bench.Clock.NowMilliseconds + 1000;
        for (var i = 0; i < 3000; i++)
        {
            _client.Send($"m{i}", expiration: i % 1000 == 7 ? soon : 0);
        }

        _client.Send("in memory", persistent: false, expiration: soon);
        _bench.Journal.Commit();
        await Eventually.HoldsAsync(
            () =>
            {
                _bench.Clock.Advance(TimeSpan.FromSeconds(10));
                _bench.Journal.Commit();
                return _bench.Statistics(BrokerBench.DeadLetters).Depth == 3
                    && _bench.Statistics(BrokerBench.Q).Depth == 2997;
            }, "three messages moved and one dropped");
    }

    [Test]
    public async Task One_that_cannot_be_copied_stays_and_keeps_nobody_else_from_going()
    {
        var soon = _bench.Clock.NowMilliseconds + 1000;
        _client.Send("before", expiration: soon);
        _client.Send("unreadable", expiration: soon);
        _client.Send("behind", expiration: soon);
        _bench.Journal.Commit();
        await Eventually.HoldsAsync(
            () =>
            {
                _bench.Clock.Advance(TimeSpan.FromSeconds(10));
                _bench.Journal.Commit();
                return _bench.Statistics(BrokerBench.DeadLetters).Depth == 2;
            }, "the two others moved");
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));

        _client.Send("later", expiration: _bench.Clock.NowMilliseconds + 1000);
        _bench.Journal.Commit();
        await Eventually.HoldsAsync(
            () =>
            {
                _bench.Clock.Advance(TimeSpan.FromSeconds(10));
                _bench.Journal.Commit();
                return _bench.Statistics(BrokerBench.DeadLetters).Depth == 3;
            }, "the clock goes on");
    }

    [Test]
    public async Task What_a_consumer_holds_does_not_expire_under_it()
    {
        _client.Consume(prefetch: 1);
        _client.SendCommitted("held", expiration: _bench.Clock.NowMilliseconds + 1000);
        _client.SendCommitted("waiting", expiration: _bench.Clock.NowMilliseconds + 1000);
        var received = _client.Receive().Single();
        await CommitUntilDeadAsync(1);
        Assert.That(_client.Ack(received).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void The_client_may_find_a_message_expired_itself()
    {
        var consumer = _client.Consume();
        var received = Send(1).Single();
        _client.Ack(consumer, AcknowledgeKind.Expired, received, received);
        _bench.Journal.Commit();
        _client.Consume(BrokerBench.DeadLetters);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m0 dead from queue://Q: Message Expired." }));
    }

    [Test]
    public void A_client_that_names_an_expired_message_and_no_range_means_that_one()
    {
        var consumer = _client.Consume();
        var received = Send(3);
        _client.Ack(consumer, AcknowledgeKind.Expired, null, received[1]);
        _bench.Journal.Commit();
        _client.Consume(BrokerBench.DeadLetters);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m1 dead from queue://Q: Message Expired." }));
        Assert.That(_client.Ack(consumer, AcknowledgeKind.Standard, null, received[2], count: 2).Status, Is.EqualTo(BrokerStatus.Accepted), "the others are as they were");
    }

    private async Task CommitUntilDeadAsync(long count) => await Eventually.HoldsAsync(
        () =>
        {
            _bench.Clock.Advance(TimeSpan.FromSeconds(10));
            _bench.Journal.Commit();
            return _bench.Statistics(BrokerBench.DeadLetters).Depth == count;
        }, $"{count} in the dead letter queue");

    private IReadOnlyList<Received> Send(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _client.Send($"m{i}");
        }

        _bench.Journal.Commit();
        return _client.Receive();
    }
}
