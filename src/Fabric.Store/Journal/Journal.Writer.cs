using Fabric.Store.Segments;

namespace Fabric.Store.Journal;

/// <summary>
/// The journal writer: seal, tell, write, sync, one batch after the other. A batch is begun only when the one before it is on disk;
/// recovery relies on that.
/// </summary>
public sealed partial class Journal
{
    /// <summary>A batch no larger is copied once, to be written together with its mark.</summary>
    private const int SmallBatchBytes = 16 * 1024;

    /// <summary>The least that file systems read and write. A block of which a part is written is read first, unless it is in the system's memory.</summary>
    private const int BlockBytes = 4 * 1024;

    /// <summary>A large record is synced in slices: all of it at once may take longer than one call to a healthy disk should.</summary>
    private const long SliceBytes = 8 * 1024 * 1024;

    /// <summary>How long after a batch its mark is renewed.</summary>
    private static readonly TimeSpan MarkDelay = TimeSpan.FromMilliseconds(100);

    /// <summary>How much later it is looked whether the mark can say that more is committed. A slave hears that with the next heartbeat.</summary>
    private static readonly TimeSpan CommittedMarkDelay = TimeSpan.FromMilliseconds(200);

    private Segment _current; // owned by the writer
    private CutRequest? _cutRequest; // guarded by _gate
    private bool _writerIsIdle; // guarded by _gate: it has looked, and there was nothing
    private bool _writerHasBatch; // guarded by _gate: from when one is handed to it, or taken by it, until it is on disk
    private (Position From, Position To)? _handed; // guarded by _gate: sealed by an appender for an idle writer
    private long _unannounced; // guarded by _gate: offered, and the observer does not know; 0 when there is nothing
    private long _cuts; // how often the tail was cut; readers look at it after they have copied

    private readonly byte[] _smallBatch = new byte[SmallBatchBytes + BlockBytes]; // owned by the writer
    private Position _marked; // owned by the writer: what the newest mark calls synced
    private Position _markedCommitted; // owned by the writer: what it calls committed
    private bool _markIsAwaited; // owned by the writer
    private volatile bool _markIsDue;

    private sealed record CutRequest(Position End, TaskCompletionSource Done);

    /// <summary>Ends when everything before the position survives a power loss.</summary>
    /// <exception cref="StoreException">The journal failed.</exception>
    /// <exception cref="OperationCanceledException">The position was cut off, or the token fired.</exception>
    public Task WaitDurableAsync(Position position, CancellationToken cancellationToken = default)
    {
        TaskCompletionSource waiter;
        lock (_gate)
        {
            if (_failure is { } failure)
            {
                return Task.FromException(Again(failure));
            }

            ArgumentOutOfRangeException.ThrowIfGreaterThan(position.Value, _end);
            if (position.Value <= _durable)
            {
                return Task.CompletedTask;
            }

            waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _durableWaiters.Add((position, waiter));
        }

        return waiter.Task.WaitAsync(cancellationToken);
    }

    /// <summary>
    /// Removes everything from the position on, durably. Only for a replica that is not master; nobody appends meanwhile.
    /// </summary>
    /// <param name="end">Where a record ends; not before what is known to be committed.</param>
    /// <exception cref="InvalidOperationException">This replica is master, or a committed record would be removed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The journal does not reach as far.</exception>
    /// <exception cref="StoreException">The journal failed.</exception>
    public Task TruncateAsync(Position end)
    {
        CutRequest request;
        lock (_gate)
        {
            ThrowIfFailed();
            ArgumentOutOfRangeException.ThrowIfGreaterThan(end.Value, _end);
            if (_isMaster || _closing || _cutRequest is not null)
            {
                throw new InvalidOperationException("the tail can be cut only while nothing is appended");
            }

            if (end.Value < _committed)
            {
                throw new InvalidOperationException($"the tail is to be cut at {end}, but everything up to {_committed} is committed");
            }

            _received = _end;
            if (end.Value == _end)
            {
                return Task.CompletedTask;
            }

            _cutRequest = request = new CutRequest(end, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        _writerWake.Set();
        return request.Done.Task;
    }

    private async Task WriteLoopAsync()
    {
        try
        {
            while (_failure is null)
            {
                await _writerWake.WaitAsync();
                var closing = _closing; // nothing is appended after it was set, so what is sealed below is all
                while (_failure is null && NextBatch() is var (from, to))
                {
                    WriteBatch(from, to);
                }

                if (_failure is null)
                {
                    CutTail();
                    MarkSometime(closing);
                }

                if (closing)
                {
                    return;
                }
            }
        }
        catch (Exception exception)
        {
            Fail(exception);
        }
    }

    /// <summary>Takes the next batch: the one that an appender has sealed, otherwise what there is.</summary>
    private (Position From, Position To)? NextBatch()
    {
        (Position From, Position To) batch;
        lock (_gate)
        {
            if (_handed is null && _sealed == _end)
            {
                _writerIsIdle = true;
                return null;
            }

            _writerIsIdle = false;
            batch = _handed ?? Seal();
            _handed = null;
            _writerHasBatch = true;
        }

        TellOffered(here: false); // the slaves sync it while we do
        return batch;
    }

    /// <summary>
    /// Seals a batch for a writer that has nothing to do, so that the appender can announce it. While the writer is at work, it seals what has gathered when
    /// it is done. Under the lock.
    /// </summary>
    /// <returns>Whether the writer is to be woken.</returns>
    private bool HandToIdleWriter()
    {
        if (!_writerIsIdle)
        {
            return false;
        }

        _writerIsIdle = false;
        _writerHasBatch = true;
        _handed = Seal();
        return true;
    }

    /// <summary>Tells the observer what has been offered, unless somebody has.</summary>
    private void TellOffered(bool here)
    {
        long to;
        lock (_gate)
        {
            (to, _unannounced) = (_unannounced, 0);
        }

        if (to != 0)
        {
            _observer.OnOffered(new Position(to), here);
        }
    }

    /// <summary>The oldest full batch, otherwise what there is; under the lock.</summary>
    private (Position From, Position To) Seal()
    {
        var from = _sealed;
        if (!_fullBatches.TryDequeue(out var to))
        {
            to = _batchStart = _end;
        }

        Volatile.Write(ref _sealed, to);
        Offer(to);
        return (new Position(from), new Position(to));
    }

    /// <summary>
    /// Lets the slaves have what was appended although our own writer is still at work, when enough of them have done with what they were offered: unless our disk would be more than a batch behind, since
    /// what it has not taken stays in memory. Under the lock.
    /// </summary>
    private void OfferAhead()
    {
        if (_isMaster && !_writerIsIdle && _committed >= _offered && _end - _durable <= BatchLimits.BytesMax)
        {
            Offer(_end);
        }
    }

    private void Offer(long to)
    {
        if (to > _offered)
        {
            Volatile.Write(ref _offered, to);
            Volatile.Write(ref _unannounced, to);
        }
    }

    private void WriteBatch(Position from, Position to)
    {
        if (to - _current.First > _current.Capacity)
        {
            Roll(from, to - from);
        }

        var mark = new SyncMark(to, from, Position.Min(Committed, from), Closed: false);
        if (to - from <= SmallBatchBytes - SyncMark.Bytes)
        {
            WriteAtOnce(from, to, mark);
        }
        else
        {
            WriteInPieces(from, to, mark);
        }

        Volatile.Write(ref _written, to.Value);
        _observer.OnWritten(to);
        _current.File!.Sync();
        if (from == _current.First)
        {
            Progress();
            SegmentFiles.MarkBefore(_segments, from, to, mark.Committed);
        }

        (_marked, _markedCommitted) = (from, mark.Committed);
        OnSynced(to);
        var half = _current.Capacity / 2;
        if (from - _current.First <= half && to - _current.First > half)
        {
            _keeperWake.Set(); // the next segment is to be ready when this one is full
        }
    }

    /// <summary>
    /// One system call for records, mark, and zeros to the end of the block: a spare that has long been lying there is not in the system's memory, and a lone record would wait for the disk to read what it overwrites.
    /// </summary>
    private void WriteAtOnce(Position from, Position to, SyncMark mark)
    {
        var offset = _current.OffsetOf(from);
        var records = _smallBatch.AsSpan(0, (int)(to - from));
        CopyFromTail(from, records);
        mark.Write(_smallBatch.AsSpan(records.Length, SyncMark.Bytes));
        var length = records.Length + SyncMark.Bytes;
        var blockEnd = Math.Min((offset + length + BlockBytes - 1) / BlockBytes * BlockBytes, Segment.FileBytes(_current.Capacity));
        var bytes = _smallBatch.AsSpan(0, (int)(blockEnd - offset));
        bytes[length..].Clear();
        _current.File!.Write(bytes, offset);
    }

    private void WriteInPieces(Position from, Position to, SyncMark mark)
    {
        var synced = from;
        for (var at = from; at < to;)
        {
            var piece = _tail.Piece(at, to - at);
            _current.File!.Write(piece, _current.OffsetOf(at));
            at += piece.Length;
            if (at - synced >= SliceBytes && at < to)
            {
                _current.File.Sync();
                synced = at;
                Progress();
            }
        }

        SegmentFiles.WriteMark(_current, mark);
    }

    /// <summary>The disk has taken something, though not yet all that is waited for (<see cref="PendingSince"/>).</summary>
    private void Progress()
    {
        lock (_gate)
        {
            if (_pendingSince != 0)
            {
                Volatile.Write(ref _pendingSince, _runtime.Time.GetTimestamp());
            }
        }
    }

    private void OnSynced(Position to)
    {
        lock (_gate)
        {
            _writerHasBatch = false;
            Volatile.Write(ref _durable, to.Value);
            Volatile.Write(ref _pendingSince, _end == to.Value ? 0 : _runtime.Time.GetTimestamp());
            for (var i = _durableWaiters.Count - 1; i >= 0; i--)
            {
                if (_durableWaiters[i].Position <= to)
                {
                    _durableWaiters[i].Done.TrySetResult();
                    _durableWaiters.RemoveAt(i);
                }
            }
        }

        _observer.OnDurable(to);
    }

    /// <summary>Goes on in a new segment. Its name needs no sync of the directory: its header will be on disk with its first batch.</summary>
    private void Roll(Position first, long bytes)
    {
        var previous = _current;
        if (previous.First == first)
        {
            _current = _files.Grow(previous, bytes, Progress);
            _segments.Replace(previous, _current);
        }
        else
        {
            _current = _files.Create(first, bytes, Progress);
            _segments.Add(_current);
        }

        _segments.Pin(_current);
        _segments.Release(previous);
        _directoryChanged = true;
        _keeperWake.Set();
    }

    /// <summary>Has the mark renewed soon after a batch, but not after each: that would hold up the next one.</summary>
    private void MarkSometime(bool closing)
    {
        if (closing || _markIsDue)
        {
            _markIsDue = _markIsAwaited = false;
            if (closing || _marked < Durable || _markedCommitted < Position.Min(Committed, Durable))
            {
                MarkSynced(closing);
            }

            if (!closing && _markedCommitted < Durable)
            {
                // An idle journal must know in the end that all of it is committed. A batch that comes earlier sets the timer anew.
                _markTimer.Change(CommittedMarkDelay, Timeout.InfiniteTimeSpan);
            }
        }
        else if (_marked < Durable && !_markIsAwaited)
        {
            _markIsAwaited = true;
            _markTimer.Change(MarkDelay, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnMarkDue()
    {
        _markIsDue = true;
        _writerWake.Set();
    }

    /// <summary>
    /// Notes, unsynced, that everything written is synced: after a crash of the process alone, recovery then knows every
    /// record to have been on disk.
    /// </summary>
    private void MarkSynced(bool closing)
    {
        var end = _marked = Durable;
        _markedCommitted = Position.Min(Committed, end);
        SegmentFiles.WriteMark(_current, new SyncMark(end, end, _markedCommitted, closing));
        if (closing)
        {
            _current.File!.Sync();
        }
    }

    private void CutTail()
    {
        CutRequest? request;
        lock (_gate)
        {
            request = _cutRequest;
            if (request is null || _durable != _end)
            {
                return; // what was appended before the request is written first
            }

            ForgetTail(request.End);
        }

        var segment = _segments.All.Last(segment => segment.First <= request.End);
        _segments.Pin(segment);
        _segments.Release(_current);
        _current = segment;
        _files.Cut(segment, request.End, Position.Min(Committed, request.End), () => Remove(_segments.RemoveAfter(segment.First), keepsFiles: false));
        if (segment.First == request.End)
        {
            SegmentFiles.MarkBefore(_segments, request.End, request.End, Position.Min(Committed, request.End));
        }

        lock (_gate)
        {
            _cutRequest = null;
        }

        request.Done.TrySetResult();
    }

    /// <summary>Makes memory agree with the cut that is about to be made on disk.</summary>
    private void ForgetTail(Position end)
    {
        if (end < _tail.First)
        {
            _tail.Reset(end);
        }

        Volatile.Write(ref _end, end.Value);
        Volatile.Write(ref _sealed, end.Value);
        Volatile.Write(ref _offered, end.Value);
        Volatile.Write(ref _written, end.Value);
        Volatile.Write(ref _durable, end.Value);
        _received = _batchStart = end.Value;
        Volatile.Write(ref _systemRecords, [.. _systemRecords.Where(record => record.Position < end)]);
        Interlocked.Increment(ref _cuts);
        foreach (var (_, done) in _durableWaiters)
        {
            done.TrySetCanceled(); // everything before the cut is durable already, so these wait for what is gone
        }

        _durableWaiters.Clear();
    }

    private void Remove(IReadOnlyList<Segment> segments, bool keepsFiles)
    {
        foreach (var segment in segments)
        {
            var isClosed = _segments.TryClose(segment);
            _files.Retire(segment, isClosed && keepsFiles);
        }
    }

    private void FailDurableWaiters(StoreException failure)
    {
        lock (_gate)
        {
            foreach (var (_, done) in _durableWaiters)
            {
                done.TrySetException(Again(failure));
            }

            _durableWaiters.Clear();
            _cutRequest?.Done.TrySetException(Again(failure));
        }
    }
}
