using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class FlowControlTests
{
    private BrokerBench _bench = null!;
    private TestClient _client = null!;

    [SetUp]
    public void SetUp()
    {
        _bench = new BrokerBench(new BrokerOptions { MemoryBytesMax = 64 * 1024 });
        _client = _bench.Connect();
    }

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    [Test]
    public async Task Publishers_wait_while_memory_is_full_and_go_on_when_messages_are_consumed()
    {
        var consumer = _client.Consume(prefetch: 100);
        Fill(persistent: false);
        var room = _client.Connection.WaitForRoomAsync(default).AsTask();
        Assert.That(room.IsCompleted, Is.False);

        foreach (var message in _client.Receive().Take(6))
        {
            _client.Ack(consumer, AcknowledgeKind.Standard, message, message);
        }

        await room.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.That(HasRoom());
    }

    [Test]
    public async Task A_slow_topic_subscriber_holds_publishers_up_and_its_end_lets_them_go()
    {
        var consumer = _client.Consume(BrokerBench.T, prefetch: 1);
        Fill(persistent: false, BrokerBench.T);
        var room = _client.Connection.WaitForRoomAsync(default).AsTask();
        Assert.That(room.IsCompleted, Is.False);
        _client.Connection.RemoveConsumer(consumer, LastDelivered.None);
        _client.Receive();
        await room.WaitAsync(TimeSpan.FromSeconds(20));
    }

    /// <summary>Were they waited for, all clients could wait in the middle of their transactions, and nobody would ever commit.</summary>
    [Test]
    public void Open_transactions_hold_nobody_up()
    {
        _client.Connection.Begin(1);
        for (var i = 0; i < 20; i++)
        {
            Assert.That(HasRoom());
            _client.Send(new string('x', 4000), persistent: i % 2 == 0, transaction: 1);
        }

        Assert.That(_client.Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public async Task All_open_transactions_together_have_a_limit_and_who_exceeds_it_is_rolled_back()
    {
        await using var bench = new BrokerBench(new BrokerOptions { TransactionsBytesMax = 64 * 1024 });
        var clients = Enumerable.Range(0, 3).Select(_ => bench.Connect()).ToArray();
        foreach (var client in clients)
        {
            client.Connection.Begin(1);
            for (var i = 0; i < 7; i++)
            {
                client.Send(new string('x', 4000), transaction: 1);
            }
        }

        Assert.That(clients[0].Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(clients[1].Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.Accepted));
        var failed = clients[2].Connection.Commit(1);
        Assert.That((failed.Status, failed.Detail), Is.EqualTo((
            BrokerStatus.TransactionRolledBack, "the open transactions of all clients are larger than 65536 bytes; try again, and commit more often")));
        clients[2].Connection.Begin(2);
        Assert.That(clients[2].Send(new string('x', 60_000), transaction: 2).Status, Is.EqualTo(BrokerStatus.Accepted), "nothing is left of the others");
        bench.Journal.Commit();
        Assert.That(bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(14));
    }

    [Test]
    public async Task A_transaction_that_has_failed_holds_nothing_any_more()
    {
        await using var bench = new BrokerBench(new BrokerOptions { TransactionBytesMax = 64 * 1024, TransactionsBytesMax = 64 * 1024 });
        var (failing, other) = (bench.Connect(), bench.Connect());
        failing.Connection.Begin(1);
        failing.Send(new string('x', 60_000), transaction: 1);
        Assert.That(failing.Send(new string('x', 60_000), transaction: 1).Status, Is.EqualTo(BrokerStatus.TooLarge));
        Assert.That(failing.Send("more", transaction: 1).Status, Is.EqualTo(BrokerStatus.Accepted));
        other.Connection.Begin(1);
        Assert.That(other.Send(new string('x', 60_000), transaction: 1).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(failing.Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.TransactionRolledBack));
        Assert.That(other.Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void What_every_subscriber_has_been_sent_takes_no_room()
    {
        _client.Consume(BrokerBench.T, prefetch: 1000);
        var other = _bench.Connect();
        other.Consume(BrokerBench.T, prefetch: 1000);
        for (var i = 0; i < 100; i++)
        {
            _client.Send(new string('x', 4000), BrokerBench.T);
            _client.Receive();
            other.Receive();
        }

        Assert.That(HasRoom());
    }

    [Test]
    public void Persistent_messages_of_queues_take_no_room()
    {
        Fill(persistent: true);
        Assert.That(HasRoom());
    }

    [Test]
    public async Task The_journals_room_counts_too()
    {
        _bench.Journal.Block();
        var room = _client.Connection.WaitForRoomAsync(default).AsTask();
        Assert.That(room.IsCompleted, Is.False);
        _bench.Journal.Unblock();
        await room.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Test]
    public void Waiting_can_be_cancelled()
    {
        Fill(persistent: false);
        using var cancel = new CancellationTokenSource();
        var room = _client.Connection.WaitForRoomAsync(cancel.Token).AsTask();
        cancel.Cancel();
        Assert.That(async () => await room, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task Stopping_lets_everybody_go()
    {
        Fill(persistent: false);
        var room = _client.Connection.WaitForRoomAsync(default).AsTask();
        _bench.Broker.StopServing();
        await room.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.That(_client.Send("m").Status, Is.EqualTo(BrokerStatus.NotServing));
    }

    private bool HasRoom() => _client.Connection.WaitForRoomAsync(default).AsTask().IsCompleted;

    private void Fill(bool persistent, DestinationName? to = null)
    {
        for (var i = 0; i < 20; i++)
        {
            Assert.That(_client.Send(new string('x', 4000), to, persistent).Succeeded);
        }

        _bench.Journal.Commit();
    }
}
