using System.Buffers;
using System.Text;
using Fabric.Grpc.Http2;

namespace Fabric.Tests.Grpc.Http2;

/// <summary>Header compression against the examples of RFC 7541, appendix C, and against what a peer must not do.</summary>
[Parallelizable(ParallelScope.All)]
internal sealed class HpackTests
{
    private const int TableBytes = 4096;
    private const int ListBytes = 64 * 1024;
    private const string Date1 = "Mon, 21 Oct 2013 20:13:21 GMT";
    private const string Date2 = "Mon, 21 Oct 2013 20:13:22 GMT";
    private const string Cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

    private static readonly string[][] Requests =
    [
        [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
        [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"],
    ];

    private static readonly string[][] Responses =
    [
        [":status: 302", "cache-control: private", $"date: {Date1}", "location: https://www.example.com"],
        [":status: 307", "cache-control: private", $"date: {Date1}", "location: https://www.example.com"],
        [
            ":status: 200", "cache-control: private", $"date: {Date2}", "location: https://www.example.com", "content-encoding: gzip",
            $"set-cookie: {Cookie}",
        ],
    ];

    [Test]
    public void Requests_in_plain_text_decode() => AssertDecodes(
        TableBytes,
        Requests,
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565");

    [Test]
    public void Requests_in_Huffman_code_decode() => AssertDecodes(
        TableBytes,
        Requests,
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf");

    [Test]
    public void Responses_that_push_each_other_out_of_the_table_decode() => AssertDecodes(
        256,
        Responses,
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        + "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a58"
        + "4f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31");

    [Test]
    public void Responses_in_Huffman_code_that_push_each_other_out_of_the_table_decode() => AssertDecodes(
        256,
        Responses,
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672"
        + "c1ab270fb5291f9587316065c003ed4ee5b1063d5007");

    [TestCase("400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key: custom-header", TestName = "A_field_that_is_kept_decodes")]
    [TestCase("040c2f73616d706c652f70617468", ":path: /sample/path", TestName = "A_field_that_is_not_kept_decodes")]
    [TestCase("100870617373776f726406736563726574", "password: secret", TestName = "A_field_that_must_not_be_kept_decodes")]
    [TestCase("82", ":method: GET", TestName = "A_field_of_the_static_table_decodes")]
    public void Field(string hex, string expected) => AssertDecodes(TableBytes, [[expected]], hex);

    /// <summary>The last code of each length (RFC 7541, appendix B): with it all codes of the length are where they must be.</summary>
    [TestCase('t', 0x9u, 5)]
    [TestCase('u', 0x2du, 6)]
    [TestCase('z', 0x7bu, 7)]
    [TestCase('Z', 0xfdu, 8)]
    [TestCase('?', 0x3fcu, 10)]
    [TestCase('|', 0x7fcu, 11)]
    [TestCase('>', 0xffbu, 12)]
    [TestCase('~', 0x1ffdu, 13)]
    [TestCase('}', 0x3ffdu, 14)]
    [TestCase('{', 0x7ffeu, 15)]
    [TestCase(226, 0xfffedu, 20)]
    [TestCase(230, 0x1fffe8u, 21)]
    [TestCase(233, 0x3fffebu, 22)]
    [TestCase(239, 0x7ffff4u, 23)]
    [TestCase(237, 0xfffff5u, 24)]
    [TestCase(235, 0x1ffffefu, 25)]
    [TestCase(255, 0x3ffffeeu, 26)]
    [TestCase(254, 0x7fffff0u, 27)]
    [TestCase(249, 0xffffffeu, 28)]
    [TestCase(22, 0x3ffffffeu, 30)]
    public void A_Huffman_code_stands_for_its_symbol(int symbol, uint code, int bits)
    {
        var bytes = new byte[(bits + 7) / 8];
        var padded = ((ulong)code << (bytes.Length * 8 - bits)) | ((1UL << (bytes.Length * 8 - bits)) - 1);
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(padded >> ((bytes.Length - 1 - i) * 8));
        }

        var output = new byte[8];
        Assert.That(HpackHuffman.Decode(bytes, output), Is.EqualTo(1));
        Assert.That(output[0], Is.EqualTo((byte)symbol));
    }

    [Test]
    public void What_we_write_is_what_was_to_be_written()
    {
        var random = new Random(7);
        var decoder = new HpackDecoder(TableBytes, 1 << 24);
        for (var round = 0; round < 200; round++)
        {
            var fields = Enumerable.Range(0, random.Next(1, 20)).Select(_ => RandomField(random)).ToList();
            var block = new ArrayBufferWriter<byte>();
            HpackEncoder.Write(fields, block);
            Assert.That(decoder.Decode(block.WrittenSpan), Is.EqualTo(fields));
        }
    }

    [TestCase("80", TestName = "Index_zero_is_refused")]
    [TestCase("be", TestName = "An_index_beyond_the_table_is_refused")]
    [TestCase("ffffffffff0f", TestName = "A_number_that_is_too_large_is_refused")]
    [TestCase("ff8080808000", TestName = "A_number_with_needless_octets_is_refused")]
    [TestCase("ff", TestName = "A_block_that_ends_inside_a_number_is_refused")]
    [TestCase("40", TestName = "A_block_that_ends_before_a_name_is_refused")]
    [TestCase("400a6375", TestName = "A_block_that_ends_inside_a_name_is_refused")]
    [TestCase("4001617f", TestName = "A_block_that_ends_inside_a_length_is_refused")]
    [TestCase("823fe01f", TestName = "A_change_of_the_size_after_a_field_is_refused")]
    [TestCase("3fe21f", TestName = "A_size_above_the_limit_is_refused")]
    [TestCase("448100", TestName = "Padding_of_zeros_is_refused")]
    [TestCase("4482ffff", TestName = "Padding_of_more_than_seven_bits_is_refused")]
    [TestCase("4484ffffffff", TestName = "The_end_of_a_string_inside_a_text_is_refused")]
    public void Malformed(string hex)
    {
        var failure = Assert.Throws<Http2ConnectionException>(() => new HpackDecoder(TableBytes, ListBytes).Decode(Convert.FromHexString(hex)))!;
        Assert.That(failure.Error, Is.EqualTo(Http2Error.Compression));
    }

    [Test]
    public void A_small_block_that_means_a_large_one_is_refused()
    {
        var decoder = new HpackDecoder(TableBytes, ListBytes);
        byte[] large = [0x40, 1, (byte)'a', 0x7f, 0x81, 0x1e, .. Encoding.ASCII.GetBytes(new string('x', 4096 - 128))];
        Assert.That(decoder.Decode(large)[0].Value, Has.Length.EqualTo(4096 - 128));
        var bomb = Enumerable.Repeat((byte)0xbe, 100).ToArray();
        var failure = Assert.Throws<Http2ConnectionException>(() => decoder.Decode(bomb))!;
        Assert.That(failure.Error, Is.EqualTo(Http2Error.EnhanceYourCalm));
    }

    [Test]
    public void A_field_larger_than_the_table_empties_it()
    {
        var decoder = new HpackDecoder(64, ListBytes);
        decoder.Decode([0x40, 1, (byte)'a', 1, (byte)'b']);
        Assert.That(decoder.Decode([0xbe]), Has.Count.EqualTo(1));
        decoder.Decode([0x40, 1, (byte)'a', 60, .. new byte[60]]);
        Assert.Throws<Http2ConnectionException>(() => decoder.Decode([0xbe]));
    }

    [Test]
    public void A_table_made_smaller_forgets_the_oldest()
    {
        var decoder = new HpackDecoder(TableBytes, ListBytes);
        decoder.Decode([0x40, 1, (byte)'a', 1, (byte)'1', 0x40, 1, (byte)'b', 1, (byte)'2']);
        Assert.That(decoder.Decode([0x3f, 9, 0xbe]), Is.EqualTo(new[] { new HeaderField("b", "2") }), "40 bytes hold one");
        Assert.Throws<Http2ConnectionException>(() => decoder.Decode([0xbf]));
    }

    private static HeaderField RandomField(Random random)
    {
        if (random.Next(3) == 0)
        {
            return HpackStaticTable.Get(random.Next(1, HpackStaticTable.Count + 1));
        }

        var name = random.Next(2) == 0 ? HpackStaticTable.Get(random.Next(1, HpackStaticTable.Count + 1)).Name : Text(random, 'a', 'z');
        return new HeaderField(name, Text(random, ' ', '\u00ff'));
    }

    private static string Text(Random random, char first, char last) =>
        new([.. Enumerable.Range(0, random.Next(1, random.Next(2, 600))).Select(_ => (char)random.Next(first, last + 1))]);

    private static void AssertDecodes(int tableBytes, string[][] expected, params string[] blocks)
    {
        var decoder = new HpackDecoder(tableBytes, ListBytes);
        foreach (var (block, fields) in blocks.Zip(expected))
        {
            var decoded = decoder.Decode(Convert.FromHexString(block)).Select(field => $"{field.Name}: {field.Value}");
            Assert.That(decoded, Is.EqualTo(fields));
        }
    }
}
