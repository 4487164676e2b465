using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>What the replicas of one broker need of a registry, in memory. A dead replica's entry stays until it is expired.</summary>
internal sealed class MemoryRegistry(int expected)
{
    private readonly Lock _gate = new();
    private readonly List<MemoryCoordinator> _members = [];
    private readonly Dictionary<ReplicaId, string> _forming = [];
    private readonly TaskCompletionSource<ReplicaSet> _formed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Epoch _epoch;
    private int _version;
    private long _sequence;

    public bool Available { get; private set; } = true;

    /// <summary>What a container is made to believe instead of the truth.</summary>
    public Func<string, RegistryView, RegistryView>? Distort { get; set; }

    /// <summary>Is called for each claim, and may throw.</summary>
    public Action OnClaim { get; set; } = static () => { };

    /// <summary>Is called for each state that is published, and for each report of slaves; may throw.</summary>
    public Action<string> OnWrite { get; set; } = static _ => { };

    /// <summary>Claims that were refused.</summary>
    public int RefusedClaims { get; private set; }

    public MemoryCoordinator Create(string container) => new(this, container);

    /// <summary>Takes the registry away, or brings it back.</summary>
    public void SetAvailable(bool available)
    {
        lock (_gate)
        {
            Available = available;
        }

        Announce();
    }

    /// <summary>Somebody claims the next epoch and is not heard of again.</summary>
    /// <returns>The epoch.</returns>
    public Epoch ClaimForNobody()
    {
        Epoch claimed;
        lock (_gate)
        {
            claimed = _epoch = _epoch.Next;
            _version++;
        }

        Announce();
        return claimed;
    }

    /// <summary>How many have said that they are there, for the first set.</summary>
    public int Forming
    {
        get
        {
            lock (_gate)
            {
                return _forming.Count;
            }
        }
    }

    /// <summary>The replica set that it shows.</summary>
    public ReplicaSet? Set { get; private set; }

    /// <summary>The change that was asked for and is not done.</summary>
    public ReplicaSetChange? Change { get; private set; }

    /// <summary>Somebody asks for another set.</summary>
    public void Ask(string? add, ReplicaId? remove)
    {
        lock (_gate)
        {
            Change = new ReplicaSetChange(Guid.NewGuid(), add, remove);
        }

        Announce();
    }

    /// <summary>It is set back to what it showed before.</summary>
    public void Restore(ReplicaSet set)
    {
        lock (_gate)
        {
            Set = set;
        }

        Announce();
    }

    /// <summary>Whoever asked gives it up.</summary>
    public void GiveUp()
    {
        lock (_gate)
        {
            Change = null;
        }

        Announce();
    }

    /// <summary>Tells everybody the present picture.</summary>
    public void Announce()
    {
        lock (_gate)
        {
            var view = new RegistryView(
                Available, _epoch, _version, [.. _members.Where(member => member.State is not null).Select(member => new PublishedCandidate(member.Sequence, member.State!))], Set, Change);
            foreach (var member in _members)
            {
                member.Changed?.Invoke(Distort is null ? view : Distort(member.Container, view));
            }
        }
    }

    internal sealed class MemoryCoordinator(MemoryRegistry registry, string container) : ICoordinator
    {
        public string Container => container;

        public long Sequence { get; private set; }

        public CandidateState? State { get; private set; }

        public Action<RegistryView>? Changed { get; private set; }

        public IReadOnlyList<SlaveState> Slaves { get; private set; } = [];

        public Task<ReplicaSet> FormAsync(ReplicaId self, CancellationToken cancellationToken)
        {
            lock (registry._gate)
            {
                registry._forming[self] = container;
                if (registry._forming.Count == registry.Expected)
                {
                    registry._formed.TrySetResult(new ReplicaSet(
                        Guid.NewGuid(), registry._forming.Select(member => new ReplicaMember(member.Key, member.Value))));
                }
            }

            return registry.Set is { } set ? Task.FromResult(set) : registry._formed.Task.WaitAsync(cancellationToken);
        }

        public void Know(ReplicaSet set)
        {
            lock (registry._gate)
            {
                registry.Set ??= set;
            }

            registry._formed.TrySetResult(set);
        }

        public Task JoinAsync(Action<RegistryView> changed, CancellationToken cancellationToken)
        {
            lock (registry._gate)
            {
                Changed = changed;
                Sequence = registry._sequence++;
                registry._members.Add(this);
            }

            registry.Announce();
            return Task.CompletedTask;
        }

        public Task PublishAsync(CandidateState state, CancellationToken cancellationToken)
        {
            State = state;
            if (!registry.Available)
            {
                throw new IOException("the registry is away");
            }

            registry.Announce();
            registry.OnWrite(container);
            return Task.CompletedTask;
        }

        public Task<bool> TryClaimEpochAsync(
            Epoch epoch, int expectedVersion, ReplicaId claimant, CancellationToken cancellationToken)
        {
            lock (registry._gate)
            {
                if (!registry.Available)
                {
                    throw new IOException("the registry is away");
                }

                registry.OnClaim();
                if (registry._version != expectedVersion || epoch <= registry._epoch)
                {
                    registry.RefusedClaims++;
                    return Task.FromResult(false);
                }

                registry._epoch = epoch;
                registry._version++;
            }

            registry.Announce();
            return Task.FromResult(true);
        }

        public Task ShowSetAsync(Epoch epoch, ReplicaSet set, Guid? done, CancellationToken cancellationToken)
        {
            lock (registry._gate)
            {
                if (!registry.Available)
                {
                    throw new IOException("the registry is away");
                }

                if (epoch < registry._epoch)
                {
                    return Task.CompletedTask;
                }

                registry.Set = set;
                registry.Change = registry.Change?.Id == done ? null : registry.Change;
            }

            registry.Announce();
            return Task.CompletedTask;
        }

        public Task ReportSlavesAsync(Epoch epoch, IReadOnlyList<SlaveState> slaves, CancellationToken cancellationToken)
        {
            Slaves = slaves;
            registry.OnWrite(container);
            return Task.CompletedTask;
        }

        /// <summary>The process died without closing its session: its entry stays.</summary>
        public bool Lingers { get; set; }

        /// <summary>The session ends: the entry goes away.</summary>
        public ValueTask DisposeAsync()
        {
            Changed = null;
            lock (registry._gate)
            {
                if (!Lingers)
                {
                    registry._members.Remove(this);
                }
            }

            registry.Announce();
            return ValueTask.CompletedTask;
        }
    }

    private int Expected => expected;
}
