using Fabric.Registry;

namespace Fabric.Tests.Registry;

internal sealed class UserListTests
{
    private const string Admin = "admin={CRYPT}21232f297a57a5a743894a0e4a801fc3{CRYPT},admin";

    [Test]
    public void A_user_is_written_as_the_ancestors_write_it() =>
        Assert.That(UserList.Empty.With("admin", "admin", "admin").Format(), Is.EqualTo(Admin + "\n"));

    [TestCase("admin", "admin", true)]
    [TestCase("admin", "Admin", false)]
    [TestCase("admin", "", false)]
    [TestCase("admin", null, false)]
    [TestCase("joe", "plain", true)]
    [TestCase("joe", "", false)]
    [TestCase("nobody", "", false)]
    [TestCase("nobody", null, false)]
    [TestCase(null, null, false)]
    [TestCase("empty", "", false)]
    public void Name_and_password_must_belong_together(string? name, string? password, bool isRight)
    {
        var users = UserList.Parse($"# comment\n{Admin}\n\njoe = plain, reader , writer\nempty=\nrubbish\n");

        Assert.That(users.Verify(name, password)?.Name, isRight ? Is.EqualTo(name) : Is.Null);
    }

    [Test]
    public void Roles_are_read() =>
        Assert.That(UserList.Parse("joe=x, reader , writer").Verify("joe", "x")!.Roles, Is.EqualTo(new[] { "reader", "writer" }));

    [Test]
    public void A_changed_password_replaces_the_old_one()
    {
        var users = UserList.Empty.With("a", "1").With("b", "2", "r").With("a", "3");

        Assert.Multiple(() =>
        {
            Assert.That(users.Users.Select(user => user.Name), Is.EqualTo(new[] { "a", "b" }));
            Assert.That(users.Verify("a", "1"), Is.Null);
            Assert.That(users.Verify("a", "3"), Is.Not.Null);
            Assert.That(UserList.Parse(users.Format()).Verify("b", "2")!.Roles, Is.EqualTo(new[] { "r" }));
        });
    }

    [TestCase("")]
    [TestCase("a b")]
    [TestCase("a=b")]
    [TestCase("#a")]
    public void A_name_that_would_break_the_list_is_refused(string name) =>
        Assert.That(() => UserList.Empty.With(name, "x"), Throws.ArgumentException);
}
