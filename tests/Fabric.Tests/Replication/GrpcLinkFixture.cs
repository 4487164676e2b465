using System.Buffers;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Replication.Grpc;
using Fabric.Runtime;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>A replica that answers as a test says, behind a link, and another link that asks it.</summary>
internal abstract class GrpcLinkFixture
{
    /// <summary>Far beyond what anything here takes; only a hang reaches it.</summary>
    protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    protected static readonly Guid StoreId = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");
    protected static readonly ReplicaId Master = new(Guid.Parse("11111111-0000-0000-0000-000000000001"));
    protected static readonly ReplicaId Slave = new(Guid.Parse("22222222-0000-0000-0000-000000000002"));

    protected static readonly EpochTable Journal = new(
        [new EpochStart(new Epoch(1), Position.Zero), new EpochStart(new Epoch(7), new Position(5_000_000_000))],
        new Position(6_000_000_000));

    protected static readonly FollowHello Hello = new(StoreId, Slave, "broker2", new Epoch(7), Journal);

    private GrpcReplicaLink? _master;
    private GrpcReplicaLink? _slave;

    protected ScriptedPeer Peer { get; private set; } = new();

    protected string Address { get; private set; } = string.Empty;

    protected GrpcReplicaLink MasterLink => _master!;

    protected GrpcReplicaLink SlaveLink => _slave!;

    [SetUp]
    public async Task StartAsync()
    {
        Peer = new ScriptedPeer();
        _master = new GrpcReplicaLink(FabricRuntime.System, new GrpcReplicaLinkOptions());
        _slave = new GrpcReplicaLink(FabricRuntime.System, new GrpcReplicaLinkOptions());
        Address = await MasterLink.ListenAsync(Peer, CancellationToken.None);
    }

    [TearDown]
    public async Task StopAsync()
    {
        if (_slave is not null)
        {
            await _slave.DisposeAsync();
        }

        if (_master is not null)
        {
            await _master.DisposeAsync();
        }
    }

    protected static FollowFrame Frame(FollowFrameKind kind) => new(kind, new Epoch(7), new Position(5_500_000_000))
    {
        Everywhere = new Position(5_400_000_000),
    };

    /// <summary>Bytes that tell their place: byte i of the stream of batches.</summary>
    protected static byte ByteAt(long index) => (byte)((index * 31) ^ (index >> 9));

    protected static ReadOnlySequence<byte> Fill(byte[] buffer, int count, long from)
    {
        for (var index = 0; index < count; index++)
        {
            buffer[index] = ByteAt(from + index);
        }

        return new ReadOnlySequence<byte>(buffer, 0, count);
    }

    protected static bool IsAsFilled(in ReadOnlySequence<byte> bytes, long from)
    {
        foreach (var segment in bytes)
        {
            foreach (var value in segment.Span)
            {
                if (value != ByteAt(from++))
                {
                    return false;
                }
            }
        }

        return true;
    }

    internal sealed class ScriptedPeer : IReplicaPeer
    {
        public Func<Guid, PromiseRequest, CancellationToken, Task<PromiseReply>> OnPromise { get; set; } =
            (_, _, _) => throw new NotSupportedException();

        public Func<FollowHello, ISlaveStream, CancellationToken, Task> OnFollow { get; set; } =
            (_, _, _) => throw new NotSupportedException();

        public Func<FetchRequest, CancellationToken, IAsyncEnumerable<JournalChunk>> OnFetch { get; set; } =
            (_, _) => throw new NotSupportedException();

        public Task<PromiseReply> OnPromiseAsync(Guid storeId, PromiseRequest request, CancellationToken cancellationToken) =>
            OnPromise(storeId, request, cancellationToken);

        public Task OnFollowAsync(FollowHello hello, ISlaveStream stream, CancellationToken cancellationToken) =>
            OnFollow(hello, stream, cancellationToken);

        public Func<CopyRequest, CancellationToken, IAsyncEnumerable<CopyFrame>> OnCopy { get; set; } =
            (_, _) => throw new NotSupportedException();

        public IAsyncEnumerable<JournalChunk> OnFetchAsync(FetchRequest request, CancellationToken cancellationToken) =>
            OnFetch(request, cancellationToken);

        public IAsyncEnumerable<CopyFrame> OnCopyAsync(CopyRequest request, CancellationToken cancellationToken) =>
            OnCopy(request, cancellationToken);
    }
}
