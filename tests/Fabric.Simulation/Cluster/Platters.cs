using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Fabric.Replication;
using Fabric.Simulation.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Simulation.Cluster;

/// <summary>
/// Looks at what would be left of the brokers' journals if all of them lost their power now, without asking the brokers: what is said to be on disk can be held against it.
/// </summary>
internal sealed class Platters(IReadOnlyList<SimulatedBroker> brokers, string directory)
{
    public const string StateFile = "replica.state";
    private const int IdentityAt = 16;
    private const int PromisedAt = 32;

    private readonly byte[] _page = new byte[SegmentHeader.Bytes];
    private readonly byte[] _found = new byte[64 * 1024];
    private readonly Dictionary<Guid, (Position End, Epoch Promised)> _lost = [];

    /// <summary>The replica that a state file is of.</summary>
    public static Guid ReadIdentity(FileContent state)
    {
        var bytes = new byte[IdentityAt + 16];
        state.ReadDurable(bytes, 0);
        return new Guid(bytes.AsSpan(IdentityAt));
    }

    /// <summary>A disk is about to be lost. What it had said of it stays true of the one that it was.</summary>
    /// <param name="number">Whose.</param>
    /// <param name="end">What may have been on it.</param>
    public void Forgive(int number, Position end)
    {
        if (FindState(brokers[number]) is not { } state)
        {
            return; // it had never said who it is
        }

        var (identity, promised) = (ReadIdentity(state), ReadPromise(state));
        var before = _lost.GetValueOrDefault(identity);
        _lost[identity] = (Position.Max(before.End, end), promised > before.Promised ? promised : before.Promised);
    }

    /// <summary>Whether a majority of a set has these record bytes. Who has cleaned them away had them, and of whose disk bits rot nothing can be asked.</summary>
    /// <param name="set">The members that count; null for two of whoever is there, as long as no record names a set.</param>
    /// <param name="from">Where the bytes stand.</param>
    /// <param name="bytes">Not more than 64 KiB.</param>
    public bool IsHeldByMajority(ReplicaSet? set, Position from, ReadOnlySpan<byte> bytes)
    {
        var holders = 0;
        foreach (var broker in brokers)
        {
            if (IsMember(set, broker, out var identity) && !IsLost(identity, from)
                && (broker.Host.Disk.IsRotten || EndOfHeld(broker.Host.Disk, from, bytes) == from + bytes.Length))
            {
                holders++;
            }
        }

        return IsMajority(set, holders + _lost.Count(lost => from < lost.Value.End && set?.Contains(new ReplicaId(lost.Key)) != false));
    }

    /// <summary>Whether a majority of a set would remember a promise of the epoch or of a later one.</summary>
    /// <param name="set">The members that count; null for two of whoever is there, as long as no record names a set.</param>
    /// <param name="epoch">What was promised.</param>
    public bool IsPromisedByMajority(ReplicaSet? set, Epoch epoch)
    {
        var count = _lost.Count(lost => lost.Value.Promised >= epoch && set?.Contains(new ReplicaId(lost.Key)) != false);
        foreach (var broker in brokers)
        {
            if (IsMember(set, broker, out var identity) && _lost.GetValueOrDefault(identity).Promised < epoch && ReadPromise(FindState(broker)!) >= epoch)
            {
                count++;
            }
        }

        return IsMajority(set, count);
    }

    /// <summary>Up to where each broker has these bytes.</summary>
    public string Describe(Position from, ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        foreach (var broker in brokers)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(text.Length > 0 ? ", " : "")}{broker.Host.Name} up to {EndOfHeld(broker.Host.Disk, from, bytes)}");
        }

        return text.ToString();
    }

    private static bool IsMajority(ReplicaSet? set, int count) => count >= (set?.Majority ?? 2);

    private FileContent? FindState(SimulatedBroker broker) => broker.Host.Disk.FindDurable($"{directory}/{StateFile}");

    private bool IsMember(ReplicaSet? set, SimulatedBroker broker, out Guid identity)
    {
        var state = FindState(broker);
        identity = state is null ? Guid.Empty : ReadIdentity(state);
        return state is not null && set?.Contains(new ReplicaId(identity)) != false;
    }

    private bool IsLost(Guid identity, Position from) => _lost.TryGetValue(identity, out var lost) && from < lost.End;

    private Epoch ReadPromise(FileContent state) => state.ReadDurable(_page.AsSpan(0, PromisedAt + sizeof(long)), 0) == PromisedAt + sizeof(long)
        ? new Epoch(BinaryPrimitives.ReadInt64LittleEndian(_page.AsSpan(PromisedAt)))
        : Epoch.None;

    private Position EndOfHeld(DiskState disk, Position from, ReadOnlySpan<byte> bytes)
    {
        var segments = ReadSegments(disk);
        if (segments.Count > 0 && from < segments.Min(segment => segment.Header.First))
        {
            return from + bytes.Length;
        }

        while (bytes.Length > 0)
        {
            var held = 0;
            foreach (var (header, content) in segments)
            {
                held = Math.Max(held, CountHeld(header, content, from, bytes));
            }

            if (held == 0)
            {
                break;
            }

            from += held;
            bytes = bytes[held..];
        }

        return from;
    }

    private List<(SegmentHeader Header, FileContent Content)> ReadSegments(DiskState disk)
    {
        var segments = new List<(SegmentHeader Header, FileContent Content)>();
        foreach (var (path, content) in disk.DurableFiles)
        {
            if (path.EndsWith(".seg", StringComparison.Ordinal) && content.ReadDurable(_page, 0) == _page.Length
                && SegmentHeader.Read(_page, path) is { } header)
            {
                segments.Add((header, content));
            }
        }

        return segments;
    }

    /// <summary>How many of the bytes, from the first on, this segment has as they should be. It may end before its room does.</summary>
    private int CountHeld(SegmentHeader header, FileContent content, Position from, ReadOnlySpan<byte> bytes)
    {
        var room = (header.Cut ?? header.First + header.Capacity) - from;
        if (from < header.First || room <= 0)
        {
            return 0;
        }

        var wanted = (int)Math.Min(room, bytes.Length);
        var found = _found.AsSpan(0, wanted);
        var count = content.ReadDurable(found, SegmentHeader.Bytes + (from - header.First));
        return bytes.CommonPrefixLength(found[..count]);
    }
}
