using System.Text.Json;
using Fabric.Protocols.OpenWire;

namespace Fabric.Tests.OpenWire;

/// <summary>Every recorded encoding, both directions.</summary>
public sealed class VectorTests
{
    [TestCaseSource(typeof(VectorFiles), nameof(VectorFiles.Current))]
    [TestCaseSource(typeof(VectorFiles), nameof(VectorFiles.Legacy))]
    public void A_recorded_frame_decodes_to_its_fields_and_encodes_to_its_bytes(
        int version, bool stackTraceEnabled, JsonElement fields, byte[] frame)
    {
        var decoded = OpenWireCodec.Decode(frame.AsSpan(4), version, stackTraceEnabled)!;

        FieldComparison.AssertEqual(fields, decoded, stackTraceEnabled, decoded.DataType.ToString());
        Assert.That(
            Convert.ToHexStringLower(OpenWireCodec.Encode(decoded, version, stackTraceEnabled)),
            Is.EqualTo(Convert.ToHexStringLower(frame)));
    }

    [Test]
    public void All_types_and_cases_are_there()
    {
        var types = VectorFiles.Load("_schema.json").GetProperty("types").EnumerateArray()
            .Select(type => (DataType)type.GetProperty("typeId").GetInt32());

        Assert.That(types.Append(DataType.Null), Is.EquivalentTo(Enum.GetValues<DataType>()));
        Assert.That(VectorFiles.Current().Count(), Is.EqualTo(294));
        Assert.That(VectorFiles.Legacy().Count(), Is.GreaterThan(500));
    }

    [Test]
    public void The_type_bytes_are_those_of_the_schema()
    {
        foreach (var type in VectorFiles.Load("_schema.json").GetProperty("types").EnumerateArray())
        {
            Assert.That(
                ((DataType)type.GetProperty("typeId").GetInt32()).ToString(), Is.EqualTo(type.GetProperty("type").GetString()));
        }
    }

    [TestCase("_cache-sequence.json")]
    [TestCase("_cache-eviction.json")]
    public void The_plain_forms_of_cached_sequences_survive_a_round_trip(string file)
    {
        var frames = VectorFiles.Load(file).GetProperty("loose").EnumerateArray()
            .Where(item => item.TryGetProperty("plainLoose", out _))
            .Select(item => Convert.FromHexString(item.GetProperty("plainLoose").GetString()!))
            .ToList();

        foreach (var frame in frames)
        {
            var decoded = OpenWireCodec.Decode(frame.AsSpan(4), 12, stackTraceEnabled: true);
            Assert.That(OpenWireCodec.Encode(decoded, 12, stackTraceEnabled: true), Is.EqualTo(frame));
        }

        Assert.That(frames, Is.Not.Empty);
    }

    [Test]
    public void A_recorded_loose_session_decodes_after_its_negotiation_and_encodes_to_the_same_bytes()
    {
        var transcript = VectorFiles.Load("_session-transcripts.json").GetProperty("transcripts").EnumerateArray()
            .Single(item => item.GetProperty("name").GetString() == "loose encoding, cache off");
        var offers = new Dictionary<(int Connection, string? Direction), WireFormat>();
        var count = 0;
        foreach (var item in transcript.GetProperty("frames").EnumerateArray())
        {
            var connection = item.GetProperty("connection").GetInt32();
            var direction = item.GetProperty("direction").GetString();
            var frame = Convert.FromHexString(item.GetProperty("hex").GetString()!);
            var format = offers.Count(offer => offer.Key.Connection == connection) == 2
                ? offers[(connection, "broker->client")].Negotiate(offers[(connection, "client->broker")])
                : WireFormat.Default;
            Assert.That(format.TightEncodingEnabled || format.CacheEnabled, Is.False);

            var decoded = OpenWireCodec.Decode(frame.AsSpan(4), format.Version, format.StackTraceEnabled)!;

            Assert.That(decoded.DataType.ToString(), Is.EqualTo(item.GetProperty("type").GetString()));
            Assert.That(OpenWireCodec.Encode(decoded, format.Version, format.StackTraceEnabled), Is.EqualTo(frame));
            if (decoded is Protocols.OpenWire.Commands.WireFormatInfo info)
            {
                offers[(connection, direction)] = WireFormat.FromInfo(info);
            }

            count++;
        }

        Assert.That(count, Is.EqualTo(40));
    }
}
