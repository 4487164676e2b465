using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Server.Solo;

/// <summary>
/// The coordinator of a broker that has one replica and no registry: a set of one, always connected, every claim granted. The epoch
/// still rises with each start, because the core counts from the promise on disk, and so the journal is the same as in a fabric.
/// </summary>
internal sealed class SoloCoordinator(string container) : ICoordinator
{
    private readonly Lock _gate = new();
    private Action<RegistryView>? _changed;
    private CandidateState? _state;
    private ReplicaSet? _set;
    private Epoch _epoch;
    private int _version;

    public Task<ReplicaSet> FormAsync(ReplicaId self, CancellationToken cancellationToken) =>
        Task.FromResult(new ReplicaSet(Guid.NewGuid(), [new ReplicaMember(self, container)]));

    public void Know(ReplicaSet set) => _set = set;

    public Task JoinAsync(Action<RegistryView> changed, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _changed = changed;
            Announce();
        }

        return Task.CompletedTask;
    }

    public Task PublishAsync(CandidateState state, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _state = state;
            Announce();
        }

        return Task.CompletedTask;
    }

    public Task<bool> TryClaimEpochAsync(Epoch epoch, int expectedVersion, ReplicaId claimant, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (expectedVersion != _version || epoch <= _epoch)
            {
                return Task.FromResult(false);
            }

            _epoch = epoch;
            _version++;
            Announce();
            return Task.FromResult(true);
        }
    }

    public Task ShowSetAsync(Epoch epoch, ReplicaSet set, Guid? done, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task ReportSlavesAsync(Epoch epoch, IReadOnlyList<SlaveState> slaves, CancellationToken cancellationToken) => Task.CompletedTask;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Announce() => _changed?.Invoke(new RegistryView(
        true, _epoch, _version, _state is { } state ? [new PublishedCandidate(0, state)] : [], _set));
}

/// <summary>The link of a replica that has no others: nobody calls, nobody is called.</summary>
internal sealed class SoloLink : IReplicaLink
{
    public Task<string> ListenAsync(IReplicaPeer peer, CancellationToken cancellationToken) => Task.FromResult("nowhere:0");

    public Task<PromiseReply> PromiseAsync(
        string address, Guid storeId, PromiseRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        Task.FromException<PromiseReply>(Nobody(address));

    public Task<IFollowStream> FollowAsync(string address, FollowHello hello, CancellationToken cancellationToken) =>
        Task.FromException<IFollowStream>(Nobody(address));

    public IAsyncEnumerable<JournalChunk> FetchAsync(string address, FetchRequest request, CancellationToken cancellationToken) =>
        throw Nobody(address);

    public IAsyncEnumerable<CopyFrame> CopyAsync(string address, CopyRequest request, CancellationToken cancellationToken) =>
        throw Nobody(address);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static ReplicaLinkException Nobody(string address) => new($"there is no other replica, also not at {address}", refused: true);
}
