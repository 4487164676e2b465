using System.Buffers;
using Fabric.Broker;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Server.Connections;

namespace Fabric.Tests.Server;

/// <summary>What a dead letter's copy is, whatever its sender wrote.</summary>
internal sealed class PayloadEditorTests
{
    [Test]
    public void A_dead_letter_says_what_became_of_it()
    {
        var copy = CopyOf(PrimitiveMarshaller.WriteMap(new Dictionary<string, object?> { ["colour"] = "red" }));
        var properties = PrimitiveMarshaller.ReadMap(copy.MarshalledProperties!);
        Assert.That(properties["colour"], Is.EqualTo("red"));
        Assert.That(properties["dlqDeliveryFailureCause"], Is.EqualTo("too often"));
        Assert.That(properties["originalExpiration"], Is.EqualTo(77L));
    }

    [TestCase(new byte[] { 1, 2, 3 })]
    [TestCase(new byte[] { 0, 0, 0, 9, 0, 1 })]
    [TestCase(new byte[] { 127, 255, 255, 255 })]
    public void Properties_that_nobody_can_read_go_with_it_as_they_are(byte[] properties)
    {
        var copy = CopyOf(properties);
        Assert.That(copy.MarshalledProperties, Is.EqualTo(properties));
        Assert.That(copy.Destination!.PhysicalName, Is.EqualTo("ActiveMQ.DLQ"));
        Assert.That(copy.Expiration, Is.Zero);
    }

    [Test]
    public void A_name_of_a_property_that_cannot_be_written_again_goes_with_it_as_it_is()
    {
        byte[] properties = [0, 0, 0, 1, 0x9C, 0x40, .. new byte[40_000], 0]; // one of 40,000 NULs, null
        Assert.That(PrimitiveMarshaller.ReadMap(properties), Has.Count.EqualTo(1));
        Assert.That(CopyOf(properties).MarshalledProperties, Is.EqualTo(properties));
    }

    private static Message CopyOf(byte[] properties)
    {
        var queue = DestinationName.Queue("Q");
        var message = new ActiveMQTextMessage
        {
            Destination = queue.ToWire(),
            MessageId = new MessageId(new ProducerId("c", 1, 1), 1),
            Persistent = true,
            Expiration = 77,
            MarshalledProperties = properties,
        };
        var output = new ArrayBufferWriter<byte>();
        new OpenWirePayloadEditor().DeadLetterCopy(
            new DeadLetterRequest(WireNames.OpenWireEncoding, queue, DestinationName.Queue("ActiveMQ.DLQ"), "too often", 77, 7),
            OpenWireCodec.Encode(message).AsSpan(OpenWireCodec.SizeBytes),
            output);
        return (Message)OpenWireCodec.Decode(output.WrittenSpan, OpenWireCodec.VersionMax)!;
    }
}
