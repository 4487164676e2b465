using Fabric.Server.Node;
using Microsoft.Extensions.Logging;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class CommandLineTests
{
    [Test]
    public void A_container_needs_name_directory_and_registry()
    {
        var options = Run("run", "--name", "broker1", "--data", "d", "--zookeeper", "a:1,b:2");
        Assert.Multiple(() =>
        {
            Assert.That(options.Name, Is.EqualTo("broker1"));
            Assert.That(options.DataDirectory, Is.EqualTo("/here/d"));
            Assert.That(options.ZooKeeper, Is.EqualTo("a:1,b:2"));
            Assert.That(options.HostsRegistry, Is.False);
            Assert.That(options.EffectiveAdminPort, Is.EqualTo(8161));
            Assert.That(options.EffectiveOpenWirePort, Is.EqualTo(61616));
            Assert.That(options.BindHost, Is.EqualTo("127.0.0.1"));
        });
    }

    [TestCase("--name")]
    [TestCase("--data")]
    [TestCase("--zookeeper")]
    public void A_missing_option_is_named(string missing)
    {
        string[] all = ["--name", "broker1", "--data", "/d", "--zookeeper", "a:1"];
        var at = Array.IndexOf(all, missing);
        var exception = Refused(["run", .. all[..at], .. all[(at + 2)..]]);
        Assert.That(exception.Message, Is.EqualTo($"{missing} is missing"));
    }

    [Test]
    public void A_root_hosts_the_registry_unless_one_is_named()
    {
        var own = Run("run", "--root", "--data", "/d", "--port-offset", "100");
        var foreign = Run("run", "--root", "--data", "/d", "--zookeeper=zk:2181");
        Assert.Multiple(() =>
        {
            Assert.That(own.Name, Is.EqualTo("root"));
            Assert.That(own.HostsRegistry, Is.True);
            Assert.That(own.RegistryPort, Is.EqualTo(2281));
            Assert.That(own.EffectiveAdminPort, Is.EqualTo(8260));
            Assert.That(foreign.HostsRegistry, Is.False);
            Assert.That(foreign.ZooKeeper, Is.EqualTo("zk:2181"));
        });
    }

    [Test]
    public void The_registry_may_come_from_the_environment()
    {
        var request = CommandLine.Parse(
            ["run", "--name", "b", "--data", "/d"], name => name == "FABRIC_ZOOKEEPER" ? "env:2181" : null, "/here");
        Assert.That(((Request.Run)request).Options.ZooKeeper, Is.EqualTo("env:2181"));
    }

    [TestCase("unknown option --nmae", "run", "--nmae", "x")]
    [TestCase("unknown command strat", "strat")]
    [TestCase("no command")]
    [TestCase("--port-offset 3801: not a number from 0 to 3800", "run", "--port-offset", "3801")]
    [TestCase("--port-offset -1: not a number from 0 to 3800", "run", "--port-offset", "-1")]
    [TestCase("--admin-port 65536: not a number from 0 to 65535", "run", "--admin-port", "65536")]
    [TestCase("--name needs a value", "run", "--name")]
    [TestCase("--name needs a value", "run", "--name", "--data", "/d")]
    [TestCase("--name needs a value", "run", "--name=")]
    [TestCase("--root takes no value", "run", "--root=yes", "--data", "/d")]
    [TestCase("unknown option x", "run", "x")]
    [TestCase("--log-level loud: not one of trace, debug, information, warning, error", "run", "--log-level", "loud")]
    [TestCase("--zookeeper h:x: \"h:x\" is no ZooKeeper server; expected is host:port", "run", "--name", "b", "--data", "/d", "--zookeeper", "h:x")]
    [TestCase("--timeout 0: not a number from 1 to 3600", "stop", "--timeout", "0")]
    public void What_is_wrong_is_said_in_one_line(string message, params string[] arguments)
    {
        var exception = Refused(arguments);
        Assert.That(exception.Message, Is.EqualTo(message));
    }

    [Test]
    public void Typographic_dashes_are_recognised()
    {
        var exception = Refused(["run", "-\u2014data", "/d"]);
        Assert.That(exception.Message, Does.Contain("typographic dashes"));
    }

    [TestCase("")]
    [TestCase("a/b")]
    [TestCase("..")]
    [TestCase("a b")]
    [TestCase("ä")]
    public void A_name_that_is_no_znode_or_directory_is_refused(string name) =>
        Assert.That(CommandLine.IsContainerName(name), Is.False);

    [TestCase("broker1")]
    [TestCase("east-2.b_1")]
    public void A_plain_name_is_accepted(string name) => Assert.That(CommandLine.IsContainerName(name), Is.True);

    [Test]
    public void Everything_can_be_set()
    {
        var options = Run(
            "run", "--name", "b", "--data", "/d", "--zookeeper", "z", "--bind", "0.0.0.0", "--advertise", "host1", "--admin-port", "0",
            "--openwire-port", "1", "--detach", "--fail-fast", "--log-level", "debug");
        Assert.Multiple(() =>
        {
            Assert.That(options.BindHost, Is.EqualTo("0.0.0.0"));
            Assert.That(options.EffectiveAdvertisedHost, Is.EqualTo("host1"));
            Assert.That(options.EffectiveAdminPort, Is.Zero);
            Assert.That(options.EffectiveOpenWirePort, Is.EqualTo(1));
            Assert.That(options.Detached && options.FailFast, Is.True);
            Assert.That(options.LogLevel, Is.EqualTo(LogLevel.Debug));
        });
    }

    [Test]
    public void Help_and_version_are_printed()
    {
        var help = CommandLine.Parse(["run", "--help"], _ => null, "/here");
        var version = CommandLine.Parse(["--version"], _ => null, "/here");
        Assert.That(help, Is.EqualTo(new Request.Print(CommandLine.Help)));
        Assert.That(((Request.Print)version).Text, Does.Match(@"^\d+\.\d+\.\d+"));
    }

    [Test]
    public void A_broker_without_a_fabric_has_a_file()
    {
        var request = CommandLine.Parse(["run", "--config", "b.json", "--detach"], _ => null, "/here");
        Assert.That(request, Is.EqualTo(new Request.RunSolo("/here/b.json", true, LogLevel.Information)));
        Assert.That(Refused(["run", "--config", "b.json", "--data", "/d"]).Message, Does.StartWith("--config says everything"));
    }

    [Test]
    public void Stop_has_a_directory_and_a_limit()
    {
        var request = CommandLine.Parse(["stop", "--data", "d", "--timeout", "7"], _ => null, "/here");
        Assert.That(request, Is.EqualTo(new Request.Stop("/here/d", TimeSpan.FromSeconds(7))));
    }

    private static NodeOptions Run(params string[] arguments) =>
        ((Request.Run)CommandLine.Parse(arguments, _ => null, "/here")).Options;

    private static NodeException Refused(string[] arguments)
    {
        var exception = Assert.Throws<NodeException>(() => CommandLine.Parse(arguments, _ => null, "/here"))!;
        Assert.That(exception.Code, Is.EqualTo(ExitCode.Usage));
        return exception;
    }
}
