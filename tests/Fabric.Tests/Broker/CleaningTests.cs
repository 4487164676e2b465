using System.Buffers;
using Fabric.Broker;
using Fabric.Broker.Index;
using Fabric.Broker.Live;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Broker;

/// <summary>Live messages are copied forward in the journal, and nobody who sends, receives or acknowledges can tell.</summary>
[Parallelizable]
public sealed class CleaningTests
{
    private const long Segment = 1024;
    private static readonly DestinationName Shelf = DestinationName.Queue("shelf");

    private BrokerBench _bench = null!;
    private TestClient _client = null!;

    [SetUp]
    public void SetUp()
    {
        _bench = new BrokerBench();
        _client = _bench.Connect();
    }

    [TearDown]
    public async Task TearDown() => await _bench.DisposeAsync();

    // held, live, releasable, low, exhausted
    [TestCase(100 * Segment, 10, 100 * Segment, false, false, true, TestName = "One old message is copied rather than a hundred segments kept")]
    [TestCase((4 * Segment) + 1, 10, 4 * Segment, false, false, true, TestName = "Five segments are too many for one message")]
    [TestCase(4 * Segment, 10, 4 * Segment, false, false, false, TestName = "Four segments come and go with the checkpoints")]
    [TestCase(100 * Segment, 50 * Segment, 100 * Segment, false, false, false, TestName = "A journal that is half alive is left as it is")]
    [TestCase(100 * Segment, (50 * Segment) - 1, 100 * Segment, false, false, true, TestName = "A journal that is more than half dead is cleaned")]
    [TestCase(100 * Segment, 10, Segment - 1, false, false, false, TestName = "Nothing is copied while other replicas need the segments")]
    [TestCase(100 * Segment, 10, Segment, false, false, true, TestName = "Something is copied as soon as one segment can go by it")]
    [TestCase(100 * Segment, 80 * Segment, 100 * Segment, true, false, true, TestName = "On a disk that is nearly full a fifth is worth it")]
    [TestCase(100 * Segment, 90 * Segment, 100 * Segment, true, false, false, TestName = "On a disk that is nearly full a tenth is not worth it")]
    [TestCase(3 * Segment, Segment, 3 * Segment, true, false, false, TestName = "On a disk that is nearly full two segments are not worth it")]
    [TestCase(100 * Segment, 10, 100 * Segment, true, true, false, TestName = "The last of the reserve is not for copies")]
    public void Decision(long held, long live, long releasable, bool low, bool exhausted, bool expected)
    {
        var oldest = new Position(777);
        var space = new JournalSpace(oldest + releasable, Segment, low, exhausted);
        Assert.That(CleaningRule.IsWorthwhile(space, oldest, oldest + held, live), Is.EqualTo(expected));
    }

    [Test]
    public void A_copied_message_keeps_its_id_its_place_its_expiration_and_its_producers_are_not_asked_again()
    {
        var sender = _bench.Connect("ID:s", suppressDuplicates: true);
        var expiration = _bench.Clock.NowMilliseconds + 60_000;
        sender.SendCommitted("m1", expiration: expiration);
        sender.SendCommitted("m2");
        sender.SendCommitted("m3");
        var before = Entries(_bench.Broker);
        Relocate("m1", "m3");
        Assert.That(Entries(_bench.Broker), Is.EqualTo(before));
        Assert.That(sender.Send("m3", sequence: 3).Status, Is.EqualTo(BrokerStatus.Duplicate), "the window is where it was");
        Assert.That(sender.Send("m4", sequence: 4).Status, Is.EqualTo(BrokerStatus.Accepted));
        _bench.Journal.Commit();

        _client.Consume();
        var received = _client.Receive();
        Assert.That(received.Select(message => (message.Text, message.Redeliveries)), Is.EqualTo(new[] { ("m1", 0), ("m2", 0), ("m3", 0), ("m4", 0) }));
        Assert.That(received.Select(message => message.Sequence), Is.Ordered.By("Value"));
        Assert.That(_client.Ack(received[0].Consumer, AcknowledgeKind.Standard, received[0], received[3], 4).Succeeded);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void A_message_that_was_acknowledged_before_its_copy_was_stored_does_not_come_back()
    {
        _client.SendCommitted("m1");
        _client.Consume();
        var message = _client.Receive().Single();
        _client.Ack(message);
        Append("m1");
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
        Assert.That(_client.Receive(), Is.Empty);
        Assert.That(_bench.Broker.Relocations, Is.Zero);
        Assert.That(_bench.Broker.OldestLive(_bench.Journal.Applied), Is.EqualTo(_bench.Journal.Applied));
    }

    [Test]
    public void A_message_of_a_queue_that_was_deleted_does_not_come_back()
    {
        _client.SendCommitted("m1");
        _client.Connection.RemoveDestination(BrokerBench.Q, force: true);
        Append("m1");
        _client.Connection.AddDestination(BrokerBench.Q);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
    }

    [Test]
    public void A_message_that_is_acknowledged_after_its_copy_was_appended_is_gone()
    {
        _client.SendCommitted("m1");
        _client.Consume();
        var message = _client.Receive().Single();
        Append("m1");
        _client.Ack(message);
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.Zero);
        Assert.That(_bench.Broker.Relocations, Is.EqualTo(1));
    }

    [Test]
    public void A_copy_that_was_not_committed_when_its_master_died_changes_nothing()
    {
        _client.SendCommitted("m1");
        var oldest = _bench.Broker.OldestLive(_bench.Journal.Applied);
        Append("m1");
        _bench.Broker.StopServing();
        _bench.Journal.Crash();
        _bench.Serve();
        Assert.That(_bench.Broker.OldestLive(_bench.Journal.Applied), Is.EqualTo(oldest));
        var client = _bench.Connect();
        client.Consume();
        Assert.That(client.ReceiveTexts(), Is.EqualTo(new[] { "m1" }));
    }

    [Test]
    public void What_is_on_its_way_to_a_consumer_is_read_from_its_copy()
    {
        _client.SendCommitted("m1");
        _client.Consume();
        _bench.Journal.CommitHorizons();
        Assert.That(_client.Connection.TryTakeDelivery(out var delivery));
        Relocate("m1");
        Relocate("m1");
        var payload = new byte[delivery.PayloadBytes];
        Assert.That(_client.Connection.ReadPayload(delivery, payload), "the first two records are gone");
        Assert.That(System.Text.Encoding.UTF8.GetString(payload), Is.EqualTo("m1"));
    }

    [Test]
    public void A_read_that_is_under_way_while_the_segment_goes_is_repeated()
    {
        _client.SendCommitted("m1");
        _client.Consume();
        Assert.That(_client.Connection.TryTakeDelivery(out var delivery));
        var reads = new List<Position>();
        var turn = new Lock();
        _bench.Journal.ReadFails = position =>
        {
            lock (turn)
            {
                reads.Add(position);
                return reads.Count == 1;
            }
        };
        var copied = false;
        _bench.Journal.Failing = () =>
        {
            if (!copied)
            {
                copied = true;
                Relocate("m1"); // while it is being read
            }
        };
        Assert.That(_client.Connection.ReadPayload(delivery, new byte[delivery.PayloadBytes]));
        Assert.That(reads, Has.Count.EqualTo(2).And.Ordered);
    }

    [Test]
    public void A_message_that_cannot_be_read_and_was_not_copied_is_an_error()
    {
        _client.SendCommitted("m1");
        _client.Consume();
        Assert.That(_client.Connection.TryTakeDelivery(out var delivery));
        _bench.Journal.ReadFails = _ => true;
        Assert.That(() => _client.Connection.ReadPayload(delivery, new byte[delivery.PayloadBytes]), Throws.InstanceOf<StoreException>());
    }

    [Test]
    public void A_copied_message_is_browsed_given_back_and_sent_to_the_dead_letters_as_any_other()
    {
        _client.SendCommitted("m1");
        _client.SendCommitted("m2");
        var consumer = _client.Consume();
        var received = _client.Receive();
        Relocate("m1", "m2");
        _client.Connection.RemoveConsumer(consumer, LastDelivered.Unknown);
        var other = _client.Consume();
        var again = _client.Receive();
        Assert.That(again.Select(message => (message.Text, message.Redeliveries, message.Sequence)), Is.EqualTo(new[]
        {
            ("m1", 1, received[0].Sequence), ("m2", 1, received[1].Sequence),
        }));
        Relocate("m2");
        _client.Ack(other, AcknowledgeKind.Poison, again[1], again[1], cause: "refused");
        _bench.Journal.Commit();
        _client.Consume(BrokerBench.DeadLetters);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "m2 dead from queue://Q: refused" }));
    }

    [Test]
    public void An_open_transaction_consumes_what_was_copied_meanwhile_or_gives_it_back([Values] bool commits)
    {
        _client.SendCommitted("m1");
        var consumer = _client.Consume();
        var message = _client.Receive().Single();
        _client.Connection.Begin(1);
        _client.Ack(consumer, AcknowledgeKind.Standard, message, message, transaction: 1);
        Relocate("m1");
        _ = commits ? _client.Connection.Commit(1) : _client.Connection.Rollback(1);
        Relocate("m1");
        _bench.Journal.Commit();
        Assert.That(_bench.Statistics(BrokerBench.Q).Depth, Is.EqualTo(commits ? 0 : 1));
    }

    [Test]
    public void A_checkpoint_says_where_copied_messages_are_read_from()
    {
        _client.SendCommitted("m1");
        _client.SendCommitted("m2");
        _client.SendCommitted("m3");
        Relocate("m1", "m2");
        Relocate("m1");
        var checkpoint = Save(_bench.Broker);
        var restarted = new BrokerIndex();
        restarted.Load(checkpoint);
        var third = PositionOf("m3");
        Assert.That(restarted.OldestLive(_bench.Journal.Applied), Is.EqualTo(third));
        Remove(restarted, third);
        Assert.That(restarted.OldestLive(_bench.Journal.Applied), Is.EqualTo(PositionOf("m2", RecordKind.Relocated)));
        Remove(restarted, PositionOf("m2"));
        Assert.That(restarted.OldestLive(_bench.Journal.Applied), Is.EqualTo(PositionOf("m1", RecordKind.Relocated)));
        Assert.That(restarted.LiveBytes, Is.EqualTo(_bench.Journal.Records.Last(record => record.Kind == RecordKind.Message).End - third));
    }

    [Test]
    public void A_copy_and_a_horizon_are_told_in_words()
    {
        _client.SendCommitted("m1");
        _client.Consume();
        Relocate("m1");
        var (message, copy) = (PositionOf("m1"), Find("m1", RecordKind.Relocated));
        Assert.That(Describe(copy), Is.EqualTo(("Relocated", $"queue 1, 2 bytes from ID:c-1:1:1:1, a copy of the message at {message}")));
        var (name, words) = Describe(_bench.Journal.Records.First(record => record.Kind == RecordKind.DeliveryHorizon));
        Assert.That((name, words), Is.EqualTo(("DeliveryHorizon", $"queue 1, deliveries may go up to {message + (4 * 1024 * 1024)}")));

        static (string?, string) Describe(TestJournal.Stored record) => (
            RecordDescription.NameOf(record.Kind),
            RecordDescription.Describe(new JournalRecord(record.Position, record.End, record.Kind, record.Flags, record.Body)));
    }

    [Test]
    public void A_copy_of_another_length_stops_the_replay()
    {
        _client.SendCommitted("m1");
        var message = _bench.Journal.Records.Single(record => record.Kind == RecordKind.Message);
        _bench.Journal.Append(RecordKind.Relocated, 0, [.. message.Body, 0], BitConverter.GetBytes(message.Position.Value));
        Assert.That(() => _bench.Journal.Commit(), Throws.InstanceOf<StoreException>().With.Message.Contains("no copy of the message"));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void A_list_of_entries_knows_its_oldest_body_and_what_is_before_a_position(int seed)
    {
        var random = new Random(seed);
        var list = new EntryList(new EntryArrays());
        var bodies = new SortedDictionary<long, long>(); // by position
        long end = 16;
        for (var step = 0; step < 20_000; step++)
        {
            switch (random.Next(10))
            {
                case <= 4:
                    list.Append(new QueueEntry { Position = end, PayloadBytes = 10 });
                    bodies.Add(end, end);
                    break;
                case <= 6 when bodies.Count > 0:
                    var removed = bodies.ElementAt(random.Next(2) == 0 ? 0 : random.Next(bodies.Count)).Key;
                    list.TryFind(removed, out var found);
                    list.Remove(found);
                    bodies.Remove(removed);
                    break;
                case <= 8 when bodies.Count > 0:
                    // Mostly the oldest, as cleaning does; any must do.
                    var moved = random.Next(4) > 0 ? bodies.MinBy(pair => pair.Value).Key : bodies.ElementAt(random.Next(bodies.Count)).Key;
                    list.TryFind(moved, out var place);
                    place.Chunk.MoveBody(place.Slot, end);
                    bodies[moved] = end;
                    break;
            }

            end += 16 + random.Next(100);
            if (step % 50 == 0)
            {
                Assert.That(list.OldestBody, Is.EqualTo(bodies.Values.DefaultIfEmpty(long.MaxValue).Min()));
                Assert.That(list.Bytes, Is.EqualTo(bodies.Count * (JournalLimits.RecordHeaderBytes + 10)));
                var before = random.NextInt64(end);
                var batch = new MovableBatch(int.MaxValue, int.MaxValue);
                list.CollectBefore(before, 1, batch);
                Assert.That(
                    batch.Messages.Select(message => (message.Position, message.Body)),
                    Is.EqualTo(bodies.Where(pair => pair.Value < before).Select(pair => (pair.Key, pair.Value))));
            }
        }
    }

    [Test]
    public void A_batch_has_its_limits_and_takes_one_message_in_any_case()
    {
        var batch = new MovableBatch(bytesMax: 100, messagesMax: 3);
        Assert.That(batch.TryAdd(Of(1000)));
        Assert.That(batch.TryAdd(Of(1)), Is.False);
        batch = new MovableBatch(bytesMax: 100, messagesMax: 3);
        Assert.That(new[] { Of(10), Of(10), Of(90), Of(10), Of(10) }.Select(batch.TryAdd), Is.EqualTo(new[] { true, true, false, true, false }));

        static MovableMessage Of(int bytes) => new(1, 0, 0, 0, bytes);
    }

    [Test]
    public async Task The_master_copies_what_keeps_the_oldest_segment_a_bit_at_a_time_and_stops_when_it_is_enough()
    {
        _client.SendCommitted("pinned", Shelf);
        var second = _bench.Connect();
        second.Consume();
        for (var i = 0; i < 100; i++)
        {
            _client.SendCommitted($"m{i} {new string('x', 100)}");
            second.Ack(second.Receive().Single());
            if (i % 20 == 10)
            {
                _client.SendCommitted($"kept {i}", Shelf);
            }
        }

        _bench.Journal.Commit();
        var oldest = _bench.Broker.OldestLive(_bench.Journal.Applied);
        await PassAsync(TimeSpan.FromSeconds(5));
        Assert.That(Copies, Is.Empty, "nothing can go");

        _bench.Journal.Space = new JournalSpace(_bench.Journal.End, Segment, false, false);
        await PassAsync(TimeSpan.FromSeconds(1), () => Copies.Length > 0);
        Assert.That(Copies, Has.Length.EqualTo(1), "only what keeps the oldest segment");
        await PassAsync(TimeSpan.FromSeconds(5));
        Assert.That(Copies, Has.Length.EqualTo(1), "the next batch waits until this one is committed");
        await PassAsync(
            TimeSpan.Zero,
            () =>
            {
                _bench.Journal.Commit();
                return _bench.Journal.Applied - _bench.Broker.OldestLive(_bench.Journal.Applied) <= 4 * Segment;
            });
        await PassAsync(TimeSpan.FromSeconds(5));
        _bench.Journal.Commit();
        Assert.That(_bench.Broker.OldestLive(_bench.Journal.Applied), Is.GreaterThan(oldest));
        Assert.That(Copies, Has.Length.LessThan(20), "each message was copied once or twice");
        _client.Consume(Shelf);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "pinned", "kept 10", "kept 30", "kept 50", "kept 70", "kept 90" }));
    }

    [Test]
    public async Task A_master_that_stopped_copies_nothing_and_the_next_one_goes_on()
    {
        Clutter();
        _bench.Broker.StopServing();
        _bench.Journal.Space = new JournalSpace(_bench.Journal.End, Segment, false, false);
        await PassAsync(TimeSpan.FromSeconds(5));
        Assert.That(Copies, Is.Empty);
        _bench.Serve();
        await PassAsync(TimeSpan.FromSeconds(5), () => Copies.Length > 0);
        Assert.That(Copies, Has.Length.EqualTo(1));
    }

    [Test]
    public async Task A_message_that_cannot_be_read_ends_the_cleaning_and_harms_nobody()
    {
        Clutter();
        var hasFailed = false;
        _bench.Journal.ReadFails = _ => true;
        _bench.Journal.Failing = () => Volatile.Write(ref hasFailed, true);
        _bench.Journal.Space = new JournalSpace(_bench.Journal.End, Segment, false, false);
        await PassAsync(TimeSpan.Zero, () => Volatile.Read(ref hasFailed));
        _bench.Journal.ReadFails = null;
        await PassAsync(TimeSpan.FromSeconds(5));
        Assert.That(Copies, Is.Empty);
        _client.Consume(Shelf);
        Assert.That(_client.ReceiveTexts(), Is.EqualTo(new[] { "pinned" }));
    }

    private TestJournal.Stored[] Copies => [.. _bench.Journal.Records.Where(record => record.Kind == RecordKind.Relocated)];

    /// <summary>One message that lives, and much that does not.</summary>
    private void Clutter()
    {
        _client.SendCommitted("pinned", Shelf);
        _client.Consume();
        for (var i = 0; i < 50; i++)
        {
            _client.SendCommitted($"m{i} {new string('x', 100)}");
            _client.Ack(_client.Receive().Single());
        }

        _bench.Journal.Commit();
    }

    /// <summary>Lets time pass, and waits a while for the loop that it wakes.</summary>
    private async Task PassAsync(TimeSpan time, Func<bool>? until = null)
    {
        var step = TimeSpan.FromMilliseconds(100);
        for (var passed = TimeSpan.Zero; passed < time; passed += step)
        {
            _bench.Clock.Advance(step);
            await Task.Yield();
        }

        if (until is not null)
        {
            await Eventually.HoldsAsync(
                () =>
                {
                    _bench.Clock.Advance(step);
                    return until();
                }, "it copies");
        }
        else
        {
            await Task.Delay(20); // nothing, or little, is to happen; what would, would happen soon
        }
    }

    private void Relocate(params string[] texts)
    {
        foreach (var text in texts)
        {
            Append(text);
        }

        _bench.Journal.Commit();
    }

    private void Append(string text)
    {
        var message = Find(text, RecordKind.Message);
        _bench.Journal.Append(RecordKind.Relocated, 0, message.Body, BitConverter.GetBytes(message.Position.Value));
    }

    private Position PositionOf(string text, byte kind = RecordKind.Message) => Find(text, kind).Position;

    private TestJournal.Stored Find(string text, byte kind) => _bench.Journal.Records.Last(
        record => record.Kind == kind && record.Body.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(text)) >= 0);

    private static void Remove(BrokerIndex index, Position position)
    {
        var record = new AcknowledgedRecord();
        record.Add(1, position.Value);
        index.Apply(new JournalRecord(new Position(1), new Position(2), RecordKind.Acknowledged, 0, record.Body));
    }

    /// <summary>Everything about the queues' messages but where they are read from.</summary>
    private static string[] Entries(MessageBroker broker)
    {
        var index = new BrokerIndex();
        index.Load(Save(broker));
        var entries = new List<string>();
        foreach (var queue in index.Queues)
        {
            EntryChunk? chunk = null;
            for (var slot = 0; queue.Entries.TryNext(ref chunk, ref slot); slot++)
            {
                var entry = chunk!.Entries[slot];
                entries.Add($"{queue.Name} {entry.Position} {entry.Expiration} {entry.AcceptedAt} {entry.PayloadBytes} {entry.EnvelopeBytes} {entry.Encoding} {entry.Origin}");
            }
        }

        return [.. entries];
    }

    private static byte[] Save(MessageBroker broker)
    {
        var output = new ArrayBufferWriter<byte>();
        broker.WriteCheckpoint(output);
        return output.WrittenSpan.ToArray();
    }
}
