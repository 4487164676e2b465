using System.Buffers;
using System.Buffers.Binary;
using Fabric.Broker;
using Fabric.Broker.Security;
using Fabric.Runtime;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Broker;

/// <summary>A steady flow of persistent messages through publish, apply, dispatch and acknowledge.</summary>
public sealed class SteadyFlowTests
{
    private const int Batch = 100;
    private const int PayloadBytes = 1024;

    [Test]
    public async Task A_steady_flow_allocates_next_to_nothing_per_message()
    {
        var journal = new RingJournal();
        await using var broker = new MessageBroker(
            FabricRuntime.System, new BrokerOptions { Authenticator = new Anybody() }, new NoEditor(), null, NullLogger.Instance);
        journal.Machine = broker;
        broker.StartServing(journal, new Epoch(1), journal.Applied);
        broker.Connect(new ConnectRequest { ConnectionId = "ID:c", ClientId = "c" }, new Deaf(), out var connection);
        connection!.AddSession(1);
        var key = new ConsumerKey(1, 1);
        connection.AddConsumer(
            new ConsumerRequest { Key = key, Destination = DestinationName.Queue("Q"), Prefetch = Batch }, out _);
        var flow = new Flow(broker, connection, journal, key);

        flow.Run(200);
        var clock = FabricRuntime.System.Time;
        var started = clock.GetTimestamp();
        var before = GC.GetAllocatedBytesForCurrentThread();
        const int rounds = 1000;
        flow.Run(rounds);
        var perMessage = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)(rounds * Batch);
        var elapsed = clock.GetElapsedTime(started);
        TestContext.Out.WriteLine($"{perMessage:F2} bytes and {elapsed.TotalMicroseconds / (rounds * Batch):F2} µs per message");

        Assert.That(perMessage, Is.LessThan(8), "bytes allocated per message");
        Assert.That(broker.GetStatistics().Single(), Is.EqualTo(new DestinationStatistics(
            DestinationName.Queue("Q"), 0, (rounds + 200) * Batch, (rounds + 200) * Batch, 0, 1, 0)));
    }

    private sealed class Flow(MessageBroker broker, BrokerConnection connection, RingJournal journal, ConsumerKey key)
    {
        private readonly byte[] _payload = new byte[PayloadBytes];
        private readonly byte[] _read = new byte[PayloadBytes];
        private readonly DestinationName _queue = DestinationName.Queue("Q");
        private readonly string _producer = "ID:producer-12345-1767225600000-1:1:1:1";
        private long _sequence;

        public void Run(int rounds)
        {
            for (var round = 0; round < rounds; round++)
            {
                for (var i = 0; i < Batch; i++)
                {
                    BinaryPrimitives.WriteInt64LittleEndian(_payload, _sequence + 1);
                    connection.Publish(
                        new PublishRequest { Destination = _queue, ProducerId = _producer, ProducerSequence = ++_sequence, Persistent = true }, _payload);
                }

                journal.Commit();
                for (var i = 0; i < Batch; i++)
                {
                    if (!connection.TryTakeDelivery(out var delivery) || !connection.ReadPayload(delivery, _read)
                        || BinaryPrimitives.ReadInt64LittleEndian(_read) != _sequence - Batch + 1 + i)
                    {
                        Assert.Fail("a message is missing or out of order");
                    }

                    connection.Acknowledge(new AcknowledgeRequest
                    {
                        Consumer = key, Kind = AcknowledgeKind.Standard, First = delivery.Sequence, Last = delivery.Sequence, Count = 1,
                    });
                }

                journal.Commit();
                if (broker.Confirmed != journal.End)
                {
                    Assert.Fail("not confirmed");
                }
            }
        }
    }

    /// <summary>Keeps the last records in a ring of bytes, and allocates nothing.</summary>
    private sealed class RingJournal : IJournal
    {
        private const int HeaderBytes = 16;

        private readonly byte[] _ring = new byte[1 << 20];

        public IStateMachine? Machine { get; set; }

        public Position End { get; private set; } = new(64);

        public void Announce()
        {
        }

        public Position Applied { get; private set; } = new(64);

        public JournalSpace Space => new(Position.Zero, _ring.Length, false, false);

        public AppendedRecord Append(byte kind, byte flags, ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail)
        {
            var length = HeaderBytes + head.Length + tail.Length;
            var at = Place(End, length);
            BinaryPrimitives.WriteInt32LittleEndian(_ring.AsSpan(at), length);
            (_ring[at + 4], _ring[at + 5]) = (kind, flags);
            head.CopyTo(_ring.AsSpan(at + HeaderBytes));
            tail.CopyTo(_ring.AsSpan(at + HeaderBytes + head.Length));
            var record = new AppendedRecord(new Position(at + ((End.Value >> 20) << 20)), default);
            if (record.Position < End)
            {
                record = new AppendedRecord(record.Position + _ring.Length, default);
            }

            End = record.Position + length;
            return record with { End = End };
        }

        public IReadOnlyList<AppendedRecord> AppendGroup(IReadOnlyList<PendingRecord> records) =>
            records.Select(record => Append(record.Kind, record.Flags, record.Body.Span, default)).ToArray();

        public void ReadBody(Position record, int bodyOffset, Span<byte> destination) =>
            _ring.AsSpan((int)(record.Value & (_ring.Length - 1)) + HeaderBytes + bodyOffset, destination.Length).CopyTo(destination);

        public bool TryReadRecent(Position record, int bodyOffset, Span<byte> destination)
        {
            ReadBody(record, bodyOffset, destination);
            return true;
        }

        public ValueTask WaitForRoomAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public void Commit()
        {
            do
            {
                ApplyAll();
                Machine!.Flush(Applied);
            }
            while (Applied < End);
        }

        private void ApplyAll()
        {
            while (Applied < End)
            {
                var at = (int)(Applied.Value & (_ring.Length - 1));
                var length = at + HeaderBytes <= _ring.Length ? BinaryPrimitives.ReadInt32LittleEndian(_ring.AsSpan(at)) : 0;
                if (length == 0)
                {
                    Applied = new Position(((Applied.Value >> 20) + 1) << 20); // the rest of the ring was left empty
                    continue;
                }

                var end = Applied + length;
                Machine!.Apply(new JournalRecord(
                    Applied, end, _ring[at + 4], _ring[at + 5], _ring.AsSpan(at + HeaderBytes, length - HeaderBytes)));
                Applied = end;
            }
        }

        /// <summary>A record never wraps around: what does not fit at the end begins at the front.</summary>
        private int Place(Position position, int length)
        {
            var at = (int)(position.Value & (_ring.Length - 1));
            if (at + length <= _ring.Length)
            {
                return at;
            }

            _ring.AsSpan(at).Clear();
            return 0;
        }
    }

    private sealed class Deaf : IConnectionSink
    {
        public void Wake(bool here)
        {
        }

        public void Close(string reason)
        {
        }

        public void Hold()
        {
        }
    }

    private sealed class Anybody : IAuthenticator
    {
        public bool Authenticate(string? user, string? password) => true;
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
