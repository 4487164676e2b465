using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Copy;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>What the core decides about a full copy, and in which order.</summary>
[TestFixture]
internal sealed class CopyDecisionTests : IReplicaLog
{
    private static readonly ReplicaId Self = new(Guid.Parse("11111111-0000-0000-0000-000000000001"));
    private static readonly ReplicaId Other = new(Guid.Parse("22222222-0000-0000-0000-000000000002"));
    private static readonly ReplicaId Third = new(Guid.Parse("33333333-0000-0000-0000-000000000003"));
    private static readonly ReplicaSet Set = new(Guid.NewGuid(), [new(Self, "broker1"), new(Other, "broker2"), new(Third, "broker3")]);
    private static readonly MasterAddress Master = new(Other, "broker2", "host:1", new Epoch(7));
    private static readonly WholeCopy Copy = new(new CopyState(Set.StoreId, new Position(4000), new Position(5000), []), new Position(6000));
    private static readonly Position Common = new(100);

    private ReplicaCore _core = null!;

    public EpochTable Epochs { get; } = new([new EpochStart(new Epoch(3), Position.Zero)], new Position(120));

    public Position Committed { get; private set; }

    public Position First => Position.Zero;

    public bool IsSetCommitted => true;

    ReplicaSet IReplicaLog.Set => Set;

    [SetUp]
    public void Start()
    {
        Committed = new Position(80);
        _core = Create(promised: 3);
    }

    [Test]
    public void The_promise_is_written_before_anything_is_copied_and_nothing_is_cut()
    {
        Follow(copies: true);
        var kinds = Kinds();
        Assert.That(_core.Role, Is.EqualTo(ReplicaRole.Slave));
        Assert.That(kinds, Does.Not.Contain(nameof(ReplicaEffect.Truncate)));
        Assert.That(kinds.IndexOf(nameof(ReplicaEffect.PersistPromise)), Is.InRange(0, kinds.IndexOf(nameof(ReplicaEffect.StartCopying)) - 1));
    }

    [Test]
    public void A_slave_that_is_taken_by_the_stream_forgets_what_it_copied_and_cuts()
    {
        Follow(copies: false);
        Assert.That(Kinds(), Does.Contain(nameof(ReplicaEffect.Truncate)).And.Contain(nameof(ReplicaEffect.DiscardCopy)).And.Not.Contain(nameof(ReplicaEffect.StartCopying)));
    }

    [Test]
    public void A_master_of_a_lower_epoch_is_not_copied_from()
    {
        _core = Create(promised: 8);
        Follow(copies: true);
        Assert.That(Kinds(), Does.Not.Contain(nameof(ReplicaEffect.StartCopying)));
        Assert.That(_core.Role, Is.EqualTo(ReplicaRole.Electing));
    }

    [Test]
    public void A_copy_that_would_lose_what_is_committed_is_refused_for_good()
    {
        Committed = new Position(101);
        Follow(copies: true);
        var effects = _core.TakeEffects();
        Assert.That(effects.OfType<ReplicaEffect.StartCopying>(), Is.Empty);
        Assert.That(effects.OfType<ReplicaEffect.Retire>().Single().Failure, Does.Contain("a committed record would be lost"));
    }

    [Test]
    public void A_whole_copy_ends_the_stream_then_decides_and_then_takes_part_in_nothing()
    {
        Follow(copies: true);
        _core.TakeEffects();
        _core.OnCopied(Copy, TimeSpan.FromSeconds(1));
        Assert.That(Kinds(), Is.EqualTo(new[] { nameof(ReplicaEffect.StopFollowing), nameof(ReplicaEffect.SwitchJournal), nameof(ReplicaEffect.Retire) }));
        _core.OnPromiseRequested(new PromiseRequest(new MasterAddress(Third, "broker3", "host:3", new Epoch(9)), HandOver: true), 1, TimeSpan.FromSeconds(2));
        Assert.That(Kinds(), Is.EqualTo(new[] { nameof(ReplicaEffect.RefusePromise) }));
    }

    [Test]
    public void A_promise_given_meanwhile_ends_the_attempt_and_its_word_counts_no_more()
    {
        Follow(copies: true);
        _core.TakeEffects();
        _core.OnPromiseRequested(new PromiseRequest(new MasterAddress(Third, "broker3", "host:3", new Epoch(9)), HandOver: true), 1, TimeSpan.FromSeconds(1));
        var kinds = Kinds();
        Assert.That(kinds.IndexOf(nameof(ReplicaEffect.StopFollowing)), Is.InRange(0, kinds.IndexOf(nameof(ReplicaEffect.GrantPromise)) - 1));
        Assert.That(_core.Grant().Epochs, Is.SameAs(Epochs), "it promises with the journal that it has");
        _core.OnCopied(Copy, TimeSpan.FromSeconds(1));
        Assert.That(Kinds(), Is.Empty);
    }

    [Test]
    public void A_question_whether_it_is_there_is_refused_and_changes_nothing([Values] bool follows)
    {
        if (follows)
        {
            Follow(copies: false);
        }

        _core.TakeEffects();
        var before = (_core.Role, _core.Epoch, _core.Master);
        _core.OnPromiseRequested(_core.Question(), 1, TimeSpan.FromSeconds(1));
        Assert.That(_core.TakeEffects().Single(), Is.InstanceOf<ReplicaEffect.RefusePromise>());
        Assert.That((_core.Role, _core.Epoch, _core.Master), Is.EqualTo(before));
    }

    [Test]
    public void While_its_master_is_heard_a_copying_slave_refuses_claims()
    {
        Follow(copies: true);
        _core.TakeEffects();
        _core.OnPromiseRequested(new PromiseRequest(new MasterAddress(Third, "broker3", "host:3", new Epoch(9)), HandOver: false), 1, TimeSpan.FromSeconds(1));
        Assert.That(_core.TakeEffects().OfType<ReplicaEffect.RefusePromise>().Single().Reply.MasterAlive, Is.True);
    }

    [Test]
    public void An_attempt_that_fails_is_made_again_after_a_pause()
    {
        Follow(copies: true);
        _core.TakeEffects();
        _core.OnCopyEnded("no room", TimeSpan.FromSeconds(1));
        Assert.That(Kinds(), Is.EqualTo(new[] { nameof(ReplicaEffect.Note) }));
        Tick(1.9);
        Assert.That(Kinds(), Is.Empty);
        Tick(2);
        Tick(2.1);
        Assert.That(Kinds(), Is.EqualTo(new[] { nameof(ReplicaEffect.StartCopying) }), "once, until it has ended");
        _core.OnCopyEnded("no room", TimeSpan.FromSeconds(3));
        Assert.That(Kinds(), Is.Empty, "people have been told");
    }

    private ReplicaCore Create(long promised)
    {
        var core = new ReplicaCore(new ReplicaIdentity(Self, "broker1", "host:0"), new Epoch(promised), this, new ReplicaTimes());
        core.Start(TimeSpan.Zero);
        return core;
    }

    /// <summary>The registry names the master, and it takes us.</summary>
    [Test]
    public void A_stranger_at_a_dead_masters_address_is_no_reason_to_leave_unless_the_registry_says_that_the_broker_has_other_data([Values] bool isShown)
    {
        var state = new CandidateState(Other, "broker2", "host:1", 1, ReplicaRole.Master, Epoch.None, Epoch.None, Position.Zero, new Epoch(8));
        var shown = isShown ? new ReplicaSet(Guid.NewGuid(), Set.Members) : Set;
        _core.OnRegistry(new RegistryView(true, new Epoch(8), 1, [new PublishedCandidate(1, state)]) { Set = shown }, TimeSpan.Zero);
        Assert.That(Kinds(), Does.Contain(nameof(ReplicaEffect.StartFollowing)));
        _core.OnFollowEnded(Master with { Epoch = new Epoch(8) }, FollowEnd.Rejected, "its store is another", TimeSpan.Zero);
        Assert.That(_core.Role, isShown ? Is.EqualTo(ReplicaRole.Retired) : Is.EqualTo(ReplicaRole.Electing));
        Tick(1);
        Assert.That(Kinds(), isShown ? Does.Not.Contain(nameof(ReplicaEffect.StartFollowing)) : Does.Contain(nameof(ReplicaEffect.StartFollowing)), "it tries again");
    }

    private void Follow(bool copies)
    {
        var state = new CandidateState(Other, "broker2", "host:1", 1, ReplicaRole.Master, Epoch.None, Epoch.None, Position.Zero, new Epoch(8));
        _core.OnRegistry(new RegistryView(true, new Epoch(8), 1, [new PublishedCandidate(1, state)]), TimeSpan.Zero);
        Assert.That(Kinds(), Does.Contain(nameof(ReplicaEffect.StartFollowing)));
        _core.OnFollowAccepted(Master, Common, copies, TimeSpan.Zero);
    }

    private void Tick(double seconds) =>
        _core.OnTick(TimeSpan.FromSeconds(seconds), new Heard(TimeSpan.FromSeconds(seconds), false, TimeSpan.Zero, false, false, null, []));

    private List<string> Kinds() => [.. _core.TakeEffects().Select(effect => effect.GetType().Name)];
}
