using System.Buffers;
using Fabric.Broker;
using Fabric.Broker.Index;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Broker;

/// <summary>Master, slave and recovery must derive the same state from the same records.</summary>
public sealed class DeterminismTests
{
    [TestCase(11)]
    [TestCase(12)]
    [TestCase(13)]
    public async Task A_slave_has_the_masters_checkpoint_byte_for_byte_and_a_checkpoint_and_the_rest_give_the_same(int seed)
    {
        var (records, master, _) = await RunAsync(seed);
        var slave = new BrokerIndex();
        var checkpoints = new List<byte[]>();
        foreach (var record in records)
        {
            Apply(slave, record);
            checkpoints.Add(Save(slave));
        }

        Assert.That(checkpoints[^1], Is.EqualTo(master));

        // From every checkpoint, also those within a group, the rest leads to the same state.
        for (var start = 0; start < records.Count; start += 7)
        {
            var restarted = new BrokerIndex();
            restarted.Load(checkpoints[start]);
            Assert.That(Save(restarted), Is.EqualTo(checkpoints[start]));
            foreach (var record in records.Skip(start + 1))
            {
                Apply(restarted, record);
            }

            Assert.That(Save(restarted), Is.EqualTo(master), $"from record {start}");
        }
    }

    [Test]
    public async Task Live_state_leaves_no_trace_in_the_checkpoint()
    {
        await using var bench = new BrokerBench();
        var client = bench.Connect();
        client.SendCommitted("m1");
        client.SendCommitted("m2");
        client.Connection.RemoveConsumer(client.Consume(), LastDelivered.None); // the horizon of deliveries is no live state
        var before = Save(bench.Broker);
        var consumer = client.Consume();
        Assert.That(client.Receive(), Has.Count.EqualTo(2));
        client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
        client.Consume();
        client.Send("in memory", persistent: false);
        Assert.That(Save(bench.Broker), Is.EqualTo(before));
    }

    [Test]
    public void The_oldest_live_position_is_that_of_the_oldest_message_or_waiting_record()
    {
        var index = new BrokerIndex();
        var at = new Position(100);
        Assert.That(index.OldestLive(at), Is.EqualTo(at));
        index.Apply(new JournalRecord(new Position(100), new Position(130), RecordKind.DestinationAdded, 0, [1, 0, 0, 0, (byte)'Q']));
        var envelope = new byte[Envelope.GetLength("p")];
        Envelope.Write(envelope, new EnvelopeFields { DestinationId = 1 }, "p");
        index.Apply(new JournalRecord(new Position(130), new Position(200), RecordKind.Message, RecordKind.InTransaction, envelope));
        Assert.That(index.OldestLive(new Position(200)), Is.EqualTo(new Position(130)));
        index.Apply(new JournalRecord(new Position(200), new Position(220), RecordKind.Epoch, 0, default));
        Assert.That(index.OldestLive(new Position(220)), Is.EqualTo(new Position(220)));
        index.Apply(new JournalRecord(new Position(220), new Position(300), RecordKind.Message, 0, envelope));
        Assert.That(index.OldestLive(new Position(300)), Is.EqualTo(new Position(220)));
    }

    [TestCase(23, 0)]
    [TestCase(22, 1)]
    [TestCase(21, 1)]
    [TestCase(18, 2)]
    [TestCase(20, 1)]
    [TestCase(16, 1)]
    public void A_record_of_a_later_version_stops_the_replay(int kind, int flags)
    {
        var index = new BrokerIndex();
        Assert.That(
            () => index.Apply(new JournalRecord(new Position(1), new Position(99), (byte)kind, (byte)flags, new byte[60])),
            Throws.InstanceOf<StoreException>().With.Message.Contains("a later version wrote it"));
    }

    [TestCase((byte)16, 3)]
    [TestCase((byte)18, 20)]
    [TestCase((byte)19, 3)]
    [TestCase((byte)20, 2)]
    [TestCase((byte)21, 3)]
    [TestCase((byte)21, 13)]
    [TestCase((byte)22, 3)]
    [TestCase((byte)22, 57)]
    public void A_malformed_record_stops_the_replay(byte kind, int bytes)
    {
        var index = new BrokerIndex();
        Assert.That(
            () => index.Apply(new JournalRecord(new Position(1), new Position(99), kind, 0, new byte[bytes])),
            Throws.InstanceOf<StoreException>());
    }

    [Test]
    public void A_commit_for_another_number_of_records_stops_the_replay()
    {
        var index = new BrokerIndex();
        Assert.That(
            () => index.Apply(new JournalRecord(new Position(1), new Position(99), 20, 0, new byte[] { 3, 0, 0, 0 })),
            Throws.InstanceOf<StoreException>());
    }

    [Test]
    public async Task Damaged_checkpoints_are_refused_and_never_half_read()
    {
        var (_, checkpoint, _) = await RunAsync(14);
        Assert.That(() => Load([1, 2, 3, 4, 5]), Throws.InstanceOf<StoreException>());
        Assert.That(() => Load([.. checkpoint, 0]), Throws.InstanceOf<StoreException>());
        for (var length = 1; length < checkpoint.Length; length += 97)
        {
            var cut = checkpoint[..length];
            Assert.That(() => Load(cut), Throws.InstanceOf<StoreException>(), $"cut to {length}");
        }

        static void Load(byte[] bytes) => new BrokerIndex().Load(bytes);
    }

    /// <summary>A busy life with transactions, crashes in the middle of groups, dead letters and deletions.</summary>
    internal static async Task<(IReadOnlyList<TestJournal.Stored> Records, byte[] Checkpoint, int Steps)> RunAsync(int seed)
    {
        var random = new Random(seed);
        await using var bench = new BrokerBench();
        var client = bench.Connect();
        var queues = new[] { DestinationName.Queue("A"), DestinationName.Queue("B"), DestinationName.Queue("A,B"), DestinationName.Queue("C.long.name") };
        var held = new List<Received>();
        long transaction = 0;
        var open = false;
        const int steps = 400;
        for (var step = 0; step < steps; step++)
        {
            switch (random.Next(12))
            {
                case 0:
                    client.Consume(queues[random.Next(4)], prefetch: random.Next(1, 9));
                    break;
                case <= 5:
                    client.Send($"m{step}", queues[random.Next(4)], transaction: open ? transaction : null, expiration: random.Next(9) == 0 ? bench.Clock.NowMilliseconds + 1000 : 0);
                    break;
                case 6:
                    if (!open)
                    {
                        client.Connection.Begin(++transaction);
                    }
                    else
                    {
                        _ = random.Next(3) > 0 ? client.Connection.Commit(transaction) : client.Connection.Rollback(transaction);
                    }

                    open = !open;
                    break;
                case <= 8:
                    held.AddRange(client.Receive());
                    if (held.Count > 0)
                    {
                        var message = held[random.Next(held.Count)];
                        held.Remove(message);
                        var kind = random.Next(6) == 0 && !open ? AcknowledgeKind.Poison : AcknowledgeKind.Individual;
                        client.Ack(message.Consumer, kind, message, message, transaction: open ? transaction : null);
                    }

                    break;
                case 9 when random.Next(8) == 0:
                    client.Connection.RemoveDestination(queues[random.Next(2)], force: true);
                    break;
                case 10 when random.Next(10) == 0:
                    bench.Broker.StopServing();
                    bench.Journal.Crash(random.Next(4));
                    bench.Serve();
                    client = bench.Connect("ID:same", suppressDuplicates: true);
                    held.Clear();
                    open = false;
                    break;
                case 11 when random.Next(3) == 0:
                    bench.Journal.RelocateAny(random);
                    break;
                default:
                    bench.Journal.Commit(random.Next(1, 12));
                    break;
            }
        }

        bench.Journal.Commit();
        return (bench.Journal.Records, Save(bench.Broker), steps);
    }

    private static byte[] Save(MessageBroker broker)
    {
        var output = new ArrayBufferWriter<byte>();
        broker.WriteCheckpoint(output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Save(BrokerIndex index)
    {
        var output = new ArrayBufferWriter<byte>();
        index.Save(output);
        return output.WrittenSpan.ToArray();
    }

    private static void Apply(BrokerIndex index, TestJournal.Stored record) =>
        index.Apply(new JournalRecord(record.Position, record.End, record.Kind, record.Flags, record.Body));
}
