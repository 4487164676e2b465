using Fabric.Grpc;
using Fabric.Grpc.Wire;

namespace Fabric.Tests.Grpc;

internal sealed class WireTextTests
{
    [TestCase(0, "0n")]
    [TestCase(1, "1u")]
    [TestCase(20, "2u")]
    [TestCase(TimeSpan.TicksPerSecond, "1000000u")]
    [TestCase(99_999_999 * 10L, "99999999u")]
    [TestCase((99_999_999 * 10L) + 1, "100000m")]
    [TestCase(TimeSpan.TicksPerDay * 30, "2592000S")]
    [TestCase(99_999_999 * TimeSpan.TicksPerSecond + 1, "1666667M")]
    [TestCase(long.MaxValue, "99999999H")]
    public void A_timeout_is_written_in_the_finest_unit_that_holds_it(long ticks, string text) =>
        Assert.That(TimeoutText.Encode(TimeSpan.FromTicks(ticks)), Is.EqualTo(text));

    [TestCase("100n", 1)]
    [TestCase("1n", 1)]
    [TestCase("7u", 70)]
    [TestCase("7m", 70_000)]
    [TestCase("7S", 70_000_000)]
    [TestCase("2M", 1_200_000_000)]
    [TestCase("1H", 36_000_000_000)]
    [TestCase("99999999H", 3_599_999_964_000_000_000)]
    public void A_timeout_is_read_in_every_unit(string text, long ticks)
    {
        Assert.That(TimeoutText.TryDecode(text, out var timeout), Is.True);
        Assert.That(timeout.Ticks, Is.EqualTo(ticks));
    }

    [TestCase("")]
    [TestCase("m")]
    [TestCase("-1m")]
    [TestCase("1 m")]
    [TestCase("1")]
    [TestCase("123456789m")]
    [TestCase("1h")]
    public void What_is_no_timeout_is_not_read(string text) => Assert.That(TimeoutText.TryDecode(text, out _), Is.False);

    [TestCase("plain text, as it is!", "plain text, as it is!")]
    [TestCase("100 %", "100 %25")]
    [TestCase("a\r\nb", "a%0D%0Ab")]
    [TestCase("Größe 🙂", "Gr%C3%B6%C3%9Fe %F0%9F%99%82")]
    public void A_message_goes_through_percent_encoding(string text, string encoded)
    {
        Assert.That(PercentText.Encode(text), Is.EqualTo(encoded));
        Assert.That(PercentText.Decode(encoded), Is.EqualTo(text));
    }

    [TestCase("50%", "50%")]
    [TestCase("%zz%4", "%zz%4")]
    [TestCase("%41%", "A%")]
    public void What_is_no_escape_stays_as_it_is(string text, string decoded) => Assert.That(PercentText.Decode(text), Is.EqualTo(decoded));

    [Test]
    public void Metadata_that_may_not_travel_is_refused()
    {
        var metadata = new GrpcMetadata();
        Assert.Throws<ArgumentException>(() => metadata.Add("grpc-status", "0"));
        Assert.Throws<ArgumentException>(() => metadata.Add("content-type", "x"));
        Assert.Throws<ArgumentException>(() => metadata.Add("a b", "x"));
        Assert.Throws<ArgumentException>(() => metadata.Add("key", "line\nbreak"));
        Assert.Throws<ArgumentException>(() => metadata.Add("key-bin", "text"));
        Assert.Throws<ArgumentException>(() => metadata.Add("key", new byte[1]));
        Assert.That(metadata, Is.Empty);
    }

    [Test]
    public void Binary_metadata_is_read_with_padding_and_without()
    {
        var metadata = new GrpcMetadata();
        metadata.AddFromWire("a-bin", "AQ==,AQI");
        metadata.AddFromWire("b-bin", "*");
        Assert.That(metadata.Select(entry => Convert.ToHexString(entry.Bytes.Span)), Is.EqualTo(new[] { "01", "0102" }));
    }

    [Test]
    public void The_numbers_of_the_status_codes_are_those_of_the_specification() =>
        Assert.That(
            Enum.GetValues<GrpcStatusCode>().Select(code => $"{(int)code} {code}"),
            Is.EqualTo(new[]
            {
                "0 Ok", "1 Cancelled", "2 Unknown", "3 InvalidArgument", "4 DeadlineExceeded", "5 NotFound", "6 AlreadyExists",
                "7 PermissionDenied", "8 ResourceExhausted", "9 FailedPrecondition", "10 Aborted", "11 OutOfRange", "12 Unimplemented",
                "13 Internal", "14 Unavailable", "15 DataLoss", "16 Unauthenticated",
            }));
}
