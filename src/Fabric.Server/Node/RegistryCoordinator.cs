using Fabric.Registry.Election;
using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Server.Node;

/// <summary>
/// The registry as replication sees it: replication knows no ZooKeeper and the registry no journal, so this says the one's words in
/// the other's. It holds no state and decides nothing.
/// </summary>
internal sealed class RegistryCoordinator(BrokerElection election) : ICoordinator
{
    public Task<ReplicaSet> FormAsync(ReplicaId self, CancellationToken cancellationToken) => FormAsync(self, Guid.Empty, cancellationToken);

    public async Task<ReplicaSet> FormAsync(ReplicaId self, Guid origin, CancellationToken cancellationToken)
    {
        return SetOf(await election.FormAsync(self.Value, origin, cancellationToken));
    }

    public void Know(ReplicaSet set) => election.Know(RecordOf(set));

    public Task JoinAsync(Action<RegistryView> changed, CancellationToken cancellationToken)
    {
        election.Join(view => changed(ViewOf(view)));
        return Task.CompletedTask;
    }

    public Task PublishAsync(CandidateState state, CancellationToken cancellationToken) =>
        election.PublishAsync(RecordOf(state), cancellationToken);

    public Task<bool> TryClaimEpochAsync(Epoch epoch, int expectedVersion, ReplicaId claimant, CancellationToken cancellationToken) =>
        election.TryClaimEpochAsync(epoch.Value, expectedVersion, claimant.Value, cancellationToken);

    public Task ShowSetAsync(Epoch epoch, ReplicaSet set, Guid? done, CancellationToken cancellationToken) =>
        election.ReplaceSetAsync(epoch.Value, RecordOf(set), done, cancellationToken);

    public Task ReportSlavesAsync(Epoch epoch, IReadOnlyList<SlaveState> slaves, CancellationToken cancellationToken) =>
        election.ReportSlavesAsync(
            epoch.Value,
            [.. slaves.Select(slave => new SlaveRecord(slave.Container, slave.InSync, slave.LagBytes, slave.IsLearner))],
            cancellationToken);

    public ValueTask DisposeAsync() => election.DisposeAsync();

    private static RegistryView ViewOf(ElectionView view) => new(
        view.IsConnected,
        new Epoch(view.Claim.Epoch),
        view.EpochVersion,
        [.. view.Candidates.Select(candidate => new PublishedCandidate(candidate.Sequence, StateOf(candidate.Record)))],
        view.Set is { } set ? SetOf(set) : null,
        view.Change is { } change ? new ReplicaSetChange(change.Id, change.Add, change.Remove is { } id ? new ReplicaId(id) : null) : null);

    private static ReplicaSet SetOf(ReplicaSetRecord record) =>
        new(record.StoreId, record.Members.Select(member => new ReplicaMember(new ReplicaId(member.Replica), member.Container)));

    private static ReplicaSetRecord RecordOf(ReplicaSet set) =>
        new(set.StoreId, [.. set.Members.Select(member => new ReplicaMemberRecord(member.Id.Value, member.Container))]);

    private static CandidateState StateOf(CandidateRecord record) => new(
        new ReplicaId(record.Replica),
        record.Container,
        record.Address,
        record.Weight,
        record.Role switch
        {
            CandidateRole.Master => ReplicaRole.Master,
            CandidateRole.Slave => ReplicaRole.Slave,
            _ => ReplicaRole.Electing,
        },
        new Epoch(record.Round),
        new Epoch(record.LastEpoch),
        new Position(record.Position),
        new Epoch(record.Epoch));

    private static CandidateRecord RecordOf(CandidateState state) => new(
        state.Replica.Value,
        state.Container,
        state.Address,
        state.Weight,
        state.Role switch
        {
            ReplicaRole.Master => CandidateRole.Master,
            ReplicaRole.Slave => CandidateRole.Slave,
            _ => CandidateRole.Electing,
        },
        state.Round.Value,
        state.LastEpoch.Value,
        state.End.Value,
        state.Epoch.Value);
}
