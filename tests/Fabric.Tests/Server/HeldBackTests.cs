using Fabric.Broker;
using Fabric.Client;
using Fabric.Interop.Tests.OpenWire;

namespace Fabric.Tests.Server;

/// <summary>Producers for whose messages there is no room: they wait, for as long as it takes, and nothing else happens to them.</summary>
[TestFixture, Parallelizable]
internal sealed class HeldBackTests
{
    private const string Queue = "queue://Q";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly FabricClientOptions Login = new() { UserName = "admin", Password = "secret" };
    private static readonly MessageOptions InMemory = new() { Persistent = false };

    [Test]
    public async Task They_keep_their_connection_for_longer_than_silence_is_allowed()
    {
        await using var broker = await StartAsync();
        await using var producer = Connect(broker, inactivity: 1000);
        var waiting = await FillAsync(producer);
        await Task.Delay(TimeSpan.FromSeconds(4)); // silence of two times the inactivity would be enough
        Assert.That(waiting.IsCompleted, Is.False);

        await DrainAsync(broker);
        await waiting.WaitAsync(Limit);
    }

    [Test]
    public async Task They_can_make_room_by_consuming_through_the_same_connection()
    {
        await using var broker = await StartAsync();
        await using var both = Connect(broker, inactivity: 30_000);
        var waiting = await FillAsync(both);
        await Task.Delay(200);
        Assert.That(waiting.IsCompleted, Is.False);
        using var stop = new CancellationTokenSource(Limit);
        await using var consumer = both.CreateConsumer<string>(Queue);
        var bodies = new List<string>();
        while (bodies.LastOrDefault() != "last")
        {
            var message = await consumer.ReceiveAsync(stop.Token);
            bodies.Add(message.Body);
            await message.AcceptAsync(stop.Token);
        }

        await waiting.WaitAsync(Limit);
        Assert.That(bodies, Has.Count.EqualTo(22).And.One.EqualTo("first"));
    }

    [Test]
    public async Task Transactions_that_also_send_pass_and_what_is_set_aside_keeps_its_order()
    {
        await using var broker = await StartAsync();
        await using var both = Connect(broker, inactivity: 30_000);
        await using var consumer = both.CreateConsumer<string>(Queue);
        var waiting = await FillAsync(both);
        using var stop = new CancellationTokenSource(Limit);
        var bodies = new List<string>();
        for (var i = 0; i < 22; i++)
        {
            await using var transaction = await both.BeginTransactionAsync(stop.Token);
            var message = await consumer.ReceiveAsync(stop.Token);
            bodies.Add(message.Body);
            await transaction.SendAsync("queue://tx", $"{i}", cancellationToken: stop.Token);
            await message.AcceptAsync(transaction, stop.Token);
            await transaction.CommitAsync(stop.Token);
        }

        await waiting.WaitAsync(Limit);
        Assert.That((bodies[0], bodies[^1]), Is.EqualTo(("first", "last")));
        await using var committed = both.CreateConsumer<string>("queue://tx");
        for (var i = 0; i < 22; i++)
        {
            Assert.That((await committed.ReceiveAsync(stop.Token)).Body, Is.EqualTo($"{i}"));
        }
    }

    [Test]
    public async Task Transactions_that_only_send_wait()
    {
        await using var broker = await StartAsync();
        await using var producer = Connect(broker, inactivity: 30_000);
        var filling = await FillAsync(producer);
        await using var other = Connect(broker, inactivity: 30_000);
        await using var nothing = other.CreateConsumer<string>("queue://empty");
        await nothing.OpenAsync();
        await using (var transaction = await other.BeginTransactionAsync())
        {
            var send = transaction.SendAsync(Queue, "more", InMemory).AsTask();
            await Task.Delay(500);
            Assert.That((filling.IsCompleted, send.IsCompleted), Is.EqualTo((false, false)));
            await DrainAsync(broker);
            await send.WaitAsync(Limit);
            await transaction.CommitAsync().AsTask().WaitAsync(Limit);
        }

        await filling.WaitAsync(Limit);
    }

    [Test]
    public async Task Consumers_that_come_and_go_and_transactions_of_their_own_pass()
    {
        await using var broker = await StartAsync();
        await using var both = Connect(broker, inactivity: 30_000);
        var waiting = await FillAsync(both);
        await Task.Delay(200);
        Assert.That(waiting.IsCompleted, Is.False);
        using var stop = new CancellationTokenSource(Limit);
        for (var i = 0; i < 22; i++)
        {
            await using var consumer = both.CreateConsumer<string>(Queue); // takes all there is, and gives it back
            var message = await consumer.ReceiveAsync(stop.Token);
            if (i % 2 == 0)
            {
                await message.AcceptAsync(stop.Token);
                continue;
            }

            await using var transaction = await both.BeginTransactionAsync(stop.Token);
            await message.AcceptAsync(transaction, stop.Token);
            await transaction.CommitAsync(stop.Token);
        }

        await waiting.WaitAsync(Limit);
    }

    [Test]
    public async Task A_connection_that_sends_too_much_meanwhile_is_read_no_further_and_loses_nothing()
    {
        const int Messages = 2000; // of 4000 bytes: eight times what is set aside
        await using var broker = await StartAsync();
        await using var producer = Connect(broker, inactivity: 1000);
        var sends = Task.WhenAll(Enumerable.Range(0, Messages).Select(number => producer.SendAsync(Queue, $"{number} {new string('x', 4000)}", InMemory).AsTask()));
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.That(sends.IsCompleted, Is.False);
        await using var consumer = Connect(broker, inactivity: 30_000);
        using var stop = new CancellationTokenSource(Limit);
        var number = 0;
        await foreach (var message in consumer.ReceiveAllAsync<string>(Queue, cancellationToken: stop.Token))
        {
            Assert.That(message.Body, Does.StartWith($"{number} "));
            await message.AcceptAsync(stop.Token);
            if (++number == Messages)
            {
                break;
            }
        }

        await sends.WaitAsync(Limit);
    }

    [Test]
    public async Task Those_that_are_gone_are_let_go_of_though_there_is_still_no_room()
    {
        await using var broker = await StartAsync();
        var producer = Connect(broker, inactivity: 1000);
        var waiting = await FillAsync(producer);
        Assert.That(broker.ConnectionCount, Is.EqualTo(1));
        await producer.DisposeAsync();
        Assert.CatchAsync(() => waiting);
        using var limit = new CancellationTokenSource(Limit);
        while (broker.ConnectionCount > 0)
        {
            await Task.Delay(20, limit.Token);
        }
    }

    private static Task<LocalBroker> StartAsync() => LocalBroker.StartAsync(new BrokerOptions { MemoryBytesMax = 64 * 1024 });

    private static FabricClient Connect(LocalBroker broker, int inactivity) => new(
        $"{broker.Url}?wireFormat.maxInactivityDuration={inactivity}&wireFormat.maxInactivityDurationInitalDelay=0", Login);

    /// <summary>Receives through a connection of its own until "last".</summary>
    private static async Task DrainAsync(LocalBroker broker)
    {
        await using var client = Connect(broker, inactivity: 30_000);
        using var stop = new CancellationTokenSource(Limit);
        await foreach (var message in client.ReceiveAllAsync<string>(Queue, cancellationToken: stop.Token))
        {
            await message.AcceptAsync(stop.Token);
            if (message.Body == "last")
            {
                break;
            }
        }
    }

    /// <summary>Sends more than the broker's memory takes.</summary>
    /// <returns>Ends when all of it was taken.</returns>
    private static async Task<Task> FillAsync(FabricClient producer)
    {
        await producer.SendAsync(Queue, "first", InMemory);
        var sends = Enumerable.Range(0, 20).Select(_ => producer.SendAsync(Queue, new string('x', 4000), InMemory).AsTask()).ToList();
        return Task.WhenAll(sends.Append(producer.SendAsync(Queue, "last").AsTask()));
    }
}
