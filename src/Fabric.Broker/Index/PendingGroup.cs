using System.Buffers;

namespace Fabric.Broker.Index;

/// <summary>The records of a group whose commit has not come yet, without the payloads.</summary>
internal sealed class PendingGroup
{
    private readonly List<GroupRecord> _items = [];
    private readonly ArrayBufferWriter<byte> _heads = new();

    public int Count => _items.Count;

    public long FirstPosition => _items[0].Position;

    public GroupRecord this[int index] => _items[index];

    public ReadOnlySpan<byte> Head(GroupRecord item) => _heads.WrittenSpan.Slice(item.HeadOffset, item.HeadBytes);

    public void Add(byte kind, long position, ReadOnlySpan<byte> head, int payloadBytes)
    {
        _items.Add(new GroupRecord(kind, position, _heads.WrittenCount, head.Length, payloadBytes));
        _heads.Write(head);
    }

    public void Clear()
    {
        _items.Clear();
        _heads.ResetWrittenCount();
    }

    public readonly record struct GroupRecord(byte Kind, long Position, int HeadOffset, int HeadBytes, int PayloadBytes);
}
