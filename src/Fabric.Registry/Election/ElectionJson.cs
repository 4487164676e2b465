using System.Text.Json;

namespace Fabric.Registry.Election;

/// <summary>
/// The znodes of an election as bytes. Replica ids are 32 hex digits. Names follow the ancestors' replicated store where it had
/// the same thing (<c>id container address position weight</c>).
/// </summary>
internal static class ElectionJson
{
    /// <summary>Masterships that are remembered; older ones are dropped.</summary>
    public const int HistoryMax = 100;

    public static byte[] Write(string broker, CandidateRecord record) => Json.Object(writer =>
    {
        writer.WriteString("id", broker);
        writer.WriteString("container", record.Container);
        writer.WriteString("address", record.Address);
        writer.WriteString("role", RoleName(record.Role));
        writer.WriteNumber("epoch", record.Epoch);
        if (record.Role == CandidateRole.Electing)
        {
            writer.WriteNumber("round", record.Round);
            writer.WriteNumber("lastEpoch", record.LastEpoch);
            writer.WriteNumber("position", record.Position);
        }

        writer.WriteNumber("weight", record.Weight);
        writer.WriteString("replica", record.Replica.ToString("N"));
    });

    public static CandidateRecord ReadCandidate(ReadOnlyMemory<byte> data, string path) => Json.Parse(data, path, root => new CandidateRecord(
        ReplicaOf(root),
        root.GetProperty("container").GetString()!,
        root.GetProperty("address").GetString()!,
        (int)root.OptionalInt64("weight"),
        RoleOf(root.GetProperty("role").GetString()),
        root.OptionalInt64("round"),
        root.OptionalInt64("lastEpoch"),
        root.OptionalInt64("position"),
        root.OptionalInt64("epoch")));

    public static byte[] Write(EpochClaim claim) => Json.Object(writer =>
    {
        writer.WriteNumber("epoch", claim.Epoch);
        if (claim.Owner is { } owner)
        {
            writer.WriteString("owner", owner.ToString("N"));
            writer.WriteString("container", claim.Container);
            writer.WriteTime("claimedAt", claim.ClaimedAt);
        }
    });

    public static EpochClaim ReadClaim(ReadOnlyMemory<byte> data, string path) => Json.Parse(data, path, root => new EpochClaim(
        root.GetProperty("epoch").GetInt64(),
        root.OptionalString("owner") is { } owner ? Guid.ParseExact(owner, "N") : null,
        root.OptionalString("container"),
        root.OptionalTime("claimedAt")));

    public static byte[] Write(ReplicaMemberRecord member) => Json.Object(writer => WriteMember(writer, member));

    public static ReplicaMemberRecord ReadMember(ReadOnlyMemory<byte> data, string path) => Json.Parse(data, path, ReadMember);

    public static byte[] Write(ReplicaSetRecord set) => Json.Object(writer =>
    {
        writer.WriteString("storeId", set.StoreId.ToString("N"));
        writer.WriteStartArray("members");
        foreach (var member in set.Members)
        {
            writer.WriteStartObject();
            WriteMember(writer, member);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    public static ReplicaSetRecord ReadSet(ReadOnlyMemory<byte> data, string path) => Json.Parse(data, path, root =>
    {
        var set = new ReplicaSetRecord(
            Guid.ParseExact(root.GetProperty("storeId").GetString()!, "N"),
            [.. root.GetProperty("members").EnumerateArray().Select(ReadMember)]);
        return set.Members.Count is > 0 and <= ReplicaSetRecord.MembersMax && set.Members.DistinctBy(member => member.Replica).Count() == set.Members.Count
            ? set
            : throw new FormatException($"a replica set has 1 to {ReplicaSetRecord.MembersMax} different members");
    });

    public static byte[] Write(ReplicaSetChangeRecord change) => Json.Object(writer =>
    {
        writer.WriteString("id", change.Id.ToString("N"));
        if (change.Add is { } add)
        {
            writer.WriteString("add", add);
        }

        if (change.Remove is { } remove)
        {
            writer.WriteString("remove", remove.ToString("N"));
        }

        writer.WriteTime("requestedAt", change.RequestedAt);
    });

    public static ReplicaSetChangeRecord ReadChange(ReadOnlyMemory<byte> data, string path) => Json.Parse(data, path, root => new ReplicaSetChangeRecord(
        Guid.ParseExact(root.GetProperty("id").GetString()!, "N"),
        root.OptionalString("add"),
        root.OptionalString("remove") is { } remove ? Guid.ParseExact(remove, "N") : null,
        root.OptionalTime("requestedAt")));

    public static byte[] Write(SlavesRecord slaves) => Json.Object(writer =>
    {
        writer.WriteNumber("epoch", slaves.Epoch);
        writer.WriteStartArray("slaves");
        foreach (var slave in slaves.Slaves)
        {
            writer.WriteStartObject();
            writer.WriteString("container", slave.Container);
            writer.WriteBoolean("inSync", slave.InSync);
            if (slave.LagBytes is { } lag)
            {
                writer.WriteNumber("lagBytes", lag);
            }

            if (slave.IsLearner)
            {
                writer.WriteBoolean("learner", true);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    public static SlavesRecord ReadSlaves(ReadOnlyMemory<byte> data, string path) => Json.Parse(data, path, root => new SlavesRecord(
        root.GetProperty("epoch").GetInt64(),
        [.. root.GetProperty("slaves").EnumerateArray().Select(slave => new SlaveRecord(
            slave.GetProperty("container").GetString()!,
            slave.GetProperty("inSync").GetBoolean(),
            slave.TryGetProperty("lagBytes", out var lag) ? lag.GetInt64() : null,
            slave.TryGetProperty("learner", out var learner) && learner.GetBoolean()))]));

    public static byte[] Write(IReadOnlyList<Mastership> history) => Json.Object(writer =>
    {
        writer.WriteStartArray("masters");
        foreach (var mastership in history.TakeLast(HistoryMax))
        {
            writer.WriteStartObject();
            writer.WriteNumber("epoch", mastership.Epoch);
            writer.WriteString("container", mastership.Container);
            writer.WriteString("replica", mastership.Replica.ToString("N"));
            writer.WriteTime("at", mastership.At);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    public static IReadOnlyList<Mastership> ReadHistory(ReadOnlyMemory<byte> data, string path) => data.IsEmpty
        ? []
        : Json.Parse<IReadOnlyList<Mastership>>(data, path, root => [.. root.GetProperty("masters").EnumerateArray().Select(entry => new Mastership(
            entry.GetProperty("epoch").GetInt64(),
            entry.GetProperty("container").GetString()!,
            ReplicaOf(entry),
            entry.OptionalTime("at") ?? DateTimeOffset.UnixEpoch))]);

    private static void WriteMember(Utf8JsonWriter writer, ReplicaMemberRecord member)
    {
        writer.WriteString("replica", member.Replica.ToString("N"));
        writer.WriteString("container", member.Container);
        if (member.Origin is { } origin)
        {
            writer.WriteString("origin", origin.ToString("N"));
        }
    }

    private static ReplicaMemberRecord ReadMember(JsonElement element) => new(
        ReplicaOf(element),
        element.GetProperty("container").GetString() ?? throw new FormatException("a member has no container"),
        element.OptionalString("origin") is { } origin ? Guid.ParseExact(origin, "N") : null);

    private static Guid ReplicaOf(JsonElement element) => Guid.ParseExact(element.GetProperty("replica").GetString()!, "N");

    private static string RoleName(CandidateRole role) => role switch
    {
        CandidateRole.Master => "master",
        CandidateRole.Slave => "slave",
        _ => "electing",
    };

    private static CandidateRole RoleOf(string? name) => name switch
    {
        "master" => CandidateRole.Master,
        "slave" => CandidateRole.Slave,
        "electing" => CandidateRole.Electing,
        _ => throw new FormatException($"the role {name} is unknown"),
    };
}
