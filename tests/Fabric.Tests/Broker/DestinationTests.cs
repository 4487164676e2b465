using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class DestinationTests
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

    [TestCase("A.>", "A", true)]
    [TestCase("A.>", "A.B.C", true)]
    [TestCase("A.>", "AB", false)]
    [TestCase(">", "A.B", true)]
    [TestCase("A.*", "A.B", true)]
    [TestCase("A.*", "A", false)]
    [TestCase("A.*", "A.B.C", false)]
    [TestCase("*.B", "A.B", true)]
    [TestCase("*.B", "A.C", false)]
    [TestCase("A.*.C", "A.B.C", true)]
    [TestCase("A.B*", "A.Bx", false)]
    [TestCase("A.B", "A.B", true)]
    [TestCase("A.B", "A", false)]
    [TestCase("A", "A.B", false)]
    public void Patterns_match_by_element(string pattern, string name, bool matches)
    {
        Assert.That(DestinationName.Queue(pattern).Matches(DestinationName.Queue(name)), Is.EqualTo(matches));
        Assert.That(DestinationName.Queue(pattern).Matches(DestinationName.Topic(name)), Is.False);
    }

    [Test]
    public void A_list_is_split_into_different_destinations()
    {
        Assert.That(DestinationName.Queue("A, topic://B,A,,temp-queue://C").Split(), Is.EqualTo(new[]
        {
            DestinationName.Queue("A"), DestinationName.Topic("B"), DestinationName.TempQueue("C"),
        }));
        Assert.That(DestinationName.Queue("A*").IsPattern, Is.False, "a star within an element is literal");
    }

    [TestCase("")]
    [TestCase("  ")]
    [TestCase("A.*")]
    [TestCase("A.>")]
    public void A_name_that_is_none_is_refused(string name)
    {
        Assert.That(_client.Send("m", DestinationName.Queue(name)).Status, Is.EqualTo(BrokerStatus.DestinationInvalid));
        Assert.That(_client.Connection.AddDestination(DestinationName.Queue(name)).Status, Is.EqualTo(BrokerStatus.DestinationInvalid));
    }

    [Test]
    public void A_deleted_queue_loses_its_messages_and_a_new_one_of_the_name_begins_empty()
    {
        _client.SendCommitted("old");
        _client.SendCommitted("old in memory", persistent: false);
        Assert.That(_client.Connection.RemoveDestination(BrokerBench.Q, force: false).Status, Is.EqualTo(BrokerStatus.Accepted));
        _client.Send("new");
        _bench.Journal.Commit();
        _client.Consume();
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "new" }));
        Assert.That(_client.Connection.RemoveDestination(DestinationName.Queue("none"), force: true).Status, Is.EqualTo(BrokerStatus.DestinationUnknown));
    }

    [Test]
    public void A_queue_with_consumers_is_deleted_by_force_only()
    {
        var consumer = _client.Consume();
        _client.SendCommitted("m");
        var received = _client.Receive().Single();
        Assert.That(_client.Connection.RemoveDestination(BrokerBench.Q, force: false).Status, Is.EqualTo(BrokerStatus.DestinationInUse));
        Assert.That(_client.Connection.RemoveDestination(BrokerBench.Q, force: true).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();
        Assert.That(_client.Ack(received).Status, Is.EqualTo(BrokerStatus.Unmatched));
        Assert.That(_client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void A_message_that_was_under_way_when_its_queue_was_deleted_goes_with_it()
    {
        _client.SendCommitted("m");
        _client.Send("under way");
        _client.Connection.RemoveDestination(BrokerBench.Q, force: true);
        _bench.Journal.Commit();
        Assert.That(_bench.Broker.GetStatistics(), Is.Empty);
        _bench.Broker.StopServing();
        _bench.Serve();
        Assert.That(_bench.Broker.GetStatistics(), Is.Empty);
    }

    [Test]
    public void Destinations_can_be_added_ahead_and_queues_survive_a_take_over()
    {
        _client.Connection.AddDestination(BrokerBench.Q);
        _client.Connection.AddDestination(BrokerBench.T);
        _bench.Journal.Commit();
        _bench.Broker.StopServing();
        _bench.Serve();
        Assert.That(_bench.Broker.GetStatistics().Select(statistics => statistics.Name), Is.EqualTo(new[] { BrokerBench.Q }));
    }

    [Test]
    public void A_temporary_queue_lives_with_its_connection_and_never_reaches_the_journal()
    {
        var reply = DestinationName.TempQueue("ID:c-1:1");
        var other = _bench.Connect();
        Assert.That(other.Send("m", reply).Status, Is.EqualTo(BrokerStatus.DestinationUnknown));
        Assert.That(other.Send("m", reply).Detail, Is.EqualTo("the destination temp-queue://ID:c-1:1 does not exist"));

        Assert.That(_client.Connection.AddDestination(reply).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(_client.Connection.AddDestination(reply).Status, Is.EqualTo(BrokerStatus.Accepted), "a failover client repeats it");
        _bench.Journal.Commit();
        var before = _bench.Journal.End;
        _client.Consume(reply);
        Assert.That(other.Send("answer", reply), Is.EqualTo(BrokerResult.Accepted), "persistent or not, it is kept in memory");
        var received = _client.Receive().Single();
        Assert.That((received.Text, received.Destination), Is.EqualTo(("answer", reply)));
        Assert.That(_client.Ack(received), Is.EqualTo(BrokerResult.Accepted));
        Assert.That(_bench.Journal.End, Is.EqualTo(before));

        _client.Connection.Disconnect(LastDelivered.None);
        Assert.That(other.Send("late", reply).Status, Is.EqualTo(BrokerStatus.DestinationUnknown));
    }

    [Test]
    public void A_temporary_destination_belongs_to_its_connection()
    {
        var reply = DestinationName.TempTopic("ID:c-1:2");
        _client.Connection.AddDestination(reply);
        var other = _bench.Connect();
        Assert.That(other.TryConsume(new ConsumerRequest { Key = new ConsumerKey(1, 1), Destination = reply, Prefetch = 1 }).Status, Is.EqualTo(BrokerStatus.NotAuthorized));
        Assert.That(other.Connection.RemoveDestination(reply, force: true).Status, Is.EqualTo(BrokerStatus.NotAuthorized));
        Assert.That(other.Connection.AddDestination(reply).Status, Is.EqualTo(BrokerStatus.NotAuthorized));

        _client.Consume(reply);
        Assert.That(_client.Connection.RemoveDestination(reply, force: false).Status, Is.EqualTo(BrokerStatus.Accepted), "also with consumers");
        Assert.That(other.Send("late", reply).Status, Is.EqualTo(BrokerStatus.DestinationUnknown));
    }

    [Test]
    public void Messages_of_a_deleted_temporary_queue_that_were_on_their_way_are_not_sent()
    {
        var reply = DestinationName.TempQueue("ID:c-1:3");
        _client.Connection.AddDestination(reply);
        _client.Consume(reply);
        _client.Send("m", reply);
        _client.Connection.RemoveDestination(reply, force: false);
        Assert.That(_client.Receive(), Is.Empty);
    }
}
