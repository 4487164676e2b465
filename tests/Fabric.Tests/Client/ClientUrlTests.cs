using Fabric.Client;
using Fabric.Client.Connections;

namespace Fabric.Tests.Client;

[TestFixture]
internal sealed class ClientUrlTests
{
    [TestCase("tcp://host", "tcp://host:61616")]
    [TestCase("tcp://host:1234?connectionTimeout=5", "tcp://host:1234")]
    [TestCase("nio://host:1", "tcp://host:1")]
    [TestCase("ssl://host", "ssl://host:61617")]
    [TestCase("tcp://[::1]:7", "tcp://[::1]:7")]
    [TestCase("activemq:tcp://host:8", "tcp://host:8")]
    public void The_address_of_one_broker_does_not_reconnect(string text, string broker)
    {
        var url = ClientUrl.Parse(text);
        Assert.That(url.Brokers.Select(address => address.ToString()), Is.EqualTo(new[] { broker }));
        Assert.That(url.Reconnects, Is.False);
    }

    [TestCase("failover:(tcp://a:1,tcp://b:2)")]
    [TestCase("failover://(tcp://a:1,tcp://b:2)")]
    [TestCase("failover:tcp://a:1,tcp://b:2")]
    [TestCase("failover://tcp://a:1,tcp://b:2?randomize=false")]
    [TestCase("failover:(tcp://a:1, tcp://b:2)?randomize=false&timeout=3000")]
    [TestCase("failover:(tcp://a:1?wireFormat.maxInactivityDuration=5,tcp://b:2)")]
    [TestCase("activemq:failover:(tcp://a:1,tcp://b:2,tcp://a:1)?transport.randomize=false")]
    [TestCase("discovery:(static:(tcp://a:1,tcp://b:2))?randomize=false")]
    public void A_list_of_brokers_reconnects(string text)
    {
        var url = ClientUrl.Parse(text);
        Assert.That(url.Brokers.Select(address => address.ToString()), Is.EqualTo(new[] { "tcp://a:1", "tcp://b:2" }));
        Assert.That(url.Reconnects);
    }

    [TestCase("discovery:fabric:default", "default", null)]
    [TestCase("discovery:fabric:", "default", null)]
    [TestCase("discovery:fabric:east?zookeeper=h1:1,h2:2", "east", "h1:1,h2:2")]
    [TestCase("discovery:(fabric:east?zookeeper=h1:1,h2:2/root)?randomize=false", "east", "h1:1,h2:2/root")]
    [TestCase("discovery:(fabric://east)?zookeeper=h1:1", "east", "h1:1")]
    [TestCase("discovery://(fabric:east?id=x)", "east", null)]
    public void A_group_of_a_fabric_is_discovered(string text, string group, string? zooKeeper)
    {
        var url = ClientUrl.Parse(text);
        Assert.That(url.Discovery, Is.EqualTo(new DiscoveryAddress(group, zooKeeper)));
        Assert.That(url.Brokers, Is.Empty);
        Assert.That(url.Reconnects);
    }

    [Test]
    public void Defaults_are_those_of_the_java_client()
    {
        var url = ClientUrl.Parse("failover:(tcp://a)");
        Assert.Multiple(() =>
        {
            Assert.That(url.Failover.InitialReconnectDelay, Is.EqualTo(TimeSpan.FromMilliseconds(10)));
            Assert.That(url.Failover.MaxReconnectDelay, Is.EqualTo(TimeSpan.FromSeconds(30)));
            Assert.That(url.Failover.ReconnectDelayExponent, Is.EqualTo(2));
            Assert.That(url.Failover.GetRoundsMax(isFirstConnection: true), Is.EqualTo(-1));
            Assert.That(url.Failover.Randomize);
            Assert.That(url.Failover.SendTimeout, Is.Null);
            Assert.That(url.Jms.QueuePrefetch, Is.EqualTo(1000));
            Assert.That(url.Jms.TopicPrefetch, Is.EqualTo(32767));
            Assert.That(url.Jms.DurableTopicPrefetch, Is.EqualTo(100));
            Assert.That(url.Jms.Redelivery.MaximumRedeliveries, Is.EqualTo(6));
            Assert.That(url.Jms.CloseTimeout, Is.EqualTo(TimeSpan.FromSeconds(15)));
            Assert.That(url.Brokers[0].Options.ConnectionTimeout, Is.EqualTo(TimeSpan.FromSeconds(30)));
        });
    }

    [Test]
    public void Options_are_set_where_they_belong()
    {
        var url = ClientUrl.Parse(
            "failover:(tcp://a?wireFormat.maxFrameSize=99,tcp://b)?maxReconnectAttempts=4&startupMaxReconnectAttempts=2&TIMEOUT=3000" +
            "&jms.prefetchPolicy.all=7&jms.userName=me&nms.password=p%26q&nested.wireFormat.maxInactivityDuration=0&jms.redeliveryPolicy.maximumRedeliveries=-1");
        Assert.Multiple(() =>
        {
            Assert.That(url.Failover.GetRoundsMax(isFirstConnection: true), Is.EqualTo(2));
            Assert.That(url.Failover.GetRoundsMax(isFirstConnection: false), Is.EqualTo(4));
            Assert.That(url.Failover.SendTimeout, Is.EqualTo(TimeSpan.FromSeconds(3)));
            Assert.That((url.Jms.QueuePrefetch, url.Jms.TopicPrefetch), Is.EqualTo((7, 7)));
            Assert.That((url.Jms.UserName, url.Jms.Password), Is.EqualTo(("me", "p&q")));
            Assert.That(url.Jms.Redelivery.MaximumRedeliveries, Is.EqualTo(-1));
            Assert.That(url.Brokers[0].Options.CreateOffer("a").MaxFrameSize, Is.EqualTo(99));
            Assert.That(url.Brokers.Select(broker => broker.Options.CreateOffer("x").MaxInactivityDuration), Is.All.Zero);
            Assert.That(url.ParseFound("tcp://c").Options.CreateOffer("c").MaxInactivityDuration, Is.Zero);
        });
    }

    [TestCase("failover:(tcp://a)?randomise=false", "unknown option 'randomise'; did you mean 'randomize'?")]
    [TestCase("tcp://a?conectionTimeout=1", "unknown option 'conectionTimeout'; did you mean 'connectionTimeout'?")]
    [TestCase("tcp://a?jms.prefetchPolicy.queuePrefetsch=1", "did you mean 'jms.prefetchPolicy.queuePrefetch'?")]
    [TestCase("failover:(tcp://a?wireFormat.maxFrameSise=1)", "did you mean 'wireFormat.maxFrameSize'?")]
    [TestCase("failover:(tcp://a)?nested.wireFormat.maxFrameSise=1", "did you mean 'wireFormat.maxFrameSize'?")]
    [TestCase("discovery:fabric:default?zookeper=a:1", "unknown option 'zookeper'; did you mean 'zookeeper'?")]
    [TestCase("tpc://a", "scheme 'tpc' is not supported; did you mean 'tcp'?")]
    [TestCase("failover:(tcp://a)?randomize=perhaps", "option 'randomize' must be true or false, not 'perhaps'")]
    [TestCase("failover:(tcp://a)?maxReconnectAttempts=-2", "option 'maxReconnectAttempts' must be a whole number of at least -1, not '-2'")]
    [TestCase("failover:(tcp://a)?randomize", "option 'randomize' has no value")]
    [TestCase("failover:(tcp://a", "lacks a closing parenthesis")]
    [TestCase("failover:()", "names no broker")]
    [TestCase("discovery:zeroconf:x", "is no known discovery")]
    [TestCase("localhost:61616", "'localhost:61616' is no broker URL")]
    [TestCase("broker", "'broker' is no broker URL")]
    public void A_mistake_is_named_with_what_may_be_meant(string text, string message) =>
        Assert.That(() => ClientUrl.Parse(text), Throws.TypeOf<UriFormatException>().With.Message.Contains(message));

    [TestCase("localhost:x", "\"localhost:x\" is no ZooKeeper server")]
    [TestCase("localhost:1/", null)]
    [TestCase(",", "names no ZooKeeper server")]
    public async Task Malformed_hosts_of_a_registry_are_refused_when_the_client_is_made(string hosts, string? message)
    {
        try
        {
            await new FabricClient($"discovery:fabric:default?zookeeper={hosts}").DisposeAsync();
            Assert.That(message, Is.Null);
        }
        catch (UriFormatException exception)
        {
            Assert.That(exception.Message, Does.Contain(message));
        }
    }

    [TestCase("failover:(tcp://a)?foo=1")]
    [TestCase("amqp://a")]
    public void What_nothing_resembles_gets_no_suggestion(string text) =>
        Assert.That(() => ClientUrl.Parse(text), Throws.TypeOf<UriFormatException>().With.Message.Not.Contains("did you mean"));

    [TestCase("failover:(tcp://a)?jms.password=hunter2&jms.userName=me")]
    [TestCase("tcp://a?jms.userName=me&jms.password=hunter2")]
    [TestCase("tcp://me:hunter2@a:1")]
    public void A_password_is_never_shown(string text)
    {
        var url = ClientUrl.Parse(text);
        Assert.That($"{url} {string.Join(' ', url.Brokers)}", Does.Not.Contain("hunter2").And.Contain("***"));
    }

    [Test]
    public void A_password_is_not_shown_by_an_error_either() => Assert.That(
        () => ClientUrl.Parse("failover:(tcp://a)trailing?jms.password=hunter2"),
        Throws.TypeOf<UriFormatException>().With.Message.Not.Contains("hunter2"));
}
