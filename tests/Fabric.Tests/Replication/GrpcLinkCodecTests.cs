using System.Buffers;
using Fabric.Replication;
using Fabric.Replication.Grpc;
using Fabric.Store.Journal;
using Google.Protobuf;
using Wire = Fabric.Replication.Contracts;

namespace Fabric.Tests.Replication;

/// <summary>The codec that copies no batches, against the classes that the compiler of the contract generated.</summary>
internal sealed class GrpcLinkCodecTests
{
    private static readonly FollowFrameMarshaller Frames = new();
    private static readonly JournalChunkMarshaller Chunks = new();

    [TestCase(0, 0, 0, 0, 0)]
    [TestCase(1, 127, 128, 1, 1)]
    [TestCase(7, 5_500_000_000, 5_400_000_000, 5_300_000_000, 300)]
    [TestCase(long.MaxValue, long.MaxValue, long.MaxValue, long.MaxValue, 70_000)]
    [TestCase(-1, -2, -3, -4, 20_000)]
    public void A_batch_is_written_and_read_as_the_contract_says(long epoch, long committed, long everywhere, long position, int count)
    {
        var records = new byte[count];
        new Random(5).NextBytes(records);
        var frame = new FollowFrame(FollowFrameKind.Batch, new Epoch(epoch), new Position(committed))
        {
            Everywhere = new Position(everywhere),
            Position = new Position(position),
            Records = new ReadOnlySequence<byte>(records),
        };

        var written = Write(frame);
        Assert.That(written, Has.Length.EqualTo(Frames.SizeOf(frame)));
        Assert.That(Wire.FollowReply.Parser.ParseFrom(written), Is.EqualTo(frame.ToWire()));

        var read = Frames.Read(new ReadOnlySequence<byte>(frame.ToWire().ToByteArray()));
        Assert.That(read.Records.ToArray(), Is.EqualTo(records));
        Assert.That(read with { Records = frame.Records }, Is.EqualTo(frame));
    }

    [Test]
    public void A_chunk_is_written_and_read_as_the_contract_says()
    {
        var chunk = new JournalChunk(new Position(5_300_000_000), new ReadOnlySequence<byte>(new byte[] { 1, 2, 3 }));
        var generated = new Wire.FetchReply { Position = 5_300_000_000, Records = ByteString.CopyFrom(1, 2, 3) };
        var output = new ArrayBufferWriter<byte>();
        Chunks.Write(chunk, output);
        Assert.That(output.WrittenCount, Is.EqualTo(Chunks.SizeOf(chunk)));
        Assert.That(Wire.FetchReply.Parser.ParseFrom(output.WrittenSpan), Is.EqualTo(generated));
        var read = Chunks.Read(new ReadOnlySequence<byte>(generated.ToByteArray()));
        Assert.That((read.Position, Convert.ToHexString(read.Records.ToArray())), Is.EqualTo((chunk.Position, "010203")));
    }

    [Test]
    public void Fields_in_another_order_and_unknown_ones_are_understood()
    {
        byte[] bytes =
        [
            0x5D, 1, 2, 3, 4, // field 11, 32 bits
            0x2A, 6, 0x12, 1, 0xEE, 0x08, 5, 0x18, // batch: records, position, then an unknown varint …
            9, // … its value is outside the batch's length, so the batch is malformed
        ];
        Assert.Throws<FormatException>(() => Frames.Read(new ReadOnlySequence<byte>(bytes)));

        bytes[6] = 7;
        bytes = [.. bytes, 0x62, 2, 1, 1, 0x69, 1, 2, 3, 4, 5, 6, 7, 8, 0x38, 3, 0x10, 2, 0x08, 1];
        var frame = Frames.Read(new ReadOnlySequence<byte>(bytes));
        Assert.That(frame.Kind, Is.EqualTo(FollowFrameKind.Batch));
        Assert.That((frame.Epoch.Value, frame.Committed.Value, frame.Everywhere.Value, frame.Position.Value), Is.EqualTo((1L, 2L, 3L, 5L)));
        Assert.That(frame.Records.ToArray(), Is.EqualTo(new byte[] { 0xEE }));
    }

    [Test]
    public void Damaged_bytes_are_a_format_error_or_another_frame_but_nothing_else()
    {
        var frame = new FollowFrame(FollowFrameKind.Batch, new Epoch(7), new Position(1_000_000))
        {
            Position = new Position(900_000),
            Records = new ReadOnlySequence<byte>(new byte[40]),
        };
        var whole = Write(frame);
        var random = new Random(11);
        for (var round = 0; round < 20_000; round++)
        {
            var damaged = whole.AsSpan(0, random.Next(whole.Length + 1)).ToArray();
            for (var hits = random.Next(4); hits > 0 && damaged.Length > 0; hits--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            try
            {
                var read = Frames.Read(new ReadOnlySequence<byte>(damaged));
                Assert.That(read.Records.Length, Is.LessThanOrEqualTo(damaged.Length));
            }
            catch (FormatException)
            {
                // What the marshaller promises.
            }
        }
    }

    private static byte[] Write(FollowFrame frame)
    {
        var output = new ArrayBufferWriter<byte>();
        Frames.Write(frame, output);
        return output.WrittenSpan.ToArray();
    }
}
