using Fabric.Broker;
using Fabric.Broker.Security;

namespace Fabric.Tests.Broker;

public sealed class SecurityTests
{
    [Test]
    public void The_registrys_form_and_plain_passwords_are_understood()
    {
        var users = UserTable.Parse(
            """
            # users
            admin={CRYPT}21232f297a57a5a743894a0e4a801fc3{CRYPT},admin

            bob=plain,reader,writer
            carol=alone
            """);
        Assert.That(users.Authenticate("admin", "admin"));
        Assert.That(users.Authenticate("bob", "plain"));
        Assert.That(users.Authenticate("carol", "alone"));
        Assert.That(users.Authenticate("admin", "{CRYPT}21232f297a57a5a743894a0e4a801fc3{CRYPT}"), Is.False, "the digest is no password");
        Assert.That(users.Authenticate("bob", "plain,reader"), Is.False);
        Assert.That(users.Authenticate("bob", "Plain"), Is.False);
        Assert.That(users.Authenticate("bob", null), Is.False);
        Assert.That(users.Authenticate("nobody", ""), Is.False);
        Assert.That(users.Authenticate(null, null), Is.False);
    }

    [Test]
    public void By_default_nobody_may_connect() => Assert.That(new BrokerOptions().Authenticator.Authenticate("admin", "admin"), Is.False);

    [TestCase("no equals sign")]
    [TestCase("=nobody")]
    [TestCase("admin={CRYPT}zz{CRYPT},admin")]
    public void A_bad_line_is_named_by_number_and_not_by_content(string line)
    {
        var failure = Assert.Throws<FormatException>(() => UserTable.Parse("ok=fine\n" + line));
        Assert.That(failure.Message, Does.Contain("line 2"));
        Assert.That(failure.Message, Does.Not.Contain("zz").And.Not.Contain("nobody"));
    }

    [Test]
    public async Task An_authorizer_decides_on_reading_writing_and_administering()
    {
        await using var bench = new BrokerBench(new BrokerOptions { Authorizer = new OnlyPublic() });
        var client = bench.Connect();
        var (open, secret) = (DestinationName.Queue("public.Q"), DestinationName.Queue("secret.Q"));
        Assert.That(client.Send("m", open).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(client.Send("m", secret).Status, Is.EqualTo(BrokerStatus.NotAuthorized));
        Assert.That(client.Send("m", DestinationName.Queue("public.Q,secret.Q")).Status, Is.EqualTo(BrokerStatus.NotAuthorized));
        var request = new ConsumerRequest { Key = new ConsumerKey(1, 1), Destination = secret, Prefetch = 1 };
        Assert.That(client.TryConsume(request).Detail, Is.EqualTo("User  is not authorized to read from: queue://secret.Q"));
        Assert.That(client.TryConsume(request with { Destination = open }).Status, Is.EqualTo(BrokerStatus.Accepted));
        Assert.That(client.Connection.AddDestination(secret).Status, Is.EqualTo(BrokerStatus.NotAuthorized));
        Assert.That(client.Connection.RemoveDestination(open, force: true).Status, Is.EqualTo(BrokerStatus.NotAuthorized));
    }

    private sealed class OnlyPublic : IAuthorizer
    {
        public bool Allows(string user, DestinationAction action, DestinationName destination) =>
            action != DestinationAction.Administer && destination.Name.StartsWith("public.", StringComparison.Ordinal);
    }
}
