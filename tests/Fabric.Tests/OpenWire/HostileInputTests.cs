using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.OpenWire;

/// <summary>Whatever comes, the codec answers with a value or a <see cref="ProtocolException"/>, in bounded memory.</summary>
public sealed class HostileInputTests
{
    private static List<(int Version, bool Trace, byte[] Frame)> Frames() =>
        [.. VectorFiles.Current().Select(test => ((int)test.Arguments[0]!, (bool)test.Arguments[1]!, ((byte[])test.Arguments[3]!)[4..]))];

    [Test]
    public void A_frame_cut_at_any_byte_is_refused()
    {
        foreach (var (version, trace, frame) in Frames())
        {
            for (var length = 1; length < frame.Length; length++)
            {
                Assert.That(
                    () => OpenWireCodec.Decode(frame.AsSpan(0, length), version, trace), Throws.TypeOf<ProtocolException>());
                if (MessageView.IsMessage((DataType)frame[0]))
                {
                    Assert.That(() => View(frame.AsSpan(0, length)), Throws.TypeOf<ProtocolException>());
                }
            }
        }
    }

    [Test]
    public void A_text_that_could_not_be_written_again_is_refused()
    {
        var longest = OpenWireCodec.Encode(new ConnectionId(new string('x', 40_000)))[4..];
        Assert.That(OpenWireCodec.Decode(longest, 12), Is.EqualTo(new ConnectionId(new string('x', 40_000))));
        longest.AsSpan(longest.Length - 40_000).Clear(); // a NUL of one byte is read, and takes two when it is written
        Assert.That(() => OpenWireCodec.Decode(longest, 12), Throws.TypeOf<ProtocolException>());
    }

    [Test]
    public void What_a_person_reads_is_cut_to_its_field_and_a_frame_that_does_not_fit_leaves_nothing_behind()
    {
        var writer = new OpenWireWriter(12, stackTraceEnabled: false);
        Assert.That(() => writer.WriteFrame(new ConnectionId(new string('x', 65_536))), Throws.ArgumentException);
        Assert.That(writer.Written.Length, Is.Zero);
        writer.WriteFrame(new ExceptionResponse { Exception = new BrokerError("c", new string('\u20ac', 65_000)) });
        var read = (ExceptionResponse)OpenWireCodec.Decode(writer.Written[4..].ToArray(), 12)!;
        Assert.That(read.Exception!.Message, Has.Length.InRange(20_000, 21_845).And.StartsWith("\u20ac").And.EndsWith("…"));
    }

    [Test]
    public void A_frame_with_a_byte_too_many_is_refused()
    {
        foreach (var (version, trace, frame) in Frames())
        {
            Assert.That(() => OpenWireCodec.Decode([.. frame, 0], version, trace), Throws.TypeOf<ProtocolException>());
        }
    }

    [Test]
    public void Frames_with_changed_bytes_decode_or_are_refused_in_bounded_memory()
    {
        var random = new Random(20240229);
        byte[] interesting = [0x00, 0x01, 0x7f, 0x80, 0xff];
        var (decoded, refused) = (0, 0);
        foreach (var (version, trace, frame) in Frames())
        {
            for (var round = 0; round < 40; round++)
            {
                var changed = frame.ToArray();
                for (var changes = random.Next(1, 5); changes > 0; changes--)
                {
                    changed[random.Next(changed.Length)] = interesting[random.Next(interesting.Length)];
                }

                var before = GC.GetAllocatedBytesForCurrentThread();
                if (TryDecode(changed, version, trace))
                {
                    decoded++;
                }
                else
                {
                    refused++;
                }

                // An exception and its message cost a few kilobytes, an array of nulls eight bytes for each byte.
                Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(50_000 + (100 * changed.Length)));
            }
        }

        Assert.That(decoded, Is.GreaterThan(100));
        Assert.That(refused, Is.GreaterThan(100));
    }

    [Test]
    public void Random_bytes_of_every_type_decode_or_are_refused()
    {
        var random = new Random(4711);
        for (var type = 0; type < 256; type++)
        {
            for (var round = 0; round < 200; round++)
            {
                var frame = new byte[random.Next(1, 200)];
                random.NextBytes(frame);
                frame[0] = (byte)type;
                for (var i = 1; i < frame.Length; i++)
                {
                    frame[i] = round % 2 == 0 ? frame[i] : (byte)(frame[i] & 1); // presence flags that lead deeper
                }

                TryDecode(frame, random.Next(1, 13), round % 3 == 0);
                if (MessageView.IsMessage((DataType)type))
                {
                    TryView(frame);
                }
            }
        }

        Assert.That(() => OpenWireCodec.Decode([13], 12), Throws.TypeOf<ProtocolException>().With.Message.EqualTo("Unknown data type: 13"));
    }

    [Test]
    public void Whatever_a_view_accepts_a_full_decoder_accepts_too()
    {
        var random = new Random(815);
        var accepted = 0;
        foreach (var (_, _, frame) in Frames().Where(item => MessageView.IsMessage((DataType)item.Frame[0])))
        {
            for (var round = 0; round < 200; round++)
            {
                var changed = frame.ToArray();
                changed[random.Next(1, changed.Length)] = (byte)random.Next(256);
                if (TryView(changed))
                {
                    Assert.That(() => OpenWireCodec.Decode(changed, 12), Throws.Nothing);
                    accepted++;
                }
            }
        }

        Assert.That(accepted, Is.GreaterThan(1000));
    }

    [Test]
    public void Objects_within_objects_without_end_are_refused()
    {
        var hostile = new MemoryStream();
        hostile.WriteByte((byte)DataType.DataResponse);
        for (var i = 0; i < 100_000; i++)
        {
            hostile.Write([0, 0, 0, 1, 0, 0, 0, 0, 1, 1, (byte)DataType.DataResponse]);
        }

        var frame = hostile.ToArray();
        Assert.That(() => OpenWireCodec.Decode(frame, 12), Throws.TypeOf<ProtocolException>());
    }

    [Test]
    public void Exceptions_within_exceptions_without_end_are_refused()
    {
        var hostile = new MemoryStream();
        hostile.Write([(byte)DataType.ExceptionResponse, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
        for (var i = 0; i < 100_000; i++)
        {
            hostile.Write([1, 0, 0, 0, 0, 0]);
        }

        var frame = hostile.ToArray();
        Assert.That(() => OpenWireCodec.Decode(frame, 12, stackTraceEnabled: true), Throws.TypeOf<ProtocolException>());
    }

    [TestCase("")]
    [TestCase("  ")]
    [TestCase("\u0001")]
    public void A_destination_without_a_name_is_refused(string name)
    {
        var frame = OpenWireCodec.Encode(new ActiveMQMessage { Destination = new Destination(DestinationKind.Queue, name) });

        Assert.That(() => OpenWireCodec.Decode(frame.AsSpan(4), 12), Throws.TypeOf<ProtocolException>());
        Assert.That(() => View(frame.AsSpan(4)), Throws.TypeOf<ProtocolException>());
    }

    private static bool TryDecode(byte[] frame, int version, bool trace)
    {
        try
        {
            OpenWireCodec.Decode(frame, version, trace);
            return true;
        }
        catch (ProtocolException)
        {
            return false;
        }
    }

    private static bool TryView(ReadOnlySpan<byte> frame)
    {
        try
        {
            return View(frame);
        }
        catch (ProtocolException)
        {
            return false;
        }
    }

    private static bool View(ReadOnlySpan<byte> frame) => new MessageView(frame).Frame.Length == frame.Length;
}
