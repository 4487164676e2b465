using Fabric.Server.Node;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class BrokerConfigurationsTests
{
    private const string Orders = "org.fusesource.mq.fabric.server-orders";
    private BrokerConfigurations _configurations = null!;

    [SetUp]
    public void Create() => _configurations = new BrokerConfigurations("broker1", "/node");

    [Test]
    public void A_broker_whose_configuration_cannot_be_read_any_more_keeps_the_last_one()
    {
        var (before, _) = Read((Orders, ["kind=Replicated", "replicas=5"]));

        var (now, wrong) = Read((Orders, ["kind=Replicated", "replicas=5", "sync=quorumdisk"]));

        Assert.That(now, Is.EqualTo(before));
        Assert.That(wrong.Single(), Does.Contain("quorumdisk is not one of").And.Contain("it runs as it was configured before"));
        Assert.That(Read((Orders, ["kind=Replicated", "replicas=3"])).Wanted.Single().Replicas, Is.EqualTo(3), "and follows again when it can");
    }

    [Test]
    public void A_broker_that_was_never_configured_well_is_not_run()
    {
        var (wanted, wrong) = Read((Orders, ["kind=Sometimes"]));
        Assert.That((wanted.Count, wrong.Count), Is.EqualTo((0, 1)));
    }

    [Test]
    public void A_broker_that_is_taken_away_is_gone_for_good()
    {
        Read((Orders, ["kind=Replicated"]));
        Assert.That(Read().Wanted, Is.Empty);
        Assert.That(Read((Orders, ["kind=Sometimes"])).Wanted, Is.Empty);
    }

    private (IReadOnlyList<BrokerConfiguration> Wanted, IReadOnlyList<string> Wrong) Read(params (string Pid, string[] Properties)[] pids) =>
        _configurations.Read(pids.ToDictionary(
            pid => pid.Pid,
            IReadOnlyDictionary<string, string> (pid) => pid.Properties.Select(property => property.Split('=')).ToDictionary(pair => pair[0], pair => pair[1])));
}
