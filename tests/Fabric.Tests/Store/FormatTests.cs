using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Tests.Store;

/// <summary>The bytes of FORMAT.md, frozen: a change here is a new format version.</summary>
[TestFixture]
internal sealed class FormatTests
{
    [Test]
    public void The_checksum_is_the_standard_one() =>
        Assert.That(Checksum.Of("123456789"u8), Is.EqualTo(0xE3069283));

    [Test]
    public void A_record_looks_as_documented()
    {
        var position = new Position(0x1_2345_6789);
        var body = "0123456789"u8;
        var header = new byte[16];
        RecordFormat.WriteHeader(header, position, 17, 3, body.Length, Checksum.Append(Checksum.Start, body));

        byte[] covered = [.. body, .. BitConverter.GetBytes(position.Value), .. header[..4], .. header[8..]];
        var crc = BitConverter.ToUInt32(header, 4);
        Assert.That(crc, Is.EqualTo(Checksum.Of(covered)));
        Assert.That(Convert.ToHexString(header), Is.EqualTo("0A000000" + Convert.ToHexString(header[4..8]) + "89674523" + "11" + "03" + "0000"));
        Assert.That(Convert.ToHexString(header[4..8]), Is.EqualTo(Frozen.Record));
    }

    [Test]
    public void A_segment_header_looks_as_documented()
    {
        var page = new byte[SegmentHeader.Bytes];
        new SegmentHeader(new Position(258), 65536, null).Write(page);
        Assert.That(Convert.ToHexString(page[..40]), Is.EqualTo(
            "464142524943534701000000" + Frozen.Header + "02010000000000000000010000000000FFFFFFFFFFFFFFFF"));
        Assert.That(page[40..], Is.All.Zero);
        Assert.That(SegmentHeader.Read(page, "x"), Is.EqualTo(new SegmentHeader(new Position(258), 65536, null)));
    }

    [Test]
    public void A_sync_mark_looks_as_documented()
    {
        var mark = new byte[SyncMark.Bytes];
        new SyncMark(new Position(3), new Position(2), new Position(1), Closed: true).Write(mark);
        Assert.That(Convert.ToHexString(mark), Is.EqualTo(
            "4641425249435359030000000000000002000000000000000100000000000000" + "01000000" + Frozen.Mark));
        Assert.That(SyncMark.Read(mark, new Position(4)), Is.Null, "it counts where it was written only");
    }

    private static class Frozen
    {
        public const string Record = "F3F0134A";
        public const string Header = "30431310";
        public const string Mark = "6179360E";
    }
}
