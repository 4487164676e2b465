using Fabric.Store.Copy;
using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

public sealed partial class ReplicaCore
{
    private bool _following;
    private bool _retriedBroken;
    private TimeSpan _nextFollow;
    private TimeSpan _masterHeard;
    private bool _copying; // the master we follow has cleaned away what we lack
    private TimeSpan? _nextCopy; // when to begin again; null while an attempt runs
    private string? _copyProblem; // the last one that people were told of

    /// <summary>A master took us: it leads the epoch, and our journals agree up to the common position.</summary>
    /// <param name="master">Who.</param>
    /// <param name="common">The common position.</param>
    /// <param name="copies">It has cleaned away what comes behind that: its journal has to be copied.</param>
    /// <param name="now">Monotonic time.</param>
    public void OnFollowAccepted(MasterAddress master, Position common, bool copies, TimeSpan now)
    {
        See(master.Epoch);
        if (Role is not (ReplicaRole.Electing or ReplicaRole.Promised or ReplicaRole.Slave) || !_following)
        {
            return;
        }

        if (master.Epoch < _promised)
        {
            // Its mastership is over. The attempt must end, or it would stand in the way of the next one.
            _effects.Add(new ReplicaEffect.StopFollowing());
            OnFollowEnded(master, FollowEnd.NotMaster, $"epoch {master.Epoch} is over", now);
            return;
        }

        if (common < _log.Committed)
        {
            BrokenInvariant($"{master.Container} agrees up to {common} only, but {_log.Committed} is committed", now);
            return;
        }

        Problem = null;
        Promise(master.Epoch);
        if (copies)
        {
            _effects.Add(new ReplicaEffect.Note($"{master.Container} has cleaned away what comes behind {common}: its journal is copied"));
            common = _log.Epochs.End; // ours stays as it is until then
        }

        if (common < _log.Epochs.End)
        {
            _effects.Add(new ReplicaEffect.Truncate(common));
        }

        _effects.Add(new ReplicaEffect.TakeStream(master.Epoch));
        _copying = copies;
        if (copies)
        {
            StartCopying(master);
        }
        else
        {
            _effects.Add(new ReplicaEffect.DiscardCopy());
        }

        Master = master;
        _masterHeard = now;
        _retriedBroken = false;
        Become(ReplicaRole.Slave, master.Epoch, now);
        Publish(ReplicaRole.Slave);
    }

    /// <summary>An attempt to follow, or a stream, ended.</summary>
    public void OnFollowEnded(MasterAddress master, FollowEnd end, string reason, TimeSpan now)
    {
        if (!_following || Role is not (ReplicaRole.Electing or ReplicaRole.Promised or ReplicaRole.Slave))
        {
            return;
        }

        _following = false;
        _nextFollow = now + _times.FollowRetry;
        if (end == FollowEnd.Rejected && _view.Set is { } shown && shown.StoreId != Set.StoreId)
        {
            OnStoreFailed($"{master.Container} does not accept this replica: {reason}", now);
            return;
        }

        if (end == FollowEnd.Rejected)
        {
            // The registry knows of no other store: it is another broker's replica that has got the address of a master which died.
            _effects.Add(new ReplicaEffect.Note($"{master.Container} is not at {master.Address}: {reason}"));
            end = FollowEnd.Refused;
        }

        if (end == FollowEnd.NotMember)
        {
            _nextFollow = now + _times.AdmissionRetry;
            WaitForAdmission(reason);
        }

        if (Role == ReplicaRole.Promised)
        {
            return; // the claimant has until the limit of this step; OnTick tries again
        }

        if (Role != ReplicaRole.Slave)
        {
            return;
        }

        if (end == FollowEnd.Broken && !_retriedBroken)
        {
            // A cut connection is not a dead master. A second attempt tells: a dead process refuses it at once.
            _retriedBroken = true;
            _copying = false;
            _effects.Add(new ReplicaEffect.StopFollowing());
            Follow(master, now);
            return;
        }

        _retriedBroken = false;
        Elect(now, $"{master.Container} is not reachable as master: {reason}");
    }

    /// <summary>
    /// The copy is whole: it takes the place of the journal, and this replica starts again with it. Nothing was appended or acknowledged since the master looked at the journal, and
    /// nothing will be: whatever ends that ends the attempt first, and its word does not count any more.
    /// </summary>
    public void OnCopied(WholeCopy copy, TimeSpan now)
    {
        if (Role != ReplicaRole.Slave || !_copying)
        {
            return;
        }

        LeaveRole(now, "the master's journal is copied");
        Become(ReplicaRole.Retired, Epoch, now);
        _effects.Add(new ReplicaEffect.SwitchJournal(copy));
        _effects.Add(new ReplicaEffect.Retire(null));
    }

    /// <summary>An attempt to copy came to nothing; the stream that it runs beside goes on.</summary>
    public void OnCopyEnded(string reason, TimeSpan now)
    {
        if (Role == ReplicaRole.Slave && _copying)
        {
            _nextCopy = now + _times.CopyRetry;
            if (reason != _copyProblem)
            {
                _copyProblem = reason;
                _effects.Add(new ReplicaEffect.Note($"the journal of {Master?.Container} is not copied yet: {reason}"));
            }
        }
    }

    /// <summary>Our master hands over to us.</summary>
    public void OnHandedOver(Epoch epoch, TimeSpan now)
    {
        if (Role != ReplicaRole.Slave || _copying || epoch != Epoch || !_view.Connected)
        {
            return;
        }

        Claim(NextEpoch(), now);
        _handOverClaim = true;
    }

    private void StartCopying(MasterAddress master)
    {
        _nextCopy = null;
        _effects.Add(new ReplicaEffect.StartCopying(master));
    }

    private bool HearsMaster(TimeSpan now) => Role switch
    {
        ReplicaRole.Slave => now - _masterHeard < _times.SuspectAfter && !_retriedBroken,
        ReplicaRole.Starting or ReplicaRole.Master => _majorityHeard,
        _ => false,
    };

    /// <summary>Looks whether the registry names a master that may be followed.</summary>
    private void TryKnownMaster(TimeSpan now)
    {
        if (_following || now < _nextFollow)
        {
            return;
        }

        // What was promised had its time and came to nothing, and the others go on below it. Only a new epoch lets this replica
        // follow again, so that master must hear of the promise; it refuses the hello and gives way.
        var promiseIsIdle = now - _since > _times.StepLimit;
        CandidateState? master = null;
        foreach (var candidate in _view.Candidates)
        {
            var state = candidate.State;
            if (state.Role == ReplicaRole.Master && state.Replica != _self && (state.Epoch >= _promised || promiseIsIdle)
                && (master is null || state.Epoch > master.Epoch))
            {
                master = state;
            }
        }

        if (master is not null)
        {
            Follow(new MasterAddress(master.Replica, master.Container, master.Address, master.Epoch), now);
        }
    }

    private void WaitForAdmission(string reason)
    {
        if (Problem is null)
        {
            Problem = $"{reason}: it waits until somebody adds it (fabric replica-add) or lets it take the place of another (fabric replica-replace)";
            _effects.Add(new ReplicaEffect.Note(Problem));
        }
    }

    private void Follow(MasterAddress master, TimeSpan now)
    {
        _following = true;
        _nextFollow = now + _times.FollowRetry;
        _effects.Add(new ReplicaEffect.StartFollowing(master));
    }
}
