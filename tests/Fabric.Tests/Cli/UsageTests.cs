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
