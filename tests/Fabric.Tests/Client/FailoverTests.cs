using System.Text.Json;
using Fabric.Client;
using Fabric.Client.Connections;
using Fabric.Client.Consumers;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Client;

/// <summary>What a client tells the next broker, and what it does not lose or repeat on the way.</summary>
[TestFixture]
internal sealed class FailoverTests : TwoBrokersFixture
{
    protected override FabricClientOptions Options => new() { UserName = "me", Password = "secret", MaxInFlight = 3 };

    [Test]
    public async Task A_new_broker_is_told_everything_in_the_order_that_java_clients_keep()
    {
        var request = Client.RequestAsync<string, string>("queue://service", "?", TimeSpan.FromMinutes(1));
        _ = request.ContinueWith(task => task.Exception, TaskScheduler.Default);
        await using var first = await One.AcceptLoginAsync();
        await first.RespondAsync(await first.ReadUntilAsync<ActiveMQTextMessage>()); // the request itself
        await using var consumer = Client.CreateConsumer<string>("queue://in");
        var opening = consumer.OpenAsync().AsTask();
        await first.RespondAsync(await first.ReadUntilAsync<ConsumerInfo>());
        await opening;
        await using var transaction = await Client.BeginTransactionAsync();
        var transacted = transaction.SendAsync("queue://out", "tx 1").AsTask();
        await first.RespondAsync(await first.ReadUntilAsync<ActiveMQTextMessage>());
        await transacted;
        var sends = new[] { "a", "b" }.Select(text => Client.SendAsync("queue://out", text).AsTask()).ToArray();
        var a = await first.ReadUntilAsync<ActiveMQTextMessage>();
        var b = await first.ReadUntilAsync<ActiveMQTextMessage>();
        first.Break();

        await using var second = await Two.AcceptAsync();
        Assert.That((await second.ReadAsync<ConnectionControl>()).FaultTolerant);
        var login = await second.ReadAsync<ConnectionInfo>();
        Assert.That((login.FailoverReconnect, login.FaultTolerant, login.UserName), Is.EqualTo((true, true, "me")));
        await second.RespondAsync(login);
        Assert.That((await second.ReadAsync<DestinationInfo>()).Destination!.Kind, Is.EqualTo(Protocols.OpenWire.Commands.DestinationKind.TempQueue));
        await second.ReadAsync<SessionInfo>();
        Assert.That((await second.ReadAsync<ProducerInfo>()).ProducerId, Is.EqualTo(a.ProducerId));
        await second.ReadAsync<ProducerInfo>();
        Assert.That((await second.ReadAsync<ConsumerInfo>()).Destination!.IsTemporary);
        Assert.That((await second.ReadAsync<ConsumerInfo>()).Destination!.PhysicalName, Is.EqualTo("in"));
        Assert.That((await second.ReadAsync<TransactionInfo>()).Type, Is.EqualTo(TransactionOperation.Begin));
        Assert.That((await second.ReadAsync<ActiveMQTextMessage>()).TransactionId, Is.Not.Null);
        foreach (var expected in new[] { a, b })
        {
            var again = await second.ReadAsync<ActiveMQTextMessage>();
            Assert.That((again.MessageId, again.CommandId), Is.EqualTo((expected.MessageId, expected.CommandId)));
            await second.RespondAsync(again);
        }

        Assert.That((await Task.WhenAll(sends)).Select(receipt => receipt.MessageId), Is.EqualTo(new[] { a.MessageId!.ToString(), b.MessageId!.ToString() }));
    }

    [Test]
    public async Task A_confirmed_send_is_not_repeated()
    {
        var sends = new[] { "a", "b" }.Select(text => Client.SendAsync("queue://out", text).AsTask()).ToArray();
        await using var first = await One.AcceptLoginAsync();
        await first.RespondAsync(await first.ReadUntilAsync<ActiveMQTextMessage>());
        var b = await first.ReadUntilAsync<ActiveMQTextMessage>();
        await sends[0];
        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        var again = await second.ReadUntilAsync<ActiveMQTextMessage>();
        Assert.That(again.MessageId, Is.EqualTo(b.MessageId));
        await second.RespondAsync(again);
        await sends[1];
    }

    [Test]
    public async Task A_transaction_that_ends_without_a_connection_keeps_no_place_in_the_window()
    {
        var transaction = await Client.BeginTransactionAsync();
        var sends = Enumerable.Range(0, 7).Select(i => transaction.SendAsync("queue://out", $"{i}").AsTask()).ToArray(); // three are on their way
        await using var first = await One.AcceptLoginAsync();
        await first.ReadUntilAsync<ActiveMQTextMessage>();
        first.Break();
        await EventuallyAsync(() => Client.State == ConnectionState.Reconnecting);

        await transaction.RollbackAsync();
        foreach (var send in sends)
        {
            Assert.That(async () => await send, Throws.InstanceOf<FabricException>());
        }

        await using var second = await Two.AcceptLoginAsync();
        var after = Enumerable.Range(0, 3).Select(_ => Client.SendAsync("queue://out", "after").AsTask()).ToArray();
        foreach (var send in after)
        {
            var message = await second.ReadUntilAsync<ActiveMQTextMessage>();
            Assert.That(Text(message), Is.EqualTo("after"));
            await second.RespondAsync(message);
            await send;
        }
    }

    [Test]
    public async Task Sends_that_have_ended_while_there_is_no_broker_are_not_kept()
    {
        const int BodyBytes = 10_000;
        await using var client = new FabricClient("failover:(tcp://127.0.0.1:1)", new FabricClientOptions { MaxInFlight = 3 });
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < 10_000; i++)
        {
            using var limit = new CancellationTokenSource();
            var send = client.SendAsync("queue://out", new byte[BodyBytes], cancellationToken: limit.Token).AsTask();
            await limit.CancelAsync();
            Assert.That(async () => await send, Throws.InstanceOf<OperationCanceledException>());
        }

        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(1_000L * BodyBytes), "of ten thousand bodies");
    }

    [Test]
    public async Task Sends_beyond_the_window_wait_and_keep_their_order_over_a_loss()
    {
        var sends = Enumerable.Range(0, 7).Select(i => Client.SendAsync("queue://out", $"{i}").AsTask()).ToArray();
        await using var first = await One.AcceptLoginAsync();
        for (var i = 0; i < 3; i++)
        {
            Assert.That(Text(await first.ReadUntilAsync<ActiveMQTextMessage>()), Is.EqualTo($"{i}"));
        }

        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        for (var i = 0; i < 7; i++)
        {
            var message = await second.ReadUntilAsync<ActiveMQTextMessage>();
            Assert.That((Text(message), message.MessageId!.ProducerSequenceId), Is.EqualTo(($"{i}", i + 1)));
            await second.RespondAsync(message);
        }

        await Task.WhenAll(sends);
    }

    [Test]
    public async Task A_send_that_was_cancelled_before_it_was_written_is_not_sent()
    {
        using var cancel = new CancellationTokenSource();
        var cancelled = Client.SendAsync("queue://out", "no", cancellationToken: cancel.Token).AsTask();
        var kept = Client.SendAsync("queue://out", "yes").AsTask();
        await cancel.CancelAsync();
        Assert.That(async () => await cancelled, Throws.InstanceOf<OperationCanceledException>());
        await using var first = await One.AcceptLoginAsync();
        var message = await first.ReadUntilAsync<ActiveMQTextMessage>();
        Assert.That(Text(message), Is.EqualTo("yes"));
        await first.RespondAsync(message);
        await kept;
    }

    [Test]
    public async Task Deliveries_of_a_lost_connection_are_recognised_when_they_come_again()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://in");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        var subscription = await first.ReadUntilAsync<ConsumerInfo>();
        await first.RespondAsync(subscription);
        for (var i = 1; i <= 4; i++)
        {
            await first.DispatchAsync(subscription, i);
        }

        var accepted = await receiving;
        var held = await consumer.ReceiveAsync();
        var heldToo = await consumer.ReceiveAsync();
        await accepted.AcceptAsync();
        await first.ReadUntilAsync<MessageAck>();
        first.Break();

        await using var second = await Two.AcceptLoginAsync();
        var again = await second.ReadUntilAsync<ConsumerInfo>();
        Assert.That(again.ConsumerId, Is.EqualTo(subscription.ConsumerId));
        await second.RespondAsync(again);
        await heldToo.AcceptAsync(); // its connection is gone: remembered, not written
        for (var i = 1; i <= 4; i++)
        {
            await second.DispatchAsync(again, i, redeliveryCounter: 1);
        }

        var acknowledged = await AcknowledgedAsync(second, 2);
        Assert.That(acknowledged, Is.EquivalentTo(new[] { 1, 3 }));
        var next = await consumer.ReceiveAsync();
        Assert.That((next.Body, next.DeliveryCount), Is.EqualTo(("4", 2)));
        await held.AcceptAsync();
        Assert.That(await AcknowledgedAsync(second, 1), Is.EqualTo(new[] { 2 }));
    }

    [Test]
    public async Task What_a_failover_takes_back_from_the_application_is_counted_when_it_comes_again()
    {
        await using var consumer = Client.CreateConsumer<string>("queue://in");
        var receiving = consumer.ReceiveAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        var subscription = await first.ReadUntilAsync<ConsumerInfo>();
        await first.RespondAsync(subscription);
        for (var i = 1; i <= 4; i++)
        {
            await first.DispatchAsync(subscription, i);
        }

        // 1 is accepted in a transaction, 2 is given back at once, 3 after the connection is lost, 4 was never seen.
        var inTransaction = await receiving;
        await using var transaction = await Client.BeginTransactionAsync();
        await inTransaction.AcceptAsync(transaction);
        var givenBack = await consumer.ReceiveAsync();
        var held = await consumer.ReceiveAsync(); // before the other one is back, which would come first while this one is on its way
        await givenBack.ReleaseAsync(TimeSpan.Zero);
        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        await held.ReleaseAsync();
        var again = await second.ReadUntilAsync<ConsumerInfo>();
        await second.RespondAsync(again);
        for (var i = 1; i <= 4; i++)
        {
            await second.DispatchAsync(again, i);
        }

        var counts = new List<(string, int)>();
        for (var i = 1; i <= 4; i++)
        {
            var delivery = await consumer.ReceiveAsync();
            counts.Add((delivery.Body, delivery.DeliveryCount));
        }

        Assert.That(counts, Is.EqualTo(new[] { ("1", 2), ("2", 2), ("3", 2), ("4", 1) }));
    }

    [Test]
    public async Task What_came_over_a_lost_connection_is_settled_over_no_other()
    {
        await using var connection = new FailoverConnection(
            FabricRuntime.System, ClientUrl.Parse($"failover:({One.Url},{Two.Url})?randomize=false&jms.closeTimeout=0"),
            new FabricClientOptions { UserName = "me", Password = "secret" }, static _ => ValueTask.CompletedTask, NullLogger.Instance);
        var consumer = new ConsumerCore(connection, "queue://in", ConsumerOptions.Default, JsonSerializerOptions.Web);
        var receiving = consumer.ReceiveAsync(CancellationToken.None).AsTask();
        await using var first = await One.AcceptLoginAsync();
        var subscription = await first.ReadUntilAsync<ConsumerInfo>();
        await first.RespondAsync(subscription);
        await first.DispatchAsync(subscription, 1);
        var message = await receiving;
        var transaction = connection.NewTransaction();
        first.Break();
        await EventuallyAsync(() => connection.State == ConnectionState.Reconnecting);

        // The application may be on its way here since before the loss: the connection knows of it before its consumers do.
        Assert.Throws<TransactionRolledBackException>(() => connection.Accept(transaction, consumer, message, new MessageAck()));
        await using var second = await Two.AcceptLoginAsync();
        await second.RespondAsync(await second.ReadUntilAsync<ConsumerInfo>());
        await EventuallyAsync(() => connection.State == ConnectionState.Connected);
        Assert.Throws<TransactionRolledBackException>(() => connection.Accept(transaction, consumer, message, new MessageAck()));
        Assert.That(transaction.Accepts, Is.Empty);
        Assert.That(transaction.HasBegun, Is.False);
        consumer.DeadLetter(message, "too late");
        consumer.Close();
        await second.ReadAsync<RemoveInfo>(); // and nothing before
    }

    [Test]
    public async Task A_commit_without_an_answer_is_in_doubt()
    {
        await using var transaction = await Client.BeginTransactionAsync();
        var sending = transaction.SendAsync("queue://out", "x").AsTask();
        await using var first = await One.AcceptLoginAsync();
        await first.RespondAsync(await first.ReadUntilAsync<ActiveMQTextMessage>());
        await sending;
        var committing = transaction.CommitAsync().AsTask();
        Assert.That((await first.ReadAsync<TransactionInfo>()).Type, Is.EqualTo(TransactionOperation.CommitOnePhase));
        first.Break();
        await using var second = await Two.AcceptLoginAsync();
        Assert.That(async () => await committing, Throws.TypeOf<TransactionRolledBackException>());

        // Nothing of it is replayed, and its producer serves the next one.
        await using var next = await Client.BeginTransactionAsync();
        var sendingNext = next.SendAsync("queue://out", "y").AsTask();
        var message = await second.ReadUntilAsync<ActiveMQTextMessage>();
        Assert.That((Text(message), message.MessageId!.ProducerSequenceId), Is.EqualTo(("y", 2)));
        await second.RespondAsync(message);
        await sendingNext;
        var committingNext = next.CommitAsync().AsTask();
        await second.RespondAsync(await second.ReadUntilAsync<TransactionInfo>());
        await committingNext;
    }

    [Test]
    public async Task A_commit_given_while_there_is_no_connection_follows_its_sends()
    {
        await using var transaction = await Client.BeginTransactionAsync();
        var sending = transaction.SendAsync("queue://out", "x").AsTask();
        await using (var first = await One.AcceptLoginAsync())
        {
            await first.RespondAsync(await first.ReadUntilAsync<ActiveMQTextMessage>());
            await sending;
        }

        await EventuallyAsync(() => Client.State == ConnectionState.Reconnecting);
        var committing = transaction.CommitAsync().AsTask();
        await using var second = await Two.AcceptLoginAsync();
        Assert.That((await second.ReadUntilAsync<TransactionInfo>()).Type, Is.EqualTo(TransactionOperation.Begin));
        Assert.That(Text(await second.ReadUntilAsync<ActiveMQTextMessage>()), Is.EqualTo("x"));
        var commit = await second.ReadUntilAsync<TransactionInfo>();
        Assert.That(commit.Type, Is.EqualTo(TransactionOperation.CommitOnePhase));
        await second.RespondAsync(commit);
        await committing;
    }

    [Test]
    public async Task Interruption_and_resumption_are_told()
    {
        var told = new List<string>();
        var both = new TaskCompletionSource();
        Client.Interrupted += (_, e) =>
        {
            told.Add($"lost {e.Broker.Uri}");
            return ValueTask.CompletedTask;
        };
        Client.Resumed += (_, e) =>
        {
            told.Add($"back at {e.Broker.Name} {e.Broker.Uri}, {e.RetriedSends} repeated");
            both.SetResult();
            return ValueTask.CompletedTask;
        };
        var sending = Client.SendAsync("queue://out", "x").AsTask();
        await using (var first = await One.AcceptLoginAsync())
        {
            await first.ReadUntilAsync<ActiveMQTextMessage>();
        }

        await using var second = await Two.AcceptLoginAsync();
        await second.RespondAsync(await second.ReadUntilAsync<ActiveMQTextMessage>());
        await sending;
        await both.Task.WaitAsync(ScriptedConnection.Limit);
        Assert.That(told, Is.EqualTo(new[] { $"lost {One.Url}", $"back at scripted {Two.Url}, 1 repeated" }));
    }

    [Test]
    public async Task A_handler_may_close_the_client()
    {
        var closed = new TaskCompletionSource();
        Client.Interrupted += async (_, _) =>
        {
            await Client.DisposeAsync();
            closed.SetResult();
        };
        var connecting = Client.ConnectAsync().AsTask();
        await using (await One.AcceptLoginAsync())
        {
            await connecting;
        }

        await closed.Task.WaitAsync(ScriptedConnection.Limit);
    }

    [Test]
    public async Task Closing_sends_what_waits_for_its_turn_before_it_says_goodbye()
    {
        await using var client = new FabricClient($"failover:({One.Url})", new FabricClientOptions { MaxInFlight = 3 });
        var sends = Enumerable.Range(0, 5).Select(number => client.SendAsync("queue://out", $"{number}").AsTask()).ToArray();
        await using var connection = await One.AcceptLoginAsync();
        var messages = new List<ActiveMQTextMessage>();
        while (messages.Count < 3)
        {
            messages.Add(await connection.ReadUntilAsync<ActiveMQTextMessage>());
        }

        var closing = client.DisposeAsync().AsTask();
        messages.Add(await connection.ReadAsync<ActiveMQTextMessage>());
        messages.Add(await connection.ReadAsync<ActiveMQTextMessage>());
        var goodbye = await connection.ReadAsync<RemoveInfo>();
        foreach (var message in messages)
        {
            await connection.RespondAsync(message);
        }

        await connection.RespondAsync(goodbye);
        await Task.WhenAll(sends).WaitAsync(ScriptedConnection.Limit);
        await closing;
    }

    [Test]
    public async Task What_is_sent_again_after_the_call_has_ended_is_what_was_sent()
    {
        using var cancel = new CancellationTokenSource();
        var lent = "lent"u8.ToArray();
        var sending = Client.SendAsync("queue://out", (ReadOnlyMemory<byte>)lent, cancellationToken: cancel.Token).AsTask();
        await using (var first = await One.AcceptLoginAsync())
        {
            await first.ReadUntilAsync<ActiveMQBytesMessage>();
            await cancel.CancelAsync();
            Assert.That(async () => await sending, Throws.InstanceOf<OperationCanceledException>());
            "back"u8.CopyTo(lent);
        }

        await using var second = await Two.AcceptLoginAsync();
        Assert.That((await second.ReadUntilAsync<ActiveMQBytesMessage>()).Content, Is.EqualTo("lent"u8.ToArray()));
    }

    [Test]
    public async Task The_timeout_counts_from_the_loss_of_the_connection()
    {
        await using var client = new FabricClient($"failover:({One.Url},{Two.Url})?randomize=false&timeout=2000&jms.closeTimeout=0");
        var sending = client.SendAsync("queue://out", "x").AsTask();
        await using (var first = await One.AcceptLoginAsync())
        {
            await first.ReadUntilAsync<ActiveMQTextMessage>();
            await Task.Delay(TimeSpan.FromSeconds(2.5)); // the broker may take its time while there is a connection
        }

        await Task.Delay(TimeSpan.FromSeconds(0.2));
        await using var second = await Two.AcceptLoginAsync();
        await second.RespondAsync(await second.ReadUntilAsync<ActiveMQTextMessage>());
        await sending;
    }

    [Test]
    public async Task Who_wants_no_reconnection_gets_none()
    {
        await using var client = new FabricClient($"failover:({One.Url},{Two.Url})?randomize=false&maxReconnectAttempts=0");
        var connecting = client.ConnectAsync().AsTask();
        await using (await One.AcceptLoginAsync())
        {
            await connecting;
        }

        await EventuallyAsync(() => client.State == ConnectionState.Failed);
        Assert.That(async () => await client.SendAsync("queue://out", "x"), Throws.TypeOf<FabricConnectionException>());
    }

    [Test]
    public async Task Requests_that_give_up_waiting_leave_one_queue_of_answers_to_the_next()
    {
        var connecting = Client.ConnectAsync().AsTask();
        await using var connection = await One.AcceptLoginAsync();
        await connecting;
        for (var i = 0; i < 3; i++)
        {
            Assert.That(
                async () => await Client.RequestAsync<string, string>("queue://service", "?", TimeSpan.FromMilliseconds(50)), Throws.TypeOf<TimeoutException>());
        }

        await connection.RespondAsync(await connection.ReadUntilAsync<DestinationInfo>());
        _ = Client.RequestAsync<string, string>("queue://service", "?", TimeSpan.FromMinutes(1)).ContinueWith(task => task.Exception, TaskScheduler.Default);
        for (var command = await connection.ReadAsync(); command is not ActiveMQTextMessage; command = await connection.ReadAsync())
        {
            Assert.That(command, Is.Not.InstanceOf<DestinationInfo>());
            if (command is ConsumerInfo subscription)
            {
                await connection.RespondAsync(subscription);
            }
        }
    }

    [Test]
    public async Task A_broker_that_accepts_and_says_nothing_does_not_hold_up_the_next()
    {
        var connecting = Client.ConnectAsync().AsTask();
        await using var silent = await One.AcceptSilentlyAsync();
        await using var second = await Two.AcceptLoginAsync();
        await connecting.WaitAsync(ScriptedConnection.Limit);
        Assert.That(Client.Broker!.Uri, Is.EqualTo(Two.Url));
    }

    [Test]
    public async Task A_broker_that_refuses_the_connection_is_passed_over()
    {
        await One.DisposeAsync();
        var connecting = Client.ConnectAsync().AsTask();
        await using var second = await Two.AcceptLoginAsync();
        await connecting.WaitAsync(ScriptedConnection.Limit);
    }

    [Test]
    public async Task A_password_that_is_refused_on_reconnection_ends_the_client()
    {
        var sending = Client.SendAsync("queue://out", "x").AsTask();
        await using (var first = await One.AcceptLoginAsync())
        {
            await first.ReadUntilAsync<ActiveMQTextMessage>();
        }

        await using var second = await Two.AcceptAsync();
        await second.ReadAsync<ConnectionControl>();
        await second.RefuseAsync(await second.ReadAsync<ConnectionInfo>(), "java.lang.SecurityException", "User name [me] or password is invalid.");
        Assert.That(async () => await sending, Throws.TypeOf<SendOutcomeUnknownException>());
        Assert.That(async () => await Client.ConnectAsync(), Throws.TypeOf<FabricSecurityException>());
    }

    [Test]
    public async Task A_broker_can_send_its_clients_elsewhere()
    {
        await using var client = new FabricClient($"failover:({One.Url})?jms.closeTimeout=0");
        var connecting = client.ConnectAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        await connecting;
        await first.SendAsync(new ConnectionControl { ReconnectTo = Two.Url });
        await using var second = await Two.AcceptLoginAsync();
        await EventuallyAsync(() => client.State == ConnectionState.Connected && client.Broker!.Uri == Two.Url);
    }

    [Test]
    public async Task A_broker_that_falls_silent_is_given_up()
    {
        await using var client = new FabricClient(
            $"failover:({One.Url},{Two.Url})?randomize=false&jms.closeTimeout=0" +
            "&nested.wireFormat.maxInactivityDuration=150&nested.wireFormat.maxInactivityDurationInitalDelay=0");
        _ = client.ConnectAsync().AsTask();
        await using var first = await One.AcceptLoginAsync();
        await using var second = await Two.AcceptLoginAsync();
        await EventuallyAsync(() => client.Broker?.Uri == Two.Url);
    }

    private static string? Text(ActiveMQTextMessage message) => Protocols.OpenWire.MessageBody.ReadText(message.Content);

    /// <summary>The numbers of the next so many messages that are acknowledged.</summary>
    private static async Task<List<int>> AcknowledgedAsync(ScriptedConnection connection, int count)
    {
        var numbers = new List<int>();
        while (numbers.Count < count)
        {
            var ack = await connection.ReadUntilAsync<MessageAck>();
            Assert.That(ack.AckType, Is.AnyOf(AckType.Standard, AckType.Individual));
            Assert.That(ack.MessageCount, Is.EqualTo(1));
            numbers.Add((int)ack.LastMessageId!.ProducerSequenceId);
        }

        return numbers;
    }

    private static async Task EventuallyAsync(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(ScriptedConnection.Limit);
        while (!condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }
}
