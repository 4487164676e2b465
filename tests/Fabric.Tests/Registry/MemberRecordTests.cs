using System.Text;
using Fabric.Registry.Membership;

namespace Fabric.Tests.Registry;

/// <summary>The dialects of fabric.md §1.4, to the byte: clients of 6.0 and 6.1 reject a field they do not know.</summary>
internal sealed class MemberRecordTests
{
    private static readonly Guid Uuid = new("0f8fad5b-d9cb-469f-a165-70867728950e");
    private static readonly MemberRecord Master = new("tolerant", "broker1", ["tcp://${zk:broker1/ip}:55469"], Uuid);
    private static readonly MemberRecord Slave = new("tolerant", "broker2", [], Uuid);

    [TestCase(MemberDialect.V60, """{"id":"tolerant","services":["tcp://${zk:broker1/ip}:55469"],"agent":"broker1"}""")]
    [TestCase(MemberDialect.V61, """{"id":"tolerant","container":"broker1","services":["tcp://${zk:broker1/ip}:55469"]}""")]
    [TestCase(
        MemberDialect.V63,
        """{"id":"tolerant","container":"broker1","uuid":"0f8fad5b-d9cb-469f-a165-70867728950e","ready":true,"services":["tcp://${zk:broker1/ip}:55469"]}""")]
    public void A_master_is_written_in_the_fields_of_its_dialect(MemberDialect dialect, string json) =>
        Assert.That(Encoding.UTF8.GetString(Master.Encode(dialect)), Is.EqualTo(json));

    [TestCase(MemberDialect.V60, """{"id":"tolerant","services":[],"agent":"broker2"}""")]
    [TestCase(MemberDialect.V61, """{"id":"tolerant","container":"broker2","services":[]}""")]
    [TestCase(
        MemberDialect.V63,
        """{"id":"tolerant","container":"broker2","uuid":"0f8fad5b-d9cb-469f-a165-70867728950e","ready":true,"services":[]}""")]
    public void A_slave_has_an_empty_array_of_services(MemberDialect dialect, string json) =>
        Assert.That(Encoding.UTF8.GetString(Slave.Encode(dialect)), Is.EqualTo(json));

    [TestCase(MemberDialect.V60, false)]
    [TestCase(MemberDialect.V61, false)]
    [TestCase(MemberDialect.V63, true)]
    public void What_is_written_is_read_again(MemberDialect dialect, bool hasUuid)
    {
        var read = MemberRecord.TryDecode(Master.Encode(dialect))!;

        Assert.Multiple(() =>
        {
            Assert.That((read.Id, read.Container, read.IsReady), Is.EqualTo(("tolerant", "broker1", true)));
            Assert.That(read.Services, Is.EqualTo(Master.Services));
            Assert.That(read.Uuid, Is.EqualTo(hasUuid ? Uuid : (Guid?)null));
        });
    }

    [Test]
    public void Fields_of_other_versions_are_ignored_and_missing_ones_tolerated()
    {
        var read = MemberRecord.TryDecode("""{"container":"c","started":true,"services":null,"ready":false}"""u8.ToArray())!;

        Assert.Multiple(() =>
        {
            Assert.That((read.Id, read.Container, read.IsReady), Is.EqualTo(("c", "c", false)));
            Assert.That(read.Services, Is.Empty);
        });
    }

    [TestCase("")]
    [TestCase("null")]
    [TestCase("[]")]
    [TestCase("not json")]
    [TestCase("""{"note":"a group without members"}""")]
    public void Other_data_is_no_member(string data) => Assert.That(MemberRecord.TryDecode(Encoding.UTF8.GetBytes(data)), Is.Null);

    [Test]
    public void A_dialect_that_is_off_is_not_written() =>
        Assert.That(() => Master.Encode(MemberDialect.Off), Throws.TypeOf<ArgumentOutOfRangeException>());
}
