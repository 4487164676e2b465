using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Fabric.Protocols.OpenWire;

namespace Fabric.Tests.OpenWire;

/// <summary>Compares a decoded object with the field values of a vector, by the names of the field tables.</summary>
internal static class FieldComparison
{
    private static readonly Dictionary<string, string> Renamed = new() { ["networkTTL"] = "messageTTL" };

    public static void AssertEqual(JsonElement fields, object actual, bool stackTraceEnabled, string path)
    {
        foreach (var field in fields.EnumerateObject())
        {
            if (field.Name.StartsWith('$'))
            {
                if (field.Name == "$type" && actual is IDataStructure structure)
                {
                    Assert.That(structure.DataType.ToString(), Is.EqualTo(field.Value.GetString()), path);
                }

                continue;
            }

            var name = Renamed.GetValueOrDefault(field.Name, field.Name);
            var property = actual.GetType().GetProperty(
                name, BindingFlags.Instance | BindingFlags.Public | BindingFlags.IgnoreCase);
            Assert.That(property, Is.Not.Null, $"{path}.{field.Name} is not a property of {actual.GetType().Name}");
            AssertValue(field.Value, property!.GetValue(actual), stackTraceEnabled, $"{path}.{field.Name}");
        }
    }

    private static void AssertValue(JsonElement expected, object? actual, bool stackTraceEnabled, string path)
    {
        switch (expected.ValueKind)
        {
            case JsonValueKind.Null:
                Assert.That(actual, Is.Null, path);
                break;
            case JsonValueKind.True or JsonValueKind.False:
                Assert.That(actual, Is.EqualTo(expected.GetBoolean()), path);
                break;
            case JsonValueKind.Number:
                Assert.That(Convert.ToInt64(actual, CultureInfo.InvariantCulture), Is.EqualTo(expected.GetInt64()), path);
                break;
            case JsonValueKind.String:
                Assert.That(actual, Is.EqualTo(expected.GetString()), path);
                break;
            case JsonValueKind.Array:
                var elements = ((IEnumerable)actual!).Cast<object?>().ToList();
                Assert.That(elements, Has.Count.EqualTo(expected.GetArrayLength()), path);
                for (var i = 0; i < elements.Count; i++)
                {
                    AssertValue(expected[i], elements[i], stackTraceEnabled, $"{path}[{i}]");
                }

                break;
            case JsonValueKind.Object when expected.TryGetProperty("hex", out var hex):
                Assert.That(Convert.ToHexStringLower((byte[])actual!), Is.EqualTo(hex.GetString()), path);
                break;
            case JsonValueKind.Object when actual is BrokerError error:
                AssertError(expected, error, stackTraceEnabled, path);
                break;
            default:
                AssertEqual(expected, actual!, stackTraceEnabled, path);
                break;
        }
    }

    private static void AssertError(JsonElement expected, BrokerError actual, bool stackTraceEnabled, string path)
    {
        Assert.That(actual.ClassName, Is.EqualTo(expected.GetProperty("class").GetString()), path);
        Assert.That(actual.Message, Is.EqualTo(expected.GetProperty("message").GetString()), path);
        if (!stackTraceEnabled)
        {
            Assert.That(actual.StackTrace, Is.Empty, path);
            Assert.That(actual.Cause, Is.Null, path);
            return;
        }

        var stack = expected.GetProperty("stackTrace").EnumerateArray()
            .Select(line => new StackTraceElement(
                line.GetProperty("class").GetString(), line.GetProperty("method").GetString(),
                line.GetProperty("file").GetString(), line.GetProperty("line").GetInt32()));
        Assert.That(actual.StackTrace, Is.EqualTo(stack), path);
        AssertValue(expected.GetProperty("cause"), actual.Cause, stackTraceEnabled, path + ".cause");
    }
}
