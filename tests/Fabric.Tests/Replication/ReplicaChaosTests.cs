using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>
/// Random faults under load, on real threads: crashes, loss of power, processes that stand still, broken connections, a registry that comes
/// and goes. What a master confirmed must be on all replicas in the end, in order, once.
/// </summary>
[TestFixture, Parallelizable]
internal sealed class ReplicaChaosTests
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(6);

    [Test]
    public async Task Nothing_confirmed_is_lost_whatever_fails([Range(1, 3)] int seed)
    {
        var random = new Random(seed);
        await using var group = await ReplicaGroup.StartAsync(options => options with
        {
            Journal = options.Journal with { CheckpointBytes = 64 * 1024, SegmentBytes = 64 * 1024 },
            Times = new ReplicaTimes
            {
                SuspectAfter = TimeSpan.FromMilliseconds(300),
                Lease = TimeSpan.FromMilliseconds(300),
                ClaimStagger = TimeSpan.FromMilliseconds(100),
                StepLimit = TimeSpan.FromMilliseconds(400),
                HandOverLimit = TimeSpan.FromMilliseconds(500),
            },
            HeartbeatInterval = TimeSpan.FromMilliseconds(30),
        });
        var ledger = new Ledger();
        using var ended = new CancellationTokenSource();
        var producing = Task.Run(() => ProduceAsync(group, ledger, ended.Token));

        var start = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(start) < Duration)
        {
            await DisturbAsync(group, random);
            await Task.Delay(random.Next(5, 400));
        }

        await HealAsync(group);
        await ended.CancelAsync();
        await producing;
        var master = await group.SettledMasterAsync();
        var last = master.Append(int.MaxValue);
        await group.EventuallyAsync(() => master.Replica.Journal.Applied >= last.End, "it commits again");
        var applied = await group.AgreedAsync(master.Applied.Count);

        Assert.That(applied, Is.Unique.And.Ordered);
        Assert.That(ledger.Confirmed.Except(applied), Is.Empty, "confirmed and lost");
        Assert.That(applied.Except(ledger.Attempted).Except([int.MaxValue]), Is.Empty, "never appended");
        TestContext.Out.WriteLine($"{ledger.Confirmed.Count} of {ledger.Attempted.Count} confirmed, epoch {master.Replica.Status.Epoch}");
    }

    private sealed class Ledger
    {
        public HashSet<int> Attempted { get; } = [];

        public HashSet<int> Confirmed { get; } = [];
    }

    /// <summary>Appends at whoever serves; confirmed is what that one has applied in the same mastership.</summary>
    private static async Task ProduceAsync(ReplicaGroup group, Ledger ledger, CancellationToken cancellationToken)
    {
        var next = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(1, CancellationToken.None);
            var node = Running(group).Find(node => node.IsServing);
            if (node is null)
            {
                continue;
            }

            try
            {
                var batch = new List<(int Number, Position End)>();
                for (var i = 0; i < 10; i++)
                {
                    ledger.Attempted.Add(next);
                    batch.Add((next, node.Append(next).End));
                    next++;
                }

                var journal = node.Replica.Journal;
                while (node.IsServing && journal.Applied < batch[^1].End)
                {
                    await Task.Delay(1, CancellationToken.None);
                }

                // As the broker does: what is applied here, while the journal still takes records of this mastership, is committed.
                var applied = node.Applied.ToHashSet();
                ledger.Confirmed.UnionWith(batch.Select(record => record.Number).Where(applied.Contains));
            }
            catch (Exception exception) when (exception is Fabric.Store.NotMasterException or Fabric.Store.StoreException)
            {
                next++; // its outcome is unknown; the next one goes to the next master
            }
        }
    }

    private static async Task DisturbAsync(ReplicaGroup group, Random random)
    {
        var running = Running(group);
        var node = running[random.Next(running.Count)];
        switch (random.Next(7))
        {
            case 0:
                await RestartAsync(group, node, powerLoss: null, lingers: random.Next(2) == 0);
                break;
            case 1:
                await RestartAsync(group, node, new Random(random.Next()), lingers: random.Next(2) == 0);
                break;
            case 2:
                group.Network.Pause(node.Address);
                await Task.Delay(random.Next(50, 800));
                group.Network.Resume(node.Address);
                break;
            case 3:
                group.Network.Break(node.Address);
                break;
            case 4:
                group.Registry.SetAvailable(false);
                await Task.Delay(random.Next(50, 500));
                group.Registry.SetAvailable(true);
                break;
            case 5:
                await node.Replica.StopAsync();
                lock (group.Nodes)
                {
                    group.Nodes.Remove(node);
                }

                await node.DisposeAsync();
                await group.StartAsync(node.Container);
                break;
            default:
                foreach (var each in running)
                {
                    await RestartAsync(group, each, new Random(random.Next()), lingers: false, wait: false);
                }

                await Task.WhenAll(running.Select(each => group.StartAsync(each.Container)));
                break;
        }
    }

    private static async Task RestartAsync(ReplicaGroup group, ReplicaNode node, Random? powerLoss, bool lingers, bool wait = true)
    {
        await group.CrashAsync(node, powerLoss, lingers);
        if (wait)
        {
            await group.StartAsync(node.Container);
        }
    }

    private static async Task HealAsync(ReplicaGroup group)
    {
        group.Registry.SetAvailable(true);
        foreach (var node in Running(group).Where(node => node.Replica.Status.Failure is not null))
        {
            Assert.Fail($"{node.Container} is out: {node.Replica.Status.Failure}");
        }

        await group.MasterAsync();
    }

    private static List<ReplicaNode> Running(ReplicaGroup group)
    {
        lock (group.Nodes)
        {
            return [.. group.Nodes];
        }
    }
}
