using System.Text.Json;

namespace Fabric.Registry.Membership;

/// <summary>Which fields a member's JSON has; the ancestors' clients accept different ones and reject the others' (REQ-04).</summary>
public enum MemberDialect
{
    /// <summary>Not published.</summary>
    Off,

    /// <summary><c>id services agent</c>: what 6.0 clients read at <c>fusemq/G</c>.</summary>
    V60,

    /// <summary><c>id container services</c>: what 6.1 clients read at <c>fusemq/G</c> and 6.2.0 clients at <c>amq/G</c>.</summary>
    V61,

    /// <summary><c>id container uuid ready services</c>: what 6.2.1 to 6.3 clients read at <c>amq/G</c>.</summary>
    V63,
}

/// <summary>One broker process in a group: the content of a member znode.</summary>
/// <param name="Id">The broker's name; replicas of one broker share it.</param>
/// <param name="Container">Where it runs.</param>
/// <param name="Services">Its URLs while it is master; empty for a slave. They may hold <c>${zk:…}</c>.</param>
/// <param name="Uuid">One per process; null in dialects that have none.</param>
/// <param name="IsReady">False only when the znode says so.</param>
public sealed record MemberRecord(string Id, string Container, IReadOnlyList<string> Services, Guid? Uuid, bool IsReady = true)
{
    /// <summary>The bytes in a dialect. <c>services</c> is always there and always an array (REQ-03).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The dialect is <see cref="MemberDialect.Off"/>.</exception>
    public byte[] Encode(MemberDialect dialect) => dialect switch
    {
        MemberDialect.V60 => Json.Object(writer =>
        {
            writer.WriteString("id", Id);
            WriteServices(writer);
            writer.WriteString("agent", Container);
        }),
        MemberDialect.V61 => Json.Object(writer =>
        {
            writer.WriteString("id", Id);
            writer.WriteString("container", Container);
            WriteServices(writer);
        }),
        MemberDialect.V63 => Json.Object(writer =>
        {
            writer.WriteString("id", Id);
            writer.WriteString("container", Container);
            writer.WriteString("uuid", (Uuid ?? Guid.Empty).ToString());
            writer.WriteBoolean("ready", true);
            WriteServices(writer);
        }),
        _ => throw new ArgumentOutOfRangeException(nameof(dialect), dialect, "a member is published in a dialect"),
    };

    /// <summary>Reads any dialect, of ours or the ancestors' making.</summary>
    /// <returns>Null when the bytes are no member: empty, no JSON object, or without any name.</returns>
    public static MemberRecord? TryDecode(ReadOnlyMemory<byte> data)
    {
        if (data.IsEmpty)
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(data);
            return document.RootElement.ValueKind == JsonValueKind.Object ? Read(document.RootElement) : null;
        }
        catch (JsonException)
        {
            return null; // an operator's note or another program's data; the group has other members
        }
    }

    private static MemberRecord? Read(JsonElement root)
    {
        var container = root.OptionalString("container") ?? root.OptionalString("agent");
        var id = root.OptionalString("id") ?? root.OptionalString("container");
        if (id is null)
        {
            return null;
        }

        string[] services = root.TryGetProperty("services", out var list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)]
            : [];
        var ready = !root.TryGetProperty("ready", out var flag) || flag.ValueKind != JsonValueKind.False;
        return new MemberRecord(
            id, container ?? id, services, Guid.TryParse(root.OptionalString("uuid"), out var uuid) ? uuid : null, ready);
    }

    private void WriteServices(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("services");
        foreach (var service in Services)
        {
            writer.WriteStringValue(service);
        }

        writer.WriteEndArray();
    }
}
