using Fabric.Replication.Core;
using Fabric.Replication.Master;
using Fabric.Replication.Slave;
using Fabric.Store;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>How the loop carries out what the core decided.</summary>
public sealed partial class Replica
{
    private readonly Dictionary<long, TaskCompletionSource<PromiseReply>> _claims = [];
    private readonly Dictionary<long, TaskCompletionSource<Admission>> _hellos = [];
    private readonly List<Task> _steps = [];
    private CancellationTokenSource? _serving;
    private bool _isPrepared; // clients may be waiting for the connectors to open
    private Task _service = Task.CompletedTask;

    /// <summary>What became of a slave's hello.</summary>
    private sealed record Admission(Lead? Lead, Position Common, bool Copies, FollowFrame Refusal);

    private async Task ExecuteAsync()
    {
        while (_core.TakeEffects() is { Count: > 0 } effects)
        {
            foreach (var effect in effects)
            {
                try
                {
                    await ExecuteAsync(effect);
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
                {
                    // The disk did not do what the effects after this one rely on: carry none of them out.
                    _isStoreUnavailable |= exception is StoreUnavailableException;
                    await AbandonAsync("the store failed");
                    _core.OnStoreFailed(exception.Message, Now);
                    if (effects.OfType<ReplicaEffect.Retire>().FirstOrDefault() is { } retire)
                    {
                        Retire(retire.Failure ?? exception.Message); // it was leaving already
                    }

                    break;
                }
            }
        }

        _snapshot = new RoleSnapshot(_core.Role, _core.Epoch, _core.Master?.Container, _core.Problem);
    }

    private async Task ExecuteAsync(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.StopFollowing:
                await StopFollowingAsync();
                await DrainAsync();
                break;
            case ReplicaEffect.StartFollowing start:
                await StopFollowingAsync();
                StartFollowing(start.Master);
                break;
            case ReplicaEffect.TakeStream take:
                _follower?.TakeStream(take.Epoch);
                break;
            case ReplicaEffect.StartCopying copying:
                await StopCopyingAsync();
                StartCopying(copying.Master);
                break;
            case ReplicaEffect.DiscardCopy:
                await DiscardCopyAsync();
                break;
            case ReplicaEffect.SwitchJournal switching:
                await SwitchJournalAsync(switching.Copy);
                break;
            case ReplicaEffect.Truncate truncate:
                _logger.LogInformation("Cutting the uncommitted tail from {Position} on", truncate.End);
                await _journal.TruncateAsync(truncate.End);
                break;
            case ReplicaEffect.PersistPromise promise:
                await WriteStateAsync(() => _state.Promise(promise.Epoch), CancellationToken.None);
                break;
            case ReplicaEffect.GrantPromise grant:
                Answer(_claims, grant.Token, _core.Grant());
                break;
            case ReplicaEffect.RefusePromise refuse:
                Answer(_claims, refuse.Token, refuse.Reply);
                break;
            case ReplicaEffect.Publish publish:
                _registryWriter.Publish(publish.State);
                break;
            case ReplicaEffect.PublishCandidacy publish:
                _registryWriter.Publish(_core.Candidacy(publish.Round));
                break;
            case ReplicaEffect.ClaimEpoch claim:
                Run("claim", () => ClaimAsync(claim));
                break;
            case ReplicaEffect.RequestPromises request:
                RequestPromises(request.Request);
                break;
            case ReplicaEffect.Adopt adopt:
                StartAdopting(adopt);
                break;
            case ReplicaEffect.StartLeading start:
                StartLeading(start.Epoch);
                break;
            case ReplicaEffect.AcceptSlave accept:
                Answer(_hellos, accept.Token, new Admission(_lead, accept.Common, accept.Copies, default));
                break;
            case ReplicaEffect.RefuseSlave refuse:
                Answer(_hellos, refuse.Token, new Admission(null, default, false, new FollowFrame(FollowFrameKind.Refused, refuse.Promised, default)
                {
                    Refusal = refuse.Refusal,
                    Reason = refuse.Reason,
                }));
                break;
            case ReplicaEffect.PrepareServing:
                _isPrepared = true;
                _host.Prepare();
                break;
            case ReplicaEffect.ChangeSet change:
                ChangeSet(change.Set);
                break;
            case ReplicaEffect.TakeLearner take:
                _lead?.TakeLearner(take.Learner);
                break;
            case ReplicaEffect.DropLearner drop:
                _lead?.DropLearner(drop.Learner);
                break;
            case ReplicaEffect.ShowSet show:
                _registryWriter.ShowSet(show.Epoch, show.Set, show.Done);
                break;
            case ReplicaEffect.Serve serve:
                StartServing(serve.Epoch);
                break;
            case ReplicaEffect.StopServing stop:
                _journal.ResignMaster(null);
                await StopServingAsync(stop.Reason, stop.HandsOver);
                break;
            case ReplicaEffect.StopLeading:
                EndLead();
                await DrainAsync();
                break;
            case ReplicaEffect.HandOver handOver:
                _logger.LogInformation("Handing {Broker} over to {Replica}", _options.Broker, ContainerOf(handOver.To));
                _lead?.HandOver(handOver.To);
                break;
            case ReplicaEffect.Retire retire:
                Retire(retire.Failure);
                break;
            case ReplicaEffect.Note note:
                _logger.LogInformation("{Broker} on {Container}: {Note}", _options.Broker, _options.Container, note.Text);
                break;
            default:
                throw new InvalidOperationException($"unknown effect {effect.GetType().Name}");
        }
    }

    private static void Answer<T>(Dictionary<long, TaskCompletionSource<T>> waiting, long token, T answer)
    {
        TaskCompletionSource<T>? source;
        lock (waiting)
        {
            waiting.Remove(token, out source);
        }

        source?.TrySetResult(answer);
    }

    /// <summary>Asks somebody else something. No answer, for whatever reason, is an answer that the core is prepared for; it says nothing about our store.</summary>
    private void Run(string name, Func<Task> body)
    {
        var step = StepAsync(name, body);
        lock (_steps)
        {
            _steps.RemoveAll(step => step.IsCompleted);
            _steps.Add(step);
        }
    }

    /// <summary>What <see cref="Run"/> has running.</summary>
    private Task[] Steps()
    {
        lock (_steps)
        {
            return [.. _steps];
        }
    }

    private Task StepAsync(string name, Func<Task> body) => _runtime.Scheduler.Start(name, async () =>
    {
        try
        {
            await body();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The replica is going away; nobody waits for the answer.
        }
        catch (Exception exception)
        {
            _logger.LogError(exception, "{Name} failed", name);
        }
    });

    private void StartFollowing(MasterAddress master)
    {
        _follower = new Follower(_runtime, _link, _journal, master, _options, this);
        _follower.Start(new FollowHello(_log.Set.StoreId, _state.Id, _options.Container, _state.Promised, _log.Epochs));
    }

    private async Task StopFollowingAsync()
    {
        await StopCopyingAsync();
        if (_follower is { } follower)
        {
            await follower.StopAsync();
            follower.Dispose();
            _follower = null;
        }

        if (_adopting is { } adopting)
        {
            await adopting.CancelAsync();
            await _adoption;
            adopting.Dispose();
            _adopting = null;
        }
    }

    /// <summary>Waits until everything that was appended is on disk: only then does the journal stand still. It may take long, but not without progress.</summary>
    /// <exception cref="StoreException">It does not get there.</exception>
    private async Task DrainAsync()
    {
        try
        {
            await WhileDiskAnswersAsync(_journal.WaitDurableAsync(_journal.End, CancellationToken.None), CancellationToken.None);
        }
        catch (StoreUnavailableException exception)
        {
            _journal.Abandon(exception.Message);
            throw;
        }
    }

    /// <summary>Ends whatever is running, whichever role it belongs to.</summary>
    private async Task AbandonAsync(string reason)
    {
        _journal.ResignMaster(null);
        EndLead();
        await StopServingAsync(reason, handsOver: false);
        await StopFollowingAsync();
    }

    private void StartLeading(Epoch epoch)
    {
        var appended = _journal.BecomeMaster(EpochRecord.RecordKind, new EpochRecord(epoch, _state.Id).Encode());
        if (!_log.HasSetRecord)
        {
            _journal.Append(ReplicaSet.RecordKind, 0, _log.Set.Encode(), default);
        }

        var tracker = new CommitTracker(_log.Set, _state.Id, _options.Sync, epoch, appended.End, Now);
        var lead = new Lead(tracker, appended.Position, appended.End);
        _lead = lead;
        _logger.LogInformation("{Container} leads {Broker} in epoch {Epoch}", _options.Container, _options.Broker, epoch);
        Count(lead); // the record may be on disk already, before anybody counted
    }

    private void ChangeSet(ReplicaSet set)
    {
        if (_lead is not { } lead)
        {
            return;
        }

        _logger.LogInformation("The replicas of {Broker} are now {Containers}", _options.Broker, string.Join(", ", set.Members.Select(member => member.Container)));
        lead.ChangeSet(set); // before the record can be acknowledged
        _journal.Append(ReplicaSet.RecordKind, 0, set.Encode(), default);
        Count(lead);
    }

    private void EndLead()
    {
        if (_lead is { } lead)
        {
            _lead = null;
            _journal.SetHold(null);
            lead.Dispose();
        }
    }

    private void StartServing(Epoch epoch)
    {
        var lead = _lead;
        if (lead is null || lead.Epoch != epoch)
        {
            return;
        }

        _logger.LogInformation("The first record of epoch {Epoch} is committed on {Container}", epoch, _options.Container);
        _serving = new CancellationTokenSource();
        var token = _serving.Token;
        _service = _runtime.Scheduler.Start($"serve {_options.Broker}", async () =>
        {
            try
            {
                await _host.ServeAsync(epoch, lead.EpochStart, token);
                _serveProblem = null;
            }
            catch (OperationCanceledException) when (token.IsCancellationRequested)
            {
                // Mastership ended while the connectors were being opened.
            }
            catch (Exception exception)
            {
                // Its port is taken, say. Another replica may be luckier; this one goes on as its slave.
                _logger.LogError(exception, "{Broker} cannot be served on {Container}", _options.Broker, _options.Container);
                _serveProblem = $"the broker cannot be served here: {exception.Message}";
                Post(now => _core.OnServeFailed(epoch, exception.Message, now));
            }
        });
    }

    private async Task StopServingAsync(string reason, bool handsOver)
    {
        if (_serving is { } serving)
        {
            _serving = null;
            await serving.CancelAsync();
            await _service;
            serving.Dispose();
        }
        else if (!_isPrepared)
        {
            return;
        }

        _isPrepared = false;
        try
        {
            await _host.StopServingAsync(reason, handsOver).WaitAsync(_options.Times.DiskStallLimit, _runtime.Time);
        }
        catch (TimeoutException)
        {
            _logger.LogWarning("{Broker} is still closing its clients: something of theirs hangs", _options.Broker);
        }
        catch (Exception exception)
        {
            // Its journal takes nothing any more, so a broker that fails to close can confirm nothing wrong.
            _logger.LogError(exception, "{Broker} did not stop serving in order", _options.Broker);
        }
    }

    private void Retire(string? failure)
    {
        _retired = true;
        _failure ??= failure;
        if (_failure is null && _isReplaced)
        {
            _completion.TrySetException(new JournalReplacedException(_options.Broker));
        }
        else if (_failure is null)
        {
            _completion.TrySetResult();
        }
        else
        {
            _logger.LogCritical("The replica of {Broker} on {Container} is out: {Reason}", _options.Broker, _options.Container, _failure);
            _completion.TrySetException(_journal.Failure is SegmentCorruptException damage ? new SegmentCorruptException(_failure) { IsUnreadable = damage.IsUnreadable }
                : _isStoreUnavailable ? new StoreUnavailableException(_failure) : new StoreException(_failure));
        }
    }

    private string ContainerOf(ReplicaId id) => _log.Set.Members.FirstOrDefault(member => member.Id == id)?.Container ?? id.ToString();
}
