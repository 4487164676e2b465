using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Journal;
using Fabric.Tests.Store;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Replication;

/// <summary>
/// The three replicas of one broker in one process, with real journals. Disks, links and registry are in memory, so that they can fail.
/// </summary>
internal sealed class ReplicaGroup : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private readonly Dictionary<string, CrashDisk> _disks = [];

    public MemoryNetwork Network { get; } = new();

    public MemoryRegistry Registry { get; } = new(expected: 3);

    /// <summary>Those that run.</summary>
    public List<ReplicaNode> Nodes { get; } = [];

    public Func<ReplicaOptions, ReplicaOptions> With { get; init; } = static options => options;

    /// <summary>How they reach each other: in memory, unless a test says otherwise.</summary>
    public Func<IReplicaLink>? NewLink { get; init; }

    public IEnumerable<string> Containers => _disks.Keys;

    /// <param name="with">Changes the options of all.</param>
    /// <param name="prepare">Puts something on each disk beforehand.</param>
    /// <param name="newLink">Makes the link of each life.</param>
    public static async Task<ReplicaGroup> StartAsync(
        Func<ReplicaOptions, ReplicaOptions>? with = null, Func<CrashDisk, Task>? prepare = null, Func<IReplicaLink>? newLink = null)
    {
        var group = Create(with, newLink);
        foreach (var disk in group._disks.Values)
        {
            await (prepare?.Invoke(disk) ?? Task.CompletedTask);
        }

        await Task.WhenAll(group._disks.Keys.Select(container => group.StartAsync(container)));
        return group;
    }

    /// <summary>Three empty disks, on which nothing is started.</summary>
    public static ReplicaGroup Create(Func<ReplicaOptions, ReplicaOptions>? with = null, Func<IReplicaLink>? newLink = null)
    {
        var group = new ReplicaGroup { With = with ?? (static options => options), NewLink = newLink };
        for (var i = 1; i <= 3; i++)
        {
            group._disks[$"broker{i}"] = new CrashDisk();
        }

        return group;
    }

    public CrashDisk DiskOf(string container) => _disks[container];

    /// <summary>Starts a replica on the disk its container had before.</summary>
    public async Task<ReplicaNode> StartAsync(string container, Action<ReplicaNode>? prepare = null, CancellationToken cancellationToken = default)
    {
        var node = new ReplicaNode(container, _disks[container]);
        prepare?.Invoke(node);
        await node.StartAsync(OptionsOf(container), LinkOf(node), Registry, cancellationToken);
        lock (Nodes)
        {
            Nodes.Add(node);
        }

        return node;
    }

    /// <summary>Starts a replica on a disk with nothing on it.</summary>
    public Task<ReplicaNode> StartEmptyAsync(string container)
    {
        _disks[container] = new CrashDisk();
        return StartAsync(container);
    }

    /// <summary>Begins to repair the journal that a container's disk has.</summary>
    public Task<ReplicaRepair> StartRepairAsync(string container, string damage) => ReplicaRepair.StartAsync(
        FabricRuntime.System with { Disk = _disks[container] },
        OptionsOf(container),
        damage,
        NewLink?.Invoke() ?? Network.Create($"{container}:repair"),
        Registry.Create(container),
        NullLogger.Instance,
        CancellationToken.None);

    /// <summary>Waits until a replica's journal is repaired, and starts it with that.</summary>
    public async Task<ReplicaNode> RepairedAsync(string container, ReplicaRepair repair)
    {
        await Task.WhenAny(repair.Completion, Task.Delay(Limit));
        Assert.That(repair.Completion.Exception?.InnerException, Is.InstanceOf<JournalReplacedException>(), () => repair.Problem);
        await repair.DisposeAsync();
        return await StartAsync(container);
    }

    /// <summary>Starts a replica on the disk its container had before, and repairs its journal first, which is known to be damaged.</summary>
    public async Task<ReplicaNode> StartDamagedAsync(string container)
    {
        var damage = Assert.ThrowsAsync<SegmentCorruptException>(() => StartAsync(container), string.Join(' ', _disks[container].ListFiles("/journal")));
        return await RepairedAsync(container, await StartRepairAsync(container, damage.Message));
    }

    /// <summary>Waits until a replica has copied its master's journal, and starts it again with that.</summary>
    public async Task<ReplicaNode> ReplacedAsync(ReplicaNode node)
    {
        var end = await Task.WhenAny(node.Replica.Completion, Task.Delay(Limit));
        Assert.That(node.Replica.Completion.Exception?.InnerException, Is.InstanceOf<JournalReplacedException>(), () => $"{end.Status}: {Describe(node)}");
        lock (Nodes)
        {
            Nodes.Remove(node);
        }

        await node.DisposeAsync();
        return await StartAsync(node.Container);
    }

    /// <summary>The process dies; the registry has not noticed yet when <paramref name="lingers"/>.</summary>
    /// <param name="node">Whose.</param>
    /// <param name="powerLoss">The machine loses power too, and what was not synced is up to chance.</param>
    /// <param name="lingers">Its entry in the registry stays.</param>
    public async Task CrashAsync(ReplicaNode node, Random? powerLoss = null, bool lingers = false)
    {
        node.Disk.DiesAt = 0;
        node.Coordinator.Lingers = lingers;
        Network.Cut(node.Address);
        lock (Nodes)
        {
            Nodes.Remove(node);
        }

        await node.DisposeAsync();
        if (powerLoss is null)
        {
            node.Disk.Kill();
        }
        else
        {
            node.Disk.PowerLoss(powerLoss);
        }
    }

    /// <summary>The node that serves, once there is one.</summary>
    public async Task<ReplicaNode> MasterAsync()
    {
        await EventuallyAsync(() => Nodes.Exists(node => node.IsServing), "somebody serves");
        return Nodes.Find(node => node.IsServing) ?? await MasterAsync();
    }

    /// <summary>The node that serves, once both others follow it.</summary>
    public async Task<ReplicaNode> SettledMasterAsync()
    {
        var master = await MasterAsync();
        await EventuallyAsync(() => master.Replica.Status.Slaves.Count(slave => slave.Attached) == Nodes.Count - 1, "all others follow");
        return master;
    }

    public IEnumerable<ReplicaNode> Others(ReplicaNode node) => Nodes.Where(other => other != node);

    /// <summary>Waits until all that run have applied at least so many and all there is, and gives it.</summary>
    public async Task<IReadOnlyList<int>> AgreedAsync(int count)
    {
        await EventuallyAsync(
            () => Nodes.TrueForAll(node => node.Applied.Count >= count)
                && Nodes.Select(node => (node.Replica.Journal.End, node.Replica.Journal.Applied)).Distinct().ToArray() is [var (end, all)]
                && end == all,
            $"all apply {count} records");
        var applied = Nodes[0].Applied;
        Assert.That(Nodes.Select(node => node.Applied), Is.All.EqualTo(applied));
        return applied;
    }

    public async Task EventuallyAsync(Func<bool> condition, string what)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            if (TimeProvider.System.GetElapsedTime(start) > Limit)
            {
                Assert.Fail($"{what}: {string.Join("; ", Nodes.Select(Describe))}");
            }

            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes)
        {
            Network.Resume(node.Address);
            await node.DisposeAsync();
        }
    }

    private ReplicaOptions OptionsOf(string container) => With(new ReplicaOptions
    {
        Broker = "default",
        Container = container,
        Journal = new JournalOptions { Directory = "/journal", SegmentBytes = 256 * 1024 },
        Times = new ReplicaTimes { Lease = TimeSpan.FromSeconds(1), SuspectAfter = TimeSpan.FromSeconds(1) },
    });

    private IReplicaLink LinkOf(ReplicaNode node) => NewLink?.Invoke() ?? Network.Create(node.Address);

    private static string Describe(ReplicaNode node)
    {
        var status = node.Replica.Status;
        return $"{node.Container} {status.Role} of epoch {status.Epoch} {status.Committed}/{status.End} {status.Failure}";
    }
}
