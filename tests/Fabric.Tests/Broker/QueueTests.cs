using Fabric.Broker;

namespace Fabric.Tests.Broker;

public sealed class QueueTests
{
    [Test]
    public async Task A_persistent_message_is_dispatched_when_it_has_committed_and_forgotten_when_its_acknowledgement_has()
    {
        await using var bench = new BrokerBench();
        var client = bench.Connect();
        client.Consume();
        bench.Journal.Commit();

        var sent = client.Send("hello");
        Assert.That(sent.ConfirmAfter, Is.EqualTo(bench.Journal.End));
        Assert.That(sent.ConfirmAfter, Is.GreaterThan(bench.Broker.Confirmed));
        Assert.That(client.Receive(), Is.Empty, "dispatched before it was committed");

        bench.Journal.Commit();
        Assert.That(bench.Broker.Confirmed, Is.EqualTo(sent.ConfirmAfter));
        var received = client.Receive().Single();
        Assert.That(received.Text, Is.EqualTo("hello"));
        Assert.That(received.Destination, Is.EqualTo(BrokerBench.Q));
        Assert.That(bench.Statistics(BrokerBench.Q), Is.EqualTo(new DestinationStatistics(BrokerBench.Q, 1, 1, 0, 1, 1, 0)));

        var acknowledged = client.Ack(received);
        Assert.That(acknowledged.ConfirmAfter, Is.EqualTo(bench.Journal.End));
        Assert.That(bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(1), "forgotten before it was committed");
        bench.Journal.Commit();
        Assert.That(bench.Statistics(BrokerBench.Q), Is.EqualTo(new DestinationStatistics(BrokerBench.Q, 0, 1, 1, 0, 1, 0)));
    }

    [Test]
    public async Task A_call_between_apply_and_flush_neither_shows_the_batch_early_nor_forgets_to_show_it()
    {
        await using var bench = new BrokerBench();
        var client = bench.Connect();
        client.Consume();
        bench.Journal.BeforeFlush = () =>
        {
            client.Connection.AddSession(2);
            Assert.That(client.Receive(), Is.Empty, "shown before the batch was flushed");
        };
        client.SendCommitted("m");
        Assert.That(client.ReceiveTexts(), Is.EqualTo(new[] { "m" }));
    }
}
