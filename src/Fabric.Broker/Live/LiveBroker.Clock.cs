using Fabric.Broker.Index;
using Fabric.Runtime.Scheduling;
using Fabric.Store;
using Microsoft.Extensions.Logging;

namespace Fabric.Broker.Live;

/// <summary>
/// What happens by time: pulls that found nothing are answered, and queues are searched for expired messages. One loop, woken
/// by a signal or by a timer for the next deadline.
/// </summary>
internal sealed partial class LiveBroker
{
    /// <summary>Entries looked at in one possession of the lock: some ten microseconds.</summary>
    private const int SweepStep = 4096;

    /// <summary>Expired messages moved before others get a turn.</summary>
    private const int MoveStep = 64;

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private readonly AsyncSignal _clockSignal = new();
    private readonly ITimer _clock;
    private readonly SortedSet<PullDeadline> _pulls = []; // under the lock; a consumer's newest pull alone
    private long _pullsCounted; // under the lock

    /// <summary>Runs until the broker stops serving.</summary>
    public async Task RunClockAsync()
    {
        var nextSweep = Runtime.Time.GetTimestamp() + ToTicks(Options.ExpirySweepInterval);
        while (!Stopped)
        {
            try
            {
                var now = Runtime.Time.GetTimestamp();
                if (now >= nextSweep)
                {
                    Sweep();
                    nextSweep = now + ToTicks(Options.ExpirySweepInterval);
                }

                MoveExpired();
                var nextPull = AnswerPulls(now);
                SetClock(Math.Min(nextSweep, nextPull) - Runtime.Time.GetTimestamp());
            }
            catch (NotMasterException)
            {
                break;
            }
            catch (Exception exception)
            {
                Logger.LogError(exception, "What {Broker} does by time has failed, and is tried again", Options.Name);
                SetClock(ToTicks(RetryPause));
            }

            await _clockSignal.WaitAsync();
        }

        await _clock.DisposeAsync();
    }

    private void SchedulePullTimeout(BrokerConsumer consumer, TimeSpan timeout)
    {
        var deadline = new PullDeadline(Runtime.Time.GetTimestamp() + ToTicks(timeout), ++_pullsCounted, consumer);
        consumer.PullDeadline = deadline;
        _pulls.Add(deadline);
        if (_pulls.Min == deadline)
        {
            _clockSignal.Set();
        }
    }

    /// <summary>Forgets the time limit of a pull that another one follows, or whose consumer is gone.</summary>
    private void ForgetPullTimeout(BrokerConsumer consumer)
    {
        if (consumer.PullDeadline is { } deadline)
        {
            consumer.PullDeadline = null;
            _pulls.Remove(deadline);
        }
    }

    /// <returns>When the next pull is due.</returns>
    private long AnswerPulls(long now)
    {
        using var turn = Enter();
        while (_pulls.Count > 0)
        {
            var (due, _, consumer) = _pulls.Min;
            if (due > now)
            {
                return due;
            }

            ForgetPullTimeout(consumer);
            if (consumer is { Extension: > 0, Prefetch: 0 })
            {
                AnswerPull(consumer);
            }
        }

        return long.MaxValue;
    }

    /// <summary>Looks at all queues, a bounded step at a time, and takes out what has expired and nobody holds.</summary>
    private void Sweep()
    {
        LiveQueue[] queues;
        lock (Gate)
        {
            queues = _destinations.Values.OfType<LiveQueue>().ToArray();
        }

        foreach (var queue in queues)
        {
            var place = default(QueueCursor);
            while (!Stopped && SweepQueue(queue, ref place))
            {
                MoveExpired();
            }
        }
    }

    /// <returns>Whether there is more to look at.</returns>
    private bool SweepQueue(LiveQueue queue, ref QueueCursor place)
    {
        using var turn = Enter();
        if (Stopped || queue.Removed)
        {
            return false;
        }

        var now = Now;
        if (place.Chunk is null)
        {
            SweepMemory(queue, now);
        }

        for (var looked = 0; looked < SweepStep; looked++)
        {
            if (queue.Index is null || !queue.Index.Entries.TryNext(ref place.Chunk, ref place.Slot))
            {
                return false;
            }

            if (place.Chunk!.FirstExpiration > now)
            {
                place.Slot = place.Chunk.Count;
                looked += EntryArrays.Largest / 16;
                continue;
            }

            ref var entry = ref place.Chunk.Entries[place.Slot];
            if (!entry.Locked && entry.Expiration > 0 && entry.Expiration < now && entry.Position < Confirmed)
            {
                place.Chunk.Touch(place.Slot).Locked = true;
                queue.InFlight++;
                GiveUpExpired(queue, new EntryRef(place.Chunk, place.Slot));
            }

            place.Slot++;
        }

        return true;
    }

    private void SweepMemory(LiveQueue queue, long now)
    {
        for (var message = queue.FirstMemory; message is not null;)
        {
            var next = message.Next;
            if (!message.Locked && message.Expiration > 0 && message.Expiration < now)
            {
                Drop(queue, message);
            }

            message = next;
        }
    }

    private void MoveExpired()
    {
        while (!Stopped)
        {
            var batch = new List<DeadLetter>();
            lock (Gate)
            {
                while (batch.Count < MoveStep && _expired.TryDequeue(out var letter))
                {
                    batch.Add(letter);
                }
            }

            if (batch.Count == 0)
            {
                return;
            }

            foreach (var letter in batch)
            {
                MoveExpired(letter);
            }
        }
    }

    private void MoveExpired(in DeadLetter letter)
    {
        try
        {
            MoveToDeadLetters(null, [letter]);
        }
        catch (Exception exception) when (exception is not NotMasterException)
        {
            // A message that cannot be read stays locked: it is neither delivered nor lost. The store's owner decides on the rest.
            Logger.LogError(exception, "An expired message of {Queue} could not be moved to the dead letter queue", letter.Queue.Name);
        }
    }

    private void SetClock(long ticks)
    {
        var due = TimeSpan.FromSeconds(Math.Max(0, ticks) / (double)Runtime.Time.TimestampFrequency);
        // A millisecond later rather than earlier: the timer's resolution must not make the loop spin before a deadline.
        _clock.Change(due + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    private long ToTicks(TimeSpan span) => (long)(span.TotalSeconds * Runtime.Time.TimestampFrequency);
}
