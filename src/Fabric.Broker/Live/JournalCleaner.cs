using System.Buffers;
using System.Buffers.Binary;
using Fabric.Broker.Index;
using Fabric.Runtime.Scheduling;
using Fabric.Store;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Broker.Live;

/// <summary>
/// Copies live messages from the oldest segments to the end of the journal when what is held is mostly dead (<see cref="CleaningRule"/>), so that the segments can go. Only the master does; it changes nothing
/// itself: it appends Relocated records (RECORDS.md), and every replica takes the message from the copy when that is applied, unless the message is gone by then.
/// </summary>
/// <remarks>
/// A little at a time, one batch after the other, each when the one before it is committed, so that cleaning is as slow as the slaves and disks are. Reads of old
/// segments block, so it has a thread of its own, and holds the broker's lock only to look for messages.
/// </remarks>
internal sealed class JournalCleaner(LiveBroker broker)
{
    /// <summary>How often it looks whether there is something to clean.</summary>
    private static readonly TimeSpan IdleInterval = TimeSpan.FromSeconds(1);

    /// <summary>How often it looks, while it cleans, whether it is its turn.</summary>
    private static readonly TimeSpan BusyInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>Bytes of a batch, or one message: what a sync takes along without being felt.</summary>
    private const int BatchBytesMax = 512 * 1024;

    /// <summary>Messages of a batch: reading small ones costs by the piece.</summary>
    private const int BatchMessagesMax = 1024;

    /// <summary>Bytes per second that are copied at least, as long as everybody follows.</summary>
    private const long BytesPerSecond = 8 * 1024 * 1024;

    /// <summary>Where clients write faster, a byte is copied for each so many of theirs.</summary>
    private const int ClientBytesPerByte = 2;

    private readonly AsyncSignal _signal = new();
    private Position _batchEnd;
    private long _batchBytes;
    private long _nextBatch; // a timestamp
    private (long Messages, long Bytes) _copied; // since it was idle

    /// <summary>Runs until the broker stops serving.</summary>
    public async Task RunAsync()
    {
        await using var timer = broker.Runtime.Time.CreateTimer(_ => _signal.Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        while (!broker.Stopped)
        {
            try
            {
                timer.Change(Step() ? BusyInterval : IdleInterval, Timeout.InfiniteTimeSpan);
            }
            catch (NotMasterException)
            {
                return;
            }
            catch (StoreException exception)
            {
                // The message stays where it is, and keeps what is behind it. The store's owner decides on the rest.
                broker.Logger.LogError(exception, "The journal is not cleaned any more until another master serves: a message could not be copied forward");
                return;
            }

            await _signal.WaitAsync();
        }
    }

    /// <summary>Wakes the loop, for its end.</summary>
    public void Wake() => _signal.Set();

    /// <returns>Whether there is something to do.</returns>
    private bool Step()
    {
        if (!IsTurn())
        {
            return true;
        }

        var messages = broker.FindMovable(new MovableBatch(BatchBytesMax, BatchMessagesMax));
        if (messages.Count == 0)
        {
            Rest();
            return false;
        }

        var started = broker.Runtime.Time.GetTimestamp();
        _batchBytes = 0;
        foreach (var message in messages)
        {
            Copy(message);
        }

        broker.Journal.Announce();
        _nextBatch = started + (_batchBytes * broker.Runtime.Time.TimestampFrequency / BytesPerSecond);
        return true;
    }

    /// <summary>The last batch is committed; and it was a while ago, or clients have written much more since.</summary>
    private bool IsTurn() => broker.Confirmed >= _batchEnd.Value
        && (broker.Runtime.Time.GetTimestamp() >= _nextBatch || broker.Journal.End - _batchEnd >= ClientBytesPerByte * _batchBytes);

    /// <summary>Appends a copy of a message, unless it is gone.</summary>
    private void Copy(in MovableMessage message)
    {
        if (message.Bytes > JournalLimits.RecordBytesMax - BrokerIndex.RelocatedBytes)
        {
            throw new StoreException($"the message at {message.Position} is too long for a copy: {message.Bytes} bytes");
        }

        var buffer = ArrayPool<byte>.Shared.Rent(message.Bytes);
        try
        {
            var bytes = buffer.AsSpan(0, message.Bytes);
            if (!broker.TryReadMessage(message, bytes))
            {
                return;
            }

            var envelope = Envelope.Read(bytes);
            if (envelope.DestinationId != message.QueueId || envelope.Length != message.EnvelopeBytes)
            {
                throw new StoreException($"what stands at {message.Body} is not the message at {message.Position}");
            }

            Span<byte> position = stackalloc byte[BrokerIndex.RelocatedBytes];
            BinaryPrimitives.WriteInt64LittleEndian(position, message.Position);
            var record = broker.Journal.Append(RecordKind.Relocated, 0, bytes, position);
            _batchEnd = record.End;
            _batchBytes += record.End - record.Position;
            _copied = (_copied.Messages + 1, _copied.Bytes + (record.End - record.Position));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Rest()
    {
        if (_copied.Messages > 0)
        {
            broker.Logger.LogInformation(
                "{Messages} messages ({Bytes} bytes) were copied to the end of the journal, so that old segments can go", _copied.Messages, _copied.Bytes);
        }

        _copied = default;
    }
}
