using System.Globalization;
using System.Text.Json;
using Fabric.Protocols;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Tests.OpenWire;

public sealed class PrimitiveTests
{
    [Test]
    public void Strings_decode_and_encode_as_recorded()
    {
        foreach (var item in VectorFiles.Load("_primitives.json").GetProperty("strings").EnumerateArray())
        {
            var frame = Convert.FromHexString(item.GetProperty("loose").GetString()!);
            var text = item.GetProperty("value").GetString();

            Assert.That(OpenWireCodec.Decode(frame.AsSpan(4), 12), Is.EqualTo(new BrokerId(text)));
            Assert.That(OpenWireCodec.Encode(new BrokerId(text)), Is.EqualTo(frame));
        }
    }

    [Test]
    public void Longs_and_arrays_of_nulls_decode_and_encode_as_recorded()
    {
        var root = VectorFiles.Load("_primitives.json");
        foreach (var item in root.GetProperty("longs").EnumerateArray().Concat(root.GetProperty("booleanStreams").EnumerateArray()))
        {
            if (!item.TryGetProperty("loose", out var loose))
            {
                continue; // the longest ones are recorded in tight encoding only
            }

            var frame = Convert.FromHexString(loose.GetString()!);
            var decoded = OpenWireCodec.Decode(frame.AsSpan(4), 12);
            if (decoded is SessionId session)
            {
                Assert.That(session.Value.ToString(CultureInfo.InvariantCulture), Is.EqualTo(item.GetProperty("value").ToString()));
            }
            else
            {
                Assert.That(((DataArrayResponse)decoded!).Data, Has.Length.EqualTo(item.GetProperty("nullElements").GetInt32()).And.All.Null);
            }

            Assert.That(OpenWireCodec.Encode(decoded), Is.EqualTo(frame));
        }
    }

    [Test]
    public void Every_value_type_of_a_primitive_map_decodes_and_encodes_as_recorded()
    {
        foreach (var item in VectorFiles.Load("_primitive-map.json").GetProperty("cases").EnumerateArray())
        {
            if (!item.TryGetProperty("hex", out var hex))
            {
                continue;
            }

            var bytes = Convert.FromHexString(hex.GetString()!);
            var map = PrimitiveMarshaller.ReadMap(bytes);

            Assert.That(map["p"], Is.EqualTo(ToClr(item.GetProperty("value"))), item.GetProperty("name").GetString());
            Assert.That(PrimitiveMarshaller.WriteMap(map), Is.EqualTo(bytes));
            Assert.That(new PropertiesView(bytes).TryGet("p"u8, out var value), Is.True);
            Assert.That(value, Is.EqualTo(map["p"]));
            Assert.That(new PropertiesView(bytes).TryGet("q"u8, out _), Is.False);
        }
    }

    [TestCase("string-8190", 8190)]
    [TestCase("string-8191", 8191)]
    public void Long_strings_switch_to_the_big_form_where_Java_does(string name, int length)
    {
        var item = VectorFiles.Load("_primitive-map.json").GetProperty("cases").EnumerateArray()
            .Single(other => other.GetProperty("name").GetString() == name);

        var bytes = PrimitiveMarshaller.WriteMap(new Dictionary<string, object?> { ["p"] = new string('y', length) });

        Assert.That(bytes, Has.Length.EqualTo(item.GetProperty("length").GetInt32()));
        Assert.That(Convert.ToHexStringLower(bytes), Does.StartWith(item.GetProperty("head").GetString()!));
        Assert.That(PrimitiveMarshaller.ReadMap(bytes)["p"], Is.EqualTo(new string('y', length)));
    }

    [Test]
    public void A_properties_view_steps_over_values_of_every_type()
    {
        var map = new Dictionary<string, object?>
        {
            ["null"] = null, ["bool"] = true, ["byte"] = (sbyte)-1, ["char"] = '€', ["short"] = (short)-2, ["int"] = 3,
            ["long"] = 4L, ["double"] = 5d, ["float"] = 6f, ["string"] = "sieben", ["big"] = new string('8', 9000),
            ["bytes"] = new byte[] { 9 }, ["map"] = new Dictionary<string, object?> { ["in"] = 1 },
            ["list"] = new List<object?> { 1, "two" }, ["last"] = 42,
        };

        Assert.That(new PropertiesView(PrimitiveMarshaller.WriteMap(map)).TryGet("last"u8, out var value), Is.True);
        Assert.That(value, Is.EqualTo(42));
        Assert.That(new PropertiesView(PrimitiveMarshaller.WriteMap(map)).ToDictionary(), Is.EqualTo(map));
    }

    [Test]
    public void A_lone_surrogate_survives()
    {
        var id = new BrokerId("a\ud83db");

        Assert.That(OpenWireCodec.Decode(OpenWireCodec.Encode(id).AsSpan(4), 12), Is.EqualTo(id));
    }

    [TestCase("ff")]
    [TestCase("80")]
    [TestCase("c3")]
    [TestCase("c341")]
    [TestCase("e282")]
    [TestCase("f09f9880")]
    public void What_is_not_modified_UTF_8_is_refused(string hex)
    {
        var bytes = Convert.FromHexString(hex);

        Assert.That(() => ModifiedUtf8.Decode(bytes), Throws.TypeOf<ProtocolException>());
        Assert.That(() => ModifiedUtf8.Validate(bytes), Throws.TypeOf<ProtocolException>());
    }

    [TestCase(32_767, true)]
    [TestCase(32_768, false)]
    public void A_text_of_NULs_that_does_not_fit_when_it_is_written_again_is_refused(int bytes, bool isValid) =>
        Assert.That(() => ModifiedUtf8.Validate(new byte[bytes]), isValid ? Throws.Nothing : Throws.TypeOf<ProtocolException>());

    [Test]
    public void A_string_that_does_not_fit_is_refused_before_it_is_sent() =>
        Assert.That(() => OpenWireCodec.Encode(new BrokerId(new string('x', 65536))), Throws.ArgumentException);

    [Test]
    public void Maps_within_maps_without_end_are_refused()
    {
        var hostile = new MemoryStream();
        hostile.Write([0, 0, 0, 1, 0, 0]);
        for (var i = 0; i < 10_000; i++)
        {
            hostile.Write([11, 0, 0, 0, 1, 0, 0]);
        }

        var bytes = hostile.ToArray();
        Assert.That(() => PrimitiveMarshaller.ReadMap(bytes), Throws.TypeOf<ProtocolException>());
        Assert.That(() => new PropertiesView(bytes).TryGet("x"u8, out _), Throws.TypeOf<ProtocolException>());
    }

    private static object? ToClr(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        var v = value.GetProperty("v");
        return value.GetProperty("t").GetString() switch
        {
            "Boolean" => v.GetBoolean(),
            "Byte" => v.GetSByte(),
            "Character" => (char)v.GetInt32(),
            "Short" => v.GetInt16(),
            "Integer" => v.GetInt32(),
            "Long" => v.GetInt64(),
            "Double" => double.Parse(v.GetString()!, CultureInfo.InvariantCulture),
            "Float" => float.Parse(v.GetString()!, CultureInfo.InvariantCulture),
            "String" => v.GetString(),
            "byte[]" => Convert.FromHexString(v.GetString()!),
            "Map" => v.EnumerateObject().ToDictionary(entry => entry.Name, entry => ToClr(entry.Value)),
            "List" => v.EnumerateArray().Select(ToClr).ToList(),
            var type => throw new InvalidOperationException(type),
        };
    }
}
