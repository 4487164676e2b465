using Fabric.Replication.Core;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>On the way to a mastership: the claim in the registry, the promises of the others, the tail of the best of them.</summary>
public sealed partial class Replica
{
    private readonly Dictionary<ReplicaId, long> _asked = []; // the other slaves that were asked, and in which of their lives: the sequence of what they published; owned by the loop
    private RegistryView _view = RegistryView.None; // owned by the loop
    private CancellationTokenSource? _adopting;
    private Task _adoption = Task.CompletedTask;

    private async Task ClaimAsync(ReplicaEffect.ClaimEpoch claim)
    {
        var won = false;
        try
        {
            using var limit = new CancellationTokenSource(_options.Times.StepLimit, _runtime.Time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stopping.Token);
            won = await _coordinator.TryClaimEpochAsync(claim.Epoch, claim.ExpectedVersion, _state.Id, either.Token);
        }
        catch (Exception exception)
        {
            // Whether it was, the registry says: what is claimed and not led is claimed again.
            var level = exception is IOException or OperationCanceledException ? LogLevel.Information : LogLevel.Error;
            _logger.Log(level, "Epoch {Epoch} could not be claimed: {Reason}", claim.Epoch, exception.Message);
        }

        if (won)
        {
            _logger.LogInformation("{Container} has claimed epoch {Epoch}", _options.Container, claim.Epoch);
        }

        Post(now => _core.OnClaimEnded(claim.Epoch, won, now));
    }

    private void RequestPromises(PromiseRequest request)
    {
        foreach (var member in _log.Set.Members.Where(member => member.Id != _state.Id))
        {
            if (_registryWriter.AddressOf(member.Id) is { } address)
            {
                Run($"promise of {member.Container}", () => RequestPromiseAsync(request, member, address));
            }
        }
    }

    private async Task RequestPromiseAsync(PromiseRequest request, ReplicaMember member, string address)
    {
        try
        {
            var reply = await _link.PromiseAsync(address, _log.Set.StoreId, request, _options.Times.StepLimit, _stopping.Token);
            Post(now => _core.OnPromiseReplied(request.Candidate.Epoch, reply, now));
        }
        catch (ReplicaLinkException exception)
        {
            // No answer is no promise; the core goes on with those that come, or gives up at its limit.
            _logger.LogDebug("{Container} did not answer the claim of epoch {Epoch}: {Reason}", member.Container, request.Candidate.Epoch, exception.Message);
        }
    }

    /// <summary>
    /// While it follows, asks each other slave, once for each time that it comes, for a promise of no epoch, which is refused: a vote that would be missing at a take-over is missed while there is time. And
    /// a take-over need not wait for the compiler, which takes tens of milliseconds for the first question of a process, and for the first answer.
    /// </summary>
    private void LookForOthers()
    {
        if (_core.Role != ReplicaRole.Slave || _core.Master is not { } master)
        {
            return;
        }

        foreach (var (sequence, state) in _view.Candidates)
        {
            if (state.Replica != _state.Id && state.Replica != master.Replica && _log.Set.Contains(state.Replica) && _asked.GetValueOrDefault(state.Replica, -1) != sequence)
            {
                _asked[state.Replica] = sequence;
                var question = _core.Question();
                Run($"question to {state.Container}", () => AskOtherAsync(question, state, master));
            }
        }
    }

    private async Task AskOtherAsync(PromiseRequest question, CandidateState other, MasterAddress master)
    {
        try
        {
            await _link.PromiseAsync(other.Address, _log.Set.StoreId, question, _options.Times.StepLimit, _stopping.Token);
        }
        catch (ReplicaLinkException exception)
        {
            _logger.LogInformation(
                "{Container} does not answer at {Address}: {Reason}. As long as that is so, its vote is missing here should {Master} die", other.Container, other.Address, exception.Message, master.Container);
        }
    }

    private void StartAdopting(ReplicaEffect.Adopt adopt)
    {
        _adopting = new CancellationTokenSource();
        var token = _adopting.Token;
        _adoption = _runtime.Scheduler.Start("adoption", async () =>
        {
            var succeeded = false;
            try
            {
                succeeded = await AdoptAsync(adopt, token);
            }
            catch (Exception exception)
            {
                _logger.LogWarning("The tail of {Container} could not be fetched: {Reason}", ContainerOf(adopt.From), exception.Message);
            }
            finally
            {
                _journal.DropPartialRecord();
            }

            Post(now => _core.OnAdopted(adopt.Epoch, succeeded, now));
        });
    }

    private async Task<bool> AdoptAsync(ReplicaEffect.Adopt adopt, CancellationToken cancellationToken)
    {
        var address = _registryWriter.AddressOf(adopt.From);
        if (address is null)
        {
            return false;
        }

        await _journal.TruncateAsync(adopt.Common);
        var request = new FetchRequest(_log.Set.StoreId, _state.Id, adopt.Epoch, adopt.Common, adopt.End);
        await foreach (var chunk in _link.FetchAsync(address, request, cancellationToken))
        {
            _journal.AppendReplicated(chunk.Position, chunk.Records);
            if (_journal.End - _journal.Durable > _options.UnsyncedBytesMax)
            {
                await _journal.WaitDurableAsync(_journal.End + (-_options.UnsyncedBytesMax / 2), cancellationToken);
            }
        }

        await _journal.WaitDurableAsync(_journal.End, cancellationToken);
        return _journal.End == adopt.End;
    }
}
