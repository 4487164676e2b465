using Fabric.Broker;
using Fabric.Broker.Security;

namespace Fabric.Tests.Broker;

public sealed class ConnectionTests
{
    private BrokerBench _bench = null!;

    [SetUp]
    public void SetUp() => _bench = new BrokerBench(new BrokerOptions { ConnectionsMax = 3, ClientObjectsMax = 5, DestinationsMax = 4 });

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    [Test]
    public void A_client_id_that_is_in_use_is_refused_until_its_connection_goes()
    {
        var first = _bench.Connect("ID:a", clientId: "reports");
        var refused = _bench.Broker.Connect(
            new ConnectRequest { ConnectionId = "ID:b", ClientId = "reports" }, first, out var connection);
        Assert.That(refused.Status, Is.EqualTo(BrokerStatus.ClientIdInUse));
        Assert.That(refused.Detail, Is.EqualTo("Broker: default - Client: reports already connected from unknown"));
        Assert.That(connection, Is.Null);

        first.Connection.Disconnect(LastDelivered.None);
        _bench.Connect("ID:b", clientId: "reports");
    }

    [Test]
    public void A_newcomer_with_the_same_ids_replaces_its_old_connection_silently()
    {
        var old = _bench.Connect("ID:a", clientId: "reports");
        var newcomer = _bench.Connect("ID:a", clientId: "reports");
        Assert.That(old.ClosedBecause, Is.Not.Null);
        Assert.That(newcomer.ClosedBecause, Is.Null);
        old.Connection.Disconnect(LastDelivered.Unknown);
        Assert.That(newcomer.Send("m").Succeeded, "the old transport's end does not touch the new connection");
    }

    [Test]
    public void The_end_of_a_connection_is_confirmed_after_its_sends_and_its_writer_is_woken_for_both()
    {
        var client = _bench.Connect();
        var sent = client.Send("m");
        var ended = client.Connection.Disconnect(LastDelivered.None);
        Assert.That((ended.Status, ended.ConfirmAfter), Is.EqualTo((BrokerStatus.Accepted, sent.ConfirmAfter)));

        var wakes = client.Wakes;
        _bench.Journal.Commit();
        Assert.That(client.Wakes, Is.GreaterThan(wakes));
        Assert.That(client.Connection.Confirmed, Is.GreaterThanOrEqualTo(ended.ConfirmAfter));
    }

    [Test]
    public void Sessions_producers_and_consumers_may_be_added_again()
    {
        var client = _bench.Connect();
        Assert.That(client.Connection.AddSession(1).Succeeded);
        var key = new ConsumerKey(1, 1);
        var request = new ConsumerRequest { Key = key, Destination = BrokerBench.Q, Prefetch = 10 };
        client.Connection.AddConsumer(request, out var first);
        client.Connection.AddConsumer(request, out var second);
        Assert.That(second, Is.SameAs(first));
        Assert.That(client.Connection.AddProducer(new ProducerKey(1, 1), BrokerBench.Q).Succeeded);
        Assert.That(client.Connection.AddProducer(new ProducerKey(1, 1), BrokerBench.Q).Succeeded);
        Assert.That(_bench.Statistics(BrokerBench.Q), Is.EqualTo(new DestinationStatistics(BrokerBench.Q, 0, 0, 0, 0, 1, 1)));
    }

    [Test]
    public void Unknown_sessions_are_refused_and_session_minus_one_is_always_there()
    {
        var client = _bench.Connect();
        var request = new ConsumerRequest { Key = new ConsumerKey(9, 1), Destination = BrokerBench.Q };
        Assert.That(client.TryConsume(request).Status, Is.EqualTo(BrokerStatus.SessionUnknown));
        Assert.That(client.Connection.AddProducer(new ProducerKey(9, 1), null).Status, Is.EqualTo(BrokerStatus.SessionUnknown));
        Assert.That(client.TryConsume(request with { Key = new ConsumerKey(-1, 1) }).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(client.Connection.RemoveSession(-1, LastDelivered.None).Status, Is.EqualTo(BrokerStatus.Ignored));
    }

    [Test]
    public void Removing_what_is_not_there_is_ignored()
    {
        var client = _bench.Connect();
        Assert.That(client.Connection.RemoveConsumer(new ConsumerKey(1, 5), LastDelivered.None).Status, Is.EqualTo(BrokerStatus.Ignored));
        Assert.That(client.Connection.RemoveProducer(new ProducerKey(1, 5)).Status, Is.EqualTo(BrokerStatus.Ignored));
        Assert.That(client.Connection.RemoveSession(5, LastDelivered.None).Status, Is.EqualTo(BrokerStatus.Ignored));
    }

    [Test]
    public void A_session_takes_its_producers_with_it()
    {
        var client = _bench.Connect();
        client.Connection.AddProducer(new ProducerKey(1, 1), BrokerBench.Q);
        client.Connection.RemoveSession(1, LastDelivered.None);
        Assert.That(_bench.Statistics(BrokerBench.Q).Producers, Is.Zero);
    }

    [TestCase("selector", "selectors")]
    [TestCase("durable", "durable subscriptions")]
    [TestCase("browser", "browsing anything but one queue")]
    [TestCase("mixed", "one consumer of queues and topics")]
    public void What_this_version_does_not_do_is_refused_by_name(string feature, string what)
    {
        var client = _bench.Connect();
        var request = new ConsumerRequest { Key = new ConsumerKey(1, 1), Destination = DestinationName.Topic("T"), Prefetch = 1 };
        var result = client.TryConsume(feature switch
        {
            "selector" => request with { Selector = "a = 1" },
            "durable" => request with { SubscriptionName = "s" },
            "browser" => request with { Browser = true },
            _ => request with { Destination = DestinationName.Queue("A,topic://B") },
        });
        Assert.That(result, Is.EqualTo(new BrokerResult(BrokerStatus.Unsupported, default, what)));
        Assert.That(client.Connection.Publish(
            new PublishRequest { Destination = BrokerBench.Q, ProducerId = "p", ProducerSequence = 1, GroupId = "g" }, default).Detail,
            Is.EqualTo("message groups"));
    }

    [Test]
    public void A_topic_that_feeds_queues_is_refused_when_there_are_such_queues()
    {
        var client = _bench.Connect();
        var topic = DestinationName.Topic("VirtualTopic.Orders");
        client.Consume(DestinationName.Queue("Consumer.A.VirtualTopic.Bills"));
        Assert.That(client.Send("m", topic).Status, Is.EqualTo(BrokerStatus.Accepted));
        client.Consume(DestinationName.Queue("Consumer.A.VirtualTopic.Orders"));
        Assert.That(client.Send("m", topic), Is.EqualTo(new BrokerResult(BrokerStatus.Unsupported, default, "virtual topics")));
    }

    [Test]
    public void There_are_limits_to_everything_a_client_can_make()
    {
        var client = _bench.Connect();
        _bench.Connect();
        _bench.Connect();
        Assert.That(_bench.Broker.Connect(
            new ConnectRequest { ConnectionId = "x", ClientId = "x" }, client, out _).Status, Is.EqualTo(BrokerStatus.LimitReached));
        Assert.That(Enumerable.Range(2, 9).Select(session => client.Connection.AddSession(session).Status), Does.Contain(BrokerStatus.LimitReached));
        Assert.That(Enumerable.Range(2, 9).Select(id => client.Connection.Begin(id).Status), Does.Contain(BrokerStatus.LimitReached));
        Assert.That(
            Enumerable.Range(2, 9).Select(value => client.Connection.AddProducer(new ProducerKey(1, value), null).Status),
            Does.Contain(BrokerStatus.LimitReached));
        Assert.That(
            Enumerable.Range(2, 9).Select(value => client.Send("m", DestinationName.Topic($"T{value}")).Status),
            Does.Contain(BrokerStatus.LimitReached));
        Assert.That(
            Enumerable.Range(2, 9).Select(value => client.TryConsume(
                new ConsumerRequest { Key = new ConsumerKey(1, value), Destination = DestinationName.Topic("T2") }).Status),
            Does.Contain(BrokerStatus.LimitReached));
    }

    [Test]
    public void Stopping_holds_every_connection_without_an_answer_and_drops_what_is_in_memory()
    {
        var client = _bench.Connect();
        client.Consume();
        client.SendCommitted("stored");
        client.SendCommitted("in memory", persistent: false);
        Assert.That(client.Receive(), Has.Count.EqualTo(2));
        _bench.Broker.StopServing();

        Assert.That((client.IsHeld, client.ClosedBecause), Is.EqualTo((true, (string?)null)));
        Assert.That(client.Send("m").Status, Is.EqualTo(BrokerStatus.NotServing));
        Assert.That(client.Connection.AddSession(7).Status, Is.EqualTo(BrokerStatus.NotServing));
        Assert.That(client.Receive(), Is.Empty);
        Assert.That(_bench.Broker.Connect(new ConnectRequest { ConnectionId = "x", ClientId = "x" }, client, out _).Status, Is.EqualTo(BrokerStatus.NotServing));
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1), "a slave knows its queues too");

        _bench.Serve();
        var next = _bench.Connect();
        next.Consume();
        var received = next.Receive().Single();
        Assert.That((received.Text, received.Redeliveries), Is.EqualTo(("stored", 1)), "it may have been seen");
    }

    [Test]
    public void When_the_journal_has_lost_its_mastership_calls_answer_that_the_broker_does_not_serve()
    {
        var client = _bench.Connect();
        client.Consume();
        client.SendCommitted("m");
        var received = client.Receive().Single();
        client.Connection.Begin(1);
        client.Send("later", transaction: 1);
        _bench.Journal.IsMaster = false;
        Assert.That(client.Send("m").Status, Is.EqualTo(BrokerStatus.NotServing));
        Assert.That(client.Ack(received).Status, Is.EqualTo(BrokerStatus.NotServing));
        Assert.That(client.Connection.Commit(1).Status, Is.EqualTo(BrokerStatus.NotServing));
        Assert.That(client.Connection.AddDestination(DestinationName.Queue("new")).Status, Is.EqualTo(BrokerStatus.NotServing));
    }

    [Test]
    public void A_position_confirms_nothing_to_a_connection_of_an_earlier_mastership()
    {
        var client = _bench.Connect();
        var sent = client.Send("lost");
        _bench.Broker.StopServing();
        _bench.Journal.Crash();
        _bench.Serve();
        var next = _bench.Connect();
        for (var i = 0; i < 5; i++)
        {
            next.SendCommitted("other bytes at the same positions");
        }

        Assert.That(next.Connection.Confirmed, Is.GreaterThan(sent.ConfirmAfter));
        Assert.That(client.Connection.Confirmed, Is.LessThan(sent.ConfirmAfter));
    }

    [Test]
    public void The_writer_is_woken_for_deliveries_and_for_confirmations()
    {
        var client = _bench.Connect();
        var consumer = _bench.Connect();
        consumer.Consume();
        _bench.Journal.Commit();
        var (before, consumerBefore) = (client.Wakes, consumer.Wakes);
        client.Send("m1");
        client.Send("m2");
        Assert.That(client.Wakes, Is.EqualTo(before), "nothing is confirmed yet");
        _bench.Journal.Commit();
        Assert.That(client.Wakes, Is.EqualTo(before + 1));
        Assert.That(consumer.Wakes, Is.EqualTo(consumerBefore + 1), "one wake-up for a batch");
        _bench.Journal.Commit();
        Assert.That(client.Wakes, Is.EqualTo(before + 1), "nothing more to confirm");
    }

    [Test]
    public async Task Users_are_checked_when_they_connect()
    {
        await using var bench = new BrokerBench(new BrokerOptions { Authenticator = UserTable.Single("alice", "secret") });
        var sink = _bench.Connect();
        var request = new ConnectRequest { ConnectionId = "ID:x", ClientId = "x", User = "alice", Password = "wrong" };
        var refused = bench.Broker.Connect(request, sink, out var connection);
        Assert.That(refused.Status, Is.EqualTo(BrokerStatus.NotAuthenticated));
        Assert.That(refused.Detail, Is.EqualTo("User name [alice] or password is invalid."));
        Assert.That(connection, Is.Null);
        Assert.That(bench.Broker.Connect(request with { Password = "secret" }, sink, out connection).Succeeded);
        Assert.That(connection!.User, Is.EqualTo("alice"));
        Assert.That(request.ToString(), Does.Not.Contain("wrong"));
    }

    [TestCase(true, true, null, null, true)]
    [TestCase(true, true, "", "", true)]
    [TestCase(true, false, null, null, false)]
    [TestCase(false, true, null, null, false)]
    [TestCase(true, true, "alice", null, false)]
    [TestCase(true, true, "alice", "wrong", false)]
    [TestCase(true, true, null, "secret", false)]
    [TestCase(true, true, "alice", "secret", true)]
    public async Task Who_gives_no_name_may_connect_from_the_brokers_machine_alone_and_where_that_is_allowed(
        bool allowed, bool fromLoopback, string? user, string? password, bool connects)
    {
        await using var bench = new BrokerBench(
            new BrokerOptions { Authenticator = UserTable.Single("alice", "secret"), AnonymousFromLoopback = allowed });
        var request = new ConnectRequest { ConnectionId = "ID:x", ClientId = "x", User = user, Password = password, IsFromLoopback = fromLoopback };
        var result = bench.Broker.Connect(request, _bench.Connect(), out _);
        Assert.That(result.Status, Is.EqualTo(connects ? BrokerStatus.Accepted : BrokerStatus.NotAuthenticated));
    }
}
