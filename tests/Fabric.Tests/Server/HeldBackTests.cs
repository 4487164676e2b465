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

        await using var consumer = Connect(broker, inactivity: 30_000);
        using var stop = new CancellationTokenSource(Limit);
        await foreach (var message in consumer.ReceiveAllAsync<string>(Queue, cancellationToken: stop.Token))
        {
            await message.AcceptAsync(stop.Token);
            if (message.Body == "last")
            {
                break;
            }
        }

        await waiting.WaitAsync(Limit);
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

    /// <summary>Sends more than the broker's memory takes.</summary>
    /// <returns>Ends when all of it was taken.</returns>
    private static async Task<Task> FillAsync(FabricClient producer)
    {
        await producer.SendAsync(Queue, "first", InMemory);
        var sends = Enumerable.Range(0, 20).Select(_ => producer.SendAsync(Queue, new string('x', 4000), InMemory).AsTask()).ToList();
        return Task.WhenAll(sends.Append(producer.SendAsync(Queue, "last").AsTask()));
    }
}
