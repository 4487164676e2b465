using System.Buffers;
using System.Buffers.Binary;
using Fabric.Broker.Index;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Broker.Live;

/// <summary>A journalled message that nobody holds any more and that is to leave its queue.</summary>
internal readonly record struct DeadLetter(
    LiveQueue Queue, long Position, long Body, int EnvelopeBytes, int PayloadBytes, long Expiration, ushort Redeliveries, string Cause)
{
    public static DeadLetter Of(LiveQueue queue, EntryRef message, string cause)
    {
        ref var entry = ref message.Value;
        return new DeadLetter(
            queue, entry.Position, message.Body, entry.EnvelopeBytes, entry.PayloadBytes, entry.Expiration, entry.Redeliveries, cause);
    }
}

/// <summary>
/// Messages that expired or were given up. A journalled one moves to the dead letter queue: its copy and its acknowledgement are
/// one group. It stays locked in its old queue meanwhile, so nobody else gets it.
/// </summary>
internal sealed partial class LiveBroker
{
    private readonly Queue<DeadLetter> _expired = new();

    /// <summary>Moves messages, in order. Reads their bodies, so it is called without the lock.</summary>
    /// <param name="connection">Who waits for the result, null when nobody does.</param>
    /// <param name="dead">What to move.</param>
    /// <returns>The end of the last record appended.</returns>
    public Position MoveToDeadLetters(BrokerConnection? connection, IEnumerable<DeadLetter> dead)
    {
        var end = Position.Zero;
        foreach (var letter in dead)
        {
            try
            {
                end = letter.Queue.Name.Name == Options.DeadLetterQueue ? Discard(letter) : Move(letter);
            }
            catch (Exception exception) when (!BrokerConnection.EndsService(exception))
            {
                // The others have to go all the same, and whoever gave them up is not to blame.
                Logger.LogError(exception, "A message of {Queue} stays there, undelivered, because it cannot be copied", letter.Queue.Name);
            }
        }

        if (connection is not null && end > Position.Zero)
        {
            using var turn = Enter();
            if (!Stopped && !connection.Closed)
            {
                AwaitConfirm(connection, end);
            }
        }

        return end;
    }

    /// <summary>What expires in the dead letter queue, or is refused there too, has nowhere else to go.</summary>
    private Position Discard(in DeadLetter letter)
    {
        using var turn = Enter();
        if (Stopped || letter.Queue.Removed)
        {
            return Position.Zero;
        }

        _acknowledged.Clear();
        _acknowledged.Add(letter.Queue.Id, letter.Position);
        return Journal.Append(RecordKind.Acknowledged, 0, _acknowledged.Body, default).End;
    }

    private Position Move(in DeadLetter letter)
    {
        var deadLetterQueue = DestinationName.Queue(Options.DeadLetterQueue);
        var copy = MakeCopy(letter, deadLetterQueue);
        using var turn = Enter();
        if (copy is null || Stopped || letter.Queue.Removed)
        {
            return Position.Zero;
        }

        if (!FindOrAdd(deadLetterQueue, out var destination, out var failure))
        {
            Logger.LogError(
                "A message of {Queue} stays there, undelivered, because {DeadLetterQueue} cannot be created: {Reason}",
                letter.Queue.Name, deadLetterQueue, failure.Detail);
            return Position.Zero;
        }

        var target = (LiveQueue)destination;
        BinaryPrimitives.WriteInt32LittleEndian(copy, target.Id);
        var end = AppendTogether(
            [new PendingSend(target, copy, null, null, 0, 0)], [(letter.Queue, letter.Position)]);
        target.Enqueued++;
        target.AppendedEnd = end.Value;
        return end;
    }

    /// <summary>The body of the copy's record; the destination's number is filled in when it is known. Null when the message is gone.</summary>
    private byte[]? MakeCopy(in DeadLetter letter, DestinationName deadLetterQueue)
    {
        var body = ArrayPool<byte>.Shared.Rent(letter.EnvelopeBytes + letter.PayloadBytes);
        try
        {
            var original = body.AsSpan(0, letter.EnvelopeBytes + letter.PayloadBytes);
            if (!TryReadMessage(letter.Queue, letter.Position, letter.Body, 0, original))
            {
                return null;
            }

            var envelope = Envelope.Read(original);
            var output = new ArrayBufferWriter<byte>(original.Length + 256);
            Envelope.Write(
                output.GetSpan(envelope.Length)[..envelope.Length],
                new EnvelopeFields
                {
                    Flags = Envelope.DeadLettered,
                    Priority = envelope.Priority,
                    Encoding = envelope.Encoding,
                    ProducerSequence = envelope.ProducerSequence,
                    Timestamp = envelope.Timestamp,
                    AcceptedAt = Now,
                    Origin = envelope.Origin,
                },
                envelope.ProducerId);
            output.Advance(envelope.Length);
            Payloads.DeadLetterCopy(
                new DeadLetterRequest(
                    envelope.Encoding, letter.Queue.Name, deadLetterQueue, letter.Cause, letter.Expiration, letter.Redeliveries),
                original[envelope.Length..], output);
            return output.WrittenSpan.ToArray();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(body);
        }
    }

    /// <summary>Under the lock: has an expired message moved by the clock's loop. It is locked already.</summary>
    private void GiveUpExpired(LiveQueue queue, EntryRef message)
    {
        var expiration = message.Value.Expiration.ToString(System.Globalization.CultureInfo.InvariantCulture);
        _expired.Enqueue(DeadLetter.Of(queue, message, $"Message Expired. Expiration:{expiration}"));
        _clockSignal.Set();
    }
}
