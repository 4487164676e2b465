using Fabric.ZooKeeper.Jute;
using Fabric.ZooKeeper.Server.Tree;

namespace Fabric.Tests.ZooKeeper.Server;

/// <summary>Address ranges, the super user, and what an ACL may contain.</summary>
public sealed class AccessControlTests
{
    [TestCase("10.1.2.3", "10.1.2.3", true)]
    [TestCase("10.1.2.3", "10.1.2.4", false)]
    [TestCase("10.1.2.3", "10.0.0.0/8", true)]
    [TestCase("11.1.2.3", "10.0.0.0/8", false)]
    [TestCase("10.1.2.3", "10.1.2.0/30", true)]
    [TestCase("10.1.2.4", "10.1.2.0/30", false)]
    [TestCase("10.1.2.3", "0.0.0.0/0", true)]
    [TestCase("fe80::1", "fe80::/16", true)]
    [TestCase("fe80::1", "10.0.0.0/0", false)]
    public void An_address_matches_its_ranges(string address, string range, bool matches)
    {
        Acl[] acl = [new(AclPermissions.Read, new Id("ip", range))];

        Assert.That(AccessControl.Allows(acl, AclPermissions.Read, [new Id("ip", address)]), Is.EqualTo(matches));
        Assert.That(AccessControl.Allows(acl, AclPermissions.Write, [new Id("ip", address)]), Is.False);
    }

    [TestCase("ip", "10.0.0.0/33", false)]
    [TestCase("ip", "10.0.0.0/-1", false)]
    [TestCase("ip", "10.0.0.0/", false)]
    [TestCase("ip", "10", false)]
    [TestCase("ip", "localhost", false)]
    [TestCase("ip", "::1", true)]
    [TestCase("digest", "a:b:c", false)]
    [TestCase("digest", "a:b", true)]
    [TestCase("world", "anyone", true)]
    [TestCase("x509", "CN=x", false)]
    [TestCase("super", "", false)]
    public void Only_known_identities_are_taken(string scheme, string value, bool isValid) =>
        Assert.That(AccessControl.Resolve([new Acl(AclPermissions.All, new Id(scheme, value))], []) is not null, Is.EqualTo(isValid));

    [Test]
    public async Task The_super_user_passes_every_acl()
    {
        var super = DigestAuthentication.CreateId("super:secret").Value;
        await using var server = await TestServer.StartAsync(options => options with { SuperDigest = super });
        await using var owner = await server.OpenAsync();
        await using var admin = await server.OpenAsync();
        await owner.RequestAsync(OpCode.Auth, new AuthPacket(0, "digest", "bob:pw"u8.ToArray()));
        await owner.RequestAsync(OpCode.Create, new CreateRequest("/private", [7], [.. WellKnownAcls.CreatorAll], 0));

        Assert.That(await ErrorOfReadAsync(admin), Is.EqualTo(ZooKeeperError.NoAuth));
        await admin.RequestAsync(OpCode.Auth, new AuthPacket(0, "digest", "super:wrong"u8.ToArray()));
        Assert.That(await ErrorOfReadAsync(admin), Is.EqualTo(ZooKeeperError.NoAuth));
        await admin.RequestAsync(OpCode.Auth, new AuthPacket(0, "digest", "super:secret"u8.ToArray()));
        Assert.That(await ErrorOfReadAsync(admin), Is.EqualTo(ZooKeeperError.Ok));
    }

    private static async Task<ZooKeeperError> ErrorOfReadAsync(RawClient client) =>
        (await client.RequestAsync(OpCode.GetData, new PathWatchRequest("/private", false))).Error;
}
