using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

public sealed partial class ReplicaCore
{
    private readonly List<(long Token, FollowHello Hello)> _waitingSlaves = [];

    private bool _adopting;
    private bool _majorityHeard;
    private TimeSpan? _handedOver;
    private TimeSpan? _overtaken;
    private TimeSpan? _spaceLow; // since when
    private TimeSpan _nextHandOver;

    /// <summary>A slave wants to follow.</summary>
    public void OnSlaveHello(long token, FollowHello hello, TimeSpan now)
    {
        See(hello.Promised);
        if (hello.StoreId != Set.StoreId)
        {
            Refuse(token, FollowRefusal.ForeignStore, $"its store is {hello.StoreId:N}, ours is {Set.StoreId:N}");
        }
        else if (Role is ReplicaRole.Claiming or ReplicaRole.Candidate)
        {
            _waitingSlaves.Add((token, hello));
        }
        else if (!Leads)
        {
            Refuse(token, FollowRefusal.NotMaster, Master is null ? "no master is known" : $"{Master.Container} is");
        }
        else if (hello.Promised > Epoch)
        {
            Refuse(token, FollowRefusal.NotMaster, $"epoch {Epoch} is over");
            Elect(now, $"{hello.Container} has promised epoch {hello.Promised}");
        }
        else if (Set.Contains(hello.Replica) || TakeLearner(hello))
        {
            Accept(token, hello);
        }
        else
        {
            Refuse(token, FollowRefusal.NotMember, $"replica {hello.Replica} on {hello.Container} is not in the replica set of epoch {Epoch}");
        }
    }

    /// <summary>The Epoch record is committed and applied: serve.</summary>
    public void OnEpochCommitted(Epoch epoch, TimeSpan now)
    {
        if (Role == ReplicaRole.Starting && epoch == Epoch)
        {
            Become(ReplicaRole.Master, epoch, now);
            _spaceLow = null;
            _effects.Add(new ReplicaEffect.Serve(epoch));
        }
    }

    /// <summary>The broker could not be opened: let another replica lead, and do not claim again soon.</summary>
    public void OnServeFailed(Epoch epoch, string reason, TimeSpan now)
    {
        if (Role == ReplicaRole.Master && epoch == Epoch)
        {
            _nextClaim = now + _times.ServeRetry;
            Elect(now, $"the broker cannot be served: {reason}");
        }
    }

    private void WatchLead(TimeSpan now, Heard heard)
    {
        _majorityHeard = heard.MajorityHeard;
        _overtaken = _view.Connected && _view.Epoch > Epoch ? _overtaken ?? now : null;
        if (!heard.MajorityHeard)
        {
            Elect(now, $"no majority heard for {_times.Lease.TotalSeconds:0.#} s");
        }
        else if (heard.DiskStalled > _times.DiskStallLimit)
        {
            Elect(now, $"the disk made no progress for {heard.DiskStalled.TotalSeconds:0.#} s");
        }
        else if (now - _overtaken > _times.StepLimit)
        {
            // Whoever claimed it had its time. The registry lets no lower epoch publish its services, so clients would not find us.
            Elect(now, $"epoch {_view.Epoch} was claimed and is not used");
        }
        else if (Role == ReplicaRole.Master)
        {
            WatchSpace(now, heard);
        }
    }

    /// <summary>Producers that wait for room on this disk need not wait when another has some.</summary>
    private void WatchSpace(TimeSpan now, Heard heard)
    {
        _spaceLow = heard.IsSpaceLow ? _spaceLow ?? now : null;
        if ((heard.IsSpaceExhausted || now - _spaceLow > _times.SpacePatience) && heard.BestSlave is { HasRoom: true } && now >= _nextHandOver)
        {
            Resign("the disk is nearly full, and a slave's is not", now);
        }
    }

    /// <summary>Stops serving in order to hand over.</summary>
    private void Resign(string reason, TimeSpan now)
    {
        _nextHandOver = now + _times.HandOverPause;
        Become(ReplicaRole.Resigning, Epoch, now);
        _handedOver = null;
        _effects.Add(new ReplicaEffect.StopServing(reason, HandsOver: true));
    }

    /// <summary>
    /// While resigning: hand over when the best slave has everything, and again if that came to nothing (it claims with what it knows of
    /// the registry, which may be old). Give up when none takes over in time.
    /// </summary>
    private void ConsiderHandOver(TimeSpan now, Heard heard)
    {
        if (now - _since > _times.HandOverLimit || (heard.BestSlave is null && _handedOver is null))
        {
            EndHandOver(now);
        }
        else if (heard.BestSlave is { } best && best.Durable >= _log.Epochs.End
            && (_handedOver is null || now - _handedOver.Value > _times.ClaimStagger))
        {
            _handedOver = now;
            _effects.Add(new ReplicaEffect.HandOver(best.Id));
        }
    }

    private void EndHandOver(TimeSpan now)
    {
        if (!_isStopping)
        {
            Elect(now, "no slave took over");
            return;
        }

        _effects.Add(new ReplicaEffect.Note("no slave took over; stopping without a hand-over"));
        _effects.Add(new ReplicaEffect.StopLeading());
        Become(ReplicaRole.Retired, Epoch, now);
        _effects.Add(new ReplicaEffect.Retire(null));
    }

    private void AcceptWaitingSlaves(TimeSpan now)
    {
        (long Token, FollowHello Hello)[] waiting = [.. _waitingSlaves];
        _waitingSlaves.Clear();
        foreach (var (token, hello) in waiting)
        {
            OnSlaveHello(token, hello, now);
        }
    }

    private void RefuseWaitingSlaves()
    {
        foreach (var (token, _) in _waitingSlaves)
        {
            Refuse(token, FollowRefusal.NotMaster, "the claim came to nothing");
        }

        _waitingSlaves.Clear();
    }

    private void Accept(long token, FollowHello hello)
    {
        var common = hello.IsDamaged ? Position.Zero : _log.Epochs.CommonEnd(hello.Epochs);
        _effects.Add(new ReplicaEffect.AcceptSlave(token, Epoch, common, Copies: hello.IsDamaged || common < _log.First));
    }

    private void Refuse(long token, FollowRefusal refusal, string reason) =>
        _effects.Add(new ReplicaEffect.RefuseSlave(token, refusal, reason, _promised));
}
