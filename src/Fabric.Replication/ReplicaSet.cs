using System.Buffers.Binary;
using System.Text;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>The identity of one replica's disk. A wiped disk gets a new one.</summary>
public readonly record struct ReplicaId(Guid Value) : IComparable<ReplicaId>
{
    public int CompareTo(ReplicaId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString("N");

    public static ReplicaId Parse(string text) => new(Guid.ParseExact(text, "N"));

    public static bool TryParse(string? text, out ReplicaId id)
    {
        var parsed = Guid.TryParseExact(text, "N", out var value);
        id = new ReplicaId(value);
        return parsed;
    }

    public static bool operator <(ReplicaId left, ReplicaId right) => left.CompareTo(right) < 0;

    public static bool operator >(ReplicaId left, ReplicaId right) => left.CompareTo(right) > 0;

    public static bool operator <=(ReplicaId left, ReplicaId right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ReplicaId left, ReplicaId right) => left.CompareTo(right) >= 0;
}

/// <summary>One member of a replica set.</summary>
/// <param name="Id">Its disk.</param>
/// <param name="Container">The container that runs it, for people.</param>
public sealed record ReplicaMember(ReplicaId Id, string Container);

/// <summary>
/// The replicas whose majority decides. It stands in the journal (record kind <see cref="RecordKind"/>) and is mirrored to the registry.
/// </summary>
public sealed class ReplicaSet
{
    /// <summary>Record kind of a replica set in the journal; frozen.</summary>
    public const byte RecordKind = 2;

    /// <summary>Most members a set may have; more would not make it safer, only slower.</summary>
    public const int MembersMax = 9;

    /// <exception cref="ArgumentException">No member, too many, or one twice.</exception>
    public ReplicaSet(Guid storeId, IEnumerable<ReplicaMember> members)
    {
        StoreId = storeId;
        Members = [.. members.OrderBy(member => member.Id)];
        if (Members.Count is 0 or > MembersMax || Members.DistinctBy(member => member.Id).Count() != Members.Count)
        {
            throw new ArgumentException($"a replica set has 1 to {MembersMax} different members", nameof(members));
        }
    }

    /// <summary>The identity of the data: all replicas of one broker share it, and no other broker has it.</summary>
    public Guid StoreId { get; }

    /// <summary>Members in the order of their ids.</summary>
    public IReadOnlyList<ReplicaMember> Members { get; }

    /// <summary>How many members decide.</summary>
    public int Majority => (Members.Count / 2) + 1;

    public bool Contains(ReplicaId id) => Members.Any(member => member.Id == id);

    /// <summary>The same data with one member more.</summary>
    public ReplicaSet With(ReplicaMember member) => new(StoreId, [.. Members, member]);

    /// <summary>The same data with one member less.</summary>
    public ReplicaSet Without(ReplicaId id) => new(StoreId, Members.Where(member => member.Id != id));

    /// <summary>Body: store id (16 bytes), u8 count, per member id (16 bytes), u8 length and UTF-8 name of the container.</summary>
    public byte[] Encode()
    {
        var body = new List<byte>(17 + (Members.Count * 32));
        body.AddRange(StoreId.ToByteArray());
        body.Add((byte)Members.Count);
        foreach (var member in Members)
        {
            body.AddRange(member.Id.Value.ToByteArray());
            var name = Encoding.UTF8.GetBytes(member.Container);
            body.Add(checked((byte)name.Length));
            body.AddRange(name);
        }

        return [.. body];
    }

    /// <exception cref="StoreException">The bytes are not a replica set.</exception>
    public static ReplicaSet Decode(ReadOnlySpan<byte> body)
    {
        try
        {
            var storeId = new Guid(body[..16]);
            int count = body[16];
            body = body[17..];
            var members = new List<ReplicaMember>(count);
            for (var i = 0; i < count; i++)
            {
                int length = body[16];
                members.Add(new ReplicaMember(
                    new ReplicaId(new Guid(body[..16])), Encoding.UTF8.GetString(body.Slice(17, length))));
                body = body[(17 + length)..];
            }

            return new ReplicaSet(storeId, members);
        }
        catch (Exception exception) when (exception is ArgumentException or IndexOutOfRangeException)
        {
            throw new StoreException("a replica set record cannot be read", exception);
        }
    }
}

/// <summary>The first record of an epoch, written by its master.</summary>
/// <param name="Epoch">Its number.</param>
/// <param name="Master">Who leads it.</param>
public sealed record EpochRecord(Epoch Epoch, ReplicaId Master)
{
    /// <summary>Record kind of an epoch in the journal; frozen.</summary>
    public const byte RecordKind = 1;

    /// <summary>Body: epoch (i64 little endian), id of the master (16 bytes).</summary>
    public byte[] Encode()
    {
        var body = new byte[24];
        BinaryPrimitives.WriteInt64LittleEndian(body, Epoch.Value);
        Master.Value.TryWriteBytes(body.AsSpan(8));
        return body;
    }

    /// <exception cref="StoreException">The bytes are not an epoch record.</exception>
    public static EpochRecord Decode(ReadOnlySpan<byte> body) => body.Length == 24
        ? new EpochRecord(new Epoch(BinaryPrimitives.ReadInt64LittleEndian(body)), new ReplicaId(new Guid(body[8..])))
        : throw new StoreException("an epoch record cannot be read");
}
