using System.Collections.Concurrent;
using Fabric.Interop.Tests.ZooKeeper;
using Fabric.Registry;
using Fabric.Registry.Election;

namespace Fabric.Interop.Tests.Registry;

[TestFixture]
internal sealed class ApacheElectionTests : ElectionTests
{
    protected override IZooKeeperHost CreateHost() => new ApacheZooKeeper();
}

[TestFixture]
internal sealed class EmbeddedElectionTests : ElectionTests
{
    protected override IZooKeeperHost CreateHost() => new EmbeddedZooKeeper();
}

/// <summary>What replication builds on: every epoch has one owner, every replica is seen, and nothing is lost over a session.</summary>
internal abstract class ElectionTests : RegistryFixture
{
    private const string Group = "default";
    private const string Broker = "tolerant";

    [Test]
    public async Task Of_many_contenders_one_owns_each_epoch()
    {
        const int Contenders = 6;
        const int Rounds = 15;
        var contenders = new List<(BrokerElection Election, Guid Replica)>();
        for (var i = 0; i < Contenders; i++)
        {
            contenders.Add((Join(await ConnectAsync(), $"broker{i}"), Guid.NewGuid()));
        }

        for (var epoch = 1; epoch <= Rounds; epoch++)
        {
            await EventuallyAsync(
                () => contenders.All(contender => contender.Election.View is { IsConnected: true } view && view.Claim.Epoch == epoch - 1),
                $"all see that epoch {epoch} is free");
            var claims = await Task.WhenAll(contenders.Select(contender => contender.Election.TryClaimEpochAsync(
                epoch, contender.Election.View.EpochVersion, contender.Replica, CancellationToken.None)));

            Assert.That(claims.Count(won => won), Is.EqualTo(1), $"owners of epoch {epoch}");
            var owner = contenders[Array.IndexOf(claims, true)].Replica;
            await EventuallyAsync(
                () => contenders.All(contender => contender.Election.View.Claim is { } claim && claim.Epoch == epoch && claim.Owner == owner),
                "all see the owner");
        }
    }

    [Test]
    public async Task A_lower_or_equal_epoch_is_never_claimed()
    {
        var election = Join(Observer, "broker1");
        await EventuallyAsync(() => election.View.IsConnected, "a view");
        Assert.That(await election.TryClaimEpochAsync(5, election.View.EpochVersion, Guid.NewGuid(), CancellationToken.None), Is.True);
        await EventuallyAsync(() => election.View.Claim.Epoch == 5, "the claim is seen");

        Assert.That(await election.TryClaimEpochAsync(5, election.View.EpochVersion, Guid.NewGuid(), CancellationToken.None), Is.False);
        Assert.That(await election.TryClaimEpochAsync(4, election.View.EpochVersion, Guid.NewGuid(), CancellationToken.None), Is.False);
    }

    [Test]
    public async Task A_master_that_another_has_succeeded_is_away_though_its_session_lives()
    {
        var (first, second) = (new ReplicaMemberRecord(Guid.NewGuid(), "broker1"), new ReplicaMemberRecord(Guid.NewGuid(), "broker2"));
        await Observer.TryCreateAsync(
            ZnodePaths.BrokerReplicas(Group, Broker), ElectionJson.Write(new ReplicaSetRecord(Guid.NewGuid(), [first, second])));
        foreach (var (member, epoch) in new[] { (second, 8), (first, 7) })
        {
            var election = Join(await ConnectAsync(), member.Container);
            await election.PublishAsync(new CandidateRecord(member.Replica, member.Container, "localhost:1", 0, CandidateRole.Master, 0, 0, 0, epoch), CancellationToken.None);
            await EventuallyAsync(() => election.View.Candidates.Any(candidate => candidate.Record.Replica == member.Replica), $"{member.Container} is shown");
        }

        var overview = await new ReplicaSetDirectory(Observer, Group, Broker).TryReadAsync(CancellationToken.None);

        Assert.That(overview!.Replicas.Select(replica => (replica.Container, replica.Present?.Epoch)), Is.EqualTo(new (string, long?)[] { ("broker1", null), ("broker2", 8) }));
    }

    [Test]
    public async Task A_claim_whose_answer_is_lost_is_resolved_by_reading_back()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        var election = Join(registry, "broker1");
        var witness = Join(Observer, "broker2");
        await EventuallyAsync(() => election.View.IsConnected, "a view");
        relay.Swallow = true;
        var claiming = election.TryClaimEpochAsync(1, election.View.EpochVersion, Guid.NewGuid(), CancellationToken.None);
        await EventuallyAsync(() => witness.View.Claim.Epoch == 1, "the claim arrives");
        Assert.That(claiming.IsCompleted, Is.False);

        relay.Cut();
        relay.Swallow = false;

        Assert.That(await claiming.WaitAsync(Limit), Is.True);
    }

    [Test]
    public async Task A_claim_that_was_lost_to_another_is_answered_with_no()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        var election = Join(registry, "broker1");
        var rival = Join(Observer, "broker2");
        await EventuallyAsync(() => election.View.IsConnected && rival.View.IsConnected, "views");
        var version = election.View.EpochVersion;
        Assert.That(await rival.TryClaimEpochAsync(1, version, Guid.NewGuid(), CancellationToken.None), Is.True);
        relay.Swallow = true;
        var claiming = election.TryClaimEpochAsync(1, version, Guid.NewGuid(), CancellationToken.None);
        relay.Cut();
        relay.Swallow = false;

        Assert.That(await claiming.WaitAsync(Limit), Is.False);
    }

    [Test]
    public async Task All_replicas_see_each_others_state()
    {
        var seen = new ConcurrentQueue<ElectionView>();
        var watcher = Join(await ConnectAsync(), "broker1", seen.Enqueue);
        var other = Join(await ConnectAsync(), "broker2");
        var replica = Guid.NewGuid();
        var electing = Record(replica, "broker2") with { Role = CandidateRole.Electing, Round = 3, LastEpoch = 2, Position = 4711 };

        await other.PublishAsync(electing, CancellationToken.None);
        await EventuallyAsync(() => watcher.View.Candidates is [{ Record: var record }] && record == electing, "the candidate is seen");
        await other.PublishAsync(Record(replica, "broker2") with { Epoch = 3 }, CancellationToken.None);
        await EventuallyAsync(() => watcher.View.Candidates is [{ Record: { Role: CandidateRole.Slave, Epoch: 3 } }], "its change is seen");
        await other.DisposeAsync();
        await EventuallyAsync(() => watcher.View.Candidates.Count == 0, "its end is seen");

        Assert.That(seen.All(view => view.IsConnected), Is.True);
    }

    [Test]
    public async Task Candidates_that_cannot_be_read_are_left_out()
    {
        var election = Join(Observer, "broker1");
        await election.PublishAsync(Record(Guid.NewGuid(), "broker1"), CancellationToken.None);
        await SequentialZnodes.CreateAsync(
            Observer, ZnodePaths.BrokerElection(Group, Broker), "rubbish"u8.ToArray(), CancellationToken.None);
        await election.PublishAsync(Record(Guid.NewGuid(), "broker1") with { Weight = 7 }, CancellationToken.None);

        await EventuallyAsync(() => election.View.Candidates is [{ Record.Weight: 7 }], "one candidate");
    }

    [Test]
    public async Task The_loss_of_the_connection_is_told_and_the_candidate_comes_back_in_a_new_session()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        var replica = Guid.NewGuid();
        var views = new ConcurrentQueue<bool>();
        var election = Join(registry, "broker1", view => views.Enqueue(view.IsConnected));
        var witness = Join(Observer, "broker2");
        await election.PublishAsync(Record(replica, "broker1") with { Role = CandidateRole.Master, Epoch = 1 }, CancellationToken.None);
        await EventuallyAsync(() => witness.View.Candidates.Count == 1, "the candidate is seen");
        var sequence = witness.View.Candidates[0].Sequence;

        await ExpireAsync(registry, relay);

        await EventuallyAsync(() => witness.View.Candidates is [{ Record: var record, Sequence: var newer }]
            && record.Replica == replica && newer > sequence, "the candidate is back");
        await EventuallyAsync(() => election.View.IsConnected, "the view is current");
        Assert.That(views.Distinct(), Is.EqualTo(new[] { true, false }));
        Assert.That(views.Last(), Is.True);
    }

    [Test]
    public async Task A_candidate_that_somebody_deleted_comes_back()
    {
        var election = Join(await ConnectAsync(), "broker1");
        await election.PublishAsync(Record(Guid.NewGuid(), "broker1"), CancellationToken.None);
        var directory = ZnodePaths.BrokerElection(Group, Broker);
        var name = (await Observer.TryGetChildrenAsync(directory))!.Single();

        await Observer.TryDeleteAsync($"{directory}/{name}");

        await EventuallyAsync(
            async () => await Observer.TryGetChildrenAsync(directory) is [var newer] && newer != name, "there is a new one");
    }

    [Test]
    public async Task What_an_earlier_process_of_the_replica_left_is_removed()
    {
        var (crashed, relay) = await ConnectThroughRelayAsync();
        var replica = Guid.NewGuid();
        await Join(crashed, "broker1").PublishAsync(Record(replica, "broker1"), CancellationToken.None);
        relay.Refuse = true;
        relay.Cut();
        var successor = Join(await ConnectAsync(), "broker1");

        await successor.PublishAsync(Record(replica, "broker1") with { Weight = 9 }, CancellationToken.None);

        var left = (await SequentialZnodes.ListAsync(Observer, ZnodePaths.BrokerElection(Group, Broker), CancellationToken.None)).Single();
        Assert.That(ElectionJson.ReadCandidate(left.Content.Data, left.Path).Weight, Is.EqualTo(9));
        relay.Refuse = false;
    }

    [Test]
    public async Task A_replica_that_knows_the_set_shows_it_to_those_who_wait_and_overwrites_no_other()
    {
        var known = new ReplicaSetRecord(
            Guid.NewGuid(), [.. Enumerable.Range(1, 3).Select(i => new ReplicaMemberRecord(Guid.NewGuid(), $"broker{i}")).OrderBy(member => member.Replica)]);
        var waiting = Create(await ConnectAsync(), "broker2").FormAsync(known.Members[1].Replica, CancellationToken.None);
        await EventuallyAsync(
            async () => (await Observer.TryGetChildrenAsync(ZnodePaths.BrokerForming(Group, Broker)))?.Count == 1, "one waits for the others");
        var knowing = Create(await ConnectAsync(), "broker1");
        knowing.Know(known);
        knowing.Join(_ => { });
        Assert.That(await waiting.WaitAsync(Limit), Is.EqualTo(known));

        // Another set, formed in a registry that was wiped, stays.
        var other = Create(await ConnectAsync(), "broker3");
        other.Know(known with { StoreId = Guid.NewGuid() });
        var joined = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        other.Join(_ => joined.TrySetResult());
        await joined.Task.WaitAsync(Limit);
        Assert.That(await BrokerElection.ReadReplicaSetAsync(Observer, Group, Broker), Is.EqualTo(known));

        // One that vanishes is there again: its deletion is seen.
        await Observer.TryDeleteAsync(ZnodePaths.BrokerReplicas(Group, Broker), -1, CancellationToken.None);
        await EventuallyAsync(async () => await BrokerElection.ReadReplicaSetAsync(Observer, Group, Broker) is not null, "it is there again");
    }

    [Test]
    public async Task A_replica_set_is_formed_once_when_enough_are_there()
    {
        var replicas = new List<(BrokerElection Election, Guid Id)>();
        for (var i = 1; i <= 3; i++)
        {
            replicas.Add((Create(await ConnectAsync(), $"broker{i}"), Guid.NewGuid()));
        }

        var first = replicas[0].Election.FormAsync(replicas[0].Id, CancellationToken.None);
        var second = replicas[1].Election.FormAsync(replicas[1].Id, CancellationToken.None);
        await EventuallyAsync(
            async () => (await Observer.TryGetChildrenAsync(ZnodePaths.BrokerForming(Group, Broker)))?.Count == 2, "two are there");
        Assert.That(first.IsCompleted || second.IsCompleted, Is.False);
        var sets = await Task.WhenAll(first, second, replicas[2].Election.FormAsync(replicas[2].Id, CancellationToken.None)).WaitAsync(Limit);

        Assert.That(sets.Distinct().Count(), Is.EqualTo(1));
        Assert.That(sets[0].Members.Select(member => member.Replica), Is.EqualTo(replicas.Select(replica => replica.Id).Order()));
        Assert.That(await BrokerElection.ReadReplicaSetAsync(Observer, Group, Broker), Is.EqualTo(sets[0]));
        var late = await Create(Observer, "broker4").FormAsync(Guid.NewGuid(), CancellationToken.None).WaitAsync(Limit);
        Assert.That(late, Is.EqualTo(sets[0]));
        await EventuallyAsync(
            async () => (await Observer.TryGetChildrenAsync(ZnodePaths.BrokerForming(Group, Broker)))?.Count == 0, "nothing is left behind");
    }

    [Test]
    public async Task A_container_that_lost_its_disk_is_not_counted_twice()
    {
        var first = Create(await ConnectAsync(), "broker1").FormAsync(Guid.NewGuid(), CancellationToken.None);
        using var stop = new CancellationTokenSource();
        var twin = Create(await ConnectAsync(), "broker1").FormAsync(Guid.NewGuid(), stop.Token);
        var second = Create(await ConnectAsync(), "broker2").FormAsync(Guid.NewGuid(), CancellationToken.None);
        await EventuallyAsync(
            async () => (await Observer.TryGetChildrenAsync(ZnodePaths.BrokerForming(Group, Broker)))?.Count == 3, "three entries of two containers");
        Assert.That(new[] { first, twin, second }.Any(forming => forming.IsCompleted), Is.False);

        await stop.CancelAsync();
        Assert.That(() => twin, Throws.InstanceOf<OperationCanceledException>());
        var set = Create(await ConnectAsync(), "broker3").FormAsync(Guid.NewGuid(), CancellationToken.None);

        var sets = await Task.WhenAll(first, second, set).WaitAsync(Limit);
        Assert.That(sets[0].Members.Select(member => member.Container), Is.EquivalentTo(new[] { "broker1", "broker2", "broker3" }));
    }

    [Test]
    public async Task Only_the_latest_master_reports_its_slaves()
    {
        var old = Join(await ConnectAsync(), "broker1");
        var master = Join(await ConnectAsync(), "broker2");
        await EventuallyAsync(() => master.View.IsConnected, "a view");
        Assert.That(await master.TryClaimEpochAsync(2, master.View.EpochVersion, Guid.NewGuid(), CancellationToken.None), Is.True);

        await master.ReportSlavesAsync(2, [new SlaveRecord("broker1", true, 0)], CancellationToken.None);
        await old.ReportSlavesAsync(1, [new SlaveRecord("broker2", true, 0)], CancellationToken.None);

        var report = await Observer.TryGetTextAsync(ZnodePaths.BrokerSlaves(Group, Broker));
        Assert.That(report, Is.EqualTo("""{"epoch":2,"slaves":[{"container":"broker1","inSync":true,"lagBytes":0}]}"""));
    }

    [Test]
    public async Task Masterships_are_remembered_once_each()
    {
        var election = Join(Observer, "broker1");
        var replica = Guid.NewGuid();
        foreach (var epoch in new[] { 1, 1, 2, 5 })
        {
            await election.PublishAsync(Record(replica, "broker1") with { Role = CandidateRole.Master, Epoch = epoch }, CancellationToken.None);
            await election.PublishAsync(Record(replica, "broker1") with { Epoch = epoch }, CancellationToken.None);
        }

        var history = await BrokerElection.ReadHistoryAsync(Observer, Group, Broker);
        Assert.That(history.Select(mastership => mastership.Epoch), Is.EqualTo(new[] { 1L, 2, 5 }));
    }

    [Test]
    public async Task A_registry_that_was_restored_learns_the_epoch_in_force()
    {
        var election = Join(Observer, "broker1");
        var replica = Guid.NewGuid();

        await election.PublishAsync(Record(replica, "broker1") with { Role = CandidateRole.Master, Epoch = 40 }, CancellationToken.None);

        await EventuallyAsync(() => election.View.Claim is { Epoch: 40 } claim && claim.Owner == replica, "the epoch is raised");
    }

    [Test]
    public async Task A_registry_that_was_emptied_is_filled_again()
    {
        var election = Join(Observer, "broker1");
        await election.PublishAsync(Record(Guid.NewGuid(), "broker1") with { Role = CandidateRole.Master, Epoch = 2 }, CancellationToken.None);
        await EventuallyAsync(() => election.View.Claim.Epoch == 2, "the epoch is raised");

        await Observer.DeleteTreeAsync(ZnodePaths.Brokers);

        await EventuallyAsync(
            () => election.View is { Candidates: [{ Record.Epoch: 2 }] }, "the candidate is back");
    }

    [Test]
    public async Task What_a_registry_that_was_set_back_had_forgotten_is_written_again()
    {
        var (registry, relay) = await ConnectThroughRelayAsync();
        var master = Join(registry, "broker1");
        var old = Record(Guid.NewGuid(), "broker1");
        await master.PublishAsync(old, CancellationToken.None);
        var directory = ZnodePaths.BrokerElection(Group, Broker);
        var candidate = $"{directory}/{(await Observer.TryGetChildrenAsync(directory))!.Single()}";
        var before = await ReadAsync(candidate);
        var published = old with { Role = CandidateRole.Master, Epoch = 2 };
        await master.PublishAsync(published, CancellationToken.None);
        var oldSet = new ReplicaSetRecord(Guid.NewGuid(), [new ReplicaMemberRecord(old.Replica, "broker1")]);
        var set = oldSet with { Members = [.. oldSet.Members, new ReplicaMemberRecord(Guid.NewGuid(), "broker2")] };
        await master.ReplaceSetAsync(2, set, done: null, CancellationToken.None);
        await master.ReportSlavesAsync(2, [new SlaveRecord("broker2", true, 0)], CancellationToken.None);
        var report = await ReadAsync(ZnodePaths.BrokerSlaves(Group, Broker));

        // A server that was restored from a backup knows the session, and older contents.
        relay.Refuse = true;
        relay.Cut();
        await EventuallyAsync(() => !master.View.IsConnected, "the loss is told");
        await Observer.SetAsync(candidate, before, -1);
        await Observer.SetAsync(ZnodePaths.BrokerReplicas(Group, Broker), ElectionJson.Write(oldSet), -1);
        await Observer.SetAsync(ZnodePaths.BrokerSlaves(Group, Broker), "{}"u8.ToArray(), -1);
        relay.Refuse = false;

        await EventuallyAsync(() => master.View is { IsConnected: true, Candidates: [var own] } && own.Record == published, "what it is");
        await EventuallyAsync(async () => Equals(await BrokerElection.ReadReplicaSetAsync(Observer, Group, Broker), set), "the set");
        await EventuallyAsync(async () => (await ReadAsync(ZnodePaths.BrokerSlaves(Group, Broker))).Span.SequenceEqual(report.Span), "the slaves");

        async Task<ReadOnlyMemory<byte>> ReadAsync(string path) => (await Observer.TryGetAsync(path))!.Data;
    }

    private static CandidateRecord Record(Guid replica, string container) =>
        new(replica, container, "127.0.0.1:1", 1, CandidateRole.Slave, 0, 0, 0, 1);

    private BrokerElection Create(FabricRegistry registry, string container) =>
        Keep(new BrokerElection(registry, new ElectionOptions { Group = Group, Broker = Broker, Container = container, ReplicaCount = 3 }));

    private BrokerElection Join(FabricRegistry registry, string container, Action<ElectionView>? changed = null)
    {
        var election = Create(registry, container);
        election.Join(changed ?? (_ => { }));
        return election;
    }
}
