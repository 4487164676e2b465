using Fabric.Replication;
using Fabric.Replication.Core;
using Fabric.Store.Journal;

namespace Fabric.Tests.Replication;

/// <summary>The replica set changes while the broker runs (PROTOCOL.md, "Changing the set").</summary>
[TestFixture, Parallelizable]
internal sealed class MembershipTests
{
    private int _count;

    [SetUp]
    public void Forget() => _count = 0;

    [Test]
    public async Task A_fourth_replica_is_added_and_can_lead()
    {
        await using var group = await ReplicaGroup.StartAsync(Weighty("broker4"));
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 50);
        var fourth = await WaitingAsync(group, "broker4");
        Assert.That(fourth.Applied, Is.Empty, "nobody has asked for it");

        group.Registry.Ask(add: "broker4", remove: null);
        await DoneAsync(group);
        Assert.That(Containers(group), Is.EqualTo(new[] { "broker1", "broker2", "broker3", "broker4" }));
        Assert.That(fourth.Replica.Status.Failure, Is.Null);
        await AppendAsync(group, master, 50);

        await group.CrashAsync(master);
        await AppendAsync(group, await MasterOnAsync(group, "broker4"), 50);
        await group.CrashAsync(group.Others(fourth).First());
        fourth.Append(_count);
        await group.EventuallyAsync(() => !fourth.IsServing, "two of four are no majority");
    }

    [Test]
    public async Task A_replica_that_is_removed_counts_no_more_and_is_told()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 20);
        var leaving = group.Others(master).First();
        group.Registry.Ask(add: null, remove: IdOf(group, leaving));
        await DoneAsync(group);
        Assert.That(Containers(group), Is.EqualTo(group.Containers.Except([leaving.Container])));
        await group.EventuallyAsync(() => leaving.Replica.Status.Failure is not null, "it is told");
        Assert.That(leaving.Replica.Status.Failure, Does.Contain("not in the replica set").And.Contain("fabric replica-add"));

        var had = leaving.Applied.Count;
        master.Append(_count++);
        await group.EventuallyAsync(() => group.Nodes.Where(node => node != leaving).All(node => node.Applied.Count == _count), "two of two confirm");
        Assert.That(leaving.Applied, Has.Count.EqualTo(had));

        await group.CrashAsync(group.Nodes.Single(node => node != master && node != leaving));
        await group.EventuallyAsync(() => !master.IsServing, "one of two is no majority, whatever the removed one says");
    }

    [Test]
    public async Task One_that_was_removed_and_is_added_again_goes_on_with_what_it_has()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 20);
        var leaving = group.Others(master).First();
        var id = IdOf(group, leaving);
        group.Registry.Ask(add: null, remove: id);
        await DoneAsync(group);
        await group.CrashAsync(leaving);
        await AppendAsync(group, master, 20);
        await WaitingAsync(group, leaving.Container, empty: false);
        group.Registry.Ask(add: leaving.Container, remove: null);
        await DoneAsync(group);
        Assert.That(group.Registry.Set!.Members.Select(member => member.Id), Does.Contain(id));
        await AppendAsync(group, master, 20);
    }

    [Test]
    public async Task A_wiped_disk_takes_the_place_of_the_one_it_was([Values] bool copies)
    {
        await using var group = await ReplicaGroup.StartAsync(options => options with
        {
            Journal = options.Journal with { SegmentBytes = 64 * 1024, CheckpointBytes = 64 * 1024, RetainedBytesMax = 64 * 1024 },
        });
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 50);
        var lost = group.Others(master).First();
        var id = IdOf(group, lost);
        await group.CrashAsync(lost);
        while (copies && group.Nodes.Exists(node => node.Replica.Journal.First == Position.Zero))
        {
            await AppendAsync(group, master, 200, bytes: 300);
        }

        var wiped = await WaitingAsync(group, lost.Container);
        group.Registry.Ask(add: lost.Container, remove: id);
        if (copies)
        {
            wiped = await group.ReplacedAsync(wiped);
        }

        await DoneAsync(group);
        Assert.That(Containers(group), Is.EqualTo(group.Containers.Order()));
        Assert.That(group.Registry.Set!.Members.Select(member => member.Id), Does.Not.Contain(id));
        await AppendAsync(group, master, 50);
        await group.CrashAsync(master);
        await AppendAsync(group, await group.MasterAsync(), 50);
        Assert.That(wiped.Applied, Is.EqualTo(Enumerable.Range(0, _count)));
    }

    [Test]
    public async Task A_master_that_is_to_be_removed_hands_over_first()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 20);
        group.Registry.Ask(add: null, remove: IdOf(group, master));
        await DoneAsync(group);
        Assert.That(Containers(group), Is.EqualTo(group.Containers.Except([master.Container])));
        var next = await group.MasterAsync();
        Assert.That(next, Is.Not.EqualTo(master));
        await group.EventuallyAsync(() => master.Replica.Status.Failure is not null, "it is told");
        Assert.That(master.Replica.Completion.IsCompleted, Is.False, "it waits");
        next.Append(_count++);
        await group.EventuallyAsync(() => group.Nodes.Where(node => node != master).All(node => node.Applied.Count == _count), "the others go on");
    }

    [Test]
    public async Task A_later_master_finishes_what_was_asked_for()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        group.Registry.Ask(add: "broker4", remove: IdOf(group, master));
        await AppendAsync(group, master, 20);
        await group.CrashAsync(master);
        var next = await group.MasterAsync();
        next.Append(_count++);
        var fourth = await group.StartEmptyAsync("broker4");
        await DoneAsync(group);
        Assert.That(Containers(group), Is.EqualTo(group.Containers.Except([master.Container])));
        await group.EventuallyAsync(() => fourth.Applied.Count == _count, "it has everything");
    }

    [Test]
    public async Task Nobody_is_removed_when_what_is_left_could_confirm_nothing()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var others = group.Others(master).ToArray();
        await AppendAsync(group, master, 20);
        await group.CrashAsync(others[0]);
        group.Registry.Ask(add: null, remove: IdOf(group, others[1]));
        master.Append(_count++);
        await group.EventuallyAsync(() => others[1].Applied.Count == _count, "both go on");
        await Task.Delay(500);
        Assert.That(group.Registry.Change, Is.Not.Null);
        Assert.That(Containers(group), Has.Length.EqualTo(3));

        await group.StartAsync(others[0].Container);
        await DoneAsync(group);
        Assert.That(Containers(group), Has.Length.EqualTo(2));
    }

    [Test]
    public async Task Of_two_a_dead_one_is_removed_when_the_new_one_has_been_added()
    {
        var patience = TimeSpan.FromSeconds(20); // the master leads on while it is alone
        await using var group = await ReplicaGroup.StartAsync(options => options with { Times = new ReplicaTimes { Lease = patience, SuspectAfter = patience } });
        var master = await group.SettledMasterAsync();
        var (leaving, dying) = (group.Others(master).First(), group.Others(master).Last());
        group.Registry.Ask(add: null, remove: IdOf(group, leaving));
        await DoneAsync(group);
        await group.CrashAsync(leaving);
        await WaitingAsync(group, "broker4");
        var dead = IdOf(group, dying);
        await group.CrashAsync(dying);
        group.Registry.Ask(add: "broker4", remove: dead);
        await DoneAsync(group);
        var sizes = master.Replica.Journal.SystemRecords.Where(record => record.Kind == ReplicaSet.RecordKind).Select(record => ReplicaSet.Decode(record.Body.Span).Members.Count);
        Assert.That(sizes, Is.EqualTo(new[] { 3, 2, 3, 2 }));
    }

    [Test]
    public async Task A_request_that_is_given_up_leaves_nothing_behind()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 20);
        var fourth = await WaitingAsync(group, "broker4");
        await group.CrashAsync(fourth);
        group.Registry.Ask(add: "broker4", remove: null);
        await Task.Delay(300);
        group.Registry.GiveUp();
        var again = await WaitingAsync(group, "broker4", empty: false);
        Assert.That(again.Applied, Is.Empty);
        Assert.That(Containers(group), Has.Length.EqualTo(3));
        Assert.That(master.Replica.Status.Slaves, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task One_that_is_damaged_while_it_waits_is_let_in_with_a_copy()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 20);
        await group.CrashAsync(await WaitingAsync(group, "broker4"));
        var repair = await group.StartRepairAsync("broker4", "its header is damaged");
        await group.EventuallyAsync(() => repair.Problem.Contains("not in the replica set", StringComparison.Ordinal), "it is told that it is no member");
        Assert.That(repair.Problem, Does.Contain("fabric replica-add"));

        group.Registry.Ask(add: "broker4", remove: null);
        var fourth = await group.RepairedAsync("broker4", repair);
        await DoneAsync(group);
        Assert.That(Containers(group), Does.Contain("broker4"));
        await AppendAsync(group, master, 20);
        Assert.That(fourth.Applied, Is.EqualTo(Enumerable.Range(0, _count)));
    }

    [Test]
    public async Task A_registry_that_shows_an_old_set_is_told_the_new_one()
    {
        await using var group = await ReplicaGroup.StartAsync();
        var master = await group.SettledMasterAsync();
        var old = group.Registry.Set!;
        group.Registry.Ask(add: null, remove: IdOf(group, group.Others(master).First()));
        await DoneAsync(group);
        group.Registry.Restore(old);
        await group.EventuallyAsync(() => group.Registry.Set!.Members.Count == 2, "it shows what is");
    }

    [Test]
    public async Task A_slave_that_missed_all_changes_follows_a_master_it_has_never_heard_of()
    {
        await using var group = await ReplicaGroup.StartAsync(Weighty("broker5"));
        var master = await group.SettledMasterAsync();
        await AppendAsync(group, master, 20);
        var stale = group.Others(master).First();
        var other = group.Others(master).Last();
        await group.CrashAsync(stale);
        await group.StartEmptyAsync("broker4");
        group.Registry.Ask(add: "broker4", remove: null);
        await DoneAsync(group);
        await group.StartEmptyAsync("broker5");
        group.Registry.Ask(add: "broker5", remove: IdOf(group, other));
        await DoneAsync(group);
        await group.CrashAsync(other);
        await group.CrashAsync(master);
        // Of broker4, broker5, the stale one and the dead master, three are there: the stale one knows neither of the others.
        await group.StartAsync(stale.Container);
        var next = await MasterOnAsync(group, "broker5");
        await AppendAsync(group, next, 20);
    }

    private static Func<ReplicaOptions, ReplicaOptions> Weighty(string container) => options => options with { Weight = options.Container == container ? 5 : 1 };

    private static ReplicaId IdOf(ReplicaGroup group, ReplicaNode node) =>
        group.Registry.Set!.Members.Single(member => member.Container == node.Container).Id;

    private static string[] Containers(ReplicaGroup group) => [.. group.Registry.Set!.Members.Select(member => member.Container).Order()];

    /// <summary>Starts one that is not in the set, and waits until it has been told so.</summary>
    private static async Task<ReplicaNode> WaitingAsync(ReplicaGroup group, string container, bool empty = true)
    {
        var node = empty ? await group.StartEmptyAsync(container) : await group.StartAsync(container);
        await group.EventuallyAsync(() => node.Replica.Status.Failure is not null, "it is told that it is no member");
        Assert.That(node.Replica.Status.Failure, Does.Contain("not in the replica set").And.Contain("fabric replica-add"));
        return node;
    }

    private static Task DoneAsync(ReplicaGroup group) => group.EventuallyAsync(() => group.Registry.Change is null, "the change is done");

    private static async Task<ReplicaNode> MasterOnAsync(ReplicaGroup group, string container)
    {
        ReplicaNode? master = null;
        await group.EventuallyAsync(() => (master = group.Nodes.Find(node => node.IsServing && node.Container == container)) is not null, $"{container} serves");
        return master!;
    }

    private async Task AppendAsync(ReplicaGroup group, ReplicaNode master, int count, int bytes = 100)
    {
        for (var i = 0; i < count; i++)
        {
            await master.Replica.Journal.WaitForRoomAsync(CancellationToken.None);
            master.Append(_count++, bytes);
        }

        await group.EventuallyAsync(
            () => group.Nodes.Where(node => node.Replica.Status.Failure is null).All(node => node.Applied.Count == _count), "all members go on");
    }
}
