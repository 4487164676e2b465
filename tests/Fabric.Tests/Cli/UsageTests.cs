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
}
