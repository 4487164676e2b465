using System.Buffers;
using System.Text;
using Fabric.Broker.Index;
using Fabric.Broker.Security;
using Fabric.Store.Journal;

namespace Fabric.Broker.Live;

/// <summary>Messages coming in.</summary>
internal sealed partial class LiveBroker
{
    private const int EnvelopeOnStackMax = 512;
    private const int TracksPerConnectionMax = 256;

    /// <summary>A message must fit into the record that copies it forward, too.</summary>
    private const int PayloadBytesMax =
        JournalLimits.RecordBytesMax - Envelope.FixedBytes - Envelope.ProducerIdBytesMax - BrokerIndex.RelocatedBytes;

    private readonly Dictionary<string, ProducerTrack> _tracks = new(StringComparer.Ordinal);
    private readonly List<ProducerTrack> _abandonedTracks = [];
    private readonly Queue<(long After, List<PendingSend> Sends)> _deferred = new();

    /// <summary>For a list of destinations: the payload as each of them gets it. Without the lock.</summary>
    public List<(DestinationName Destination, byte[] Payload)> EditCopies(in PublishRequest request, ReadOnlySpan<byte> payload)
    {
        var copies = new List<(DestinationName, byte[])>();
        foreach (var element in request.Destination.Split())
        {
            var output = new ArrayBufferWriter<byte>(payload.Length + 64);
            Payloads.RedirectedCopy(request.Encoding, request.Destination, element, payload, output);
            copies.Add((element, output.WrittenSpan.ToArray()));
        }

        return copies;
    }

    public BrokerResult Publish(
        BrokerConnection connection, in PublishRequest request, ReadOnlySpan<byte> payload,
        List<(DestinationName Destination, byte[] Payload)>? copies)
    {
        LocalTransaction? transaction = null;
        if (request.Transaction is { } id && !connection.Transactions.TryGetValue(id, out transaction))
        {
            return TransactionUnknown(connection, id);
        }

        var result = copies is not null ? PublishCopies(connection, request, copies, transaction)
            : transaction is not null ? PublishLater(connection, request, payload, transaction)
            : PublishNow(connection, request, payload);
        return result.Succeeded || transaction is null ? result : Fail(transaction, result);
    }

    /// <summary>A message of the broker itself to a topic. Nobody waits for it and no limit holds it up.</summary>
    public void PublishInternal(DestinationName topic, byte encoding, byte[] payload)
    {
        if (_destinations.TryGetValue(topic, out var known))
        {
            PublishToTopic((LiveTopic)known, NewMemoryMessage(topic, encoding, payload));
            return;
        }

        // Not to a topic that is made for it: there is one for each temporary destination, and nobody would remove it.
        MemoryMessage? message = null;
        foreach (var consumer in _patternConsumers)
        {
            if (consumer.Destination.Split().Any(element => element.Matches(topic)))
            {
                DeliverTo(consumer, message ??= NewMemoryMessage(topic, encoding, payload));
            }
        }
    }

    /// <summary>A message of the broker itself for one consumer, before all that is published later.</summary>
    public void DeliverTo(BrokerConsumer consumer, DestinationName topic, byte encoding, byte[] payload) =>
        DeliverTo(consumer, NewMemoryMessage(topic, encoding, payload));

    private void DeliverTo(BrokerConsumer consumer, MemoryMessage message)
    {
        if (consumer is { Closed: false, Counted: true, Request.Browser: false })
        {
            Offer(consumer, message);
        }
    }

    private BrokerResult PublishNow(BrokerConnection connection, in PublishRequest request, ReadOnlySpan<byte> payload)
    {
        if (!Admit(connection, request, payload.Length, out var destination, out var answer))
        {
            return answer;
        }

        switch (destination)
        {
            case LiveQueue { Id: > 0 } queue when request.Persistent:
                return Append(connection, queue, request, payload);
            case LiveQueue queue:
                Enqueue(queue, NewMemoryMessage(connection, queue.Name, request, payload.ToArray()));
                return BrokerResult.Accepted;
            default:
                PublishToTopic((LiveTopic)destination, NewMemoryMessage(connection, destination.Name, request, payload.ToArray()));
                return BrokerResult.Accepted;
        }
    }

    /// <summary>What is checked of every message: that it may go there, is alive, was not stored before and is not too large.</summary>
    private bool Admit(
        BrokerConnection connection, in PublishRequest request, int payloadBytes, out LiveDestination destination,
        out BrokerResult answer)
    {
        if (!ResolveForWriting(connection, request.Destination, out destination, out answer))
        {
            return false;
        }

        if (!string.IsNullOrEmpty(request.GroupId))
        {
            answer = BrokerResult.Unsupported("message groups");
            return false;
        }

        if (request.Scheduled)
        {
            answer = BrokerResult.Unsupported("scheduled messages"); // delivered at once they would do harm
            return false;
        }

        if (destination is LiveTopic && FeedsQueues(destination.Name.Name))
        {
            answer = BrokerResult.Unsupported("virtual topics");
            return false;
        }

        long now = -1;
        if (IsExpired(request.Expiration, ref now))
        {
            answer = new BrokerResult(BrokerStatus.Expired);
            return false;
        }

        if (!request.Persistent || destination is not LiveQueue { Id: > 0 })
        {
            return true;
        }

        if (Envelope.GetLength(request.ProducerId) > Envelope.FixedBytes + Envelope.ProducerIdBytesMax
            || payloadBytes > PayloadBytesMax)
        {
            answer = BrokerResult.Fail(BrokerStatus.TooLarge, $"the message of {payloadBytes} bytes is larger than the journal takes");
            return false;
        }

        if (connection.SuppressDuplicates && request.ProducerSequence <= TrackOf(connection, request.ProducerId).Sequence)
        {
            answer = AnswerDuplicate(connection);
            return false;
        }

        return true;
    }

    /// <summary>Whether queues expect copies of what goes to the topic (reference §4.15): confirmed without them, it would be lost.</summary>
    private bool FeedsQueues(string topic)
    {
        if (!topic.StartsWith("VirtualTopic.", StringComparison.Ordinal))
        {
            return false;
        }

        var queues = DestinationName.Queue($"Consumer.*.{topic}");
        return _destinations.Keys.Any(queues.Matches);
    }

    /// <summary>The first copy may still be on its way to the disk, so the answer waits for all that was appended.</summary>
    private BrokerResult AnswerDuplicate(BrokerConnection connection)
    {
        var end = Journal.End;
        AwaitConfirm(connection, end);
        return new BrokerResult(BrokerStatus.Duplicate, end);
    }

    private BrokerResult Append(
        BrokerConnection connection, LiveQueue queue, in PublishRequest request, ReadOnlySpan<byte> payload)
    {
        var length = Envelope.GetLength(request.ProducerId);
        Span<byte> envelope = length <= EnvelopeOnStackMax ? stackalloc byte[length] : new byte[length];
        Envelope.Write(envelope, FieldsOf(connection, queue, request), request.ProducerId);
        var record = Journal.Append(RecordKind.Message, 0, envelope, payload);
        NoteAppended(queue, TrackOf(connection, request.ProducerId), request.ProducerSequence, record.End);
        AwaitConfirm(connection, record.End);
        return new BrokerResult(BrokerStatus.Accepted, record.End);
    }

    private EnvelopeFields FieldsOf(BrokerConnection connection, LiveQueue queue, in PublishRequest request) => new()
    {
        DestinationId = queue.Id,
        Priority = request.Priority,
        Encoding = request.Encoding,
        ProducerSequence = request.ProducerSequence,
        Expiration = request.Expiration,
        Timestamp = request.Timestamp,
        AcceptedAt = Now,
        Origin = connection.Origin,
    };

    private static void NoteAppended(LiveQueue queue, ProducerTrack track, long sequence, Position end)
    {
        queue.Enqueued++;
        queue.AppendedEnd = end.Value;
        track.Sequence = Math.Max(track.Sequence, sequence);
        track.End = end.Value;
    }

    /// <summary>A message to a list: stored in all its queues or in none, and once only.</summary>
    private BrokerResult PublishCopies(
        BrokerConnection connection, in PublishRequest request, List<(DestinationName Destination, byte[] Payload)> copies,
        LocalTransaction? transaction)
    {
        if (copies.Count == 0)
        {
            return BrokerResult.Fail(BrokerStatus.DestinationInvalid, $"{request.Destination} names no destination");
        }

        var sends = new List<PendingSend>(copies.Count);
        foreach (var (element, payload) in copies)
        {
            if (!Prepare(connection, request with { Destination = element }, payload, out var send, out var answer))
            {
                return answer;
            }

            sends.Add(send);
        }

        if (transaction is not null)
        {
            return AddTo(transaction, sends);
        }

        var end = AppendTogether(sends, []);
        Show(sends, end);
        if (end > Position.Zero)
        {
            AwaitConfirm(connection, end);
        }

        return new BrokerResult(BrokerStatus.Accepted, end);
    }

    private void Enqueue(LiveQueue queue, MemoryMessage message)
    {
        queue.Enqueued++;
        message.Sequence = ++_memorySequence;
        message.OrderAfter = queue.AppendedEnd;
        Hold(message);
        queue.AddMemory(message);
    }

    private void PublishToTopic(LiveTopic topic, MemoryMessage message)
    {
        topic.Enqueued++;
        message.Sequence = ++_memorySequence;
        foreach (var consumer in topic.Consumers)
        {
            if (!consumer.Request.NoLocal || message.Origin != consumer.Connection.Origin)
            {
                Offer(consumer, message);
            }
        }
    }

    private MemoryMessage NewMemoryMessage(
        BrokerConnection connection, DestinationName destination, in PublishRequest request, byte[] payload) =>
        new(destination, request.Encoding, payload)
        {
            Expiration = request.Expiration,
            AcceptedAt = Now,
            Origin = connection.Origin,
        };

    private MemoryMessage NewMemoryMessage(DestinationName destination, byte encoding, byte[] payload) =>
        new(destination, encoding, payload) { AcceptedAt = Now, Sequence = ++_memorySequence };

    private bool ResolveForWriting(
        BrokerConnection connection, DestinationName name, out LiveDestination destination, out BrokerResult failure)
    {
        failure = default;
        if (connection.LastWritten is { Removed: false } last && last.Name.Type == name.Type
            && (ReferenceEquals(last.Name.Name, name.Name) || last.Name.Name == name.Name))
        {
            destination = last;
            return true;
        }

        destination = null!;
        if (!IsAllowed(connection, DestinationAction.Write, name, out failure) || !FindOrAdd(name, out destination, out failure))
        {
            return false;
        }

        connection.LastWritten = destination;
        return true;
    }

    private ProducerTrack TrackOf(BrokerConnection connection, string producerId)
    {
        if (connection.LastTrack is { } last && (ReferenceEquals(last.ProducerId, producerId) || last.ProducerId == producerId))
        {
            return last;
        }

        if (!connection.Tracks.TryGetValue(producerId, out var track))
        {
            if (connection.Tracks.Count >= TracksPerConnectionMax)
            {
                LetGoOfTracks(connection); // producers that are long gone; the others are found again
            }

            if (!_tracks.TryGetValue(producerId, out track))
            {
                var stored = _index.Producers.Find(Encoding.UTF8.GetBytes(producerId));
                track = new ProducerTrack(producerId, stored ?? long.MinValue);
                _tracks.Add(producerId, track);
            }

            track.Users++;
            connection.Tracks.Add(producerId, track);
        }

        connection.LastTrack = track;
        return track;
    }

    /// <summary>The track that counts for a producer whose transaction may have outlived the one that it was prepared with.</summary>
    private ProducerTrack Current(ProducerTrack prepared)
    {
        if (_tracks.TryGetValue(prepared.ProducerId, out var current))
        {
            return current;
        }

        _tracks.Add(prepared.ProducerId, prepared);
        _abandonedTracks.Add(prepared); // dropped again when the index knows as much
        return prepared;
    }

    private void LetGoOfTracks(BrokerConnection connection)
    {
        foreach (var track in connection.Tracks.Values)
        {
            if (--track.Users == 0)
            {
                _abandonedTracks.Add(track);
            }
        }

        connection.Tracks.Clear();
        connection.LastTrack = null;
        ForgetTracks();
    }

    /// <summary>Drops what nobody uses and the index knows by now.</summary>
    private void ForgetTracks()
    {
        for (var i = _abandonedTracks.Count - 1; i >= 0; i--)
        {
            var track = _abandonedTracks[i];
            if (track.Users > 0 || track.End <= Confirmed)
            {
                _abandonedTracks.RemoveAt(i);
                if (track.Users == 0)
                {
                    _tracks.Remove(track.ProducerId);
                }
            }
        }
    }
}
