using System.Collections.Concurrent;
using Fabric.Client;
using Fabric.Interop.Tests.OpenWire;
using Fabric.Tests.Store;

namespace Fabric.Tests.Server;

/// <summary>Messages that have left the journal's memory: whoever reads them from the disk holds up nobody else.</summary>
[TestFixture, Parallelizable]
internal sealed class ColdMessagesTests
{
    private const string Queue = "queue://Q";
    private const int Messages = 3000;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly FabricClientOptions Login = new() { UserName = "admin", Password = "secret" };

    [Test]
    public async Task They_are_read_on_threads_that_may_block_and_come_in_order()
    {
        var disk = new CrashDisk();
        var onPool = new ConcurrentBag<bool>();
        await using var broker = await StartWithBacklogAsync(disk);
        disk.OnCall = (call, _) =>
        {
            if (call == "Read")
            {
                onPool.Add(Thread.CurrentThread.IsThreadPoolThread);
            }
        };
        await using var consumer = new FabricClient(broker.Url, Login);
        using var stop = new CancellationTokenSource(Limit);
        var number = 0;
        await foreach (var message in consumer.ReceiveAllAsync<string>(Queue, cancellationToken: stop.Token))
        {
            Assert.That(message.Body, Is.EqualTo(BodyOf(number)));
            await message.AcceptAsync(stop.Token);
            if (++number == Messages)
            {
                break;
            }
        }

        Assert.That(onPool, Is.Not.Empty.And.All.False);
    }

    [Test]
    public async Task A_disk_that_hangs_while_they_are_read_holds_up_no_other_client()
    {
        var disk = new CrashDisk();
        await using var broker = await StartWithBacklogAsync(disk);
        using var released = new ManualResetEventSlim();
        using var hangs = new SemaphoreSlim(0);
        disk.OnCall = (call, _) =>
        {
            if (call == "Read")
            {
                hangs.Release();
                released.Wait();
            }
        };
        try
        {
            // As many as would take all threads of the pool; some of them wait for their turn.
            var waiting = new List<FabricClient>();
            var reads = new List<Task>();
            for (var i = 0; i < 12; i++)
            {
                waiting.Add(new FabricClient(broker.Url, Login));
                reads.Add(waiting[^1].CreateConsumer<string>(Queue, new ConsumerOptions { Prefetch = 10 }).ReceiveAsync().AsTask());
            }

            for (var i = 0; i < 8; i++)
            {
                await hangs.WaitAsync(Limit);
            }

            await using var other = new FabricClient(broker.Url, Login);
            for (var i = 0; i < 5; i++)
            {
                await other.SendAsync("queue://other", "x").AsTask().WaitAsync(TimeSpan.FromSeconds(5));
            }

            released.Set();
            await Task.WhenAll(reads);
            foreach (var client in waiting)
            {
                await client.DisposeAsync();
            }
        }
        finally
        {
            disk.OnCall = null;
            released.Set();
        }
    }

    private static string BodyOf(int number) => $"{number} {new string('x', 1000)}";

    /// <summary>A broker with three times as much in a queue as its journal keeps in memory.</summary>
    private static async Task<LocalBroker> StartWithBacklogAsync(CrashDisk disk)
    {
        var broker = await LocalBroker.StartAsync(disk: disk, tailBytes: 1024 * 1024);
        await using var producer = new FabricClient(broker.Url, Login);
        await Task.WhenAll(Enumerable.Range(0, Messages).Select(number => producer.SendAsync(Queue, BodyOf(number)).AsTask()));
        return broker;
    }
}
