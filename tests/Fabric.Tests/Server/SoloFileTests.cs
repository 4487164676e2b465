using Fabric.Server.Node;
using Fabric.Server.Solo;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class SoloFileTests
{
    [Test]
    public void The_shortest_file_runs_a_broker_on_the_usual_ports()
    {
        var file = Parse("""{ "Fabric": { "Broker": { } } }""");
        Assert.Multiple(() =>
        {
            Assert.That(file.Options.Name, Is.EqualTo("default"));
            Assert.That(file.Options.DataDirectory, Is.EqualTo("/etc/fabric/data"));
            Assert.That(file.Options.EffectiveOpenWirePort, Is.EqualTo(61616));
            Assert.That(file.Options.EffectiveAdminPort, Is.EqualTo(8161));
            Assert.That(file.Broker.Broker, Is.EqualTo("default"));
            Assert.That(file.Broker.Replicas, Is.EqualTo(1));
            Assert.That(file.Broker.Journal.Directory, Is.EqualTo("/etc/fabric/data/journal"));
            Assert.That(file.UsersFile, Is.Null);
        });
    }

    [Test]
    public void Everything_can_be_set()
    {
        var file = Parse("""
            {
              // comments are welcome
              "Fabric": {
                "Container": "c1",
                "Broker": {
                  "Name": "orders", "Kind": "StandAlone", "DataDirectory": "/var/lib/fabric/orders",
                  "Connectors": { "openwire": "tcp://0.0.0.0:61618" },
                },
                "Management": { "Urls": "http://0.0.0.0:8163" },
                "Security": { "UsersFile": "users.properties" }
              }
            }
            """);
        Assert.Multiple(() =>
        {
            Assert.That(file.Options.Name, Is.EqualTo("c1"));
            Assert.That(file.Broker.Broker, Is.EqualTo("orders"));
            Assert.That(file.Broker.Journal.Directory, Is.EqualTo("/var/lib/fabric/orders/journal"));
            Assert.That(file.Options.BindHost, Is.EqualTo("0.0.0.0"));
            Assert.That(file.Options.EffectiveOpenWirePort, Is.EqualTo(61618));
            Assert.That(file.Options.EffectiveAdminPort, Is.EqualTo(8163));
            Assert.That(file.UsersFile, Is.EqualTo("/etc/fabric/users.properties"));
        });
    }

    [TestCase("{", "it is not JSON")]
    [TestCase("{ }", "Fabric is missing")]
    [TestCase("""{ "Fabric": 1 }""", "Fabric is not an object")]
    [TestCase("""{ "Fabric": { } }""", "Fabric.Broker is missing")]
    [TestCase("""{ "Fabric": { "Broker": { "Nmae": "x" } } }""", "Fabric.Broker.Nmae is unknown")]
    [TestCase("""{ "Fabric": { "Broker": { "Name": 1 } } }""", "Fabric.Broker.Name is not a text")]
    [TestCase("""{ "Fabric": { "Broker": { "Kind": "Replicated" } } }""", "Fabric.Broker.Kind Replicated is not possible without a fabric")]
    [TestCase("""{ "Fabric": { "Broker": { "Connectors": { "openwire": "61616" } } } }""", "Fabric.Broker.Connectors.openwire 61616 is not tcp://")]
    [TestCase("""{ "Fabric": { "Broker": { "Connectors": { "openwire": "tcp://a:1/x" } } } }""", "is not tcp://")]
    [TestCase("""{ "Fabric": { "Broker": { "Connectors": { "stomp": "tcp://a:1" } } } }""", "Fabric.Broker.Connectors.stomp is unknown")]
    [TestCase("""{ "Fabric": { "Broker": { "Name": "a b" } } }""", "are made of letters")]
    public void What_is_wrong_is_named(string text, string message)
    {
        var exception = Assert.Throws<NodeException>(() => Parse(text))!;
        Assert.That(exception.Code, Is.EqualTo(ExitCode.BadConfiguration));
        Assert.That(exception.Message, Does.StartWith("/etc/fabric/fabric.json: ").And.Contain(message));
    }

    private static SoloFile Parse(string text) => SoloFile.Parse(text, "/etc/fabric/fabric.json");
}
