namespace Fabric.Tests.Cli;

/// <summary>Command lines that are wrong end with 64 and one line that says what is, before anything is asked or done.</summary>
[TestFixture]
internal sealed class UsageTests
{
    [TestCase("container-list")]
    [TestCase("producer")]
    public async Task Malformed_hosts_of_the_registry(string command)
    {
        var run = await CommandRun.RunAsync("/", command, "--zookeeper", "localhost:x");
        Assert.That((run.Code, run.Error), Is.EqualTo((64, run.Error)));
        Assert.That(run.Error, Does.StartWith("error: --zookeeper localhost:x: \"localhost:x\" is no ZooKeeper server; expected is host:port"));
    }

    [TestCase("error: --ttl is -1; it must be from 0", "producer", "--ttl", "-1")]
    [TestCase("error: --ttl is 9223372036854775807; it must be from 0", "producer", "--ttl", "9223372036854775807")]
    [TestCase("error: --size is 2147483647; it must be at most", "producer", "--size", "2147483647")]
    [TestCase("error: --size is 2147483647; it must be at most", "bench", "--size", "2147483647")]
    [TestCase("error: --url is empty", "producer", "--url", "")]
    [TestCase("error: --url is empty", "consumer", "--url", " ")]
    [TestCase("error: --url is empty", "bench", "--url", "")]
    [TestCase("error: unknown option 'nobody'", "consumer", "--url", "tcp://localhost:1?nobody=1")]
    [TestCase("error: the root znode cannot be deleted", "zk-delete", "-r", "/")]
    [TestCase("error: --property a is given twice", "mq-create", "x", "--property", "a=1", "--property", "a=2")]
    [TestCase("error: --port openwire is given twice", "mq-create", "x", "--port", "openwire=1", "--port", "openwire=2")]
    [TestCase("error: --minimumInstances must not be negative", "mq-create", "x", "--minimumInstances", "-5")]
    [TestCase("error: --replicas 3 contradicts --kind StandAlone", "mq-create", "x", "--kind", "StandAlone", "--replicas", "3")]
    public async Task A_value_that_cannot_be(string error, params string[] arguments)
    {
        var run = await CommandRun.RunAsync("/", [.. arguments, "--zookeeper", "127.0.0.1:1"]);
        Assert.That((run.Code, run.Out), Is.EqualTo((64, "")), run.Error);
        Assert.That(run.Error, Does.StartWith(error));
    }

    [TestCase("producer")]
    [TestCase("consumer")]
    public async Task A_password_in_the_URL_is_not_shown(string command)
    {
        var run = await CommandRun.RunAsync("/", command, "--url", "tcp://127.0.0.1:1?jms.userName=u&jms.password=open-sesame");
        Assert.That(run.Code, Is.EqualTo(69), run.Error);
        Assert.That(run.Out, Does.StartWith("Using destination: queue://TEST, on broker: tcp://127.0.0.1:1?jms.userName=u&jms.password=***"));
        Assert.That(run.Out + run.Error, Does.Not.Contain("open-sesame"));
    }

    [TestCase("producer", "queue://A?consumer.prefetchSize=1")]
    [TestCase("consumer", " ")]
    [TestCase("bench", "topic://")]
    public async Task A_destination_that_is_none(string command, string destination)
    {
        var run = await CommandRun.RunAsync("/", command, "--destination", destination);
        Assert.That((run.Code, run.Out), Is.EqualTo((64, "")));
        Assert.That(run.Error, Does.StartWith($"error: --destination '{destination}' is no destination"));
    }
}
