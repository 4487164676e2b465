using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

/// <summary>
/// Counts acknowledgements of one mastership and says what is committed (rule R4). It owns no clock and no thread: the caller
/// passes times and uses one lock.
/// </summary>
public sealed class CommitTracker
{
    private readonly ReplicaId _selfId;
    private readonly SyncPolicy _policy;
    private readonly Position _epochEnd;
    private ReplicaSet _set;
    private Slot[] _slots; // of the members, in the order of the set; then of learners
    private Position[] _scratch;
    private int _self;

    /// <param name="set">Who counts.</param>
    /// <param name="self">The master; a member of the set.</param>
    /// <param name="policy">What an acknowledgement is worth.</param>
    /// <param name="epoch">The epoch that is led.</param>
    /// <param name="epochEnd">End of its Epoch record: nothing is committed before a majority has that.</param>
    /// <param name="now">Monotonic time; all members count as heard now.</param>
    public CommitTracker(
        ReplicaSet set, ReplicaId self, SyncPolicy policy, Epoch epoch, Position epochEnd, TimeSpan now)
    {
        _set = set;
        _selfId = self;
        _policy = policy;
        _epochEnd = epochEnd;
        Epoch = epoch;
        _slots = [.. set.Members.Select(member => new Slot(member) { LastHeard = now })];
        _scratch = new Position[_slots.Length];
        _self = IndexOf(self);
        if (_self < 0)
        {
            throw new ArgumentException($"{self} is not a member of the replica set", nameof(self));
        }
    }

    public Epoch Epoch { get; }

    /// <summary>End of the committed part; grows only.</summary>
    public Position Committed { get; private set; }

    /// <summary>From now on another set counts. Who is in neither is a learner no more, and nothing that it says is taken in.</summary>
    /// <param name="set">The present one with one member more, who was a learner, or one less; the master is in it.</param>
    public void Change(ReplicaSet set)
    {
        var learners = _slots.Skip(_set.Members.Count).Where(slot => !set.Contains(slot.Member.Id));
        _slots = [.. set.Members.Select(member => _slots[IndexOf(member.Id)]), .. learners];
        _scratch = new Position[set.Members.Count];
        _set = set;
        _self = IndexOf(_selfId);
    }

    /// <summary>Keeps account of one that is no member and counts for nothing.</summary>
    public void TakeLearner(ReplicaMember learner)
    {
        if (IndexOf(learner.Id) < 0)
        {
            _slots = [.. _slots, new Slot(learner)];
        }
    }

    /// <summary>Forgets a learner; a member stays.</summary>
    public void DropLearner(ReplicaId learner)
    {
        if (!_set.Contains(learner))
        {
            _slots = [.. _slots.Where(slot => slot.Member.Id != learner)];
        }
    }

    /// <summary>Whether it is a member or a learner.</summary>
    public bool Knows(ReplicaId replica) => IndexOf(replica) >= 0;

    /// <summary>Takes in how far the master itself is.</summary>
    /// <returns>Whether <see cref="Committed"/> moved.</returns>
    public bool OnLocal(Position written, Position durable)
    {
        Advance(ref _slots[_self], written, durable);
        return Recount();
    }

    /// <summary>
    /// Takes in an acknowledgement that came by a stream of this epoch. One of nothing, as by a slave that copies the journal first, says that it is there and no more.
    /// </summary>
    /// <param name="slave">Whose it is.</param>
    /// <param name="received">What it has.</param>
    /// <param name="durable">What it has synced.</param>
    /// <param name="isNewest">Whether its stream is the slave's newest one that goes on: only that one says whether the slave follows.</param>
    /// <param name="now">Monotonic time.</param>
    /// <returns>Whether <see cref="Committed"/> moved.</returns>
    public bool OnAcknowledged(ReplicaId slave, Position received, Position durable, bool isNewest, TimeSpan now)
    {
        var index = IndexOf(slave);
        if (index < 0)
        {
            return false; // it was removed
        }

        ref var slot = ref _slots[index];
        slot.LastHeard = now;
        slot.Attached = isNewest ? received > Position.Zero : slot.Attached;
        Advance(ref slot, received, durable);
        return Recount();
    }

    /// <summary>Takes in whether a slave's disk is nearly full.</summary>
    public void OnSpace(ReplicaId slave, bool isLow)
    {
        if (IndexOf(slave) is >= 0 and var index)
        {
            _slots[index].IsSpaceLow = isLow;
        }
    }

    /// <summary>A slave has lost what it acknowledged: it counts for nothing any more. What is committed stays so.</summary>
    public void Forget(ReplicaId slave)
    {
        if (IndexOf(slave) is >= 0 and var index)
        {
            ref var slot = ref _slots[index];
            (slot.Received, slot.Durable, slot.Attached) = (Position.Zero, Position.Zero, false);
        }
    }

    /// <summary>The stream of a slave ended: it is no longer in sync, what it acknowledged stays true.</summary>
    public void OnDetached(ReplicaId slave)
    {
        if (IndexOf(slave) is >= 0 and var index)
        {
            _slots[index].Attached = false;
        }
    }

    /// <summary>Whether a majority, the master included, was heard at or after the given time.</summary>
    public bool MajorityHeardSince(TimeSpan since)
    {
        var count = 0;
        for (var i = 0; i < _scratch.Length; i++)
        {
            if (i == _self || _slots[i].LastHeard >= since)
            {
                count++;
            }
        }

        return count >= _set.Majority;
    }

    /// <summary>The attached slave to hand over to, null when none is attached: of those whose disk has room, if any, the one that has most.</summary>
    public SuccessorSlave? BestSlave()
    {
        SuccessorSlave? best = null;
        for (var i = 0; i < _scratch.Length; i++)
        {
            ref readonly var slot = ref _slots[i];
            if (i != _self && slot.Attached && (best is null || (!slot.IsSpaceLow, slot.Durable).CompareTo((best.HasRoom, best.Durable)) > 0))
            {
                best = new SuccessorSlave(slot.Member.Id, slot.Durable, !slot.IsSpaceLow);
            }
        }

        return best;
    }

    /// <summary>The position that every member of the set has synced; what lies before it no replica needs from another.</summary>
    public Position DurableEverywhere()
    {
        var least = _slots[0].Durable;
        foreach (ref readonly var slot in _slots.AsSpan(0, _scratch.Length))
        {
            least = Position.Min(least, slot.Durable);
        }

        return least;
    }

    /// <summary>What the attached slave (or learner) that has least has synced; null when none is attached.</summary>
    public Position? LeastAttached()
    {
        Position? least = null;
        for (var i = 0; i < _slots.Length; i++)
        {
            if (i != _self && _slots[i].Attached && !(_slots[i].Durable > least))
            {
                least = _slots[i].Durable;
            }
        }

        return least;
    }

    /// <summary>How far each slave is, in the order of the set; then the learners.</summary>
    public IReadOnlyList<SlaveProgress> Slaves()
    {
        var slaves = new List<SlaveProgress>(_slots.Length - 1);
        for (var i = 0; i < _slots.Length; i++)
        {
            if (i != _self)
            {
                slaves.Add(new SlaveProgress(_slots[i].Member, _slots[i].Attached, _slots[i].Durable, IsMember: i < _scratch.Length));
            }
        }

        return slaves;
    }

    private static void Advance(ref Slot slot, Position received, Position durable)
    {
        slot.Received = Position.Max(slot.Received, Position.Max(received, durable));
        slot.Durable = Position.Max(slot.Durable, durable);
    }

    private int IndexOf(ReplicaId id)
    {
        for (var i = 0; i < _slots.Length; i++)
        {
            if (_slots[i].Member.Id == id)
            {
                return i;
            }
        }

        return -1;
    }

    private bool Recount()
    {
        var candidate = Countable();
        if (candidate < _epochEnd || candidate <= Committed)
        {
            return false;
        }

        Committed = candidate;
        return true;
    }

    private Position Countable()
    {
        var local = _policy.HasFlag(SyncPolicy.LocalDisk) ? _slots[_self].Durable : _slots[_self].Received;
        var askSlaves = (_policy & (SyncPolicy.RemoteMem | SyncPolicy.RemoteDisk)) != 0;
        if (!askSlaves)
        {
            return local;
        }

        var disk = _policy.HasFlag(SyncPolicy.RemoteDisk);
        var askLocal = (_policy & (SyncPolicy.LocalMem | SyncPolicy.LocalDisk)) != 0;
        for (var i = 0; i < _scratch.Length; i++)
        {
            _scratch[i] = i == _self ? local : disk ? _slots[i].Durable : _slots[i].Received;
        }

        if (!askLocal)
        {
            _scratch[_self] = _slots[_self].Received; // what is in its file
        }

        // The majority-th greatest position is held by a majority. Sets are tiny.
        Array.Sort(_scratch);
        return _scratch[^_set.Majority];
    }

    private struct Slot(ReplicaMember member)
    {
        public readonly ReplicaMember Member = member;
        public Position Received;
        public Position Durable;
        public TimeSpan LastHeard;
        public bool Attached;
        public bool IsSpaceLow;
    }
}

/// <summary>A slave to hand over to.</summary>
/// <param name="Id">Which one.</param>
/// <param name="Durable">What it has acknowledged as synced.</param>
/// <param name="HasRoom">Whether its disk is not nearly full.</param>
public sealed record SuccessorSlave(ReplicaId Id, Position Durable, bool HasRoom);

/// <summary>How far a slave is.</summary>
/// <param name="Member">Which one.</param>
/// <param name="Attached">Whether it follows at present.</param>
/// <param name="Durable">What it has acknowledged as synced.</param>
/// <param name="IsMember">Whether it counts; otherwise it is a learner.</param>
public sealed record SlaveProgress(ReplicaMember Member, bool Attached, Position Durable, bool IsMember)
{
    private const long InSyncBytes = 1024 * 1024;

    /// <summary>Whether it follows and lacks at most a batch or two of a journal that ends at the position.</summary>
    public bool IsInSync(Position end) => Attached && end - Durable < InSyncBytes;
}
