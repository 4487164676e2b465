using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

public sealed partial class ReplicaCore
{
    private readonly SortedDictionary<ReplicaId, EpochTable> _promises = [];

    private Epoch _publishedRound;
    private TimeSpan? _majoritySince;
    private TimeSpan _nextClaim;
    private bool _handOverClaim;
    private Epoch _won; // the last claim that was ours

    /// <summary>The versioned write of the epoch ended.</summary>
    /// <param name="epoch">The epoch that was to be claimed.</param>
    /// <param name="won">Whether it is ours.</param>
    /// <param name="now">Monotonic time.</param>
    public void OnClaimEnded(Epoch epoch, bool won, TimeSpan now)
    {
        if (Role != ReplicaRole.Claiming || epoch != Epoch)
        {
            return;
        }

        _won = won ? epoch : _won;
        if (!won || epoch <= _promised)
        {
            See(epoch);
            Elect(now, won ? $"a higher epoch than {epoch} was promised meanwhile" : $"epoch {epoch} was not to be had");
            return;
        }

        // The others sync their promises while this replica syncs its own; nothing they answer is looked at before that.
        Become(ReplicaRole.Candidate, epoch, now);
        _effects.Add(new ReplicaEffect.RequestPromises(new PromiseRequest(SelfAsMaster(epoch), _handOverClaim)));
        Promise(epoch);
        _promises.Clear();
        _promises[_self] = _log.Epochs;
        ConsiderLead(now);
    }

    /// <summary>A member answered our claim.</summary>
    public void OnPromiseReplied(Epoch epoch, PromiseReply reply, TimeSpan now)
    {
        See(reply.Promised);
        if (Role != ReplicaRole.Candidate || epoch != Epoch || _adopting)
        {
            return;
        }

        if (reply.Granted)
        {
            _promises[reply.Replica] = reply.Epochs; // counted if it is a member: another disk may answer at a member's address
            ConsiderLead(now);
        }
        else if (reply.Promised > epoch || reply.MasterAlive)
        {
            // Who hears its master has published that it does not before it stopped, or before it began: the next round needs its word anew, which is wait enough.
            var isOvertaken = reply.Promised > epoch;
            Elect(now, isOvertaken ? $"epoch {reply.Promised} was promised to another" : "a member hears its master", waits: isOvertaken);
        }
    }

    /// <summary>The better tail that R2 asks for is here, or is not to be had.</summary>
    public void OnAdopted(Epoch epoch, bool succeeded, TimeSpan now)
    {
        if (Role != ReplicaRole.Candidate || epoch != Epoch || !_adopting)
        {
            return;
        }

        _adopting = false;
        if (!succeeded)
        {
            Elect(now, "the tail of the best journal could not be fetched");
            return;
        }

        _promises[_self] = _log.Epochs;
        if (!HasMajority())
        {
            // The tail names a set that we had not heard of.
            _effects.Add(new ReplicaEffect.RequestPromises(new PromiseRequest(SelfAsMaster(epoch), _handOverClaim)));
        }

        ConsiderLead(now);
    }

    /// <summary>Somebody claims an epoch and asks for our promise.</summary>
    /// <param name="request">The claim.</param>
    /// <param name="token">Names the request in the answer.</param>
    /// <param name="now">Monotonic time.</param>
    public void OnPromiseRequested(PromiseRequest request, long token, TimeSpan now)
    {
        var candidate = request.Candidate;
        See(candidate.Epoch);
        var repeated = candidate.Epoch == _promised && Master?.Replica == candidate.Replica && Role == ReplicaRole.Promised;
        var alive = !request.HandOver && HearsMaster(now);
        if (Role == ReplicaRole.Retired || alive || (candidate.Epoch <= _promised && !repeated))
        {
            _effects.Add(new ReplicaEffect.RefusePromise(
                token, new PromiseReply(_self, false, _promised, alive, EpochTable.Empty)));
            return;
        }

        var leaving = Role == ReplicaRole.Resigning && _isStopping;
        LeaveRole(now, $"epoch {candidate.Epoch} is claimed by {candidate.Container}");
        Promise(candidate.Epoch);
        Master = candidate;
        _effects.Add(new ReplicaEffect.GrantPromise(token));
        if (leaving)
        {
            Become(ReplicaRole.Retired, candidate.Epoch, now);
            _effects.Add(new ReplicaEffect.Retire(null));
            return;
        }

        Become(ReplicaRole.Promised, candidate.Epoch, now);
        Follow(candidate, now);
    }

    /// <summary>Asks for a promise of no epoch, which everybody refuses and which changes nothing: to see whether somebody is there.</summary>
    public PromiseRequest Question() => new(SelfAsMaster(Epoch.None), HandOver: false);

    /// <summary>The answer that grants, to be made when the effects before it are carried out and the journal stands still.</summary>
    public PromiseReply Grant() => new(_self, true, _promised, false, _log.Epochs);

    /// <summary>What a candidate publishes, to be read at the same moment.</summary>
    public CandidateState Candidacy(Epoch round) => State(ReplicaRole.Electing, round);

    /// <summary>Goes back to having no master, for the reason given.</summary>
    /// <param name="now">Monotonic time.</param>
    /// <param name="reason">For people.</param>
    /// <param name="waits">Whether a claim that failed is to let others go first.</param>
    private void Elect(TimeSpan now, string reason, bool waits = true)
    {
        if (waits && Role is ReplicaRole.Claiming or ReplicaRole.Candidate)
        {
            WaitWithClaim(now); // a failed claim must not chase the next one
        }

        LeaveRole(now, reason);
        _effects.Add(new ReplicaEffect.Note(reason));
        _adopting = false;
        _handOverClaim = false;
        _publishedRound = Epoch.None;
        _majoritySince = null;
        Master = null;
        Become(ReplicaRole.Electing, _promised, now);
        ConsiderElection(now);
    }

    private void ConsiderElection(TimeSpan now)
    {
        if (!_view.Connected)
        {
            TryKnownMaster(now);
            return;
        }

        var round = NextEpoch();
        if (_publishedRound != round)
        {
            _publishedRound = round;
            _majoritySince = null;
            _effects.Add(new ReplicaEffect.PublishCandidacy(round));
        }

        var candidates = RankedCandidates(round);
        if (candidates.Count < Set.Majority || !Set.Contains(_self))
        {
            _majoritySince = null;
            TryKnownMaster(now);
            return;
        }

        _majoritySince ??= now;
        var rank = candidates.FindIndex(candidate => candidate.State.Replica == _self);
        if (rank >= 0 && now >= _nextClaim && now - _majoritySince.Value >= rank * _times.ClaimStagger)
        {
            Claim(round, now);
        }
    }

    private void WaitWithClaim(TimeSpan now)
    {
        var next = now + _times.ClaimStagger;
        _nextClaim = next > _nextClaim ? next : _nextClaim;
    }

    private void Claim(Epoch epoch, TimeSpan now)
    {
        LeaveRole(now, "claiming");
        Become(ReplicaRole.Claiming, epoch, now);
        _effects.Add(new ReplicaEffect.PrepareServing());
        _effects.Add(new ReplicaEffect.ClaimEpoch(epoch, _view.EpochVersion));
    }

    /// <summary>
    /// The epoch to claim next: above what the registry, any peer and this replica's own promise know, so that a registry
    /// that was restored from an old backup cannot make an epoch appear twice.
    /// </summary>
    private Epoch NextEpoch()
    {
        var highest = _view.Epoch;
        highest = _promised > highest ? _promised : highest;
        highest = _log.Epochs.Last > highest ? _log.Epochs.Last : highest;
        return (_highestSeen > highest ? _highestSeen : highest).Next;
    }

    private List<PublishedCandidate> RankedCandidates(Epoch round)
    {
        var candidates = new List<PublishedCandidate>();
        foreach (var member in Set.Members)
        {
            // A replica that crashed and came back may be there twice until its old session expires; its newest word counts.
            var newest = _view.Candidates.Where(candidate => candidate.State.Replica == member.Id).MaxBy(candidate => candidate.Sequence);
            if (newest is not null && newest.State.Role == ReplicaRole.Electing && newest.State.Round >= round)
            {
                candidates.Add(newest);
            }
        }

        candidates.Sort(static (left, right) =>
        {
            var byEpoch = right.State.LastEpoch.CompareTo(left.State.LastEpoch);
            var byEnd = byEpoch != 0 ? byEpoch : right.State.End.CompareTo(left.State.End);
            var byWeight = byEnd != 0 ? byEnd : right.State.Weight.CompareTo(left.State.Weight);
            return byWeight != 0 ? byWeight : left.Sequence.CompareTo(right.Sequence);
        });
        return candidates;
    }

    private void ConsiderLead(TimeSpan now)
    {
        if (!Set.Contains(_self))
        {
            Elect(now, "the best journal names a replica set that this replica is not in");
            return;
        }

        if (!HasMajority())
        {
            return;
        }

        var (best, table) = (_self, _promises[_self]);
        foreach (var (replica, epochs) in _promises)
        {
            if (epochs.IsBetterThan(table))
            {
                (best, table) = (replica, epochs);
            }
        }

        if (best == _self)
        {
            Lead(now);
            return;
        }

        var common = _log.Epochs.CommonEnd(table);
        if (common < _log.Committed)
        {
            BrokenInvariant($"the best journal parts from ours at {common}, but {_log.Committed} is committed", now);
            return;
        }

        _adopting = true;
        _effects.Add(new ReplicaEffect.Adopt(Epoch, best, common, table.End));
    }

    private bool HasMajority() => _promises.Keys.Count(Set.Contains) >= Set.Majority;

    private void Lead(TimeSpan now)
    {
        Master = SelfAsMaster(Epoch);
        _majorityHeard = false; // what was heard in an earlier epoch says nothing about this one
        _overtaken = null;
        Become(ReplicaRole.Starting, Epoch, now);
        _effects.Add(new ReplicaEffect.StartLeading(Epoch));
        Publish(ReplicaRole.Master);
        AcceptWaitingSlaves(now);
    }

    private void BrokenInvariant(string what, TimeSpan now) => OnStoreFailed($"a committed record would be lost: {what}", now);

    private MasterAddress SelfAsMaster(Epoch epoch) => new(_self, _container, _address, epoch);
}
