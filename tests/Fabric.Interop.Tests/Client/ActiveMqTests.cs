using System.Text;
using Fabric.Client;

namespace Fabric.Interop.Tests.Client;

/// <summary>What the client does, done against a broker that is not ours.</summary>
[TestFixture]
internal sealed class ActiveMqTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private static readonly ConsumerOptions QuickRedelivery = new()
    {
        Redelivery = new RedeliveryPolicy { InitialRedeliveryDelay = TimeSpan.Zero, RedeliveryDelay = TimeSpan.Zero, MaximumRedeliveries = 2 },
    };

    private ActiveMqBroker _broker = null!;
    private FabricClient _client = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _broker = await ActiveMqBroker.StartAsync();
        _client = CreateClient(_broker.Url);
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_broker is not null)
        {
            await _client.DisposeAsync();
            await _broker.DisposeAsync();
        }
    }

    [Test]
    public async Task Text_comes_back_as_it_was_sent()
    {
        var text = "plain, ümläut, 漢字, 😀, NUL \0.";
        await _client.SendAsync("queue://body.text", text);
        await using var consumer = _client.CreateConsumer<string>("queue://body.text");
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EqualTo(text));
    }

    [Test]
    public async Task Bytes_come_back_as_they_were_sent()
    {
        var bytes = Enumerable.Range(0, 256).Select(i => (byte)i).ToArray();
        await _client.SendAsync("queue://body.bytes", bytes);
        await _client.SendAsync<ReadOnlyMemory<byte>>("queue://body.bytes", bytes.AsMemory(10, 20));
        await using var consumer = _client.CreateConsumer<byte[]>("queue://body.bytes");
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EqualTo(bytes));
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EqualTo(bytes[10..30]));
    }

    [Test]
    public async Task A_map_comes_back_as_it_was_sent()
    {
        var map = new Dictionary<string, object?>
        {
            ["text"] = "hello", ["number"] = 42, ["long"] = 1L << 40, ["yes"] = true, ["pi"] = 3.14, ["nothing"] = null, ["raw"] = new byte[] { 1, 2 },
        };
        await _client.SendAsync("queue://body.map", map);
        await using var consumer = _client.CreateConsumer<Dictionary<string, object?>>("queue://body.map");
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EquivalentTo(map));
    }

    [Test]
    public async Task An_object_travels_as_json_text()
    {
        await _client.SendAsync("queue://body.json", new Order("A-17", 3));
        await using var consumer = _client.CreateConsumer<string>("queue://body.json");
        var asText = await ReceiveAndAcceptAsync(consumer);
        Assert.That(asText.Body, Is.EqualTo("""{"number":"A-17","pieces":3}"""));
        await consumer.DisposeAsync();
        await _client.SendAsync("queue://body.json", new Order("A-18", 4));
        await using var typed = _client.CreateConsumer<Order>("queue://body.json");
        Assert.That((await ReceiveAndAcceptAsync(typed)).Body, Is.EqualTo(new Order("A-18", 4)));
    }

    [Test]
    public async Task A_large_message_comes_back_whole()
    {
        var bytes = new byte[5_000_000];
        new Random(7).NextBytes(bytes);
        await _client.SendAsync("queue://body.large", bytes);
        await using var consumer = _client.CreateConsumer<ReadOnlyMemory<byte>>("queue://body.large");
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body.Span.SequenceEqual(bytes));
    }

    [Test]
    public async Task Headers_and_properties_come_back_as_they_were_sent()
    {
        var receipt = await _client.SendAsync("queue://headers", "x", new MessageOptions
        {
            Priority = 7,
            CorrelationId = "c-1",
            ReplyTo = "topic://answers",
            Type = "greeting",
            GroupId = "g",
            GroupSequence = 2,
            TimeToLive = TimeSpan.FromHours(1),
            Persistent = false,
            Properties = new Dictionary<string, object?> { ["colour"] = "blue", ["size"] = 12 },
        });
        await using var consumer = _client.CreateConsumer<string>("queue://headers");
        var headers = (await ReceiveAndAcceptAsync(consumer)).Headers;
        Assert.Multiple(() =>
        {
            Assert.That(headers.MessageId, Is.EqualTo(receipt.MessageId));
            Assert.That(headers.Destination, Is.EqualTo(Destination.Queue("headers")));
            Assert.That(headers.Priority, Is.EqualTo(7));
            Assert.That(headers.CorrelationId, Is.EqualTo("c-1"));
            Assert.That(headers.ReplyTo, Is.EqualTo(Destination.Topic("answers")));
            Assert.That(headers.Type, Is.EqualTo("greeting"));
            Assert.That(headers.GroupId, Is.EqualTo("g"));
            Assert.That(headers.GroupSequence, Is.EqualTo(2));
            Assert.That(headers.Persistent, Is.False);
            Assert.That(headers.Expiration - headers.Timestamp, Is.EqualTo(TimeSpan.FromHours(1)));
            Assert.That(headers.Properties["colour"], Is.EqualTo("blue"));
            Assert.That(headers.Properties["size"], Is.EqualTo(12));
        });
    }

    [Test]
    public async Task A_selector_lets_only_matching_messages_through()
    {
        foreach (var colour in new[] { "red", "blue", "red" })
        {
            await _client.SendAsync("queue://selector", colour, new MessageOptions
            {
                Properties = new Dictionary<string, object?> { ["colour"] = colour },
            });
        }

        await using var consumer = _client.CreateConsumer<string>("queue://selector", new ConsumerOptions { Selector = "colour = 'blue'" });
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EqualTo("blue"));
        Assert.That(await consumer.TryReceiveAsync(TimeSpan.FromMilliseconds(300)), Is.Null);
    }

    [Test]
    public async Task A_bad_selector_is_refused_by_name()
    {
        await using var consumer = _client.CreateConsumer<string>("queue://selector.bad", new ConsumerOptions { Selector = "colour = = 1" });
        Assert.That(async () => await consumer.OpenAsync(), Throws.TypeOf<InvalidSelectorException>());
    }

    [Test]
    public async Task Ten_thousand_pipelined_sends_arrive_in_order()
    {
        const int count = 10_000;
        var sends = new List<Task>(count);
        for (var i = 0; i < count; i++)
        {
            sends.Add(_client.SendAsync("queue://pipelined", $"{i}").AsTask());
        }

        // ActiveMQ syncs its disk for each of them, one after the other. A consumer on the same connection would have its acknowledgements
        // wait behind a window of a thousand, and what it gets next behind those: with a slow disk that is longer than the limit.
        await Task.WhenAll(sends);
        await using var consumer = _client.CreateConsumer<string>("queue://pipelined");
        for (var i = 0; i < count; i++)
        {
            Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EqualTo($"{i}"));
        }

        await AssertEmptyAsync("queue://pipelined", consumer);
    }

    [Test]
    public async Task Every_subscriber_of_a_topic_gets_every_message()
    {
        await using var one = _client.CreateConsumer<string>("topic://news");
        await using var other = _client.CreateConsumer<string>("topic://news");
        await one.OpenAsync();
        await other.OpenAsync();
        await _client.SendAsync("topic://news", "extra");
        Assert.That((await ReceiveAndAcceptAsync(one)).Body, Is.EqualTo("extra"));
        Assert.That((await ReceiveAndAcceptAsync(other)).Body, Is.EqualTo("extra"));
    }

    [Test]
    public async Task A_durable_subscription_keeps_what_is_sent_meanwhile()
    {
        var options = new FabricClientOptions { UserName = ActiveMqBroker.User, Password = ActiveMqBroker.Password, ClientId = "durable-client" };
        var durable = new ConsumerOptions { SubscriptionName = "kept" };
        await using (var first = new FabricClient(_broker.Url, options))
        {
            await using var consumer = first.CreateConsumer<string>("topic://durable", durable);
            await consumer.OpenAsync();
        }

        await _client.SendAsync("topic://durable", "while you were away");
        await using var second = new FabricClient(_broker.Url, options);
        await using var again = second.CreateConsumer<string>("topic://durable", durable);
        Assert.That((await ReceiveAndAcceptAsync(again)).Body, Is.EqualTo("while you were away"));
    }

    [Test]
    public async Task Messages_accepted_in_any_order_are_gone_and_others_come_back_in_order()
    {
        for (var i = 0; i < 6; i++)
        {
            await _client.SendAsync("queue://any.order", $"{i}");
        }

        await using (var consumer = _client.CreateConsumer<string>("queue://any.order"))
        {
            var deliveries = new List<Delivery<string>>();
            for (var i = 0; i < 6; i++)
            {
                deliveries.Add(await ReceiveAsync(consumer));
            }

            foreach (var i in new[] { 4, 0, 2 })
            {
                await deliveries[i].AcceptAsync();
            }
        }

        await using var next = _client.CreateConsumer<string>("queue://any.order");
        foreach (var expected in new[] { "1", "3", "5" })
        {
            var delivery = await ReceiveAndAcceptAsync(next);
            Assert.That((delivery.Body, delivery.DeliveryCount), Is.EqualTo((expected, 2)));
        }

        await AssertEmptyAsync("queue://any.order", next);
    }

    [Test]
    public async Task A_released_message_comes_again_until_it_goes_to_the_dead_letter_queue()
    {
        await _client.SendAsync("queue://released", "no good");
        await using var consumer = _client.CreateConsumer<string>("queue://released", QuickRedelivery);
        foreach (var expected in new[] { 1, 2, 3 })
        {
            await using var delivery = await ReceiveAsync(consumer); // not settled, so released
            Assert.That((delivery.Body, delivery.DeliveryCount), Is.EqualTo(("no good", expected)));
        }

        await AssertDeadLetterAsync("no good");
    }

    [Test]
    public async Task A_dead_lettered_message_keeps_its_reason()
    {
        await _client.SendAsync("queue://dead", "poison");
        await using var consumer = _client.CreateConsumer<string>("queue://dead");
        await (await ReceiveAsync(consumer)).DeadLetterAsync("cannot be read");
        var letter = await AssertDeadLetterAsync("poison");
        Assert.That(letter.Headers.Properties["dlqDeliveryFailureCause"], Does.Contain("cannot be read"));
        Assert.That(letter.Headers.OriginalDestination, Is.EqualTo(Destination.Queue("dead")));
    }

    [Test]
    public async Task An_expired_message_is_not_delivered()
    {
        await using var consumer = _client.CreateConsumer<string>("queue://expired");
        await consumer.OpenAsync();
        await _client.SendAsync("queue://expired", "stale", new MessageOptions { TimeToLive = TimeSpan.FromMilliseconds(1), Persistent = false });
        await Task.Delay(20); // its time to live
        await _client.SendAsync("queue://expired", "fresh");
        Assert.That((await ReceiveAndAcceptAsync(consumer)).Body, Is.EqualTo("fresh"));
    }

    [Test]
    public async Task What_a_transaction_sends_and_accepts_takes_effect_at_its_commit()
    {
        await _client.SendAsync("queue://tx.in", "work");
        await using var consumer = _client.CreateConsumer<string>("queue://tx.in");
        await using var results = _client.CreateConsumer<string>("queue://tx.out");
        await using (var transaction = await _client.BeginTransactionAsync())
        {
            await (await ReceiveAsync(consumer)).AcceptAsync(transaction);
            await transaction.SendAsync("queue://tx.out", "result 1");
            await transaction.SendAsync("queue://tx.out", "result 2");
            Assert.That(await results.TryReceiveAsync(TimeSpan.FromMilliseconds(200)), Is.Null);
            await transaction.CommitAsync();
        }

        Assert.That((await ReceiveAndAcceptAsync(results)).Body, Is.EqualTo("result 1"));
        Assert.That((await ReceiveAndAcceptAsync(results)).Body, Is.EqualTo("result 2"));
        await AssertEmptyAsync("queue://tx.in", consumer);
    }

    [Test]
    public async Task A_rolled_back_transaction_sends_nothing_and_its_deliveries_come_again_in_order()
    {
        for (var i = 0; i < 4; i++)
        {
            await _client.SendAsync("queue://tx.back", $"{i}");
        }

        await using var consumer = _client.CreateConsumer<string>("queue://tx.back", QuickRedelivery);
        await using (var transaction = await _client.BeginTransactionAsync())
        {
            await (await ReceiveAsync(consumer)).AcceptAsync(transaction);
            await (await ReceiveAsync(consumer)).AcceptAsync(transaction);
            await transaction.SendAsync("queue://tx.never", "nothing");
            await transaction.RollbackAsync();
        }

        for (var i = 0; i < 4; i++)
        {
            var delivery = await ReceiveAndAcceptAsync(consumer);
            Assert.That((delivery.Body, delivery.DeliveryCount), Is.EqualTo(($"{i}", i < 2 ? 2 : 1)));
        }

        await using var never = _client.CreateConsumer<string>("queue://tx.never");
        Assert.That(await never.TryReceiveAsync(TimeSpan.FromMilliseconds(300)), Is.Null);
        await AssertEmptyAsync("queue://tx.back", consumer);
    }

    [Test]
    public async Task A_transaction_may_accept_more_than_the_prefetch()
    {
        const int count = 30;
        for (var i = 0; i < count; i++)
        {
            await _client.SendAsync("queue://tx.many", $"{i}");
        }

        await using var consumer = _client.CreateConsumer<string>("queue://tx.many", new ConsumerOptions { Prefetch = 10 });
        await using var transaction = await _client.BeginTransactionAsync();
        for (var i = 0; i < count; i++)
        {
            await (await ReceiveAsync(consumer)).AcceptAsync(transaction);
        }

        await transaction.CommitAsync();
        await AssertEmptyAsync("queue://tx.many", consumer);
    }

    [Test]
    public async Task A_request_gets_its_answer()
    {
        await using var consumer = _client.CreateConsumer<string>("queue://service");
        var serving = ServeAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            _client.RequestAsync<string, string>("queue://service", $"ping {i}", Limit)));
        Assert.That(answers, Is.EqualTo(Enumerable.Range(0, 20).Select(i => $"pong for ping {i}")));
        await serving;

        async Task ServeAsync()
        {
            for (var i = 0; i < 20; i++)
            {
                var request = await ReceiveAndAcceptAsync(consumer);
                await _client.SendAsync(request.Headers.ReplyTo!, $"pong for {request.Body}", new MessageOptions
                {
                    CorrelationId = request.Headers.CorrelationId, Persistent = false,
                });
            }
        }
    }

    [Test]
    public void A_request_without_an_answer_times_out() => Assert.That(
        async () => await _client.RequestAsync<string, string>("queue://nobody", "hello?", TimeSpan.FromMilliseconds(300)),
        Throws.TypeOf<TimeoutException>());

    [TestCase("tcp://127.0.0.1:{0}")]
    [TestCase("failover:(tcp://127.0.0.1:{0})")]
    public async Task A_wrong_password_is_refused_at_once(string url)
    {
        await using var client = new FabricClient(
            string.Format(null, url, _broker.Port), new FabricClientOptions { UserName = ActiveMqBroker.User, Password = "guess" });
        Assert.That(async () => await client.ConnectAsync(), Throws.TypeOf<FabricSecurityException>());
        Assert.That(async () => await client.SendAsync("queue://x", "x"), Throws.TypeOf<FabricSecurityException>());
        Assert.That(client.State, Is.EqualTo(ConnectionState.Failed));
    }

    [Test]
    public async Task A_client_names_the_broker_it_is_connected_to()
    {
        await _client.ConnectAsync();
        Assert.That(_client.Broker, Is.EqualTo(new BrokerIdentity("stock", _broker.Url)));
        Assert.That(_client.State, Is.EqualTo(ConnectionState.Connected));
    }

    private static FabricClient CreateClient(string url) =>
        new(url, new FabricClientOptions { UserName = ActiveMqBroker.User, Password = ActiveMqBroker.Password });

    private static async Task<Delivery<T>> ReceiveAsync<T>(FabricConsumer<T> consumer) =>
        await consumer.TryReceiveAsync(Limit) ?? throw new AssertionException($"nothing came from {consumer.Source}");

    private static async Task<Delivery<T>> ReceiveAndAcceptAsync<T>(FabricConsumer<T> consumer)
    {
        var delivery = await ReceiveAsync(consumer);
        await delivery.AcceptAsync();
        return delivery;
    }

    /// <summary>Closes the consumer and looks with a new one: whatever was not acknowledged would be there.</summary>
    private async Task AssertEmptyAsync<T>(Destination queue, FabricConsumer<T> consumer)
    {
        await consumer.DisposeAsync();
        await using var look = _client.CreateConsumer<byte[]>(queue);
        var left = await look.TryReceiveAsync(TimeSpan.FromMilliseconds(300));
        Assert.That(left, Is.Null, () => $"{queue} still has {Encoding.UTF8.GetString(left!.Body)}");
    }

    private async Task<Delivery<string>> AssertDeadLetterAsync(string text)
    {
        // One queue for the dead letters of all tests: what is another test's goes back when the consumer closes.
        await using var letters = _client.CreateConsumer<string>("queue://ActiveMQ.DLQ");
        for (var deadline = DateTime.UtcNow + Limit; DateTime.UtcNow < deadline;)
        {
            var letter = await ReceiveAsync(letters);
            if (letter.Body == text)
            {
                await letter.AcceptAsync();
                return letter;
            }
        }

        throw new AssertionException($"'{text}' is not in the dead letter queue");
    }

    private sealed record Order(string Number, int Pieces);
}
