using System.Runtime.CompilerServices;
using Fabric.Broker.Index;
using Fabric.Store;

namespace Fabric.Tests.Broker;

public sealed class IndexTests
{
    [Test]
    public void Stored_numbers_are_frozen()
    {
        Assert.That(
            new[] { RecordKind.Epoch, RecordKind.DestinationAdded, RecordKind.DestinationRemoved, RecordKind.Message, RecordKind.Acknowledged, RecordKind.TransactionCommitted, RecordKind.DeliveryHorizon, RecordKind.Relocated },
            Is.EqualTo(new byte[] { 1, 16, 17, 18, 19, 20, 21, 22 }));
        Assert.That((RecordKind.InTransaction, Envelope.DeadLettered), Is.EqualTo(((byte)1, (byte)1)));
        Assert.That(ProducerAudit.ProducersMax, Is.EqualTo(16384));
    }

    [Test]
    public void An_entry_costs_no_more_than_48_bytes() => Assert.That(Unsafe.SizeOf<QueueEntry>(), Is.LessThanOrEqualTo(48));

    [TestCase("FBC1", new byte[0])]
    [TestCase("FBC2", new byte[] { 14 })]
    [TestCase("FBC3", new byte[] { 14 })]
    public void A_checkpoint_of_an_older_form_is_still_read(string magic, byte[] horizon)
    {
        // Next id 2, one queue with number 1, name Q and one message; where it is read from, if that is told; no producers, nothing waits. Numbers are zigzag varints.
        byte[] relocation = magic == "FBC3" ? [14, 200, 1, 0] : [];
        byte[] old =
        [
            .. System.Text.Encoding.ASCII.GetBytes(magic), 4, 2, 2, 2, (byte)'Q', .. horizon,
            2, 200, 1, 10, 12, 14, 16, 18, 1, 2, 3, 4, 5, 6, 7, 8, .. relocation, 0, 0,
        ];
        var index = new BrokerIndex();
        index.Load(old);
        var queue = index.Queues.Single();
        Assert.That((queue.Id, queue.Name, queue.DeliveryHorizon, index.NextQueueId), Is.EqualTo((1, "Q", horizon.Length * 7L, 2)));
        Assert.That(queue.Entries.TryFind(100, out var found));
        var entry = found.Value;
        Assert.That(
            (entry.Expiration, entry.AcceptedAt, entry.PayloadBytes, entry.EnvelopeBytes, entry.Encoding, entry.Origin, found.Body),
            Is.EqualTo((5L, 6L, 7, 8, (byte)9, 0x0807060504030201UL, magic == "FBC3" ? 107L : 100L)));
    }

    [Test]
    public void A_checkpoint_has_the_documented_bytes()
    {
        var index = new BrokerIndex();
        index.Load([.. "FBC1"u8, 4, 2, 2, 2, (byte)'Q', 4, 200, 1, 0, 12, 14, 16, 18, 1, 0, 0, 0, 0, 0, 0, 0, 128, 4, 0, 14, 14, 16, 18, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        index.Queues.Single().Entries.TryFind(100, out var found);
        index.Queues.Single().Entries.Remove(found);
        Assert.That(
            Convert.ToHexString(Save(index)),
            Is.EqualTo(
                "46424334" + "04" + "02" + "02" + "02" + "51" + "00" // horizon 0
                + "10" + "10" + "0100000000000000" + "9201" // room for 8, 8 bytes that say that the first is removed, a block of 73 bytes:
                + "0200" + "026400000000000000" + "000000000000000000" + "010600000000000000" + "000700000000000000" + "000800000000000000" + "000900000000000000" + "010100000000000000"
                + "0000" + "0001" + "0001" + "0001" // positions 100 and 356, accepted 6 and 7, origins 1 and 2
                + "00" + "00" + "00" + "00"));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(4)]
    public void A_block_gives_back_what_was_packed(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 300; round++)
        {
            var entries = new QueueEntry[round < 4 ? 512 : random.Next(1, 513)];
            long[] spans = [.. Enumerable.Range(0, 6).Select(_ => random.Next(4) == 0 ? 1 : random.NextInt64(1, 1L << random.Next(1, 63)))];
            var origins = Enumerable.Range(0, random.Next(3) == 0 ? 512 : random.Next(1, 257)).Select(_ => (ulong)random.NextInt64(long.MinValue, long.MaxValue)).ToArray();
            var position = random.NextInt64(1L << 40);
            foreach (ref var entry in entries.AsSpan())
            {
                position += random.NextInt64(16, 16 + Math.Min(spans[0], 1L << 50));
                entry = new QueueEntry
                {
                    Position = position,
                    Expiration = random.NextInt64(spans[1]),
                    AcceptedAt = random.NextInt64(spans[2]) - (spans[2] / 2),
                    PayloadBytes = (int)random.NextInt64(Math.Min(spans[3], 1 << 27)),
                    EnvelopeBytes = (int)random.NextInt64(Math.Min(spans[4], 70_000)),
                    Encoding = (byte)random.NextInt64(Math.Min(spans[5], 256)),
                    Origin = origins[random.Next(origins.Length)],
                };
            }

            var block = EntryBlock.Read(EntryBlock.Pack(entries).Bytes);
            var unpacked = new QueueEntry[entries.Length];
            block.Unpack(unpacked);
            Assert.That(unpacked, Is.EqualTo(entries));
            Assert.That(Enumerable.Range(0, entries.Length).Select(block.PositionAt), Is.EqualTo(entries.Select(entry => entry.Position)));
        }
    }

    [Test]
    public void A_block_that_is_cut_short_or_says_nonsense_is_refused()
    {
        var entries = Enumerable.Range(1, 100).Select(i => new QueueEntry { Position = i * 1000, Origin = (ulong)(i % 3) << 40 }).ToArray();
        var bytes = EntryBlock.Pack(entries).Bytes.ToArray();
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.That(() => EntryBlock.Read(bytes.AsSpan(0, length)), Throws.InstanceOf<StoreException>(), $"{length} bytes");
        }

        Refused(0, 0, "no entries");
        Refused(1, 2, "more than are allowed");
        Refused(2, 9, "a position of 9 bytes");
        Refused(2, 0, "equal positions");
        Refused(2 + (6 * 9) + 1, 0, "a list of none");
        Refused(bytes.Length - 1, 3, "a place behind the end of the list");

        void Refused(int at, byte value, string why)
        {
            var wrong = bytes.ToArray();
            wrong[at] = value;
            Assert.That(() => EntryBlock.Read(wrong), Throws.InstanceOf<StoreException>(), why);
        }
    }

    [Test]
    public void A_million_messages_take_twelve_megabytes_also_when_somebody_has_looked_at_them_all()
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var list = new EntryList(new EntryArrays());
        for (var i = 1; i <= 1_000_000; i++)
        {
            list.Append(new QueueEntry
            {
                Position = 1100L * i, AcceptedAt = 1_790_000_000_000 + (i / 10), PayloadBytes = 1000 + (i % 50), EnvelopeBytes = 80, Encoding = 1, Origin = 0xFEDCBA9876543210UL + (ulong)(i % 4),
            });
        }

        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(12_000_000), "appended");
        long sum = 0;
        EntryChunk? chunk = null;
        for (var slot = 0; list.TryNext(ref chunk, ref slot); slot++)
        {
            sum += chunk!.Entries[slot].PayloadBytes;
        }

        Assert.That(sum, Is.EqualTo(1_024_500_000));
        chunk = null;
        for (var slot = 0; list.TryNext(ref chunk, ref slot); slot += 700)
        {
            chunk!.Touch(slot).Locked = true; // as if a consumer with a filter went through, and gave all of it back
            chunk.Touch(slot).Locked = false;
        }

        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(12_000_000), "looked at");
        GC.KeepAlive(list);
    }

    [Test]
    public void What_a_consumer_holds_is_not_forgotten_when_others_go_far_ahead()
    {
        var list = new EntryList(new EntryArrays());
        for (var i = 1; i <= 200_000; i++)
        {
            list.Append(new QueueEntry { Position = i });
        }

        list.TryFind(1000, out var held);
        held.Chunk.Touch(held.Slot).Locked = true;
        list.TryFind(5000, out var delivered);
        delivered.Chunk.Touch(delivered.Slot).Redeliveries = 3;
        for (var i = 10_000; i <= 200_000; i++)
        {
            list.TryFind(i, out var found);
            Assert.That((found.Value.Locked, found.Value.Redeliveries), Is.EqualTo((false, 0)));
        }

        Assert.That((held.Value.Locked, delivered.Value.Redeliveries), Is.EqualTo((true, 3)));
        list.ResetLive();
        Assert.That((held.Value.Locked, delivered.Value.Redeliveries), Is.EqualTo((false, 0)));
    }

    [Test]
    public void An_envelope_has_the_documented_bytes()
    {
        var bytes = new byte[Envelope.GetLength("p")];
        Envelope.Write(
            bytes,
            new EnvelopeFields
            {
                DestinationId = 0x01020304, Flags = 1, Priority = 9, Encoding = 7, ProducerSequence = 0x1112131415161718,
                Expiration = 2, Timestamp = 3, AcceptedAt = 4, Origin = 0x2122232425262728,
            },
            "p");
        Assert.That(Convert.ToHexString(bytes), Is.EqualTo(
            "04030201" + "01" + "09" + "07" + "00" + "1817161514131211" + "0200000000000000" + "0300000000000000" + "0400000000000000"
            + "2827262524232221" + "0100" + "70"));
        Assert.That(() => Envelope.Read(bytes.AsSpan(0, 49)), Throws.InstanceOf<StoreException>());
        Assert.That(() => Envelope.Read(bytes.AsSpan(0, 50)), Throws.InstanceOf<StoreException>());
        Assert.That(Envelope.Read(bytes).ProducerId.ToArray(), Is.EqualTo("p"u8.ToArray()));
    }

    [Test]
    public void Acknowledged_positions_come_back_in_their_order_and_queues()
    {
        var random = new Random(7);
        var expected = new List<(int, long)>();
        var record = new AcknowledgedRecord();
        for (var i = 0; i < 2000; i++)
        {
            var item = (random.Next(1, 4), random.NextInt64(1, 1L << random.Next(5, 62)));
            expected.Add(item);
            record.Add(item.Item1, item.Item2);
        }

        Assert.That(Read(record.Body), Is.EqualTo(expected));
        var cut = record.Body[..^1].ToArray();
        Assert.That(() => Read(cut), Throws.InstanceOf<StoreException>());

        record.Clear();
        record.Add(1, 100);
        record.Add(1, 200);
        Assert.That(Convert.ToHexString(record.Body), Is.EqualTo("01000000" + "02000000" + "6400000000000000" + "C801"));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void A_list_of_entries_finds_removes_and_walks_like_a_sorted_set(int seed)
    {
        var random = new Random(seed);
        var list = new EntryList(new EntryArrays());
        var model = new SortedSet<long>();
        long next = 16;
        for (var step = 0; step < 60_000; step++)
        {
            if (random.Next(100) < (step % 10_000 < 6000 ? 60 : 40))
            {
                next += 16 + random.Next(100);
                list.Append(new QueueEntry { Position = next });
                model.Add(next);
            }
            else if (model.Count > 0)
            {
                // Mostly near the front, as acknowledgements are; sometimes anywhere, as expiry is.
                var position = random.Next(10) > 0 ? model.First() : model.ElementAt(random.Next(model.Count));
                Assert.That(list.TryFind(position, out var found));
                list.Remove(found);
                model.Remove(position);
                Assert.That(list.TryFind(position, out _), Is.False);
            }
        }

        Assert.That(list.Count, Is.EqualTo(model.Count));
        Assert.That(list.TryFind(next + 1, out _), Is.False);
        var walked = new List<long>();
        EntryChunk? chunk = null;
        for (var slot = 0; list.TryNext(ref chunk, ref slot); slot++)
        {
            walked.Add(chunk!.Entries[slot].Position);
        }

        Assert.That(walked, Is.EqualTo(model));
    }

    [Test]
    public void A_place_in_the_list_stays_good_while_what_it_stands_on_goes()
    {
        var list = new EntryList(new EntryArrays());
        list.Append(new QueueEntry { Position = 1 });
        EntryChunk? chunk = null;
        var slot = 0;
        Assert.That(list.TryNext(ref chunk, ref slot));
        for (long position = 2; position < 200_000; position++)
        {
            list.Append(new QueueEntry { Position = position });
            list.TryFind(position - 1, out var found);
            list.Remove(found);
        }

        Assert.That(list.TryNext(ref chunk, ref slot));
        Assert.That(chunk!.Entries[slot].Position, Is.EqualTo(199_999));
        Assert.That(chunk.Entries, Has.Length.LessThan(EntryArrays.Largest), "a nearly empty queue stays small");
    }

    [Test]
    public void A_message_that_stays_while_millions_pass_keeps_no_trail_of_empty_chunks()
    {
        var list = new EntryList(new EntryArrays());
        list.Append(new QueueEntry { Position = 1 });
        for (long position = 2; position < 300_000; position++)
        {
            list.Append(new QueueEntry { Position = position });
            if (position > 2)
            {
                list.TryFind(position - 1, out var found);
                list.Remove(found);
            }
        }

        var links = 0;
        for (var chunk = list.FirstChunk; chunk is not null; chunk = chunk.Next)
        {
            links++;
        }

        Assert.That(links, Is.LessThan(100));
    }

    [Test]
    public void Producers_are_forgotten_in_the_order_in_which_they_last_stored_something()
    {
        var audit = new ProducerAudit();
        for (var i = 0; i < ProducerAudit.ProducersMax; i++)
        {
            audit.Record(Id(i), i);
        }

        audit.Record(Id(0), 5);
        audit.Record(Id(-1), 1);
        Assert.That(audit.Find(Id(1)), Is.Null);
        Assert.That(audit.Find(Id(0)), Is.EqualTo(5));
        audit.Record(Id(0), 3);
        Assert.That(audit.Find(Id(0)), Is.EqualTo(5), "only the highest counts");
        Assert.That(audit.Count, Is.EqualTo(ProducerAudit.ProducersMax));
        Assert.That(audit.Enumerate().First().ProducerId, Is.EqualTo(Id(2)));

        static byte[] Id(int number) => BitConverter.GetBytes(number);
    }

    private static byte[] Save(BrokerIndex index)
    {
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        index.Save(output);
        return output.WrittenSpan.ToArray();
    }

    private static List<(int, long)> Read(ReadOnlySpan<byte> body)
    {
        var all = new List<(int, long)>();
        var reader = new AcknowledgedRecord.Reader(body);
        while (reader.Read())
        {
            all.Add((reader.QueueId, reader.Position));
        }

        return all;
    }
}
