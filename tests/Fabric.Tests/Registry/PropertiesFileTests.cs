using Fabric.Registry.Profiles;

namespace Fabric.Tests.Registry;

internal sealed class PropertiesFileTests
{
    [Test]
    public void A_brokers_pid_is_written_as_Java_writes_it()
    {
        var file = new PropertiesFile
        {
            ["connectors"] = "openwire",
            ["broker-name"] = "tolerant",
            ["config"] = "zk:/fabric/configs/versions/1.0/profiles/mq-base/broker.xml",
        };

        Assert.That(
            file.Format(PropertiesFile.DateComment(new DateTimeOffset(2026, 11, 25, 17, 0, 0, TimeSpan.Zero))),
            Is.EqualTo(
                "#Wed Nov 25 17:00:00 UTC 2026\n" +
                "connectors=openwire\n" +
                "broker-name=tolerant\n" +
                "config=zk\\:/fabric/configs/versions/1.0/profiles/mq-base/broker.xml\n"));
    }

    [TestCase("a=b", "a", "b")]
    [TestCase("a = b ", "a", "b ")]
    [TestCase("a:b", "a", "b")]
    [TestCase("a b c", "a", "b c")]
    [TestCase("  \ta\t=\tb", "a", "b")]
    [TestCase("a", "a", "")]
    [TestCase("a\\=b=c", "a=b", "c")]
    [TestCase("a\\ b=c", "a b", "c")]
    [TestCase("a=b\\\n    c", "a", "bc")]
    [TestCase("a=b\\\\\nd=e", "a", "b\\")]
    [TestCase("a=\\u00e4\\t\\n\\q", "a", "\u00e4\t\nq")]
    [TestCase("a=\\u00e", "a", "u00e")]
    [TestCase("#x=y\n!z\n\r\na=b", "a", "b")]
    [TestCase("a=1\na=2", "a", "2")]
    [TestCase("a=b=c", "a", "b=c")]
    public void The_format_is_that_of_Java(string text, string key, string value) =>
        Assert.That(PropertiesFile.Parse(text)[key], Is.EqualTo(value));

    [Test]
    public void What_is_written_is_read_again()
    {
        var file = new PropertiesFile
        {
            [" key with = : # ! \\ and \u00e4"] = " leading, trailing \t\n\r\f\\ ",
            ["empty"] = "",
            ["url"] = "tcp://h:1?a=b#c!",
        };

        Assert.That(PropertiesFile.Parse(file.Format("comment")).Properties, Is.EqualTo(file.Properties));
    }

    [Test]
    public void Comments_and_nothing_give_no_properties() => Assert.That(PropertiesFile.Parse("# a=b\n\n!\n").Keys, Is.Empty);
}
