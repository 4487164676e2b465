using System.Runtime.InteropServices;
using Fabric.Replication.Core;
using Fabric.Runtime.Scheduling;
using Fabric.Store.Journal;

namespace Fabric.Replication.Master;

/// <summary>
/// One mastership as it runs: its acknowledgements and its streams. Dispatched to by the journal's writer (local progress), the
/// readers of the streams (slaves' progress) and the replica's loop, under one short lock.
/// </summary>
internal sealed class Lead : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CommitTracker _tracker;
    private AsyncSignal[] _streams = []; // replaced under the lock, read without it
    private readonly CancellationTokenSource _ended = new();
    private readonly Dictionary<ReplicaId, (Position From, TimeSpan Until)> _holds = []; // slaves that are being sent a copy
    private readonly Dictionary<ReplicaId, SortedSet<long>> _going = []; // the streams of each slave that go on; the newest speaks for it
    private readonly Dictionary<ReplicaId, long> _damaged = []; // the stream by which a slave said that it has lost what it acknowledged
    private long _streamNumber;
    private ReplicaId? _handOverTo;
    private int _epochCommitted;
    private bool _isOver; // nothing is counted any more: the positions may be those of another history by now

    public Lead(CommitTracker tracker, Position epochStart, Position epochEnd)
    {
        _tracker = tracker;
        Ended = _ended.Token;
        EpochStart = epochStart;
        EpochEnd = epochEnd;
    }

    public Epoch Epoch => _tracker.Epoch;

    public Position EpochStart { get; }

    public Position EpochEnd { get; }

    /// <summary>Cancelled when the mastership is over.</summary>
    public CancellationToken Ended { get; }

    public Position Committed
    {
        get
        {
            lock (_gate)
            {
                return _tracker.Committed;
            }
        }
    }

    /// <summary>A frame of this epoch as things stand.</summary>
    public FollowFrame Frame(FollowFrameKind kind)
    {
        lock (_gate)
        {
            return new FollowFrame(kind, Epoch, _tracker.Committed) { Everywhere = _tracker.DurableEverywhere() };
        }
    }

    /// <summary>The Epoch record is committed and applied; true once.</summary>
    public bool TakeEpochCommitted() => Interlocked.Exchange(ref _epochCommitted, 1) == 0;

    /// <summary>Counts what the master itself has.</summary>
    /// <returns>The new committed position, or null when it did not move.</returns>
    public Position? OnLocal(Position written, Position durable)
    {
        lock (_gate)
        {
            return !_isOver && _tracker.OnLocal(written, durable) ? _tracker.Committed : null;
        }
    }

    /// <summary>
    /// A slave is about to be accepted; <see cref="Dismiss"/> ends it. When it is damaged, what it acknowledged is forgotten, at one moment with the ends of its earlier streams: an acknowledgement that is still on its way speaks of a
    /// journal that is no more. What is committed when this returns is all that was committed with the help of what it lost.
    /// </summary>
    /// <returns>The number of its new stream.</returns>
    public long Admit(ReplicaId slave, bool isDamaged)
    {
        lock (_gate)
        {
            var number = ++_streamNumber;
            (CollectionsMarshal.GetValueRefOrAddDefault(_going, slave, out _) ??= []).Add(number);
            if (isDamaged)
            {
                _damaged[slave] = number;
                _tracker.Forget(slave);
            }

            return number;
        }
    }

    /// <summary>Whether a stream's slave was found to be damaged since: it is to end, and its acknowledgements do not count.</summary>
    public bool IsOutdated(ReplicaId slave, long stream)
    {
        lock (_gate)
        {
            return stream < _damaged.GetValueOrDefault(slave);
        }
    }

    /// <summary>Counts what a slave acknowledged.</summary>
    /// <returns>The new committed position, or null when it did not move.</returns>
    public Position? OnAcknowledged(ReplicaId slave, long stream, FollowAck ack, TimeSpan now)
    {
        lock (_gate)
        {
            if (stream < _damaged.GetValueOrDefault(slave))
            {
                return null;
            }

            var isNewest = IsNewest(slave, stream);
            if (isNewest && ack.Durable > Position.Zero)
            {
                _holds.Remove(slave); // it takes the stream, which holds what it needs
            }

            _tracker.OnSpace(slave, ack.IsSpaceLow);
            return !_isOver && _tracker.OnAcknowledged(slave, ack.Received, ack.Durable, isNewest, now) ? _tracker.Committed : null;
        }
    }

    /// <summary>Another set counts from now on; the streams of those who are not in it end.</summary>
    public void ChangeSet(ReplicaSet set)
    {
        lock (_gate)
        {
            _tracker.Change(set);
        }

        Wake(here: false);
    }

    /// <summary>Keeps account of a replica that is no member.</summary>
    public void TakeLearner(ReplicaMember learner)
    {
        lock (_gate)
        {
            _tracker.TakeLearner(learner);
        }
    }

    /// <summary>Ends the stream of a replica that is no member.</summary>
    public void DropLearner(ReplicaId learner)
    {
        lock (_gate)
        {
            _tracker.DropLearner(learner);
            _holds.Remove(learner);
        }

        Wake(here: false);
    }

    /// <summary>Whether the replica is sent anything: a member, or a learner.</summary>
    public bool Feeds(ReplicaId replica)
    {
        lock (_gate)
        {
            return _tracker.Knows(replica);
        }
    }

    /// <summary>A slave will need what comes from the position on, until it takes the stream or the time is over.</summary>
    public void Hold(ReplicaId slave, Position from, TimeSpan until)
    {
        lock (_gate)
        {
            _holds[slave] = (from, until);
        }
    }

    /// <summary>From where on slaves are being sent something; null when none is.</summary>
    /// <param name="now">Monotonic time.</param>
    /// <param name="streamsOnly">Copies do not count: one that does not get on would hold up everybody.</param>
    public Position? HeldFrom(TimeSpan now, bool streamsOnly)
    {
        lock (_gate)
        {
            var held = _tracker.LeastAttached();
            if (streamsOnly)
            {
                return held;
            }

            foreach (var (from, until) in _holds.Values)
            {
                held = until > now && !(from > held) ? from : held;
            }

            return held;
        }
    }

    public void Attach(AsyncSignal stream)
    {
        lock (_gate)
        {
            _streams = [.. _streams, stream];
        }
    }

    public void Detach(AsyncSignal stream)
    {
        lock (_gate)
        {
            _streams = [.. _streams.Where(other => other != stream)];
        }
    }

    /// <summary>A stream that was admitted has ended, or has never begun. If an earlier one goes on, its next acknowledgement says that the slave follows.</summary>
    public void Dismiss(ReplicaId slave, long stream)
    {
        lock (_gate)
        {
            if (IsNewest(slave, stream))
            {
                _tracker.OnDetached(slave);
            }

            _going[slave].Remove(stream);
        }
    }

    /// <summary>Wakes all streams: there are bytes to send, or it is time for a heartbeat.</summary>
    /// <param name="here">They send a batch on the caller's thread, which holds no lock.</param>
    public void Wake(bool here)
    {
        foreach (var stream in Volatile.Read(ref _streams))
        {
            stream.Set(here);
        }
    }

    public void HandOver(ReplicaId to)
    {
        lock (_gate)
        {
            _handOverTo = to;
        }

        Wake(here: false);
    }

    /// <summary>Whether this slave is to be told to take over; true once.</summary>
    public bool TakeHandOver(ReplicaId slave)
    {
        lock (_gate)
        {
            if (_handOverTo != slave)
            {
                return false;
            }

            _handOverTo = null;
            return true;
        }
    }

    public Heard Heard(TimeSpan leaseStart, TimeSpan diskStalled, JournalSpace space, Position end)
    {
        lock (_gate)
        {
            var inSync = _tracker.Slaves().Where(slave => slave.IsInSync(end)).Select(slave => slave.Member.Id).ToArray();
            return new Heard(default, _tracker.MajorityHeardSince(leaseStart), diskStalled, space.IsLow, space.IsExhausted, _tracker.BestSlave(), inSync);
        }
    }

    public (IReadOnlyList<SlaveProgress> Slaves, Position Everywhere) Progress()
    {
        lock (_gate)
        {
            return (_tracker.Slaves(), _tracker.DurableEverywhere());
        }
    }

    private bool IsNewest(ReplicaId slave, long stream) => _going.TryGetValue(slave, out var streams) && streams.Count > 0 && streams.Max == stream;

    public void Dispose()
    {
        lock (_gate)
        {
            _isOver = true;
        }

        _ended.Cancel();
        _ended.Dispose();
    }
}
