using Fabric.Registry;
using Fabric.Registry.Discovery;

namespace Fabric.Tests.Registry;

/// <summary>References as fabric.md §1.3 describes them.</summary>
internal sealed class ZkTextTests
{
    private const string Config = "/fabric/registry/containers/config";

    private static readonly Dictionary<string, string> Znodes = new()
    {
        [$"{Config}/broker1/ip"] = "${zk:broker1/localhostname}",
        [$"{Config}/broker1/localhostname"] = "${zk:root/localhostname}",
        [$"{Config}/root/localhostname"] = "node1",
        [$"{Config}/which"] = "broker1",
        [$"{Config}/loop/a"] = "${zk:loop/b}",
        [$"{Config}/loop/b"] = "${zk:loop/a}",
        ["/some/file.properties"] = "user=joe\nname=${zk:which}",
        ["/some/file.json"] = """{"a":{"b":[1,"two",{"c":true}]}}""",
        ["/some/text"] = "plain",
    };

    [TestCase("tcp://node1:61616", "tcp://node1:61616")]
    [TestCase("tcp://${zk:broker1/ip}:55469", "tcp://node1:55469")]
    [TestCase("${zk:/some/text}!", "plain!")]
    [TestCase("${zk:${zk:which}/ip}", "node1")]
    [TestCase("tcp://${zk:x/ip}:5000", "tcp://:5000")]
    [TestCase("${zk:/some/file.properties#user}", "joe")]
    [TestCase("${zk:/some/file.properties#name}", "broker1")]
    [TestCase("${zk:/some/file.properties#none}", "")]
    [TestCase("${zk:/some/file.json#a.b.1}", "two")]
    [TestCase("${zk:/some/file.json#a.b.0}${zk:/some/file.json#a.b.2.c}", "1True")]
    [TestCase("${zk:/some/file.json#a.b}", "")]
    [TestCase("${zk:/some/file.json#a.b.7}", "")]
    [TestCase("${zk:/some/text#x}", "")]
    [TestCase("${zk:}", "")]
    [TestCase("${zk:/not//valid/}", "")]
    [TestCase("${profile:a/b} ${user.home}", "${profile:a/b} ${user.home}")]
    [TestCase("\\{a\\} \\\\ \\n", "{a} \\ \\n")]
    [TestCase("$\\{zk:which\\}", "${zk:which}")]
    [TestCase("${zk:which", "${zk:which")]
    [TestCase("${zk:which}}", "broker1}")]
    public async Task References_are_replaced_by_what_they_name(string text, string expanded) =>
        Assert.That(await ZkText.ExpandAsync(text, Read), Is.EqualTo(expanded));

    [TestCase("${zk:loop/a}")]
    [TestCase("x ${zk:loop/b} y")]
    public void A_circle_is_an_error(string text) =>
        Assert.That(() => ZkText.ExpandAsync(text, Read), Throws.TypeOf<RegistryContentException>());

    [Test]
    public async Task The_same_reference_twice_is_no_circle() =>
        Assert.That(await ZkText.ExpandAsync("${zk:which} ${zk:which}", Read), Is.EqualTo("broker1 broker1"));

    private static Task<string?> Read(string path) => Task.FromResult(Znodes.GetValueOrDefault(path));
}
