using System.Buffers;
using System.Buffers.Binary;
using Fabric.Replication;
using Fabric.Runtime;
using Fabric.Store.Journal;
using Fabric.Tests.Store;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Replication;

/// <summary>One life of one replica, with a broker that keeps the numbers it was given.</summary>
internal sealed class ReplicaNode(string container, CrashDisk disk) : IStateMachine, IBrokerHost, IAsyncDisposable
{
    private const byte NumberKind = 16;
    private readonly Lock _gate = new();
    private readonly List<int> _applied = [];
    private bool _disposed;

    public string Container => container;

    public string Address { get; } = $"{container}:{Guid.NewGuid():N}";

    public CrashDisk Disk => disk;

    public Replica Replica { get; private set; } = null!;

    public MemoryRegistry.MemoryCoordinator Coordinator { get; private set; } = null!;

    public bool IsServing { get; private set; }

    /// <summary>Whether clients may connect and wait.</summary>
    public bool LetsClientsWait { get; private set; }

    /// <summary>How often clients that waited were sent away.</summary>
    public int SentAway { get; private set; }

    /// <summary>What happens while it opens its connectors.</summary>
    public Func<CancellationToken, Task>? OnServe { get; set; }

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

    public async Task StartAsync(ReplicaOptions options, IReplicaLink link, MemoryRegistry registry, CancellationToken cancellationToken = default)
    {
        Coordinator = registry.Create(container);
        Replica = await Replica.StartAsync(
            FabricRuntime.System with { Disk = disk },
            options,
            this,
            link,
            Coordinator,
            this,
            NullLogger.Instance,
            cancellationToken);
    }

    public AppendedRecord Append(int number, int bodyBytes = 100)
    {
        var body = new byte[bodyBytes];
        BinaryPrimitives.WriteInt32LittleEndian(body, number);
        return Replica.Journal.Append(NumberKind, 0, body, default);
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

    /// <summary>From where on its broker needs the records; null for none.</summary>
    public Position? Keeps { get; set; }

    public Position OldestLive(Position applied) => Keeps ?? applied;

    public void Prepare() => LetsClientsWait = true;

    public async Task ServeAsync(Epoch epoch, Position epochStart, CancellationToken cancellationToken)
    {
        if (OnServe is { } serve)
        {
            await serve(cancellationToken);
        }

        (IsServing, LetsClientsWait) = (true, false);
    }

    public Task StopServingAsync(string reason, bool handsOver)
    {
        SentAway += LetsClientsWait ? 1 : 0;
        (IsServing, LetsClientsWait) = (false, false);
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
