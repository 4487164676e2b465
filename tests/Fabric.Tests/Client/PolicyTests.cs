using Fabric.Client;
using Fabric.Client.Connections;
using Fabric.Client.Consumers;
using WireDestination = Fabric.Protocols.OpenWire.Commands.Destination;
using WireProducerId = Fabric.Protocols.OpenWire.Commands.ProducerId;

namespace Fabric.Tests.Client;

[TestFixture]
internal sealed class PolicyTests
{
    [Test]
    public void Reconnection_waits_double_from_ten_milliseconds_to_thirty_seconds()
    {
        var backOff = new ReconnectBackOff(new FailoverOptions());
        var delays = Enumerable.Range(0, 14).Select(_ => backOff.Next(TimeSpan.FromDays(1)).TotalMilliseconds).ToList();
        Assert.That(delays, Is.EqualTo(new double[]
        {
            10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 30000, 30000,
        }));
    }

    [Test]
    public void Counted_rounds_last_as_long_as_in_Java()
    {
        var backOff = new ReconnectBackOff(new FailoverOptions());
        Assert.That(Enumerable.Range(0, 5).Select(_ => backOff.Next(null).TotalMilliseconds), Is.EqualTo(new double[] { 10, 20, 40, 80, 160 }));
    }

    [Test]
    public async Task A_client_that_may_try_five_times_tries_for_as_long_as_in_Java()
    {
        using var nobody = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        nobody.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0)); // and never listens
        var port = ((System.Net.IPEndPoint)nobody.LocalEndPoint!).Port;
        await using var client = new FabricClient($"failover:(tcp://127.0.0.1:{port})?startupMaxReconnectAttempts=5");
        var start = TimeProvider.System.GetTimestamp();
        Assert.That(async () => await client.ConnectAsync(), Throws.TypeOf<FabricConnectionException>());
        Assert.That(TimeProvider.System.GetElapsedTime(start), Is.GreaterThan(TimeSpan.FromMilliseconds(140)), "10 + 20 + 40 + 80 between five rounds");
    }

    [Test]
    public void Reconnection_never_waits_longer_than_a_tenth_of_the_outage()
    {
        var backOff = new ReconnectBackOff(new FailoverOptions());
        for (var outage = TimeSpan.Zero; outage < TimeSpan.FromMinutes(2);)
        {
            var delay = backOff.Next(outage);
            Assert.That(delay, Is.LessThanOrEqualTo(TimeSpan.FromMilliseconds(Math.Max(10, (outage.TotalMilliseconds / 10) + 0.001))));
            Assert.That(delay, Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(10)));
            outage += delay;
        }
    }

    [TestCase(1, false, ExpectedResult = 1000)]
    [TestCase(2, false, ExpectedResult = 2000)]
    [TestCase(7, false, ExpectedResult = 2000)]
    [TestCase(1, true, ExpectedResult = 1000)]
    [TestCase(2, true, ExpectedResult = 5000)]
    [TestCase(3, true, ExpectedResult = 25000)]
    [TestCase(4, true, ExpectedResult = 60000)]
    public double Redelivery_is_delayed_as_the_policy_says(int redelivery, bool exponential) => new RedeliveryPolicy
    {
        RedeliveryDelay = TimeSpan.FromSeconds(2),
        UseExponentialBackOff = exponential,
        MaximumRedeliveryDelay = TimeSpan.FromMinutes(1),
    }.GetDelay(redelivery, new Random(1)).TotalMilliseconds;

    [Test]
    public void Collision_avoidance_varies_a_delay_by_fifteen_percent()
    {
        var policy = new RedeliveryPolicy { UseCollisionAvoidance = true };
        var random = new Random(1);
        var delays = Enumerable.Range(0, 200).Select(_ => policy.GetDelay(1, random).TotalMilliseconds).ToList();
        Assert.That(delays, Is.All.InRange(850, 1150));
        Assert.That(delays.Max() - delays.Min(), Is.GreaterThan(200));
    }

    [Test]
    public void The_broker_that_was_lost_is_tried_last()
    {
        var brokers = ClientUrl.Parse("failover:(tcp://a,tcp://b,tcp://c)").Brokers;
        var list = new BrokerList(brokers);
        list.PutLast(brokers[0]);
        for (var seed = 0; seed < 20; seed++)
        {
            var round = list.CreateRound(randomize: true, new Random(seed));
            Assert.That(round, Is.EquivalentTo(brokers));
            Assert.That(round[^1], Is.EqualTo(brokers[0]));
        }

        Assert.That(list.CreateRound(randomize: false, new Random(1)), Is.EqualTo(new[] { brokers[1], brokers[2], brokers[0] }));
    }

    [Test]
    public void Only_the_last_accepted_messages_are_remembered()
    {
        var recent = new RecentlyAccepted(3);
        var producer = new WireProducerId("c", 1, 1);
        for (var i = 1; i <= 5; i++)
        {
            recent.Add(new MessageKey(producer, i, WireDestination.Queue("Q")));
        }

        Assert.That(recent.ToDictionary().Keys.Select(key => key.Sequence), Is.EquivalentTo(new[] { 3, 4, 5 }));
    }

    [TestCase("queue://A.B", DestinationKind.Queue, "A.B")]
    [TestCase("topic://A.>", DestinationKind.Topic, "A.>")]
    [TestCase("temp-queue://ID:x:1", DestinationKind.TempQueue, "ID:x:1")]
    [TestCase("Temp-Topic://ID:x:1", DestinationKind.TempTopic, "ID:x:1")]
    [TestCase(" plain ", DestinationKind.Queue, "plain")]
    public void A_destination_is_read_from_its_name(string text, DestinationKind kind, string name)
    {
        Destination destination = text;
        Assert.That((destination.Kind, destination.Name), Is.EqualTo((kind, name)));
    }

    [TestCase("")]
    [TestCase("queue://")]
    [TestCase("topic:// ")]
    [TestCase("queue://A?consumer.prefetchSize=1")]
    public void A_destination_without_a_plain_name_is_refused(string text) =>
        Assert.That(() => Destination.Parse(text), Throws.InstanceOf<ArgumentException>());
}
