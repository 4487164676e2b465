namespace Fabric.Replication.Core;

/// <summary>How the replica set changes (PROTOCOL.md, "Changing the set").</summary>
public sealed partial class ReplicaCore
{
    private ReplicaMember? _learner;
    private TimeSpan _nextShow;
    private string? _changeProblem; // the last one that people were told of

    private bool TakeLearner(FollowHello hello)
    {
        if (_view.Change is not { } change || change.Add != hello.Container || IsAdded(change, Set) || change.Remove == hello.Replica)
        {
            return false;
        }

        if (_learner is { } other && other.Id != hello.Replica)
        {
            _effects.Add(new ReplicaEffect.DropLearner(other.Id)); // the container has another disk by now
        }

        _learner = new ReplicaMember(hello.Replica, hello.Container);
        _effects.Add(new ReplicaEffect.TakeLearner(_learner));
        return true;
    }

    /// <summary>Takes the next step of what was asked for; to be called while it leads.</summary>
    private void ConsiderChange(TimeSpan now, Heard heard)
    {
        if (Role != ReplicaRole.Master || !_view.Connected)
        {
            return;
        }

        var (set, change) = (Set, _view.Change);
        if (_learner is { } learner && (set.Contains(learner.Id) || change?.Add != learner.Container))
        {
            _learner = null;
            if (!set.Contains(learner.Id))
            {
                _effects.Add(new ReplicaEffect.DropLearner(learner.Id));
            }
        }

        if (!_log.IsSetCommitted)
        {
            return;
        }

        var done = change is not null && IsAdded(change, set) && IsRemoved(change, set);
        if (change is not null && !done)
        {
            Step(change, set, now, heard);
        }

        var isShown = _view.Set is { } shown && (shown.StoreId != set.StoreId || shown.Members.SequenceEqual(set.Members));
        if (_log.IsSetCommitted && Role == ReplicaRole.Master && (done || !isShown) && now >= _nextShow)
        {
            _nextShow = now + _times.StepLimit;
            _effects.Add(new ReplicaEffect.ShowSet(Epoch, set, done ? change!.Id : null));
        }
    }

    private void Step(ReplicaSetChange change, ReplicaSet set, TimeSpan now, Heard heard)
    {
        var isAdded = IsAdded(change, set);
        if (!isAdded && (_learner is null || !heard.InSync.Contains(_learner.Id)))
        {
            Wait(_learner is null ? $"no replica on {change.Add} has come to be added" : $"the replica on {change.Add} catches up");
        }
        else if (!isAdded && (IsRemoved(change, set) || change.Remove == _self || heard.InSync.Contains(change.Remove!.Value) || set.Members.Count == 2))
        {
            // The last case: of two, the one that is left would confirm what is on its own disk only.
            ChangeSet(set.With(_learner!), heard);
        }
        else if (change.Remove == _self)
        {
            if (heard.BestSlave is not null && now >= _nextHandOver)
            {
                Resign("it is to be removed from the replica set", now); // it would have to count for a set that it is not in; the next master removes it
            }
        }
        else
        {
            ChangeSet(set.Without(change.Remove!.Value), heard);
        }
    }

    private void ChangeSet(ReplicaSet next, Heard heard)
    {
        var present = next.Members.Count(member => member.Id == _self || heard.InSync.Contains(member.Id));
        if (present < next.Majority)
        {
            Wait($"{present} of its {next.Members.Count} members would be in sync, and it needs {next.Majority}");
            return;
        }

        _changeProblem = null;
        _nextShow = TimeSpan.Zero;
        _effects.Add(new ReplicaEffect.ChangeSet(next));
    }

    private void Wait(string reason)
    {
        if (_changeProblem != reason)
        {
            _changeProblem = reason;
            _effects.Add(new ReplicaEffect.Note($"the replica set is not changed yet: {reason}"));
        }
    }

    private static bool IsAdded(ReplicaSetChange change, ReplicaSet set) =>
        change.Add is null || set.Members.Any(member => member.Container == change.Add && member.Id != change.Remove);

    private static bool IsRemoved(ReplicaSetChange change, ReplicaSet set) => change.Remove is null || !set.Contains(change.Remove.Value);
}
