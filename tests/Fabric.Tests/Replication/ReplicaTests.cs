using System.Buffers;
using System.Buffers.Binary;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Runtime;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Replication;

/// <summary>Whole replicas with real journals, in one process: links and registry are in memory.</summary>
[TestFixture]
internal sealed class ReplicaTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    private string _directory = null!;
    private MemoryNetwork _network = null!;
    private MemoryRegistry _registry = null!;
    private List<Node> _nodes = null!;

    [SetUp]
    public async Task StartThreeAsync()
    {
        _directory = Directory.CreateTempSubdirectory("fabric-replica-").FullName;
        _network = new MemoryNetwork();
        _registry = new MemoryRegistry(expected: 3);
        _nodes = [.. await Task.WhenAll(Enumerable.Range(1, 3).Select(i => StartAsync($"broker{i}")))];
    }

    [TearDown]
    public async Task StopAllAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    [Test]
    public async Task Three_new_replicas_get_one_master_and_two_slaves()
    {
        var master = await MasterAsync();
        await EventuallyAsync(() => master.Replica.Status.Slaves.All(slave => slave.Attached), "both slaves follow");
        Assert.That(_nodes.Count(node => node.Replica.Status.Role == ReplicaRole.Slave), Is.EqualTo(2));
    }

    [Test]
    public async Task What_is_committed_is_applied_on_all_in_the_same_order()
    {
        var master = await MasterAsync();
        for (var i = 0; i < 1000; i++)
        {
            master.Append(i);
        }

        await EventuallyAsync(() => _nodes.TrueForAll(node => node.Applied.Count == 1000), "all apply 1000 records");
        Assert.That(_nodes.Select(node => node.Applied), Is.All.EqualTo(Enumerable.Range(0, 1000)));
    }

    [Test]
    public async Task A_crashed_master_is_replaced_and_nothing_committed_is_lost()
    {
        var expected = new List<int>();
        for (var round = 0; round < 5; round++)
        {
            var master = await MasterAsync();
            for (var i = 0; i < 100; i++)
            {
                expected.Add(expected.Count);
                master.Append(expected[^1]);
            }

            await EventuallyAsync(() => master.Applied.Count == expected.Count, "the master applies what it appended");
            _network.Cut(master.Address);
            var others = _nodes.Where(node => node != master).ToList();
            await EventuallyAsync(() => others.Exists(node => node.IsServing), "another one serves");
            await master.DisposeAsync();
            _nodes.Remove(master);
            _nodes.Add(await StartAsync(master.Container));
            await EventuallyAsync(() => _nodes.TrueForAll(node => node.Applied.Count == expected.Count), "all are in sync again");
            Assert.That(_nodes.Select(node => node.Applied), Is.All.EqualTo(expected));
        }
    }

    [Test]
    public async Task A_stopping_master_hands_over_at_once()
    {
        var master = await MasterAsync();
        await EventuallyAsync(() => master.Replica.Status.Slaves.All(slave => slave.Attached), "both slaves follow");
        var epoch = master.Replica.Status.Epoch;
        await master.Replica.StopAsync();
        var others = _nodes.Where(node => node != master).ToList();
        await EventuallyAsync(() => others.Exists(node => node.IsServing), "another one serves");
        Assert.That(others.Find(node => node.IsServing)!.Replica.Status.Epoch, Is.EqualTo(epoch.Next));
    }

    [Test]
    public async Task A_master_without_a_majority_commits_nothing_and_steps_down()
    {
        var master = await MasterAsync();
        await EventuallyAsync(() => master.Replica.Status.Slaves.All(slave => slave.Attached), "both slaves follow");
        foreach (var slave in _nodes.Where(node => node != master).ToList())
        {
            await slave.DisposeAsync();
            _nodes.Remove(slave);
        }

        master.Append(1);
        await EventuallyAsync(() => !master.IsServing, "the master steps down");
        Assert.That(master.Applied, Is.Empty);
        _nodes.Add(await StartAsync(_nodes[0].Container == "broker1" ? "broker2" : "broker1"));
        var next = await MasterAsync();
        next.Append(2);
        await EventuallyAsync(() => next.Applied.Contains(2), "a majority serves again");
    }

    [Test]
    public async Task A_registry_that_is_away_changes_no_role()
    {
        var master = await MasterAsync();
        await EventuallyAsync(() => master.Replica.Status.Slaves.All(slave => slave.Attached), "both slaves follow");
        var epoch = master.Replica.Status.Epoch;
        _registry.SetAvailable(false);
        for (var i = 0; i < 50; i++)
        {
            master.Append(i);
            await EventuallyAsync(() => master.Applied.Count == i + 1, "sends go on");
            await Task.Delay(20);
        }

        _registry.SetAvailable(true);
        Assert.That((master.IsServing, master.Replica.Status.Epoch), Is.EqualTo((true, epoch)));
    }

    private async Task<Node> MasterAsync()
    {
        await EventuallyAsync(() => _nodes.Exists(node => node.IsServing), "somebody serves");
        return _nodes.Find(node => node.IsServing)!;
    }

    private static async Task EventuallyAsync(Func<bool> condition, string what)
    {
        var end = TimeProvider.System.GetTimestamp() + (Limit.Ticks * TimeProvider.System.TimestampFrequency / TimeSpan.TicksPerSecond);
        while (!condition())
        {
            Assert.That(TimeProvider.System.GetTimestamp(), Is.LessThan(end), what);
            await Task.Delay(5);
        }
    }

    private async Task<Node> StartAsync(string container)
    {
        var node = new Node(container, $"{container}:{Guid.NewGuid():N}");
        node.Replica = await Replica.StartAsync(
            FabricRuntime.System,
            new ReplicaOptions
            {
                Broker = "default",
                Container = container,
                Journal = new JournalOptions { Directory = Path.Combine(_directory, container), SegmentBytes = 1024 * 1024 },
                Times = new ReplicaTimes { Lease = TimeSpan.FromSeconds(1), SuspectAfter = TimeSpan.FromSeconds(1) },
            },
            node,
            _network.Create(node.Address),
            _registry.Create(container),
            node,
            NullLogger.Instance,
            CancellationToken.None);
        return node;
    }

    /// <summary>A broker that keeps the numbers it was given.</summary>
    private sealed class Node(string container, string address) : IStateMachine, IBrokerHost, IAsyncDisposable
    {
        private const byte NumberKind = 16;
        private readonly Lock _gate = new();
        private readonly List<int> _applied = [];
        private bool _disposed;

        public string Container => container;

        public string Address => address;

        public Replica Replica { get; set; } = null!;

        public volatile bool IsServing;

        public IReadOnlyList<int> Applied
        {
            get
            {
                lock (_gate)
                {
                    return [.. _applied];
                }
            }
        }

        public void Append(int number)
        {
            Span<byte> body = stackalloc byte[100];
            BinaryPrimitives.WriteInt32LittleEndian(body, number);
            Replica.Journal.Append(NumberKind, 0, body, default);
        }

        public void Apply(in JournalRecord record)
        {
            if (record.Kind == NumberKind)
            {
                lock (_gate)
                {
                    _applied.Add(BinaryPrimitives.ReadInt32LittleEndian(record.Body));
                }
            }
        }

        public void Flush(Position applied)
        {
        }

        public void WriteCheckpoint(IBufferWriter<byte> output)
        {
            foreach (var number in Applied)
            {
                BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), number);
                output.Advance(4);
            }
        }

        public void ReadCheckpoint(ReadOnlySpan<byte> input)
        {
            lock (_gate)
            {
                _applied.Clear();
                for (; input.Length > 0; input = input[4..])
                {
                    _applied.Add(BinaryPrimitives.ReadInt32LittleEndian(input));
                }
            }
        }

        public Position OldestLive(Position applied) => Position.Zero;

        public Task ServeAsync(Epoch epoch, Position epochStart, CancellationToken cancellationToken)
        {
            IsServing = true;
            return Task.CompletedTask;
        }

        public Task StopServingAsync(string reason)
        {
            IsServing = false;
            return Task.CompletedTask;
        }

        public async ValueTask DisposeAsync()
        {
            if (!_disposed)
            {
                _disposed = true;
                await Replica.DisposeAsync();
            }
        }
    }
}
