using System.Buffers.Binary;
using System.Text;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Broker.Index;

/// <summary>
/// What the journal says, and nothing else: queues, their messages, and what each producer has stored. Derived on the master,
/// on slaves and at recovery by the same <see cref="Apply"/>; it uses no clock, no randomness and no order of a hash table.
/// Records of a transaction wait in <see cref="_group"/> for the record that commits them; the record of a new mastership drops
/// them, because a group that was not finished then never will be.
/// </summary>
/// <remarks>Called under the broker's lock. Only <see cref="Apply"/> and <see cref="Load"/> change derived state.</remarks>
internal sealed partial class BrokerIndex
{
    private readonly Dictionary<int, QueueIndex> _queues = [];
    private readonly Dictionary<string, QueueIndex> _queuesByName = new(StringComparer.Ordinal);
    private readonly EntryArrays _arrays = new();
    private readonly PendingGroup _group = new();

    /// <summary>The number of the next queue. Numbers are never used again.</summary>
    public int NextQueueId { get; private set; } = 1;

    public ProducerAudit Producers { get; } = new();

    public IEnumerable<QueueIndex> Queues => _queues.Values;

    /// <summary>Called when a queue was added by a record, before it has messages.</summary>
    public Action<QueueIndex>? QueueAdded { get; set; }

    public QueueIndex? FindQueue(int id) => _queues.GetValueOrDefault(id);

    /// <exception cref="StoreException">The record has a form that this version does not know.</exception>
    public void Apply(in JournalRecord record)
    {
        if (record.Kind < RecordKind.First)
        {
            if (record.Kind == RecordKind.Epoch)
            {
                _group.Clear();
            }

            return;
        }

        var inTransaction = record.Flags == RecordKind.InTransaction
            && record.Kind is RecordKind.Message or RecordKind.Acknowledged;
        if (record.Flags != 0 && !inTransaction)
        {
            throw new StoreException(
                $"the record at {record.Position} has kind {record.Kind} with flags {record.Flags}: a later version wrote it");
        }

        switch (record.Kind)
        {
            case RecordKind.Message when inTransaction:
                var head = Envelope.Read(record.Body).Length;
                _group.Add(record.Kind, record.Position.Value, record.Body[..head], record.Body.Length - head);
                break;
            case RecordKind.Message:
                AddMessage(record.Position.Value, Envelope.Read(record.Body), record.Body.Length);
                break;
            case RecordKind.Acknowledged when inTransaction:
                _group.Add(record.Kind, record.Position.Value, record.Body, 0);
                break;
            case RecordKind.Acknowledged:
                RemoveMessages(record.Body);
                break;
            case RecordKind.TransactionCommitted:
                CommitGroup(record);
                break;
            case RecordKind.DestinationAdded:
                AddQueue(ReadId(record), Encoding.UTF8.GetString(record.Body[4..]));
                break;
            case RecordKind.DestinationRemoved:
                RemoveQueue(ReadId(record));
                break;
            case RecordKind.DeliveryHorizon:
                MoveHorizon(record);
                break;
            case RecordKind.Relocated:
                Relocate(record);
                break;
            default:
                throw new StoreException(
                    $"the record at {record.Position} has the unknown kind {record.Kind}: a later version wrote it");
        }
    }

    private static int ReadId(in JournalRecord record) => record.Body.Length >= 4
        ? BinaryPrimitives.ReadInt32LittleEndian(record.Body)
        : throw new StoreException($"the record at {record.Position} is cut short");

    private void AddQueue(int id, string name)
    {
        if (_queues.ContainsKey(id) || _queuesByName.ContainsKey(name))
        {
            throw new StoreException($"the queue {name} with number {id} is added a second time");
        }

        var queue = new QueueIndex(id, name, _arrays);
        _queues.Add(id, queue);
        _queuesByName.Add(name, queue);
        NextQueueId = Math.Max(NextQueueId, id + 1);
        QueueAdded?.Invoke(queue);
    }

    private void RemoveQueue(int id)
    {
        if (_queues.Remove(id, out var queue))
        {
            _queuesByName.Remove(queue.Name);
            queue.Observer = null;
        }
    }

    private void MoveHorizon(in JournalRecord record)
    {
        if (record.Body.Length != 12)
        {
            throw new StoreException($"the record at {record.Position} has {record.Body.Length} bytes instead of 12");
        }

        // The queue may have been deleted meanwhile.
        if (_queues.TryGetValue(ReadId(record), out var queue))
        {
            queue.DeliveryHorizon = Math.Max(queue.DeliveryHorizon, BinaryPrimitives.ReadInt64LittleEndian(record.Body[4..]));
            queue.Observer?.HorizonMoved();
        }
    }

    private void AddMessage(long position, Envelope envelope, int bodyBytes)
    {
        if ((envelope.Flags & Envelope.DeadLettered) == 0)
        {
            Producers.Record(envelope.ProducerId, envelope.ProducerSequence);
        }

        // A queue may have been deleted between the sending and the storing: the message is purged with it.
        if (!_queues.TryGetValue(envelope.DestinationId, out var queue))
        {
            return;
        }

        queue.Entries.Append(new QueueEntry
        {
            Position = position,
            Expiration = envelope.Expiration,
            AcceptedAt = envelope.AcceptedAt,
            Origin = envelope.Origin,
            PayloadBytes = bodyBytes - envelope.Length,
            EnvelopeBytes = envelope.Length,
            Encoding = envelope.Encoding,
        });
        queue.Observer?.EntryAdded();
    }

    private void RemoveMessages(ReadOnlySpan<byte> body)
    {
        var reader = new AcknowledgedRecord.Reader(body);
        while (reader.Read())
        {
            // Gone already when the queue was purged or a message was given up and acknowledged at once.
            if (_queues.TryGetValue(reader.QueueId, out var queue)
                && queue.Entries.TryFind(reader.Position, out var found))
            {
                queue.Observer?.EntryRemoved(found.Value);
                queue.Entries.Remove(found);
            }
        }
    }

    private void CommitGroup(in JournalRecord record)
    {
        if (ReadId(record) != _group.Count)
        {
            throw new StoreException(
                $"the commit at {record.Position} is for {ReadId(record)} records, but {_group.Count} precede it");
        }

        for (var i = 0; i < _group.Count; i++)
        {
            var item = _group[i];
            var head = _group.Head(item);
            if (item.Kind == RecordKind.Message)
            {
                AddMessage(item.Position, Envelope.Read(head), head.Length + item.PayloadBytes);
            }
            else
            {
                RemoveMessages(head);
            }
        }

        _group.Clear();
    }
}
