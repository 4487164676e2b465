using Fabric.ZooKeeper.Client;

namespace Fabric.Tests.ZooKeeper.Client;

internal sealed class ConnectStringTests
{
    [TestCase("h", "h:2181", "")]
    [TestCase("h1:1,h2:2", "h1:1 h2:2", "")]
    [TestCase(" h1:1 , h2 ", "h1:1 h2:2181", "")]
    [TestCase("h:1/", "h:1", "")]
    [TestCase("h:1/a/b", "h:1", "/a/b")]
    [TestCase("[::1]:7,[fe80::2]", "::1:7 fe80::2:2181", "")]
    public void Hosts_and_chroot_are_told_apart(string text, string hosts, string chroot)
    {
        var parsed = ConnectString.Parse(text);
        Assert.That(string.Join(' ', parsed.Hosts.Select(host => $"{host.Host}:{host.Port}")), Is.EqualTo(hosts));
        Assert.That(parsed.Chroot, Is.EqualTo(chroot));
    }

    [TestCase("")]
    [TestCase(",")]
    [TestCase("/only/a/chroot")]
    [TestCase("h:0")]
    [TestCase("h:65536")]
    [TestCase("h:port")]
    [TestCase(":2181")]
    [TestCase("h:1/a//b")]
    [TestCase("h:1/a/")]
    public void What_is_none_is_refused(string text) => Assert.That(() => ConnectString.Parse(text), Throws.TypeOf<FormatException>());

    [TestCase("/", "/a/b")]
    [TestCase("/x", "/a/b/x")]
    public void Paths_get_the_chroot_and_lose_it_again(string client, string server)
    {
        var servers = ConnectString.Parse("h/a/b");
        Assert.That((servers.ToServer(client), servers.ToClient(server)), Is.EqualTo((server, client)));
    }

    [TestCase("/a")]
    [TestCase("/a/bc")]
    [TestCase("/other")]
    public void A_path_that_is_not_below_the_chroot_stays_as_it_is(string server) =>
        Assert.That(ConnectString.Parse("h/a/b").ToClient(server), Is.EqualTo(server));

    [Test]
    public void The_root_is_not_deleted_by_way_of_the_chroot()
    {
        var servers = ConnectString.Parse("h/a/b");
        Assert.That((servers.ToServerForDelete("/"), servers.ToServerForDelete("/x")), Is.EqualTo(("/", "/a/b/x")));
    }
}
