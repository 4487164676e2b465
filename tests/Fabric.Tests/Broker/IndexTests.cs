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
    public void A_checkpoint_from_before_delivery_horizons_or_relocations_is_still_read(string magic, byte[] horizon)
    {
        // Next id 2, one queue with number 1, name Q and no messages; no producers, nothing waits. Numbers are zigzag varints.
        byte[] old = [.. System.Text.Encoding.ASCII.GetBytes(magic), 4, 2, 2, 2, (byte)'Q', .. horizon, 0, 0, 0];
        var index = new BrokerIndex();
        index.Load(old);
        var queue = index.Queues.Single();
        Assert.That((queue.Id, queue.Name, queue.DeliveryHorizon, index.NextQueueId), Is.EqualTo((1, "Q", horizon.Length * 7L, 2)));
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        index.Save(output);
        Assert.That(
            output.WrittenSpan.ToArray(),
            Is.EqualTo((byte[])[.. "FBC3"u8, 4, 2, 2, 2, (byte)'Q', (byte)(horizon.Length * 14), 0, 0, 0, 0]));
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
