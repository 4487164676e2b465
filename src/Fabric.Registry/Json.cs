using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fabric.Registry;

/// <summary>JSON as it stands in znodes: one line, no escapes but those that JSON demands. Readers ignore what they do not know.</summary>
internal static class Json
{
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The bytes of an object.</summary>
    public static byte[] Object(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Plain))
        {
            writer.WriteStartObject();
            content(writer);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Reads an object.</summary>
    /// <param name="data">The bytes of the znode.</param>
    /// <param name="path">The znode, for the message.</param>
    /// <param name="read">Takes what it needs.</param>
    /// <exception cref="RegistryContentException">The bytes are no such object.</exception>
    public static T Parse<T>(ReadOnlyMemory<byte> data, string path, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(data);
            return read(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new RegistryContentException($"the znode {path} cannot be read: {exception.Message}", exception);
        }
    }

    public static string? OptionalString(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static long OptionalInt64(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : 0;

    public static DateTimeOffset? OptionalTime(this JsonElement element, string name) =>
        DateTimeOffset.TryParse(
            element.OptionalString(name), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;

    public static void WriteTime(this Utf8JsonWriter writer, string name, DateTimeOffset? time)
    {
        if (time is { } value)
        {
            writer.WriteString(name, value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        }
    }
}
