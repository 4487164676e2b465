using Fabric.Client;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Tests.Broker;

namespace Fabric.Tests.Client;

/// <summary>What becomes of deliveries: in which order the broker is told, and what a lost connection does to those that are held.</summary>
[TestFixture]
internal sealed class SettlingTests : TwoBrokersFixture
{
    [Test]
    public async Task What_is_given_up_between_two_acceptances_reaches_the_broker_before_their_range()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q");
        var opening = consumer.OpenAsync().AsTask();
        await using var connection = await One.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        await connection.RespondAsync(subscription);
        await opening;
        for (var round = 0; round < 50; round++)
        {
            var outstanding = Enumerable.Range((round * 3) + 1, 3).Select(number => (long)number).ToList();
            var deliveries = new List<Delivery<string>>();
            foreach (var number in outstanding)
            {
                await connection.DispatchAsync(subscription, (int)number);
                deliveries.Add(await consumer.ReceiveAsync());
            }

            await deliveries[0].AcceptAsync();
            await deliveries[1].DeadLetterAsync("no good");
            await deliveries[2].AcceptAsync();
            while (outstanding.Count > 0)
            {
                var ack = await connection.ReadUntilAsync<MessageAck>();
                var from = outstanding.IndexOf((ack.FirstMessageId ?? ack.LastMessageId)!.ProducerSequenceId);
                var to = outstanding.IndexOf(ack.LastMessageId!.ProducerSequenceId);
                Assert.That(to - from + 1, Is.EqualTo(ack.MessageCount), $"what the broker has between the ends of {ack.AckType}");
                outstanding.RemoveRange(from, ack.MessageCount);
            }
        }
    }

    [Test]
    public async Task A_reason_of_any_length_breaks_no_connection()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var connection = await One.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        await connection.RespondAsync(subscription);
        await connection.DispatchAsync(subscription, 1);
        await (await receiving).DeadLetterAsync(new string('\u20ac', 100_000));
        var ack = await connection.ReadUntilAsync<MessageAck>();
        Assert.That((ack.AckType, ack.PoisonCause!.Message), Is.EqualTo((AckType.Poison, new string('\u20ac', 16 * 1024))));
    }

    [Test]
    public async Task A_delivery_that_a_transaction_came_too_late_for_is_delivered_again()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q", new ConsumerOptions { Prefetch = 1 });
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        var subscription = await first.ReadUntilAsync<ConsumerInfo>();
        await first.RespondAsync(subscription);
        await first.DispatchAsync(subscription, 1);
        var held = await receiving;
        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        var again = await second.ReadUntilAsync<ConsumerInfo>();
        await second.RespondAsync(again);
        await using var transaction = await Client.BeginTransactionAsync();
        Assert.That(async () => await held.AcceptAsync(transaction), Throws.TypeOf<TransactionRolledBackException>());
        await second.DispatchAsync(again, 1);
        var delivery = await consumer.TryReceiveAsync(ScriptedConnection.Limit);
        Assert.That((delivery?.Body, delivery?.DeliveryCount), Is.EqualTo(("1", 2)));
    }

    [Test]
    public async Task Who_does_not_wait_gets_what_is_here()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q");
        var opening = consumer.OpenAsync().AsTask();
        await using var connection = await One.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        await connection.RespondAsync(subscription);
        await opening;
        Assert.That(await consumer.TryReceiveAsync(TimeSpan.Zero), Is.Null);
        await connection.DispatchAsync(subscription, 1);
        Delivery<string>? delivery = null;
        await Eventually.HoldsAsync(
            () => (delivery = consumer.TryReceiveAsync(TimeSpan.Zero).AsTask().GetAwaiter().GetResult()) is not null, "the message is received");
        Assert.That(delivery!.Body, Is.EqualTo("1"));
        Assert.That(async () => await consumer.ReceiveAsync(new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task A_consumer_that_was_refused_is_announced_to_no_other_broker()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        await first.RefuseAsync(await first.ReadUntilAsync<ConsumerInfo>(), "javax.jms.InvalidSelectorException", "no");
        Assert.That(async () => await receiving, Throws.InstanceOf<FabricException>());
        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        _ = Client.SendAsync("queue://Q", "x").AsTask().ContinueWith(static task => task.Exception, TaskScheduler.Default);
        for (var command = await second.ReadAsync(); command is not ActiveMQTextMessage; command = await second.ReadAsync())
        {
            Assert.That(command, Is.Not.InstanceOf<ConsumerInfo>());
        }
    }

    [Test]
    public async Task A_consumer_of_a_closed_client_says_so_each_time()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://Q");
        await Client.DisposeAsync();
        Assert.That(async () => await consumer.ReceiveAsync(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(async () => await consumer.ReceiveAsync().AsTask().WaitAsync(ScriptedConnection.Limit), Throws.InstanceOf<FabricException>());
    }

    [Test]
    public void A_name_that_does_not_fit_is_refused_before_it_breaks_a_connection()
    {
        var name = new string('x', 70_000);
        Assert.That(() => global::Fabric.Client.Destination.Parse($"queue://{name}"), Throws.ArgumentException);
        Assert.That(() => Client.CreateConsumer<string>("queue://Q", new ConsumerOptions { Selector = name }), Throws.ArgumentException);
    }
}
