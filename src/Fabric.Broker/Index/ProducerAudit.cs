using System.Diagnostics.CodeAnalysis;

namespace Fabric.Broker.Index;

/// <summary>
/// The highest sequence stored for each producer. Bounded: the producers that stored nothing for longest, in journal order,
/// are forgotten first, which is the same on every replica.
/// </summary>
internal sealed class ProducerAudit
{
    /// <summary>Part of the format: all replicas must forget the same ones. Enough for the clients of any fail-over.</summary>
    public const int ProducersMax = 16 * 1024;

    private readonly Dictionary<byte[], Node> _nodes = new(Utf8Comparer.Instance);
    private readonly Dictionary<byte[], Node>.AlternateLookup<ReadOnlySpan<byte>> _bySpan;
    private readonly Node _ring = new([]);

    public ProducerAudit()
    {
        _bySpan = _nodes.GetAlternateLookup<ReadOnlySpan<byte>>();
        Clear();
    }

    public int Count => _nodes.Count;

    public void Clear()
    {
        _nodes.Clear();
        _ring.Newer = _ring.Older = _ring;
    }

    /// <summary>Notes that a message was stored.</summary>
    public void Record(ReadOnlySpan<byte> producerId, long sequence)
    {
        var node = _ring.Older;
        if (node == _ring || !producerId.SequenceEqual(node.ProducerId))
        {
            node = MoveToFront(producerId, sequence);
        }

        node.Sequence = Math.Max(node.Sequence, sequence);
    }

    /// <returns>The highest sequence stored, null when nothing is remembered.</returns>
    public long? Find(ReadOnlySpan<byte> producerId) =>
        _bySpan.TryGetValue(producerId, out var node) ? node.Sequence : null;

    /// <summary>All entries, those to be forgotten first in front.</summary>
    public IEnumerable<(byte[] ProducerId, long Sequence)> Enumerate()
    {
        for (var node = _ring.Newer; node != _ring; node = node.Newer)
        {
            yield return (node.ProducerId, node.Sequence);
        }
    }

    // The ring's Older neighbour is the newest entry, its Newer neighbour the oldest.
    private Node MoveToFront(ReadOnlySpan<byte> producerId, long sequence)
    {
        if (_bySpan.TryGetValue(producerId, out var node))
        {
            Unlink(node);
        }
        else
        {
            if (_nodes.Count >= ProducersMax)
            {
                var oldest = _ring.Newer;
                Unlink(oldest);
                _nodes.Remove(oldest.ProducerId);
            }

            node = new Node(producerId.ToArray()) { Sequence = sequence };
            _nodes.Add(node.ProducerId, node);
        }

        node.Newer = _ring;
        node.Older = _ring.Older;
        _ring.Older.Newer = node;
        _ring.Older = node;
        return node;
    }

    private static void Unlink(Node node)
    {
        node.Older.Newer = node.Newer;
        node.Newer.Older = node.Older;
    }

    private sealed class Node
    {
        public Node(byte[] producerId)
        {
            ProducerId = producerId;
            Newer = Older = this;
        }

        public byte[] ProducerId { get; }

        public long Sequence { get; set; }

        public Node Newer { get; set; }

        public Node Older { get; set; }
    }

    private sealed class Utf8Comparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static Utf8Comparer Instance { get; } = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            // Seeded per process: clients choose these bytes.
            var hash = default(HashCode);
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
