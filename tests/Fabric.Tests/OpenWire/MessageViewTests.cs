using System.Buffers;
using System.Text;
using System.Text.Json;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.OpenWire;

public sealed class MessageViewTests
{
    private static readonly DispatchHeader Header = new(new ConsumerId("ID:c-1", 1, 2), Destination.Queue("Q"));

    private static IEnumerable<TestCaseData> Messages() =>
        VectorFiles.Current().Concat(VectorFiles.Legacy())
            .Where(test => (int)test.Arguments[0]! >= MessageView.VersionMin
                && MessageView.IsMessage((DataType)((byte[])test.Arguments[3]!)[4]));

    [TestCaseSource(nameof(Messages))]
    public void A_view_sees_what_the_full_codec_decodes(int version, bool trace, JsonElement fields, byte[] encoded)
    {
        var message = (Message)OpenWireCodec.Decode(encoded.AsSpan(4), version, trace)!;
        var view = new MessageView(encoded.AsSpan(4));

        Assert.That(view.Kind, Is.EqualTo(message.DataType));
        Assert.That(view.CommandId, Is.EqualTo(message.CommandId));
        Assert.That(view.ResponseRequired, Is.EqualTo(message.ResponseRequired));
        Assert.That(DecodeOrNull(view.ProducerIdBytes), Is.EqualTo(message.ProducerId));
        Assert.That(DecodeOrNull(view.DestinationBytes), Is.EqualTo(message.Destination));
        Assert.That(DecodeOrNull(view.TransactionIdBytes), Is.EqualTo(message.TransactionId));
        Assert.That(DecodeOrNull(view.OriginalDestinationBytes), Is.EqualTo(message.OriginalDestination));
        Assert.That(view.HasMessageId, Is.EqualTo(message.MessageId is not null));
        Assert.That(Text(view.MessageIdText), Is.EqualTo(message.MessageId?.TextView ?? ""));
        Assert.That(DecodeOrNull(view.MessageIdProducerBytes), Is.EqualTo(message.MessageId?.ProducerId));
        Assert.That(view.ProducerSequenceId, Is.EqualTo(message.MessageId?.ProducerSequenceId ?? 0));
        Assert.That(view.BrokerSequenceId, Is.EqualTo(message.MessageId?.BrokerSequenceId ?? 0));
        Assert.That(Text(view.GroupId), Is.EqualTo(message.GroupId ?? ""));
        Assert.That(view.GroupSequence, Is.EqualTo(message.GroupSequence));
        Assert.That(Text(view.CorrelationId), Is.EqualTo(message.CorrelationId ?? ""));
        Assert.That(view.Persistent, Is.EqualTo(message.Persistent));
        Assert.That(view.Expiration, Is.EqualTo(message.Expiration));
        Assert.That(view.Priority, Is.EqualTo(message.Priority));
        Assert.That(DecodeOrNull(view.ReplyToBytes), Is.EqualTo(message.ReplyTo));
        Assert.That(view.Timestamp, Is.EqualTo(message.Timestamp));
        Assert.That(Text(view.Type), Is.EqualTo(message.Type ?? ""));
        Assert.That(view.Content.ToArray(), Is.EqualTo(message.Content ?? []));
        Assert.That(view.MarshalledProperties.ToArray(), Is.EqualTo(message.MarshalledProperties ?? []));
        Assert.That(view.HasDataStructure, Is.EqualTo(message.DataStructure is not null));
        Assert.That(DecodeOrNull(view.TargetConsumerIdBytes), Is.EqualTo(message.TargetConsumerId));
        Assert.That(view.Compressed, Is.EqualTo(message.Compressed));
        Assert.That(view.RedeliveryCounter, Is.EqualTo(message.RedeliveryCounter));
        Assert.That(Text(view.UserId), Is.EqualTo(message.UserId ?? ""));
        Assert.That(view.BrokerInTime, Is.EqualTo(message.BrokerInTime));
        Assert.That(view.WindowBytes, Is.EqualTo(1024 + (message.Content?.Length ?? 0) + (message.MarshalledProperties?.Length ?? 0)));
    }

    [TestCaseSource(nameof(Messages))]
    public void A_dispatch_around_marshalled_bytes_is_the_dispatch_the_full_codec_writes(
        int version, bool trace, JsonElement fields, byte[] encoded)
    {
        var message = (Message)OpenWireCodec.Decode(encoded.AsSpan(4), version, trace)!;
        var output = new ArrayBufferWriter<byte>();

        DispatchWriter.Write(
            output, Header, encoded.AsSpan(4), new MessageView(encoded.AsSpan(4)).Layout,
            new DispatchFields(77, 3, 1_700_000_000_001, 1_700_000_000_002, GroupFirst: true));

        message.MessageId = message.MessageId is null ? null : message.MessageId with { BrokerSequenceId = 77 };
        message.RedeliveryCounter = 3;
        message.BrokerInTime = 1_700_000_000_001;
        message.BrokerOutTime = 1_700_000_000_002;
        message.JmsXGroupFirstForConsumer = true;
        var expected = new MessageDispatch
        {
            ConsumerId = Header.ConsumerId, Destination = Header.Destination, Message = message, RedeliveryCounter = 3,
        };
        Assert.That(output.WrittenSpan.ToArray(), Is.EqualTo(OpenWireCodec.Encode(expected, version, trace)));
    }

    [Test]
    public void Walking_and_dispatching_a_message_allocates_nothing()
    {
        var encoded = VectorFiles.Load("ActiveMQTextMessage.json").GetProperty("cases").EnumerateArray()
            .Single(item => item.GetProperty("name").GetString() == "worked-example").GetProperty("loose").GetString()!;
        var frame = Convert.FromHexString(encoded).AsSpan(4);
        var output = new ArrayBufferWriter<byte>(64 * 1024);
        Dispatch(frame, output);
        output.ResetWrittenCount();

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            Dispatch(frame, output);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void The_plain_response_is_what_the_codec_writes()
    {
        var output = new ArrayBufferWriter<byte>();
        DispatchWriter.WriteResponse(output, 4711);

        Assert.That(output.WrittenSpan.ToArray(), Is.EqualTo(OpenWireCodec.Encode(new Response { CorrelationId = 4711 })));
    }

    [Test]
    public void A_cache_by_bytes_returns_what_was_set_and_never_grows()
    {
        var cache = new BytesCache<string>(4);
        for (var i = 0; i < 100; i++)
        {
            cache.Set(Encoding.UTF8.GetBytes($"key number {i}"), $"{i}");
            Assert.That(cache.Get(Encoding.UTF8.GetBytes($"key number {i}")), Is.EqualTo($"{i}"));
        }

        Assert.That(Enumerable.Range(0, 100).Count(i => cache.Get(Encoding.UTF8.GetBytes($"key number {i}")) is not null), Is.InRange(1, 4));
        Assert.That(Enumerable.Range(0, 100).All(i => cache.Get(Encoding.UTF8.GetBytes($"key number {i}")) is var hit && (hit is null || hit == $"{i}")), Is.True);
        var strings = new StringCache();
        var first = strings.Get("abc"u8);
        Assert.That(first, Is.EqualTo("abc"));
        Assert.That(strings.Get("abc"u8), Is.SameAs(first));
        Assert.That(strings.Get([]), Is.Empty);
    }

    private static void Dispatch(ReadOnlySpan<byte> frame, ArrayBufferWriter<byte> output) =>
        DispatchWriter.Write(output, Header, frame, new MessageView(frame).Layout, new DispatchFields(1, 0, 2, 3, false));

    private static string Text(ReadOnlySpan<byte> bytes) => ModifiedUtf8.Decode(bytes);

    private static IDataStructure? DecodeOrNull(ReadOnlySpan<byte> bytes) =>
        bytes.IsEmpty ? null : MessageView.Decode<IDataStructure>(bytes);
}
