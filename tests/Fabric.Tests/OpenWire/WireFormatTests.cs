using System.Buffers;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.OpenWire;

public sealed class WireFormatTests
{
    private static readonly WireFormat Java = new()
    {
        StackTraceEnabled = true, CacheEnabled = true, CacheSize = 1024, TightEncodingEnabled = true, MaxFrameSize = long.MaxValue,
    };

    [Test]
    public void Offering_neither_tight_encoding_nor_cache_turns_both_off()
    {
        var used = WireFormat.Default.Negotiate(Java);

        Assert.That((used.TightEncodingEnabled, used.CacheEnabled, used.StackTraceEnabled), Is.EqualTo((false, false, false)));
        Assert.That(used.Version, Is.EqualTo(12));
        Assert.That(used.MaxFrameSize, Is.EqualTo(104857600));
    }

    [Test]
    public void Both_sides_compute_the_same()
    {
        var other = Java with { Version = 10, MaxInactivityDuration = 1500, MaxFrameSize = 0, MaxInactivityDurationInitialDelay = 7 };
        var one = WireFormat.Default.Negotiate(other);
        var two = other.Negotiate(WireFormat.Default);

        Assert.That(one, Is.EqualTo(two));
        Assert.That((one.Version, one.MaxInactivityDuration, one.MaxInactivityDurationInitialDelay, one.MaxFrameSize),
            Is.EqualTo((10, 1500L, 7L, 104857600L)));
    }

    [Test]
    public void No_inactivity_limit_on_one_side_means_none() =>
        Assert.That(WireFormat.Default.Negotiate(Java with { MaxInactivityDuration = 0 }).MaxInactivityDuration, Is.Zero);

    [Test]
    public void An_offer_survives_its_command()
    {
        var offer = Java with { Host = "broker1", ProviderName = "Fabric", ProviderVersion = "1", PlatformDetails = ".NET" };
        var frame = OpenWireCodec.Encode(offer.ToInfo());

        Assert.That(WireFormat.FromInfo((WireFormatInfo)OpenWireCodec.Decode(frame.AsSpan(4), 12)!), Is.EqualTo(offer));
    }

    [Test]
    public void The_delay_is_read_under_both_spellings()
    {
        var info = new WireFormatInfo
        {
            Version = 10,
            MarshalledProperties = PrimitiveMarshaller.WriteMap(
                new Dictionary<string, object?> { ["MaxInactivityDurationInitialDelay"] = 5L }),
        };

        Assert.That(WireFormat.FromInfo(info).MaxInactivityDurationInitialDelay, Is.EqualTo(5));
    }

    [Test]
    public void A_wrong_magic_a_wrong_type_and_a_version_of_zero_are_refused()
    {
        Assert.That(() => WireFormat.FromInfo(new WireFormatInfo { Magic = "ActiveMX"u8.ToArray() }), Throws.TypeOf<ProtocolException>());
        Assert.That(
            () => WireFormat.FromInfo(new WireFormatInfo
            {
                MarshalledProperties = PrimitiveMarshaller.WriteMap(new Dictionary<string, object?> { ["CacheSize"] = 5L }),
            }),
            Throws.TypeOf<ProtocolException>());
        Assert.That(() => WireFormat.Default.Negotiate(Java with { Version = 0 }), Throws.TypeOf<ProtocolException>());
    }

    [TestCase("7fffffff")]
    [TestCase("80000000")]
    [TestCase("00000000")]
    [TestCase("06400001")]
    public void A_size_beyond_the_limit_is_refused_when_its_four_bytes_are_there(string size)
    {
        var buffer = new ReadOnlySequence<byte>(Convert.FromHexString(size));

        Assert.That(() => OpenWireCodec.TryReadFrame(ref buffer, 104857600, out _), Throws.TypeOf<ProtocolException>());
    }

    [Test]
    public void Frames_come_whole_however_the_bytes_arrive()
    {
        var one = OpenWireCodec.Encode(new BrokerId("one"));
        var two = OpenWireCodec.Encode(new KeepAliveInfo());
        byte[] all = [.. one, .. two];
        for (var cut = 0; cut <= all.Length; cut++)
        {
            var first = new Segment(all.AsMemory(0, cut));
            var last = first.Append(all.AsMemory(cut));
            var received = new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
            for (var length = 0; length <= all.Length; length++)
            {
                var buffer = received.Slice(0, length);
                var frames = new List<byte[]>();
                while (OpenWireCodec.TryReadFrame(ref buffer, 1000, out var frame))
                {
                    frames.Add(frame.ToArray());
                }

                byte[][] expected = length == all.Length ? [one[4..], two[4..]] : length >= one.Length ? [one[4..]] : [];
                Assert.That(frames, Is.EqualTo(expected));
                Assert.That(buffer.Length, Is.EqualTo(length - expected.Sum(frame => frame.Length + 4)));
            }
        }
    }

    [Test]
    public void The_null_command_is_read_and_written()
    {
        Assert.That(OpenWireCodec.Encode(null), Is.EqualTo(new byte[] { 0, 0, 0, 1, 0 }));
        Assert.That(OpenWireCodec.Decode([0], 12), Is.Null);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory) => Memory = memory;

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Segment(memory) { RunningIndex = RunningIndex + Memory.Length };
            Next = next;
            return next;
        }
    }
}
