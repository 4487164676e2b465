using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>When the core claims again after a claim that came to nothing.</summary>
[TestFixture]
internal sealed class ElectionDecisionTests : IReplicaLog
{
    private static readonly ReplicaId Self = new(Guid.Parse("11111111-0000-0000-0000-000000000001"));
    private static readonly ReplicaId Other = new(Guid.Parse("22222222-0000-0000-0000-000000000002"));
    private static readonly ReplicaId Third = new(Guid.Parse("33333333-0000-0000-0000-000000000003"));
    private static readonly ReplicaSet Set = new(Guid.NewGuid(), [new(Self, "broker1"), new(Other, "broker2"), new(Third, "broker3")]);

    private ReplicaCore _core = null!;

    public EpochTable Epochs { get; } = new([new EpochStart(new Epoch(3), Position.Zero)], new Position(120));

    public Position Committed => new(80);

    public Position First => Position.Zero;

    public bool IsSetCommitted => true;

    ReplicaSet IReplicaLog.Set => Set;

    [SetUp]
    public void Claim()
    {
        _core = new ReplicaCore(new ReplicaIdentity(Self, "broker1", "host:1"), new Epoch(7), this, new ReplicaTimes());
        _core.Start(TimeSpan.Zero);
        Show(epoch: 7, round: 8, at: 0);
        Assert.That(Claimed(), Is.EqualTo(new Epoch(8)));
    }

    [Test]
    public void One_that_was_refused_because_a_master_is_heard_claims_as_soon_as_it_is_heard_no_more([Values] bool isSeenLate)
    {
        _core.OnClaimEnded(new Epoch(8), won: true, Ms(10));
        if (!isSeenLate)
        {
            Show(epoch: 8, round: 8, at: 12);
        }

        Refuse(promised: 7, masterAlive: true, at: 20);
        Assert.That(_core.Role, Is.EqualTo(ReplicaRole.Electing));
        Show(epoch: 8, round: 8, at: 25);
        Assert.That(Claimed(), Is.Null, "the other has not said that it hears nobody");
        Show(epoch: 8, round: 9, at: 60);
        Assert.That(Claimed(), Is.EqualTo(new Epoch(9)));
    }

    [Test]
    public void One_that_was_overtaken_lets_the_other_try_first()
    {
        _core.OnClaimEnded(new Epoch(8), won: true, Ms(10));
        Refuse(promised: 9, masterAlive: false, at: 20);
        Show(epoch: 9, round: 10, at: 60);
        Assert.That(Claimed(), Is.Null);
        _core.OnTick(Ms(300), default);
        Assert.That(Claimed(), Is.Null);
        _core.OnTick(Ms(500), default);
        Assert.That(Claimed(), Is.EqualTo(new Epoch(10)));
    }

    [Test]
    public void One_whose_claim_was_lost_to_another_lets_that_one_try_first()
    {
        Show(epoch: 8, round: 8, at: 5); // the other's
        _core.OnClaimEnded(new Epoch(8), won: false, Ms(10));
        Show(epoch: 8, round: 9, at: 60);
        Assert.That(Claimed(), Is.Null);
        _core.OnTick(Ms(500), default);
        Assert.That(Claimed(), Is.EqualTo(new Epoch(9)));
    }

    private static TimeSpan Ms(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    /// <summary>The registry shows us and another as candidates for a round; we are the first of them.</summary>
    private void Show(long epoch, long round, int at) => _core.OnRegistry(
        new RegistryView(
            true,
            new Epoch(epoch),
            (int)epoch,
            [
                new PublishedCandidate(1, _core.Candidacy(new Epoch(round))),
                new PublishedCandidate(2, _core.Candidacy(new Epoch(round)) with { Replica = Third, Container = "broker3", Address = "host:3" }),
            ],
            Set),
        Ms(at));

    private void Refuse(long promised, bool masterAlive, int at) =>
        _core.OnPromiseReplied(new Epoch(8), new PromiseReply(Third, false, new Epoch(promised), masterAlive, EpochTable.Empty), Ms(at));

    private Epoch? Claimed() => _core.TakeEffects().OfType<ReplicaEffect.ClaimEpoch>().SingleOrDefault()?.Epoch;
}
