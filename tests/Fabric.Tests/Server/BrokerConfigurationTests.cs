using Fabric.Replication;
using Fabric.Server.Node;
using Fabric.Store.Journal;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class BrokerConfigurationTests
{
    private const string Pid = "org.fusesource.mq.fabric.server-tolerant";

    [Test]
    public void What_mq_create_writes_can_be_run()
    {
        var configuration = Read(
            ("connectors", "openwire"), ("broker-name", "tolerant"), ("config", "zk:/fabric/configs/versions/1.0/profiles/mq-base/broker.xml"),
            ("data", "/srv/data/tolerant"), ("group", "east"), ("standby.pool", "default"), ("kind", "Replicated"), ("replicas", "5"));
        Assert.That(configuration, Is.EqualTo(new BrokerConfiguration
        {
            Broker = "tolerant",
            Group = "east",
            Journal = new JournalOptions { Directory = "/srv/data/tolerant/broker1" },
            Replicas = 5,
            Sync = SyncPolicy.QuorumDisk,
            Weight = 1,
            OpenWirePort = null,
            UnknownConnectors = [],
        }));
    }

    [Test]
    public void A_bare_replicated_broker_gets_the_defaults()
    {
        var configuration = Read(("kind", "Replicated"));
        Assert.Multiple(() =>
        {
            Assert.That(configuration.Broker, Is.EqualTo("tolerant"));
            Assert.That(configuration.Group, Is.EqualTo("default"));
            Assert.That(configuration.Journal.Directory, Is.EqualTo("/node/data/tolerant"));
            Assert.That(configuration.Replicas, Is.EqualTo(3));
        });
    }

    [TestCase("/abs/x", "/abs/x/broker1")]
    [TestCase("rel/x", "/node/rel/x")]
    [TestCase("${runtime.data}x", "/node/data/x")]
    public void Replicas_never_share_a_directory(string data, string directory) =>
        Assert.That(Read(("kind", "Replicated"), ("data", data)).Journal.Directory, Is.EqualTo(directory));

    [Test]
    public void The_sizes_of_a_journal_are_read()
    {
        var journal = Read(("kind", "Replicated"), ("segment-bytes", "65536"), ("checkpoint-bytes", "131072"), ("retained-bytes", "0")).Journal;
        Assert.That((journal.SegmentBytes, journal.CheckpointBytes, journal.RetainedBytesMax), Is.EqualTo((65536, 131072, 0)));
    }

    [Test]
    public void A_stand_alone_broker_has_one_replica() => Assert.That(Read(("kind", "StandAlone")).Replicas, Is.EqualTo(1));

    [TestCase("quorum_mem", SyncPolicy.QuorumMem)]
    [TestCase("local_disk remote_mem", SyncPolicy.LocalDisk | SyncPolicy.RemoteMem)]
    [TestCase("quorum_mem,local_disk", SyncPolicy.QuorumMem | SyncPolicy.LocalDisk)]
    public void Sync_policies_combine(string text, SyncPolicy policy) =>
        Assert.That(Read(("kind", "Replicated"), ("sync", text)).Sync, Is.EqualTo(policy));

    [TestCase(null, false)]
    [TestCase("none", false)]
    [TestCase("loopback", true)]
    public void Anonymous_access_is_off_unless_the_profile_says_otherwise(string? access, bool allowed)
    {
        var configuration = access is null ? Read(("kind", "Replicated")) : Read(("kind", "Replicated"), ("anonymous-access", access));
        Assert.That(configuration.AnonymousFromLoopback, Is.EqualTo(allowed));
        Assert.That(configuration.Equals(Read(("kind", "Replicated"))), Is.EqualTo(!allowed), "a broker whose configuration has changed is started again");
    }

    [TestCase("anonymous-access", "yes", "anonymous-access=yes is neither none nor loopback")]
    [TestCase("replicas", "0", "replicas=0 is not a number from 1 to 9")]
    [TestCase("replicas", "many", "replicas=many is not a number from 1 to 9")]
    [TestCase("openwire-port", "65536", "openwire-port=65536 is not a number from 0 to 65535")]
    [TestCase("segment-bytes", "1000", "segment-bytes=1000 is not a number of bytes from 65536 to 1073741824")]
    [TestCase("checkpoint-bytes", "-1", "checkpoint-bytes=-1 is not a number of bytes from 65536")]
    [TestCase("retained-bytes", "16 GiB", "retained-bytes=16 GiB is not a number of bytes from 0")]
    [TestCase("sync", "quorum", "quorum is not one of")]
    [TestCase("kind", "MasterSlave", "kind=MasterSlave is not supported")]
    [TestCase("broker-name", "a/b", "must be made of")]
    public void What_cannot_be_used_is_named(string key, string value, string message)
    {
        var values = new Dictionary<string, string> { ["kind"] = "Replicated", [key] = value };
        var exception = Assert.Throws<NodeException>(() => BrokerConfiguration.Read(Pid, values, "broker1", "/node"))!;
        Assert.That(exception.Code, Is.EqualTo(ExitCode.BadConfiguration));
        Assert.That(exception.Message, Does.StartWith(Pid).And.Contain(message));
    }

    [Test]
    public void Other_connectors_are_remembered_for_a_warning() =>
        Assert.That(Read(("kind", "Replicated"), ("connectors", "openwire mqtt  stomp")).UnknownConnectors, Is.EqualTo(["mqtt", "stomp"]));

    private static BrokerConfiguration Read(params (string Key, string Value)[] values) =>
        BrokerConfiguration.Read(Pid, values.ToDictionary(pair => pair.Key, pair => pair.Value), "broker1", "/node");
}
