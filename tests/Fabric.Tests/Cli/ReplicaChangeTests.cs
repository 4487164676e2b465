using Fabric.Cli.Commands;
using Fabric.Registry.Election;

namespace Fabric.Tests.Cli;

[TestFixture]
internal sealed class ReplicaChangeTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);
    private static readonly ReplicaMemberRecord One = new(Guid.Parse("00000000-0000-0000-0000-000000000001"), "b1");
    private static readonly ReplicaMemberRecord Two = new(Guid.Parse("00000000-0000-0000-0000-000000000002"), "b2");
    private static readonly ReplicaMemberRecord Three = new(Guid.Parse("00000000-0000-0000-0000-000000000003"), "b3");
    private static readonly ReplicaMemberRecord OneAnew = new(Guid.Parse("00000000-0000-0000-0000-000000000004"), "b1");

    [Test]
    public void A_replacement_that_was_not_begun_says_so() => Assert.That(
        Of(Replace("b3", One), [One, Two], [One, Two]),
        Is.EqualTo(("it did not happen within 5 s to replace b1 by b3; the request was taken back", (string?)null)));

    [Test]
    public void A_replacement_that_has_only_added_says_what_is_left() => Assert.That(
        Of(Replace("b3", One), [One, Two], [One, Two, Three]),
        Is.EqualTo((
            "the replica on b3 was added, but the one on b1 was not removed within 5 s; that part of the request was taken back",
            "fabric replica-remove orders b1, when a majority of the others is in sync")));

    [Test]
    public void A_replacement_that_has_only_removed_says_what_is_left() => Assert.That(
        Of(Replace("b1", One), [One, Two, Three], [Two, Three]),
        Is.EqualTo((
            "the replica on b1 was removed, but none on b1 was added within 5 s; that part of the request was taken back",
            "fabric replica-add orders b1; fabric container-info b1 says what it waits for")));

    [Test]
    public void A_new_disk_in_the_old_container_is_told_from_the_old_one() => Assert.That(
        Of(Replace("b1", One), [One, Two, Three], [One, OneAnew, Two, Three]).What, Does.StartWith("the replica on b1 was added, but the one on b1 was not removed"));

    [Test]
    public void An_addition_that_did_not_happen_has_no_halves() => Assert.That(
        Of(new ReplicaSetChangeRecord(Guid.NewGuid(), "b3", null, null), [One, Two], [One, Two]).What,
        Is.EqualTo("it did not happen within 5 s to add b3; the request was taken back"));

    [Test]
    public void What_was_done_shows_in_the_set()
    {
        var before = Overview(One, Two);
        var add = new ReplicaSetChangeRecord(Guid.NewGuid(), "b3", null, null);
        Assert.That(ReplicaChange.Outcome(add, before, before), Is.EqualTo(((bool?)false, (bool?)null)));
        Assert.That(ReplicaChange.Outcome(add, before, Overview(One, Two, Three)), Is.EqualTo(((bool?)true, (bool?)null)));
        Assert.That(ReplicaChange.Outcome(Replace("b1", One), before, Overview(Two, OneAnew)), Is.EqualTo(((bool?)true, (bool?)true)));
    }

    private static ReplicaSetChangeRecord Replace(string add, ReplicaMemberRecord remove) => new(Guid.NewGuid(), add, remove.Replica, null);

    private static (string What, string? Try) Of(ReplicaSetChangeRecord change, ReplicaMemberRecord[] before, ReplicaMemberRecord[] now) =>
        ReplicaChange.TakenBack("orders", change, Overview(before), Overview(now), Limit);

    private static ReplicaOverview Overview(params ReplicaMemberRecord[] members) => new(new ReplicaSetRecord(Guid.Empty, members), [], null, 0);
}
