using System.Globalization;
using Fabric.Broker;

namespace Fabric.Tests.Broker;

/// <summary>A client that reconnects repeats what was not answered; none of it may be stored twice.</summary>
public sealed class DuplicateTests
{
    private static readonly DestinationName Other = DestinationName.Queue("Other");

    private BrokerBench _bench = null!;

    [SetUp]
    public void SetUp() => _bench = new BrokerBench();

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    [Test]
    public void A_repeated_message_is_not_stored_again_and_is_confirmed_with_all_that_was_appended()
    {
        var client = _bench.Connect("ID:c");
        client.Send("m1", sequence: 1);
        client.Send("m2", sequence: 2);
        var other = _bench.Connect();
        other.Send("later");

        // Neither has committed: what counts is what was appended.
        var again = _bench.Connect("ID:c", suppressDuplicates: true);
        var repeated = again.Send("m2", sequence: 2);
        Assert.That(repeated.Status, Is.EqualTo(BrokerStatus.Duplicate));
        Assert.That(repeated.Succeeded);
        Assert.That(repeated.ConfirmAfter, Is.EqualTo(_bench.Journal.End));
        Assert.That(again.Send("m3", sequence: 3).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();
        Assert.That(again.Send("m3", sequence: 3).Status, Is.EqualTo(BrokerStatus.Duplicate));
        again.Consume();
        Assert.That(again.ReceiveTexts(), Is.EqualTo(new[] { "m1", "m2", "later", "m3" }));
    }

    [Test]
    public void It_holds_across_a_take_over_and_a_restart_from_a_checkpoint()
    {
        var client = _bench.Connect("ID:c");
        client.Send("m1", sequence: 1);
        _bench.Journal.Commit();
        client.Send("lost", sequence: 2);
        _bench.Broker.StopServing();
        _bench.Journal.Crash();

        var checkpoint = new System.Buffers.ArrayBufferWriter<byte>();
        _bench.Broker.WriteCheckpoint(checkpoint);
        _bench.Broker.ReadCheckpoint(checkpoint.WrittenSpan);
        _bench.Serve();
        var again = _bench.Connect("ID:c", suppressDuplicates: true);
        Assert.That(again.Send("m1", sequence: 1).Status, Is.EqualTo(BrokerStatus.Duplicate));
        Assert.That(again.Send("lost", sequence: 2).Status, Is.EqualTo(BrokerStatus.Accepted), "it was never stored");
    }

    [Test]
    public void Only_connections_that_ask_for_it_and_only_persistent_messages_are_checked()
    {
        var client = _bench.Connect("ID:c");
        client.Send("m", sequence: 5);
        Assert.That(client.Send("same number", sequence: 5).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();
        var again = _bench.Connect("ID:c", suppressDuplicates: true);
        Assert.That(again.Send("in memory", persistent: false, sequence: 5).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(again.Send("topic", BrokerBench.T, sequence: 5).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void Producers_are_told_apart()
    {
        var client = _bench.Connect("ID:c", suppressDuplicates: true);
        client.Send("a", sequence: 5, producerId: "ID:c:1:1");
        Assert.That(client.Send("b", sequence: 4, producerId: "ID:c:1:2").Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(client.Send("c", sequence: 5, producerId: "ID:c:1:1").Status, Is.EqualTo(BrokerStatus.Duplicate));
    }

    [Test]
    public void Repeated_messages_inside_a_transaction_are_left_out_of_it()
    {
        var client = _bench.Connect("ID:c");
        client.Connection.Begin(1);
        client.Send("m1", sequence: 1, transaction: 1);
        client.Send("m2", sequence: 2, transaction: 1);
        client.Connection.Commit(1);

        var again = _bench.Connect("ID:c", suppressDuplicates: true);
        again.Connection.Begin(1);
        Assert.That(again.Send("m2", sequence: 2, transaction: 1).Status, Is.EqualTo(BrokerStatus.Duplicate));
        Assert.That(again.Send("m3", sequence: 3, transaction: 1).Status, Is.EqualTo(BrokerStatus.Accepted));
        again.Connection.Commit(1);
        _bench.Journal.Commit();
        again.Consume();
        Assert.That(again.ReceiveTexts(), Is.EqualTo(new[] { "m1", "m2", "m3" }));
    }

    [Test]
    public void A_rolled_back_message_may_be_sent_again()
    {
        var client = _bench.Connect("ID:c", suppressDuplicates: true);
        client.Connection.Begin(1);
        client.Send("m1", sequence: 1, transaction: 1);
        client.Connection.Rollback(1);
        Assert.That(client.Send("m1", sequence: 1).Status, Is.EqualTo(BrokerStatus.Accepted));
    }

    [Test]
    public void A_message_to_a_list_counts_once()
    {
        var list = DestinationName.Queue("A,B");
        var client = _bench.Connect("ID:c", suppressDuplicates: true);
        Assert.That(client.Send("m", list, sequence: 1).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(client.Send("m", list, sequence: 1).Status, Is.EqualTo(BrokerStatus.Duplicate));
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(DestinationName.Queue("A")).Depth, Is.EqualTo(1));
        Assert.That(_bench.Statistics(DestinationName.Queue("B")).Depth, Is.EqualTo(1));
    }

    [Test]
    public void A_connection_with_very_many_producers_forgets_none_of_them_too_early()
    {
        var client = _bench.Connect("ID:c", suppressDuplicates: true);
        for (var producer = 0; producer < 600; producer++)
        {
            var id = string.Create(CultureInfo.InvariantCulture, $"ID:c:1:{producer}");
            Assert.That(client.Send("m", sequence: 7, producerId: id).Status, Is.EqualTo(BrokerStatus.Accepted));
        }

        for (var producer = 0; producer < 600; producer++)
        {
            var id = string.Create(CultureInfo.InvariantCulture, $"ID:c:1:{producer}");
            Assert.That(client.Send("m", sequence: 7, producerId: id).Status, Is.EqualTo(BrokerStatus.Duplicate), "half way to the disk");
        }

        _bench.Journal.Commit();
        Assert.That(client.Send("m", sequence: 7, producerId: "ID:c:1:0").Status, Is.EqualTo(BrokerStatus.Duplicate));
    }

    [Test]
    public void A_transaction_whose_producers_were_forgotten_meanwhile_is_remembered_all_the_same()
    {
        var client = _bench.Connect("ID:c", suppressDuplicates: true);
        client.Connection.Begin(1);
        client.Send("m", sequence: 7, producerId: "ID:c:1:first", transaction: 1);
        for (var producer = 0; producer < 300; producer++)
        {
            client.Send("other", Other, sequence: 1, producerId: string.Create(CultureInfo.InvariantCulture, $"ID:c:1:{producer}"));
        }

        _bench.Journal.Commit();
        client.Connection.Commit(1);
        var again = _bench.Connect("ID:c", suppressDuplicates: true);
        Assert.That(again.Send("m", sequence: 7, producerId: "ID:c:1:first").Status, Is.EqualTo(BrokerStatus.Duplicate), "half way to the disk");
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1));
    }
}
