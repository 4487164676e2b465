using System.Buffers.Binary;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Broker.Index;

/// <summary>
/// What the journal's segments are kept for. A message keeps its position, which is its name and its place in the queue, for as long as it lives; where its bytes are read
/// changes when a Relocated record brings a copy of them (RECORDS.md).
/// </summary>
internal sealed partial class BrokerIndex
{
    /// <summary>Bytes behind a message in a Relocated record: its position.</summary>
    public const int RelocatedBytes = 8;

    /// <summary>Messages copied forward since the process started.</summary>
    public long Relocations { get; private set; }

    /// <summary>Bytes of the records that messages are read from.</summary>
    public long LiveBytes => _queues.Values.Sum(queue => queue.Entries.Bytes);

    /// <summary>Where the oldest record stands that somebody may still need.</summary>
    public Position OldestLive(Position applied)
    {
        var oldest = _group.Count > 0 ? Math.Min(_group.FirstPosition, applied.Value) : applied.Value;
        foreach (var queue in _queues.Values)
        {
            oldest = Math.Min(oldest, queue.Entries.OldestBody);
        }

        return new Position(oldest);
    }

    /// <summary>Collects messages that are read from records before a position, as many as the batch takes; of one queue the oldest first.</summary>
    public void CollectBefore(Position end, MovableBatch batch)
    {
        foreach (var queue in _queues.Values)
        {
            queue.Entries.CollectBefore(end.Value, queue.Id, batch);
        }
    }

    /// <summary>
    /// Reads a message from its newest copy from now on. One that is gone stays gone: whether it was acknowledged first is for the order of the records to say, not for the
    /// master that wrote this one.
    /// </summary>
    private void Relocate(in JournalRecord record)
    {
        var messageBytes = record.Body.Length - RelocatedBytes;
        var envelope = Envelope.Read(record.Body[..Math.Max(0, messageBytes)]);
        var position = BinaryPrimitives.ReadInt64LittleEndian(record.Body[messageBytes..]);
        if (!_queues.TryGetValue(envelope.DestinationId, out var queue) || !queue.Entries.TryFind(position, out var found))
        {
            return;
        }

        if (found.Value.EnvelopeBytes != envelope.Length || found.Value.PayloadBytes != messageBytes - envelope.Length)
        {
            throw new StoreException($"the record at {record.Position} is no copy of the message at {position}: it has another length");
        }

        found.Chunk.MoveBody(found.Slot, record.Position.Value);
        Relocations++;
    }
}
