using Fabric.Client;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.Client;

/// <summary>One broker and one client: what is written, and what becomes of refusals and losses.</summary>
[TestFixture]
internal sealed class ConnectionTests
{
    private ScriptedBroker _broker = null!;
    private FabricClient _client = null!;

    [SetUp]
    public void SetUp()
    {
        _broker = new ScriptedBroker();
        _client = new FabricClient($"{_broker.Url}?jms.closeTimeout=0");
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _client.DisposeAsync();
        await _broker.DisposeAsync();
    }

    [Test]
    public async Task Nothing_is_connected_before_the_first_use()
    {
        Assert.That((_client.State, _client.Broker), Is.EqualTo((ConnectionState.Disconnected, (BrokerIdentity?)null)));
        var connecting = _client.ConnectAsync().AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        await connecting;
        Assert.That((_client.State, _client.Broker), Is.EqualTo((ConnectionState.Connected, new BrokerIdentity("scripted", _broker.Url))));
    }

    [Test]
    public async Task A_send_completes_with_the_brokers_answer_and_not_before()
    {
        var sending = _client.SendAsync("queue://Q", "x").AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        var message = await connection.ReadUntilAsync<ActiveMQTextMessage>();
        Assert.That(message.ResponseRequired);
        Assert.That(sending.IsCompleted, Is.False);
        await connection.RespondAsync(message);
        Assert.That((await sending).MessageId, Is.EqualTo(message.MessageId!.ToString()));
    }

    [Test]
    public async Task An_application_that_blocks_where_its_send_ends_still_gets_the_next_answers()
    {
        var blocking = BlockAsync();
        await using var connection = await _broker.AcceptLoginAsync();
        await connection.RespondAsync(await connection.ReadUntilAsync<ActiveMQTextMessage>());
        await connection.RespondAsync(await connection.ReadUntilAsync<ActiveMQTextMessage>());
        Assert.That(await blocking, "the second send was confirmed");

        async Task<bool> BlockAsync()
        {
            await _client.SendAsync("queue://Q", "one");
            return _client.SendAsync("queue://Q", "two").AsTask().Wait(ScriptedConnection.Limit);
        }
    }

    [Test]
    public async Task Answers_that_come_together_with_the_end_of_the_connection_count()
    {
        var sends = Enumerable.Range(0, 3).Select(number => _client.SendAsync("queue://Q", $"{number}").AsTask()).ToArray();
        await using var connection = await _broker.AcceptLoginAsync();
        var answers = new List<IDataStructure>();
        foreach (var _ in sends)
        {
            answers.Add(new Response { CorrelationId = (await connection.ReadUntilAsync<ActiveMQTextMessage>()).CommandId });
        }

        await connection.SendAsync([.. answers, new ShutdownInfo()]);
        await Task.WhenAll(sends).WaitAsync(ScriptedConnection.Limit);
    }

    [TestCase("javax.jms.InvalidDestinationException", typeof(InvalidDestinationException))]
    [TestCase("org.apache.activemq.DestinationDoesNotExistException", typeof(InvalidDestinationException))]
    [TestCase("java.lang.SecurityException", typeof(FabricSecurityException))]
    [TestCase("javax.jms.ResourceAllocationException", typeof(ResourceAllocationException))]
    [TestCase("javax.jms.JMSException", typeof(FabricException))]
    public async Task A_refusal_becomes_the_exception_that_its_class_means(string className, Type expected)
    {
        var sending = _client.SendAsync("queue://Q", "x").AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        await connection.RefuseAsync(await connection.ReadUntilAsync<ActiveMQTextMessage>(), className, "because");
        var refusal = Assert.ThrowsAsync(expected, async () => await sending) as FabricException;
        Assert.That((refusal!.Message, refusal.Reason), Is.EqualTo(("because", className)));
        Assert.That(_client.State, Is.EqualTo(ConnectionState.Connected));
    }

    [Test]
    public async Task Without_failover_a_loss_is_final_and_the_outcome_of_a_send_unknown()
    {
        var sending = _client.SendAsync("queue://Q", "x").AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        await connection.ReadUntilAsync<ActiveMQTextMessage>();
        connection.Break();
        Assert.That(async () => await sending, Throws.TypeOf<SendOutcomeUnknownException>());
        Assert.That(async () => await _client.SendAsync("queue://Q", "y"), Throws.TypeOf<FabricConnectionException>());
        Assert.That(_client.State, Is.EqualTo(ConnectionState.Failed));
    }

    [Test]
    public async Task A_first_attempt_that_fails_may_be_repeated()
    {
        await _broker.DisposeAsync();
        Assert.That(async () => await _client.ConnectAsync(), Throws.TypeOf<FabricConnectionException>());
        Assert.That(_client.State, Is.EqualTo(ConnectionState.Disconnected));
        Assert.That(async () => await _client.SendAsync("queue://Q", "x"), Throws.TypeOf<FabricConnectionException>());
    }

    [Test]
    public async Task Failover_gives_up_after_as_many_rounds_as_allowed()
    {
        await _broker.DisposeAsync();
        await using var client = new FabricClient($"failover:({_broker.Url})?maxReconnectAttempts=2");
        Assert.That(async () => await client.ConnectAsync(), Throws.TypeOf<FabricConnectionException>());
    }

    [Test]
    public async Task A_send_waits_for_a_connection_no_longer_than_the_timeout()
    {
        await _broker.DisposeAsync();
        await using var client = new FabricClient($"failover:({_broker.Url})?timeout=100");
        Assert.That(async () => await client.SendAsync("queue://Q", "x"), Throws.TypeOf<FabricConnectionException>());
    }

    [Test]
    public async Task A_send_waits_for_its_answer_no_longer_than_the_send_timeout()
    {
        await using var client = new FabricClient($"{_broker.Url}?jms.sendTimeout=100&jms.closeTimeout=0");
        var sending = client.SendAsync("queue://Q", "x").AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        await connection.ReadUntilAsync<ActiveMQTextMessage>();
        Assert.That(async () => await sending, Throws.TypeOf<SendOutcomeUnknownException>());
        Assert.That(client.State, Is.EqualTo(ConnectionState.Connected));
    }

    [Test]
    public async Task A_message_larger_than_the_broker_takes_fails_alone()
    {
        var sending = _client.SendAsync("queue://Q", new byte[200_000]).AsTask();
        await using var connection = await _broker.AcceptLoginAsync(WireFormat.Default with { MaxFrameSize = 100_000 });
        Assert.That(async () => await sending, Throws.TypeOf<FabricException>().With.Message.Contains("100000"));
        var small = _client.SendAsync("queue://Q", "small").AsTask();
        await connection.RespondAsync(await connection.ReadUntilAsync<ActiveMQTextMessage>());
        await small;
    }

    [Test]
    public async Task A_header_that_does_not_fit_fails_the_call_and_not_the_connection()
    {
        Assert.That(
            async () => await _client.SendAsync("queue://Q", "x", new MessageOptions { CorrelationId = new string('c', 70_000) }),
            Throws.ArgumentException);
        Assert.That(
            async () => await _client.SendAsync("queue://Q", "x", new MessageOptions
            {
                Properties = new Dictionary<string, object?> { ["when"] = DateTime.UnixEpoch },
            }),
            Throws.ArgumentException);
        Assert.That(_client.State, Is.EqualTo(ConnectionState.Disconnected));
    }

    [Test]
    public async Task An_old_broker_is_refused_by_its_version()
    {
        var connecting = _client.ConnectAsync().AsTask();
        await using var connection = await _broker.AcceptAsync(WireFormat.Default with { Version = 9 });
        Assert.That(async () => await connecting, Throws.TypeOf<FabricConnectionException>().With.Message.Contains("OpenWire 9"));
    }

    [Test]
    public async Task Acceptances_of_the_same_moment_become_one_range()
    {
        await using var consumer = _client.CreateConsumer<string>("queue://Q", new ConsumerOptions { Prefetch = 50 });
        var opening = consumer.OpenAsync().AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        Assert.That(subscription.PrefetchSize, Is.EqualTo(50));
        await connection.RespondAsync(subscription);
        await opening;
        var deliveries = new List<Delivery<string>>();
        for (var i = 1; i <= 20; i++)
        {
            await connection.DispatchAsync(subscription, i);
            deliveries.Add(await consumer.ReceiveAsync());
        }

        foreach (var delivery in deliveries)
        {
            await delivery.AcceptAsync();
        }

        // How many ranges it takes is up to timing; that they cover everything once and in order is not.
        var next = 1;
        while (next <= 20)
        {
            var ack = await connection.ReadUntilAsync<MessageAck>();
            Assert.That(ack.AckType, Is.EqualTo(AckType.Standard));
            Assert.That(ack.FirstMessageId!.ProducerSequenceId, Is.EqualTo(next));
            next += ack.MessageCount;
            Assert.That(ack.LastMessageId!.ProducerSequenceId, Is.EqualTo(next - 1));
        }

        Assert.That(next, Is.EqualTo(21));
    }

    [Test]
    public async Task Closing_a_consumer_acknowledges_what_was_accepted_and_says_what_was_seen()
    {
        var consumer = _client.CreateConsumer<string>("queue://Q");
        var opening = consumer.OpenAsync().AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        await connection.RespondAsync(subscription);
        await opening;
        for (var i = 1; i <= 3; i++)
        {
            await connection.DispatchAsync(subscription, i);
        }

        await (await consumer.ReceiveAsync()).AcceptAsync();
        var seen = await consumer.ReceiveAsync();
        await consumer.DisposeAsync();
        Assert.That((await connection.ReadUntilAsync<MessageAck>()).LastMessageId!.ProducerSequenceId, Is.EqualTo(1));
        var removal = await connection.ReadUntilAsync<RemoveInfo>();
        Assert.That((removal.ObjectId, removal.LastDeliveredSequenceId), Is.EqualTo((subscription.ConsumerId, 102)));
        Assert.That(async () => await seen.AcceptAsync(), Throws.TypeOf<FabricException>());
        Assert.That(async () => await consumer.ReceiveAsync(), Throws.TypeOf<FabricException>());
    }

    [Test]
    public async Task A_delivery_is_settled_once()
    {
        await using var consumer = _client.CreateConsumer<string>("queue://Q");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        await connection.RespondAsync(subscription);
        await connection.DispatchAsync(subscription, 1);
        var delivery = await receiving;
        await delivery.AcceptAsync();
        Assert.That(async () => await delivery.ReleaseAsync(), Throws.InvalidOperationException);
    }

    [Test]
    public async Task A_body_of_another_kind_is_an_error_of_the_body_alone()
    {
        await using var consumer = _client.CreateConsumer<Dictionary<string, object?>>("queue://Q");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        var subscription = await connection.ReadUntilAsync<ConsumerInfo>();
        await connection.RespondAsync(subscription);
        await connection.DispatchAsync(subscription, 1);
        var delivery = await receiving;
        Assert.That(() => delivery.Body, Throws.TypeOf<MessageFormatException>());
        await delivery.DeadLetterAsync("unreadable");
        var ack = await connection.ReadUntilAsync<MessageAck>();
        Assert.That((ack.AckType, ack.PoisonCause!.Message), Is.EqualTo((AckType.Poison, "unreadable")));
    }

    [Test]
    public async Task Disposing_lets_what_was_sent_be_confirmed_and_says_goodbye()
    {
        await using var client = new FabricClient(_broker.Url);
        var sending = client.SendAsync("queue://Q", "last").AsTask();
        await using var connection = await _broker.AcceptLoginAsync();
        var message = await connection.ReadUntilAsync<ActiveMQTextMessage>();
        var disposing = client.DisposeAsync().AsTask();
        var removal = await connection.ReadUntilAsync<RemoveInfo>();
        Assert.That(removal.ObjectId, Is.InstanceOf<ConnectionId>());
        await connection.RespondAsync(message);
        await connection.RespondAsync(removal);
        await connection.ReadAsync<ShutdownInfo>();
        await disposing;
        await sending;
        Assert.That(async () => await client.SendAsync("queue://Q", "later"), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(client.State, Is.EqualTo(ConnectionState.Closed));
    }

    [Test]
    public async Task Disposing_without_a_broker_fails_what_waits()
    {
        await _broker.DisposeAsync();
        var client = new FabricClient($"failover:({_broker.Url})");
        var sending = client.SendAsync("queue://Q", "x").AsTask();
        await client.DisposeAsync();
        Assert.That(async () => await sending, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public async Task Garbage_instead_of_a_handshake_is_no_broker()
    {
        var connecting = _client.ConnectAsync().AsTask();
        await using var connection = await _broker.AcceptSilentlyAsync();
        await connection.SendAsync(new ShutdownInfo());
        Assert.That(async () => await connecting, Throws.TypeOf<FabricConnectionException>().With.Message.Contains("does not speak OpenWire"));
    }
}
