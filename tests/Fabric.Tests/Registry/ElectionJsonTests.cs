using Fabric.Replication;
using System.Text;
using Fabric.Registry;
using Fabric.Registry.Election;

namespace Fabric.Tests.Registry;

/// <summary>The znodes of an election stay readable between versions: their text is part of the contract (ZNODES.md).</summary>
internal sealed class ElectionJsonTests
{
    private static readonly Guid Replica = new("0f8fad5b-d9cb-469f-a165-70867728950e");
    private static readonly DateTimeOffset At = new(2026, 11, 25, 17, 0, 1, 234, TimeSpan.Zero);

    [Test]
    public void The_registry_shows_every_set_that_a_journal_can_hold() =>
        Assert.That(ReplicaSetRecord.MembersMax, Is.EqualTo(ReplicaSet.MembersMax));

    [Test]
    public void An_electing_candidate_shows_what_it_would_be_chosen_for()
    {
        var record = new CandidateRecord(Replica, "broker1", "127.0.0.1:4711", 1, CandidateRole.Electing, 8, 7, 123, 7);

        var bytes = ElectionJson.Write("default", record);

        Assert.Multiple(() =>
        {
            Assert.That(Text(bytes), Is.EqualTo(
                """{"id":"default","container":"broker1","address":"127.0.0.1:4711","role":"electing","epoch":7,"round":8,"lastEpoch":7,"position":123,"weight":1,"replica":"0f8fad5bd9cb469fa16570867728950e"}"""));
            Assert.That(ElectionJson.ReadCandidate(bytes, "p"), Is.EqualTo(record));
        });
    }

    [TestCase(CandidateRole.Master, "master")]
    [TestCase(CandidateRole.Slave, "slave")]
    public void Others_show_their_epoch_only(CandidateRole role, string name)
    {
        var record = new CandidateRecord(Replica, "broker1", "h:1", 2, role, 0, 0, 0, 9);

        var bytes = ElectionJson.Write("default", record);

        Assert.Multiple(() =>
        {
            Assert.That(Text(bytes), Is.EqualTo(
                $$"""{"id":"default","container":"broker1","address":"h:1","role":"{{name}}","epoch":9,"weight":2,"replica":"0f8fad5bd9cb469fa16570867728950e"}"""));
            Assert.That(ElectionJson.ReadCandidate(bytes, "p"), Is.EqualTo(record));
        });
    }

    [Test]
    public void A_claim_names_its_owner()
    {
        var claim = new EpochClaim(7, Replica, "broker1", At);

        Assert.Multiple(() =>
        {
            Assert.That(Text(ElectionJson.Write(claim)), Is.EqualTo(
                """{"epoch":7,"owner":"0f8fad5bd9cb469fa16570867728950e","container":"broker1","claimedAt":"2026-11-25T17:00:01.234Z"}"""));
            Assert.That(ElectionJson.ReadClaim(ElectionJson.Write(claim), "p"), Is.EqualTo(claim));
            Assert.That(Text(ElectionJson.Write(EpochClaim.None)), Is.EqualTo("""{"epoch":0}"""));
            Assert.That(ElectionJson.ReadClaim(ElectionJson.Write(EpochClaim.None), "p"), Is.EqualTo(EpochClaim.None));
        });
    }

    [TestCase("""{"storeId":"0f8fad5bd9cb469fa16570867728950e","members":[]}""", "1 to 9 different members")]
    [TestCase("""{"storeId":"0f8fad5bd9cb469fa16570867728950e","members":[{"replica":"0f8fad5bd9cb469fa16570867728950e","container":"a"},{"replica":"0f8fad5bd9cb469fa16570867728950e","container":"b"}]}""", "1 to 9 different members")]
    [TestCase("""{"storeId":"0f8fad5bd9cb469fa16570867728950e","members":[{"replica":"0f8fad5bd9cb469fa16570867728950e","container":null}]}""", "no container")]
    [TestCase("""{"storeId":"0f8fad5bd9cb469fa16570867728950e"}""", "cannot be read")]
    public void What_cannot_be_a_replica_set_is_said_to_be_unreadable(string text, string why)
    {
        var refused = Assert.Throws<RegistryContentException>(() => ElectionJson.ReadSet(Encoding.UTF8.GetBytes(text), "/p"));
        Assert.That(refused.Message, Does.Contain("/p").And.Contain(why));
    }

    [Test]
    public void A_replica_set_is_read_as_it_was_written()
    {
        var set = new ReplicaSetRecord(Replica, [new ReplicaMemberRecord(Replica, "broker1")]);

        Assert.Multiple(() =>
        {
            Assert.That(Text(ElectionJson.Write(set)), Is.EqualTo(
                """{"storeId":"0f8fad5bd9cb469fa16570867728950e","members":[{"replica":"0f8fad5bd9cb469fa16570867728950e","container":"broker1"}]}"""));
            Assert.That(ElectionJson.ReadSet(ElectionJson.Write(set), "p"), Is.EqualTo(set));
        });
    }

    [Test]
    public void A_slave_that_does_not_follow_has_no_lag()
    {
        var slaves = new SlavesRecord(7, [new SlaveRecord("broker2", true, 0), new SlaveRecord("broker3", false, null)]);

        var bytes = ElectionJson.Write(slaves);
        var read = ElectionJson.ReadSlaves(bytes, "p");

        Assert.Multiple(() =>
        {
            Assert.That(Text(bytes), Is.EqualTo(
                """{"epoch":7,"slaves":[{"container":"broker2","inSync":true,"lagBytes":0},{"container":"broker3","inSync":false}]}"""));
            Assert.That((read.Epoch, read.Slaves), Is.EqualTo((7L, slaves.Slaves)));
        });
    }

    [Test]
    public void The_history_forgets_the_oldest()
    {
        var history = Enumerable.Range(1, ElectionJson.HistoryMax + 5).Select(epoch => new Mastership(epoch, "broker1", Replica, At)).ToArray();

        var read = ElectionJson.ReadHistory(ElectionJson.Write(history), "p");

        Assert.Multiple(() =>
        {
            Assert.That(read, Has.Count.EqualTo(ElectionJson.HistoryMax));
            Assert.That(read[^1], Is.EqualTo(history[^1]));
            Assert.That(ElectionJson.ReadHistory(Array.Empty<byte>(), "p"), Is.Empty);
        });
    }

    [TestCase("")]
    [TestCase("{}")]
    [TestCase("""{"replica":"x","container":"c","address":"a","role":"slave"}""")]
    [TestCase("""{"replica":"0f8fad5bd9cb469fa16570867728950e","container":"c","address":"a","role":"king"}""")]
    public void A_damaged_candidate_is_named(string data) =>
        Assert.That(
            () => ElectionJson.ReadCandidate(Encoding.UTF8.GetBytes(data), "/the/path"),
            Throws.TypeOf<RegistryContentException>().With.Message.Contains("/the/path"));

    private static string Text(byte[] bytes) => Encoding.UTF8.GetString(bytes);
}
