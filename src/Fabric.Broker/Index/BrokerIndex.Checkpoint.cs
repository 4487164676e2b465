using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Fabric.Store;

namespace Fabric.Broker.Index;

/// <summary>
/// The checkpoint: the whole index in one piece, described in RECORDS.md. Queues are in order of their numbers, messages in
/// journal order, producers in the order in which they will be forgotten, so that equal states give equal bytes.
/// </summary>
internal sealed partial class BrokerIndex
{
    private const uint CheckpointMagic = 0x34434246; // "FBC4"
    private const uint MagicWithoutBlocks = 0x33434246; // "FBC3", which is still read
    private const uint MagicWithoutRelocations = 0x32434246; // "FBC2", likewise
    private const uint MagicWithoutHorizons = 0x31434246; // "FBC1", likewise

    public void Save(IBufferWriter<byte> output)
    {
        var writer = new CheckpointWriter(output);
        writer.Fixed(CheckpointMagic);
        writer.Number(NextQueueId);
        writer.Number(_queues.Count);
        foreach (var queue in _queues.Values.OrderBy(queue => queue.Id))
        {
            SaveQueue(ref writer, queue);
        }

        writer.Number(Producers.Count);
        foreach (var (producerId, sequence) in Producers.Enumerate())
        {
            writer.Bytes(producerId);
            writer.Number(sequence);
        }

        writer.Number(_group.Count);
        for (var i = 0; i < _group.Count; i++)
        {
            var item = _group[i];
            writer.Number(item.Kind);
            writer.Number(item.Position);
            writer.Bytes(_group.Head(item));
            writer.Number(item.PayloadBytes);
        }
    }

    /// <summary>Replaces everything by a checkpoint; an empty one is the initial state.</summary>
    /// <exception cref="StoreException">The bytes are no checkpoint, or not only one.</exception>
    public void Load(ReadOnlySpan<byte> input)
    {
        Clear();
        if (input.IsEmpty)
        {
            return;
        }

        var reader = new CheckpointReader(input);
        var magic = reader.Fixed();
        if (magic is not (CheckpointMagic or MagicWithoutBlocks or MagicWithoutRelocations or MagicWithoutHorizons))
        {
            throw new StoreException("this is no checkpoint of a broker that this version reads");
        }

        NextQueueId = reader.Count();
        for (var queues = reader.Count(); queues > 0; queues--)
        {
            LoadQueue(ref reader, magic);
        }

        for (var producers = reader.Count(); producers > 0; producers--)
        {
            var producerId = reader.Bytes();
            Producers.Record(producerId, reader.Number());
        }

        for (var items = reader.Count(); items > 0; items--)
        {
            var kind = (byte)reader.Count();
            var position = reader.Number();
            var head = reader.Bytes();
            _group.Add(kind, position, head, reader.Count());
        }

        reader.End();
    }

    private static void SaveQueue(ref CheckpointWriter writer, QueueIndex queue)
    {
        writer.Number(queue.Id);
        writer.Bytes(Encoding.UTF8.GetBytes(queue.Name));
        writer.Number(queue.DeliveryHorizon);
        foreach (var chunk in queue.Entries.Chunks)
        {
            writer.Number(chunk.Capacity);
            writer.Bytes(MemoryMarshal.AsBytes<ulong>(chunk.Removed));
            writer.Bytes(chunk.ToBlock().Bytes);
        }

        writer.Number(0);
        SaveRelocations(ref writer, queue);
    }

    /// <summary>Of the messages that are read from a copy, in order of their positions: both positions, and a zero at the end.</summary>
    private static void SaveRelocations(ref CheckpointWriter writer, QueueIndex queue)
    {
        EntryChunk? chunk = null;
        var slot = 0;
        for (long last = 0; queue.Entries.TryNext(ref chunk, ref slot); slot++)
        {
            if (!chunk!.HasCopies)
            {
                slot = chunk.Count;
                continue;
            }

            var position = chunk.PositionOf(slot);
            var ahead = chunk.BodyOf(slot) - position;
            if (ahead > 0)
            {
                writer.Number(ahead);
                writer.Number(position - last);
                last = position;
            }
        }

        writer.Number(0);
    }

    private void LoadQueue(ref CheckpointReader reader, uint magic)
    {
        var id = reader.Count();
        var queue = new QueueIndex(id, Encoding.UTF8.GetString(reader.Bytes()), _arrays);
        _queues.Add(id, queue);
        _queuesByName.Add(queue.Name, queue);
        queue.DeliveryHorizon = magic != MagicWithoutHorizons ? reader.Number() : 0;
        if (magic == CheckpointMagic)
        {
            LoadBlocks(ref reader, queue);
        }
        else
        {
            LoadEntries(ref reader, queue);
        }

        if (magic is CheckpointMagic or MagicWithoutBlocks)
        {
            LoadRelocations(ref reader, queue);
        }
    }

    private void LoadBlocks(ref CheckpointReader reader, QueueIndex queue)
    {
        long end = 0;
        while (reader.Count() is var capacity && capacity != 0)
        {
            var removed = MemoryMarshal.Cast<byte, ulong>(reader.Bytes()).ToArray();
            var block = EntryBlock.Read(reader.Bytes());
            if (!EntryArrays.IsSize(capacity) || block.Count > capacity || block.PositionAt(0) <= end
                || (removed.Length > 0 && removed.Length != EntryChunk.RemovedWords(capacity)))
            {
                throw new StoreException($"a checkpoint of the broker has a block that does not fit, of messages from {block.PositionAt(0)} on");
            }

            queue.Entries.Append(new EntryChunk(_arrays, block, capacity, removed.Length > 0 ? removed : null));
            end = block.PositionAt(block.Count - 1);
        }
    }

    private static void LoadEntries(ref CheckpointReader reader, QueueIndex queue)
    {
        long position = 0;
        for (var entries = reader.Number(); entries > 0; entries--)
        {
            position += reader.Number();
            queue.Entries.Append(new QueueEntry
            {
                Position = position,
                Expiration = reader.Number(),
                AcceptedAt = reader.Number(),
                PayloadBytes = reader.Count(),
                EnvelopeBytes = reader.Count(),
                Encoding = (byte)reader.Count(),
                Origin = reader.FixedLong(),
            });
        }
    }

    private static void LoadRelocations(ref CheckpointReader reader, QueueIndex queue)
    {
        long position = 0;
        while (reader.Number() is var ahead && ahead != 0)
        {
            position += reader.Number();
            if (ahead < 0 || !queue.Entries.TryFind(position, out var found))
            {
                throw new StoreException($"a checkpoint of the broker says where a message at {position} is read from, and has no such message");
            }

            found.Chunk.MoveBody(found.Slot, position + ahead);
        }
    }

    private void Clear()
    {
        _queues.Clear();
        _queuesByName.Clear();
        Producers.Clear();
        _group.Clear();
        NextQueueId = 1;
    }
}

/// <summary>Numbers as zigzag varints, byte strings with their length in front.</summary>
internal ref struct CheckpointWriter(IBufferWriter<byte> output)
{
    public readonly void Fixed(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(output.GetSpan(4), value);
        output.Advance(4);
    }

    public readonly void Fixed(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(output.GetSpan(8), value);
        output.Advance(8);
    }

    public readonly void Number(long value) =>
        output.Advance(Varint.Write(output.GetSpan(10), (ulong)((value << 1) ^ (value >> 63))));

    public readonly void Bytes(ReadOnlySpan<byte> bytes)
    {
        Number(bytes.Length);
        output.Write(bytes);
    }
}

/// <summary>Reads what <see cref="CheckpointWriter"/> wrote; every fault is a <see cref="StoreException"/>.</summary>
internal ref struct CheckpointReader(ReadOnlySpan<byte> input)
{
    private ReadOnlySpan<byte> _rest = input;

    public uint Fixed() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong FixedLong() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public long Number()
    {
        var zigzag = Varint.Read(ref _rest);
        return (long)(zigzag >> 1) ^ -(long)(zigzag & 1);
    }

    /// <summary>A number that is 0 or more and fits an int.</summary>
    public int Count()
    {
        var number = Number();
        return number is >= 0 and <= int.MaxValue
            ? (int)number
            : throw new StoreException("a checkpoint of the broker has a count out of range");
    }

    public ReadOnlySpan<byte> Bytes() => Take(Count());

    public readonly void End()
    {
        if (!_rest.IsEmpty)
        {
            throw new StoreException($"a checkpoint of the broker is followed by {_rest.Length} bytes too many");
        }
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > _rest.Length)
        {
            throw new StoreException("a checkpoint of the broker is cut short");
        }

        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}
