using System.Buffers;
using System.Text;
using Fabric.Broker;
using Fabric.Broker.Security;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Tests.Store;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Broker;

/// <summary>The broker over the journal on disk: one replica that commits what it has synced.</summary>
[Parallelizable]
public sealed class RealJournalTests
{
    private static readonly DestinationName Q = DestinationName.Queue("Q");
    private static readonly DestinationName Shelf = DestinationName.Queue("shelf");

    private string _directory = null!;

    [SetUp]
    public void SetUp() => _directory = Directory.CreateTempSubdirectory("broker-").FullName;

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task Messages_and_what_producers_have_stored_survive_a_restart()
    {
        await using (var node = await Node.OpenAsync(_directory))
        {
            var client = node.Connect("ID:p");
            for (var i = 1; i <= 100; i++)
            {
                client.Send(i, 200);
            }

            await client.ConfirmedAsync();
            client.Consume(prefetch: 40);
            foreach (var sequence in await client.ReceiveAsync(40))
            {
                client.Acknowledge(sequence);
            }

            await client.ConfirmedAsync();
        }

        await using (var node = await Node.OpenAsync(_directory))
        {
            var client = node.Connect("ID:p", suppressDuplicates: true);
            Assert.That(client.Send(100, 200).Status, Is.EqualTo(BrokerStatus.Duplicate));
            Assert.That(client.Send(101, 200).Status, Is.EqualTo(BrokerStatus.Accepted));
            client.Consume(prefetch: 1000);
            await client.ReceiveAsync(61);
            Assert.That(client.Numbers, Is.EqualTo(Enumerable.Range(41, 61)));
        }
    }

    [Test]
    public async Task A_backlog_larger_than_the_memory_is_read_back_from_the_segments_and_then_cleaned_away()
    {
        const int count = 3000;
        await using var node = await Node.OpenAsync(_directory, options => options with
        {
            TailBytes = 1024 * 1024, SegmentBytes = 256 * 1024, CheckpointBytes = 256 * 1024, RetainedBytesMax = 0,
        });
        var client = node.Connect("ID:p");
        for (var i = 1; i <= count; i++)
        {
            await client.Connection.WaitForRoomAsync(default);
            client.Send(i, 2000);
        }

        await client.ConfirmedAsync();
        client.Consume(prefetch: 100);
        for (var i = 0; i < count; i += 100)
        {
            foreach (var sequence in await client.ReceiveAsync(100))
            {
                client.Acknowledge(sequence);
            }
        }

        Assert.That(client.Numbers, Is.EqualTo(Enumerable.Range(1, count)));
        await client.ConfirmedAsync();
        for (var i = 1; i <= 300; i++)
        {
            client.Send(count + i, 2000); // the checkpoints that follow find nothing alive before these
        }

        await Eventually.HoldsAsync(() => node.Journal.First > new Position(count * 1000), "old segments are gone");
    }

    [Test]
    public async Task A_message_that_nobody_takes_keeps_no_old_segments_and_is_delivered_as_if_it_had_never_been_copied()
    {
        const int segment = 64 * 1024;
        static JournalOptions Small(JournalOptions options) =>
            options with { TailBytes = 1024 * 1024, SegmentBytes = segment, CheckpointBytes = segment, RetainedBytesMax = 0 };
        long firstSequence;
        await using (var node = await Node.OpenAsync(_directory, Small))
        {
            var (keeper, worker) = (node.Connect("ID:k"), node.Connect("ID:w"));
            keeper.Send(1, 300, Shelf);
            keeper.Send(2, 50_000, Shelf); // its segment is as good as its own
            await keeper.ConfirmedAsync();
            firstSequence = (await PeekAsync(node)).Value;
            worker.Consume(prefetch: 100);
            var number = 0;
            for (var round = 0; round < 30; round++)
            {
                for (var i = 0; i < 50; i++)
                {
                    worker.Send(++number, 2000);
                }

                foreach (var sequence in await worker.ReceiveAsync(50))
                {
                    worker.Acknowledge(sequence);
                }
            }

            keeper.Send(3, 300, Shelf);
            await keeper.ConfirmedAsync();
            var end = node.Journal.End;
            await Eventually.HoldsAsync(() => end - node.Journal.First < 8 * segment, "old segments are gone");
            await Eventually.HoldsAsync(() => Directory.GetFiles(_directory, "journal-*.seg").Length < 10, "and so are their files");
            Assert.That(node.Broker.Relocations, Is.GreaterThanOrEqualTo(2));
        }

        await using (var node = await Node.OpenAsync(_directory, Small))
        {
            var keeper = node.Connect("ID:k", suppressDuplicates: true);
            Assert.That(keeper.Send(3, 300, Shelf).Status, Is.EqualTo(BrokerStatus.Duplicate));
            keeper.Consume(prefetch: 10, Shelf);
            var received = await keeper.ReceiveAsync(3);
            Assert.That(keeper.Numbers, Is.EqualTo(new[] { 1, 2, 3 }));
            Assert.That(received[0].Value, Is.EqualTo(firstSequence).And.LessThan(node.Journal.First.Value), "it is named by where it was first stored");
            Assert.That(keeper.Texts.Select(text => text.Length), Is.EqualTo(new[] { 300, 50_000, 300 }));
            received.ToList().ForEach(keeper.Acknowledge);
            await keeper.ConfirmedAsync();
            Assert.That(node.Broker.GetStatistics().Single(statistics => statistics.Name == Shelf).Depth, Is.Zero);
        }

        static async Task<MessageSequence> PeekAsync(Node node)
        {
            var browser = node.Connect("ID:b");
            browser.Consume(prefetch: 1, Shelf, browser: true);
            return (await browser.ReceiveAsync(1))[0];
        }
    }

    [Test]
    public async Task A_delivery_that_waits_while_its_segment_goes_is_read_from_the_copy()
    {
        const int segment = 64 * 1024;
        await using var node = await Node.OpenAsync(_directory, options => options with
        {
            TailBytes = 1024 * 1024, SegmentBytes = segment, CheckpointBytes = segment, RetainedBytesMax = 0,
        });
        var (slow, worker) = (node.Connect("ID:s"), node.Connect("ID:w"));
        slow.Send(1, 300, Shelf);
        slow.Consume(prefetch: 1, Shelf);
        Delivery delivery = default;
        await Eventually.HoldsAsync(() => slow.Connection.TryTakeDelivery(out delivery), "a delivery");
        worker.Consume(prefetch: 100);
        for (var number = 0; number < 1500;)
        {
            for (var i = 0; i < 50; i++)
            {
                worker.Send(++number, 2000);
            }

            foreach (var sequence in await worker.ReceiveAsync(50))
            {
                worker.Acknowledge(sequence);
            }
        }

        await Eventually.HoldsAsync(() => node.Journal.First.Value > delivery.Sequence.Value, "the segment is gone");
        var payload = new byte[delivery.PayloadBytes];
        Assert.That(slow.Connection.ReadPayload(delivery, payload));
        Assert.That(Encoding.UTF8.GetString(payload), Does.StartWith("ID:s:1:1#1#"));
        slow.Acknowledge(delivery.Sequence);
        await slow.ConfirmedAsync();
        Assert.That(node.Broker.GetStatistics().Single(statistics => statistics.Name == Shelf).Depth, Is.Zero);
    }

    [Test]
    public async Task On_a_disk_that_is_nearly_full_cleaning_frees_the_space_that_producers_wait_for()
    {
        const int segment = 64 * 1024;
        var disk = new CrashDisk { Free = 10_000_000 };
        await using var node = await Node.OpenAsync(
            "/journal",
            options => options with
            {
                TailBytes = 1024 * 1024, SegmentBytes = segment, CheckpointBytes = 16 * segment, RetainedBytesMax = 0, FreeBytesLow = 1_000_000,
            },
            disk);
        var (keeper, worker) = (node.Connect("ID:k"), node.Connect("ID:w"));
        keeper.Send(1, 300, Shelf);
        worker.Consume(prefetch: 100);
        for (var number = 0; number < 110;)
        {
            worker.Send(++number, 2000);
            worker.Acknowledge((await worker.ReceiveAsync(1))[0]);
        }

        await worker.ConfirmedAsync();
        Assert.That((node.Journal.First, node.Broker.Relocations), Is.EqualTo((Position.Zero, 0L)), "so little is left as it is while there is space");
        disk.Free = 999_999;
        await Eventually.HoldsAsync(() => node.Journal.IsSpaceLow, "space is short");
        var waiting = worker.Connection.WaitForRoomAsync(default).AsTask();
        await Eventually.HoldsAsync(() => node.Journal.First.Value > 2 * segment, "segments go although nobody sends");
        Assert.That((waiting.IsCompleted, node.Broker.Relocations), Is.EqualTo((false, 1L)));
        disk.Free = 1_300_000;
        await waiting.WaitAsync(TimeSpan.FromSeconds(20));
        keeper.Consume(prefetch: 10, Shelf);
        await keeper.ReceiveAsync(1);
        Assert.That(keeper.Numbers, Is.EqualTo(new[] { 1 }));
    }

    [Test]
    public async Task Producers_and_consumers_on_many_threads_lose_and_double_nothing()
    {
        const int perProducer = 2000;
        await using var node = await Node.OpenAsync(_directory);
        var consumers = Enumerable.Range(0, 3).Select(number => node.Connect($"ID:c{number}")).ToArray();
        var producers = Enumerable.Range(0, 3).Select(number => node.Connect($"ID:p{number}")).ToArray();
        var received = 0;
        var consuming = consumers.Select(consumer => Task.Run(async () =>
        {
            consumer.Consume(prefetch: 50);
            while (Volatile.Read(ref received) < producers.Length * perProducer)
            {
                foreach (var sequence in await consumer.ReceiveAsync(0))
                {
                    Interlocked.Increment(ref received);
                    consumer.Acknowledge(sequence);
                }
            }
        })).ToArray();
        await Task.WhenAll(producers.Select(producer => Task.Run(async () =>
        {
            for (var i = 1; i <= perProducer; i++)
            {
                await producer.Connection.WaitForRoomAsync(default);
                producer.Send(i, 100);
            }
        })));
        await Task.WhenAll(consuming).WaitAsync(TimeSpan.FromSeconds(60));

        var texts = consumers.SelectMany(consumer => consumer.Texts).ToArray();
        Assert.That(texts, Is.Unique);
        Assert.That(texts, Has.Length.EqualTo(producers.Length * perProducer));
        foreach (var consumer in consumers)
        {
            foreach (var producer in producers)
            {
                var mine = consumer.Texts.Where(text => text.StartsWith(producer.ProducerId, StringComparison.Ordinal))
                    .Select(text => int.Parse(text.Split('#')[1])).ToArray();
                Assert.That(mine, Is.Ordered, "in the order of its producer");
            }
        }

        await consumers[0].ConfirmedAsync();
        await Eventually.HoldsAsync(() => node.Broker.GetStatistics().Single().Depth == 0, "everything is forgotten");
    }

    private sealed class Node : IJournalObserver, IAsyncDisposable
    {
        public MessageBroker Broker { get; private set; } = null!;

        public Journal Journal { get; private set; } = null!;

        public static async Task<Node> OpenAsync(string directory, Func<JournalOptions, JournalOptions>? with = null, IDisk? disk = null)
        {
            var runtime = FabricRuntime.System with { Disk = disk ?? FabricRuntime.System.Disk };
            var node = new Node();
            node.Broker = new MessageBroker(
                runtime, new BrokerOptions { Authenticator = UserTable.Single("u", "p") }, new NoEditor(), null, NullLogger.Instance);
            var options = new JournalOptions { Directory = directory };
            node.Journal = await Journal.OpenAsync(runtime, with?.Invoke(options) ?? options, node.Broker, node, default);
            var epoch = node.Journal.BecomeMaster(1, new byte[24]);
            await node.Journal.WaitDurableAsync(epoch.End);
            await Eventually.HoldsAsync(() => node.Journal.Applied >= epoch.End, "the epoch's record is applied");
            node.Broker.StartServing(node.Journal, new Epoch(1), epoch.Position);
            return node;
        }

        public Client Connect(string id, bool suppressDuplicates = false)
        {
            var client = new Client(id + ":1:1");
            Broker.Connect(
                new ConnectRequest { ConnectionId = id, ClientId = id, User = "u", Password = "p", SuppressDuplicates = suppressDuplicates },
                client, out var connection);
            client.Connection = connection!;
            client.Connection.AddSession(1);
            return client;
        }

        public void OnOffered(Position end, bool here)
        {
        }

        public void OnWritten(Position written)
        {
        }

        public void OnDurable(Position durable) => Journal.AdvanceCommitted(durable);

        public void OnApplied(Position applied)
        {
        }

        public void OnFailed(Exception cause) => Assert.Fail(cause.ToString());

        public async ValueTask DisposeAsync()
        {
            await Broker.DisposeAsync();
            await Journal.DisposeAsync();
        }
    }

    private sealed class Client(string producerId) : IConnectionSink
    {
        private static readonly ConsumerKey Key = new(1, 1);

        private Position _confirmAfter;

        public string ProducerId { get; } = producerId;

        public BrokerConnection Connection { get; set; } = null!;

        public List<string> Texts { get; } = [];

        public IEnumerable<int> Numbers => Texts.Select(text => int.Parse(text.Split('#')[1]));

        public void Wake(bool here)
        {
        }

        public void Close(string reason)
        {
        }

        public void Hold()
        {
        }

        public BrokerResult Send(int number, int bytes, DestinationName? to = null)
        {
            var payload = Encoding.UTF8.GetBytes($"{ProducerId}#{number}#".PadRight(bytes, 'x'));
            return Note(Connection.Publish(
                new PublishRequest { Destination = to ?? Q, ProducerId = ProducerId, ProducerSequence = number, Persistent = true }, payload));
        }

        public void Consume(int prefetch, DestinationName? from = null, bool browser = false)
        {
            var result = Connection.AddConsumer(
                new ConsumerRequest { Key = Key, Destination = from ?? Q, Prefetch = prefetch, Browser = browser }, out _);
            Assert.That(result.Succeeded, result.Detail);
        }

        /// <summary>Waits for so many messages; 0 takes what is there.</summary>
        public async Task<IReadOnlyList<MessageSequence>> ReceiveAsync(int count)
        {
            var received = new List<MessageSequence>();
            await Eventually.HoldsAsync(
                () =>
                {
                    while (Connection.TryTakeDelivery(out var delivery))
                    {
                        var payload = new byte[delivery.PayloadBytes];
                        Assert.That(Connection.ReadPayload(delivery, payload));
                        Texts.Add(Encoding.UTF8.GetString(payload));
                        received.Add(delivery.Sequence);
                    }

                    return received.Count >= count;
                }, $"{count} messages");
            return received;
        }

        public void Acknowledge(MessageSequence sequence)
        {
            var result = Note(Connection.Acknowledge(new AcknowledgeRequest
            {
                Consumer = Key, Kind = AcknowledgeKind.Standard, First = sequence, Last = sequence, Count = 1,
            }));
            Assert.That(result.Succeeded, result.Detail);
        }

        public async Task ConfirmedAsync() =>
            await Eventually.HoldsAsync(() => Connection.Confirmed >= _confirmAfter, "everything is confirmed");

        private BrokerResult Note(BrokerResult result)
        {
            _confirmAfter = Position.Max(_confirmAfter, result.ConfirmAfter);
            return result;
        }
    }

    private sealed class NoEditor : IPayloadEditor
    {
        public void DeadLetterCopy(in DeadLetterRequest request, ReadOnlySpan<byte> payload, IBufferWriter<byte> output) =>
            throw new NotSupportedException();

        public void RedirectedCopy(
            byte encoding, DestinationName from, DestinationName to, ReadOnlySpan<byte> payload, IBufferWriter<byte> output) =>
            throw new NotSupportedException();
    }
}
