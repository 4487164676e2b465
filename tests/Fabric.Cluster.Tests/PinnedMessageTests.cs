using System.Globalization;
using Fabric.Client;
using Fabric.Cluster.Tests.Nodes;

namespace Fabric.Cluster.Tests;

/// <summary>Messages that nobody takes, under others that come and go.</summary>
[TestFixture, Platform("Linux")]
internal sealed class PinnedMessageTests
{
    private const int SegmentBytes = 65536;
    private const int RoundsMax = 200;
    private static readonly TimeSpan Arrival = TimeSpan.FromSeconds(20);
    private static readonly string[] Texts = ["first", new('x', 30_000), "third"];

    [Test]
    public async Task Messages_that_nobody_takes_keep_no_old_segments_and_come_as_they_were_after_a_restart_and_a_failover()
    {
        await using var containers = await OwnContainers.StartAsync(new OwnContainersOptions
        {
            Properties = new Dictionary<string, string>
            {
                ["segment-bytes"] = $"{SegmentBytes}", ["checkpoint-bytes"] = $"{SegmentBytes}", ["retained-bytes"] = "0",
            },
        });
        var pinned = await PinAsync(containers);
        var passed = 0L;
        passed = await PassOnAsync(containers, passed);

        foreach (var name in OwnContainers.Names)
        {
            containers.Kill(name);
        }

        foreach (var name in OwnContainers.Names)
        {
            await containers.EndAsync(name);
            containers.Start(name);
        }

        var (master, _, _) = await containers.HealthyAsync();
        await PassOnAsync(containers, passed); // what was copied is copied again

        containers.Kill(master);
        await containers.EndAsync(master);
        await containers.HealthyAsync(slaves: 1, name => name != master);
        await using var fabric = Connect(containers);
        await using var consumer = fabric.CreateConsumer<string>("queue://shelf");
        foreach (var (text, id) in Texts.Zip(pinned))
        {
            var delivery = await consumer.TryReceiveAsync(Arrival);
            Assert.That(delivery, Is.Not.Null);
            Assert.That((delivery!.Headers.MessageId, delivery.Body, delivery.DeliveryCount), Is.EqualTo((id, text, 1)));
            await delivery.AcceptAsync();
        }

        Assert.That(await consumer.TryReceiveAsync(TimeSpan.FromSeconds(1)), Is.Null, "each comes once");
    }

    private static FabricClient Connect(OwnContainers containers) =>
        new(containers.FailoverUrl, new FabricClientOptions { UserName = "admin", Password = "admin" });

    private static async Task<List<string>> PinAsync(OwnContainers containers)
    {
        await using var fabric = Connect(containers);
        var ids = new List<string>();
        foreach (var text in Texts)
        {
            ids.Add((await fabric.SendAsync("queue://shelf", text)).MessageId);
        }

        return ids;
    }

    /// <summary>Sends and receives until all three have let go what they have now, and what they had before.</summary>
    /// <returns>Where the journal of the one that is furthest behind begins.</returns>
    private static async Task<long> PassOnAsync(OwnContainers containers, long before)
    {
        var end = Math.Max(before, OwnContainers.Names.Max(name => PositionsOf(containers, name).Max()));
        await using var fabric = Connect(containers);
        await using var producer = fabric.CreateProducer("queue://flow");
        await using var consumer = fabric.CreateConsumer<string>("queue://flow");
        var text = new string('y', 4000);
        for (var round = 1; OwnContainers.Names.Any(name => PositionsOf(containers, name).Min() <= end); round++)
        {
            Assert.That(round, Is.LessThan(RoundsMax), "old segments go");
            await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => producer.SendAsync(text).AsTask()));
            for (var received = 0; received < 50; received++)
            {
                await (await consumer.ReceiveAsync()).AcceptAsync();
            }
        }

        return OwnContainers.Names.Min(name => PositionsOf(containers, name).Min());
    }

    /// <summary>Where a container's segments begin.</summary>
    private static IEnumerable<long> PositionsOf(OwnContainers containers, string name) => Directory.GetFiles(containers.JournalOf(name), "journal-*.seg")
        .Select(path => long.Parse(Path.GetFileName(path).AsSpan(8, 20), CultureInfo.InvariantCulture)).DefaultIfEmpty(0);
}
