using System.Text.Json;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.OpenWire;

public sealed class MessageBodyTests
{
    [TestCase("Hi", "000000024869")]
    [TestCase("", "00000000")]
    public void A_text_is_a_length_and_modified_UTF_8(string text, string content)
    {
        Assert.That(Convert.ToHexStringLower(MessageBody.WriteText(text)!), Is.EqualTo(content));
        Assert.That(MessageBody.ReadText(Convert.FromHexString(content)), Is.EqualTo(text));
    }

    [Test]
    public void A_null_text_is_no_content_or_the_length_minus_one()
    {
        Assert.That(MessageBody.WriteText(null), Is.Null);
        Assert.That(MessageBody.ReadText(default), Is.Null);
        Assert.That(MessageBody.ReadText([255, 255, 255, 255]), Is.Null);
    }

    [Test]
    public void Compressed_bodies_of_Java_inflate()
    {
        var bodies = new List<(string Type, byte[]? Content)>();
        foreach (var type in new[] { "Text", "Bytes", "Map", "Stream", "Object" })
        {
            foreach (var item in VectorFiles.Load($"ActiveMQ{type}Message.json").GetProperty("cases").EnumerateArray())
            {
                if (item.GetProperty("name").GetString()!.EndsWith("-compressed", StringComparison.Ordinal))
                {
                    var frame = Convert.FromHexString(item.GetProperty("loose").GetString()!);
                    var message = (Message)OpenWireCodec.Decode(frame.AsSpan(4), 12, stackTraceEnabled: true)!;
                    Assert.That(message.Compressed, Is.True);
                    var content = MessageBody.GetContent(message)!;
                    Assert.That(content, Is.Not.Empty);
                    bodies.Add((type, content));
                    if (type == "Text")
                    {
                        Assert.That(MessageBody.ReadText(content), Is.Not.Empty);
                    }

                    var again = MessageBody.Compress(content, message is ActiveMQBytesMessage);
                    Assert.That(MessageBody.Decompress(again, message is ActiveMQBytesMessage), Is.EqualTo(content));
                }
            }
        }

        Assert.That(bodies.Select(body => body.Type), Does.Contain("Text").And.Contain("Bytes"));
    }

    [Test]
    public void A_body_that_inflates_beyond_the_limit_is_refused()
    {
        var bomb = MessageBody.Compress(new byte[1_000_000], lengthFirst: false);

        Assert.That(() => MessageBody.Decompress(bomb, false, inflatedBytesMax: 999_999), Throws.TypeOf<ProtocolException>());
        Assert.That(MessageBody.Decompress(bomb, false, inflatedBytesMax: 1_000_000), Has.Length.EqualTo(1_000_000));
    }

    [Test]
    public void A_damaged_compressed_body_is_a_protocol_error() =>
        Assert.That(() => MessageBody.Decompress([1, 2, 3, 4, 5, 6], true), Throws.TypeOf<ProtocolException>());

    [Test]
    public void Map_and_stream_bodies_survive_a_round_trip()
    {
        var map = new Dictionary<string, object?> { ["a"] = 1, ["b"] = "zwei", ["c"] = new byte[] { 3 } };
        var stream = new object?[] { true, (sbyte)1, 'c', (short)2, 3, 4L, 5f, 6d, "seven", new byte[] { 8 }, null };

        Assert.That(MessageBody.ReadMap(MessageBody.WriteMap(map)), Is.EqualTo(map));
        Assert.That(MessageBody.ReadStream(MessageBody.WriteStream(stream)), Is.EqualTo(stream));
        Assert.That(MessageBody.WriteMap(new Dictionary<string, object?>()), Is.Null);
    }

    [Test]
    public void Properties_of_recorded_messages_read_as_listed()
    {
        var count = 0;
        foreach (var item in VectorFiles.Load("ActiveMQTextMessage.json").GetProperty("cases").EnumerateArray())
        {
            if (!item.GetProperty("fields").TryGetProperty("$properties", out var properties)
                || item.GetProperty("fields").GetProperty("marshalledProperties").ValueKind == JsonValueKind.Null)
            {
                continue;
            }

            var bytes = Convert.FromHexString(
                item.GetProperty("fields").GetProperty("marshalledProperties").GetProperty("hex").GetString()!);
            var map = PrimitiveMarshaller.ReadMap(bytes);
            Assert.That(map.Keys, Is.EquivalentTo(properties.EnumerateObject().Select(property => property.Name)));
            Assert.That(PrimitiveMarshaller.WriteMap(map), Is.EqualTo(bytes));
            count++;
        }

        Assert.That(count, Is.GreaterThan(2));
    }
}
