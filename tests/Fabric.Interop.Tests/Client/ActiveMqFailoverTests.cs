using System.Collections.Concurrent;
using Fabric.Client;

namespace Fabric.Interop.Tests.Client;

/// <summary>A stock broker is killed and restarted under a client that is sending and receiving.</summary>
[TestFixture]
internal sealed class ActiveMqFailoverTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private ActiveMqBroker _broker = null!;
    private FabricClient _client = null!;

    [SetUp]
    public async Task StartAsync()
    {
        _broker = await ActiveMqBroker.StartAsync();
        _client = new FabricClient(
            $"failover:({_broker.Url})", new FabricClientOptions { UserName = ActiveMqBroker.User, Password = ActiveMqBroker.Password });
    }

    [TearDown]
    public async Task StopAsync()
    {
        if (_broker is not null)
        {
            await _client.DisposeAsync();
            await _broker.DisposeAsync();
        }
    }

    [Test]
    public async Task Confirmed_messages_are_there_once_and_in_order_after_a_kill()
    {
        var sender = new Sender(_client, "queue://killed", inFlight: 50);
        var resumed = new ConcurrentQueue<ConnectionResumed>();
        _client.Resumed += (_, e) =>
        {
            resumed.Enqueue(e);
            return ValueTask.CompletedTask;
        };
        for (var round = 0; round < 2; round++)
        {
            await sender.ProgressAsync(300);
            await _broker.KillAsync();
            await _broker.RunAsync();
        }

        await sender.ProgressAsync(300);
        var confirmed = await sender.StopAsync();
        Assert.That(resumed, Has.Count.EqualTo(2));
        Assert.That(resumed, Has.Some.Matches<ConnectionResumed>(e => e.RetriedSends > 0), "no send was under way when the broker died");

        var received = await DrainAsync("queue://killed");
        Assert.That(received, Is.EqualTo(Enumerable.Range(0, confirmed).Select(i => $"{i}")));
    }

    [Test]
    public async Task A_consumer_sees_each_message_once_over_a_kill()
    {
        const int count = 1500; // each acknowledgement waits for the disk of ActiveMQ
        var received = new ConcurrentQueue<string>();
        using var stop = new CancellationTokenSource();
        for (var i = 0; i < count; i++)
        {
            _ = _client.SendAsync("queue://consumed", $"{i}").AsTask();
        }

        var receiving = Task.Run(async () =>
        {
            var held = new Queue<Delivery<string>>();
            await using var consumer = _client.CreateConsumer<string>("queue://consumed");
            while (received.Count < count)
            {
                // Some are always held unsettled, so that the kill finds some.
                held.Enqueue(await consumer.ReceiveAsync(stop.Token));
                received.Enqueue(held.Last().Body);
                if (held.Count > 10)
                {
                    await held.Dequeue().AcceptAsync();
                }
            }

            foreach (var delivery in held)
            {
                await delivery.AcceptAsync();
            }
        });
        await EventuallyAsync(() => received.Count > 500, "the first messages");
        await _broker.KillAsync();
        await _broker.RunAsync();
        await receiving.WaitAsync(Limit);
        Assert.That(received, Is.EqualTo(Enumerable.Range(0, count).Select(i => $"{i}")));
        Assert.That(await DrainAsync("queue://consumed"), Is.Empty);
    }

    [Test]
    public async Task A_transaction_that_has_only_sent_commits_on_the_restarted_broker()
    {
        await using var transaction = await _client.BeginTransactionAsync();
        await transaction.SendAsync("queue://tx.sent", "before");
        await _broker.KillAsync();
        await _broker.RunAsync();
        await transaction.SendAsync("queue://tx.sent", "after");
        await transaction.CommitAsync();
        Assert.That(await DrainAsync("queue://tx.sent"), Is.EqualTo(new[] { "before", "after" }));
    }

    [Test]
    public async Task A_transaction_that_has_accepted_is_rolled_back_by_a_kill()
    {
        await _client.SendAsync("queue://tx.accepted", "work");
        await using var consumer = _client.CreateConsumer<string>("queue://tx.accepted");
        await using (var transaction = await _client.BeginTransactionAsync())
        {
            await (await consumer.ReceiveAsync()).AcceptAsync(transaction);
            await transaction.SendAsync("queue://tx.accepted.out", "result");
            await _broker.KillAsync();
            await _broker.RunAsync();
            Assert.That(async () => await transaction.CommitAsync(), Throws.TypeOf<TransactionRolledBackException>());
        }

        var again = await consumer.TryReceiveAsync(Limit);
        Assert.That(again?.Body, Is.EqualTo("work"));
        await again!.AcceptAsync();
        Assert.That(await DrainAsync("queue://tx.accepted.out"), Is.Empty);
    }

    private async Task<List<string>> DrainAsync(string queue)
    {
        var received = new List<string>();
        await using var consumer = _client.CreateConsumer<string>(queue);
        while (await consumer.TryReceiveAsync(TimeSpan.FromSeconds(1)) is { } delivery)
        {
            received.Add(delivery.Body);
            await delivery.AcceptAsync();
        }

        return received;
    }

    private static async Task EventuallyAsync(Func<bool> condition, string what)
    {
        for (var deadline = DateTime.UtcNow + Limit; !condition();)
        {
            Assert.That(DateTime.UtcNow, Is.LessThan(deadline), () => $"not in time: {what}");
            await Task.Delay(10);
        }
    }

    /// <summary>Sends numbers, several at a time, until it is told to stop.</summary>
    private sealed class Sender
    {
        private readonly Task _sending;
        private volatile bool _stop;
        private int _confirmed;

        public Sender(FabricClient client, string queue, int inFlight) => _sending = Task.Run(async () =>
        {
            var pending = new Queue<Task>();
            for (var i = 0; !_stop || pending.Count > 0; i++)
            {
                if (!_stop)
                {
                    pending.Enqueue(client.SendAsync(queue, $"{i}").AsTask());
                }

                if (pending.Count >= inFlight || _stop)
                {
                    await pending.Dequeue();
                    Interlocked.Increment(ref _confirmed);
                }
            }
        });

        public Task ProgressAsync(int more)
        {
            var goal = Volatile.Read(ref _confirmed) + more;
            return EventuallyAsync(() => Volatile.Read(ref _confirmed) >= goal || _sending.IsFaulted, $"{more} more confirmed sends");
        }

        /// <summary>Ends when all that was sent is confirmed.</summary>
        public async Task<int> StopAsync()
        {
            _stop = true;
            await _sending.WaitAsync(Limit);
            return _confirmed;
        }
    }
}
