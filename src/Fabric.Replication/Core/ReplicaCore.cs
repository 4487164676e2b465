using Fabric.Store.Journal;

namespace Fabric.Replication.Core;

/// <summary>
/// Decides for one replica what PROTOCOL.md says: when to follow, to claim, to promise, to lead and to stop. Inputs are method
/// calls, decisions come out of <see cref="TakeEffects"/>. No clock (times are passed in, monotonic), no task, no file, no
/// socket; the same inputs give the same decisions. One caller at a time.
/// </summary>
/// <remarks>
/// What must never happen: a decision that lets bytes or acknowledgements of an epoch below <c>_promised</c> pass, a promise
/// answered before it is on disk, or a lead without promises of a majority. The order of effects in each method is what
/// guarantees it: stop taking bytes, then sync the promise, then answer.
/// </remarks>
public sealed partial class ReplicaCore
{
    private readonly ReplicaId _self;
    private readonly string _container;
    private readonly string _address;
    private readonly int _weight;
    private readonly ReplicaTimes _times;
    private readonly IReplicaLog _log;
    private readonly List<ReplicaEffect> _effects = [];

    private RegistryView _view = RegistryView.None;
    private Epoch _promised;
    private Epoch _highestSeen;
    private TimeSpan _since;
    private bool _isStopping; // a resigning master leaves for good

    /// <param name="identity">Who this replica is, and where.</param>
    /// <param name="promised">From the state file.</param>
    /// <param name="log">The journal, to look at.</param>
    /// <param name="times">Times of the protocol.</param>
    public ReplicaCore(ReplicaIdentity identity, Epoch promised, IReplicaLog log, ReplicaTimes times)
    {
        (_self, _container, _address, _weight) = (identity.Id, identity.Container, identity.Address, identity.Weight);
        _promised = promised;
        _log = log;
        _times = times;
    }

    /// <summary>What this replica is.</summary>
    public ReplicaRole Role { get; private set; } = ReplicaRole.Electing;

    /// <summary>The epoch it leads, follows, claims or has promised.</summary>
    public Epoch Epoch { get; private set; }

    /// <summary>Whom it follows or has promised to; itself while it leads.</summary>
    public MasterAddress? Master { get; private set; }

    /// <summary>What keeps this replica out of the set and would have to be done; null when it is in it.</summary>
    public string? Problem { get; private set; }

    /// <summary>Whether its promises allow it to lead the current epoch.</summary>
    public bool Leads => Role is ReplicaRole.Starting or ReplicaRole.Master or ReplicaRole.Resigning;

    /// <summary>Decisions since the last call, in the order in which they are to be carried out.</summary>
    public IReadOnlyList<ReplicaEffect> TakeEffects()
    {
        ReplicaEffect[] taken = [.. _effects];
        _effects.Clear();
        return taken;
    }

    /// <summary>The first input.</summary>
    public void Start(TimeSpan now) => Elect(now, "started");

    /// <summary>The registry's picture changed, or the connection to it.</summary>
    public void OnRegistry(RegistryView view, TimeSpan now)
    {
        var isOurs = view.Epoch == _won || (Role == ReplicaRole.Claiming && view.Epoch == Epoch);
        if (_view.Connected && view.Epoch > _view.Epoch && !isOurs)
        {
            WaitWithClaim(now); // somebody claimed it: let that one try
        }

        _view = view;
        See(view.Epoch);
        if (Role == ReplicaRole.Electing)
        {
            ConsiderElection(now);
        }
    }

    /// <summary>Time passes; to be called every few tens of milliseconds.</summary>
    /// <param name="now">Monotonic time.</param>
    /// <param name="heard">What was heard meanwhile.</param>
    public void OnTick(TimeSpan now, Heard heard)
    {
        switch (Role)
        {
            case ReplicaRole.Electing:
                ConsiderElection(now);
                break;
            case ReplicaRole.Claiming or ReplicaRole.Candidate or ReplicaRole.Promised when now - _since > _times.StepLimit:
                Elect(now, $"epoch {Epoch} came to nothing in time");
                break;
            case ReplicaRole.Promised when !_following && now >= _nextFollow:
                Follow(Master!, now);
                break;
            case ReplicaRole.Slave when now - heard.Master > _times.SuspectAfter:
                _masterHeard = heard.Master;
                Elect(now, $"nothing heard from {Master?.Container} since {(now - heard.Master).TotalSeconds:0.0} s");
                break;
            case ReplicaRole.Slave:
                _masterHeard = heard.Master;
                if (_copying && _nextCopy <= now)
                {
                    StartCopying(Master!);
                }

                break;
            case ReplicaRole.Starting or ReplicaRole.Master:
                WatchLead(now, heard);
                ConsiderChange(now, heard);
                break;
            case ReplicaRole.Resigning:
                ConsiderHandOver(now, heard);
                break;
            default:
                break;
        }
    }

    /// <summary>The journal failed: this replica can neither lead nor follow.</summary>
    public void OnStoreFailed(string reason, TimeSpan now)
    {
        if (Role == ReplicaRole.Retired)
        {
            return;
        }

        LeaveRole(now, $"the store failed: {reason}");
        Become(ReplicaRole.Retired, Epoch, now);
        _effects.Add(new ReplicaEffect.Retire(reason));
    }

    /// <summary>Stop for good: hands over first when it leads.</summary>
    public void OnStop(TimeSpan now)
    {
        switch (Role)
        {
            case ReplicaRole.Retired:
                break;
            case ReplicaRole.Resigning:
                _isStopping = true;
                break;
            case ReplicaRole.Master:
                _isStopping = true;
                Resign("stopping", now);
                break;
            default:
                LeaveRole(now, "stopping");
                Become(ReplicaRole.Retired, Epoch, now);
                _effects.Add(new ReplicaEffect.Retire(null));
                break;
        }
    }

    /// <summary>Ends whatever the present role has running, in the safe order.</summary>
    private void LeaveRole(TimeSpan now, string reason)
    {
        switch (Role)
        {
            case ReplicaRole.Slave or ReplicaRole.Promised or ReplicaRole.Electing:
                _effects.Add(new ReplicaEffect.StopFollowing());
                break;
            case ReplicaRole.Claiming:
                _effects.Add(new ReplicaEffect.StopServing(reason));
                break;
            case ReplicaRole.Candidate:
                _effects.Add(new ReplicaEffect.StopServing(reason));
                _effects.Add(new ReplicaEffect.StopFollowing());
                break;
            case ReplicaRole.Starting or ReplicaRole.Master or ReplicaRole.Resigning:
                _effects.Add(new ReplicaEffect.StopServing(reason));
                _effects.Add(new ReplicaEffect.StopLeading());
                break;
            default:
                break;
        }

        RefuseWaitingSlaves();
        _following = false;
        _copying = false;
        _nextFollow = now;
    }

    /// <summary>The set that counts for what this replica does; read anew each time, because it changes with the journal.</summary>
    private ReplicaSet Set => _log.Set;

    private void Become(ReplicaRole role, Epoch epoch, TimeSpan now)
    {
        Role = role;
        Epoch = epoch;
        _since = now;
    }

    private void See(Epoch epoch)
    {
        if (epoch > _highestSeen)
        {
            _highestSeen = epoch;
        }
    }

    private void Publish(ReplicaRole role) => _effects.Add(new ReplicaEffect.Publish(State(role, Epoch.None)));

    private CandidateState State(ReplicaRole role, Epoch round)
    {
        var epochs = _log.Epochs;
        return new CandidateState(_self, _container, _address, _weight, role, round, epochs.Last, epochs.End, Epoch);
    }

    private void Promise(Epoch epoch)
    {
        if (epoch > _promised)
        {
            _promised = epoch;
            _effects.Add(new ReplicaEffect.PersistPromise(epoch));
        }

        See(epoch);
    }
}

/// <summary>Who a replica is.</summary>
/// <param name="Id">Its disk.</param>
/// <param name="Container">Its container.</param>
/// <param name="Address">Where its replication service listens, <c>host:port</c>.</param>
/// <param name="Weight">Tie-break between equal journals; higher wins; default 1.</param>
public sealed record ReplicaIdentity(ReplicaId Id, string Container, string Address, int Weight = 1);

/// <summary>What a replica heard, for <see cref="ReplicaCore.OnTick"/>.</summary>
/// <param name="Master">When the master was last heard, if it follows one.</param>
/// <param name="MajorityHeard">Whether a majority was heard within the lease, if it leads.</param>
/// <param name="DiskStalled">Since when writes are pending without progress; zero when none are.</param>
/// <param name="IsSpaceLow">Whether its disk is nearly full, so that producers wait.</param>
/// <param name="IsSpaceExhausted">Whether half of what is kept for acknowledgements is used up, too.</param>
/// <param name="BestSlave">The attached slave to hand over to, if it leads.</param>
/// <param name="InSync">Those that follow and lack little, learners included, if it leads.</param>
public readonly record struct Heard(
    TimeSpan Master, bool MajorityHeard, TimeSpan DiskStalled, bool IsSpaceLow, bool IsSpaceExhausted, SuccessorSlave? BestSlave, IReadOnlyList<ReplicaId> InSync);
