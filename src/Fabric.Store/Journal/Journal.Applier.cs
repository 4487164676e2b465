using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Journal;

/// <summary>
/// The applier: committed records to the state machine, in order, on master, slave and recovery alike; and checkpoints of the state, which only
/// this loop can write because only here does it stand still.
/// </summary>
public sealed partial class Journal
{
    private const int ApplyBufferBytes = 256 * 1024;

    /// <summary>No more is applied by whoever says that it is committed; it is a matter of microseconds then.</summary>
    private const int ApplyHereBytes = 16 * 1024;

    private bool _isApplying; // guarded by _gate: one at a time, the loop or somebody in its place

    // Owned by who applies.
    private byte[] _applyBuffer = new byte[ApplyBufferBytes];
    private long _lastCheckpoint; // position of the newest one, whether it succeeded or not
    private long _checkpointBytes; // its length
    private volatile bool _isCheckpointWanted;
    private Position _cleaned;
    private long _released; // what the newest checkpoint on disk calls cleaned; written by the keeper
    private long _published; // position of the newest checkpoint on disk; written by the keeper

    /// <summary>
    /// Everything before the position is committed. May be called by anybody who holds no lock, in any order; the greatest counts. A little that is
    /// in memory is applied by the caller, which saves a change of threads; so may be what the slaves get next (<see cref="IJournalObserver.OnOffered"/>).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The journal does not reach as far.</exception>
    public void AdvanceCommitted(Position committed)
    {
        bool here;
        lock (_gate)
        {
            if (committed.Value <= _committed)
            {
                return;
            }

            ArgumentOutOfRangeException.ThrowIfGreaterThan(committed.Value, _end);
            Volatile.Write(ref _committed, committed.Value);
            if (_writerHasBatch)
            {
                OfferAhead(); // one that has none is about to offer what there is
            }

            here = !_isApplying && _failure is null && !_closing
                && committed - Applied <= ApplyHereBytes && Applied >= _tail.First && !IsCheckpointDue;
            _isApplying |= here;
        }

        if (Volatile.Read(ref _unannounced) != 0)
        {
            TellOffered(here: true);
        }

        if (here)
        {
            ApplyHere();
        }
        else
        {
            _applierWake.Set();
        }

        if (HasRoom)
        {
            ReleaseRoomWaiters();
        }
    }

    /// <summary>
    /// Everything before the position is on the disks of all replicas, so none will need it from this one. Segments are not cleaned beyond it
    /// (<see cref="JournalOptions.RetainedBytesMax"/>). The greatest counts.
    /// </summary>
    public void SetRetention(Position everywhere)
    {
        lock (_gate)
        {
            _retention = Math.Max(_retention, everywhere.Value);
        }
    }

    /// <summary>
    /// Another replica is being sent the segments from the position on: they are not cleaned now, whatever <see cref="JournalOptions.RetainedBytesMax"/> says, unless the disk is
    /// nearly full. The last call counts.
    /// </summary>
    /// <param name="from">Null when nobody is.</param>
    public void SetHold(Position? from) => Volatile.Write(ref _hold, from?.Value ?? long.MaxValue);

    /// <summary>Has a checkpoint written soon, however little was applied since the last one: a young journal may have none, and another replica needs one to copy.</summary>
    public void WantCheckpoint()
    {
        _isCheckpointWanted = true;
        _applierWake.Set();
    }

    private async Task ApplyLoopAsync()
    {
        try
        {
            while (_failure is null)
            {
                await _applierWake.WaitAsync();
                if (!TryBeginApplying())
                {
                    continue; // somebody applies a little, and wakes this loop when that was not all
                }

                do
                {
                    if (_failure is null && (IsCheckpointDue || IsReleaseDue()))
                    {
                        BeginCheckpoint();
                    }
                }
                while (_failure is null && ApplyNext());

                if (EndApplying())
                {
                    _applierWake.Set();
                }
                else if (_closing && _writing.IsCompleted && (_failure is not null || PendingCheckpoint() is null)) // when the keeper is done with one it wakes us
                {
                    if (_failure is null && _applied > _lastCheckpoint)
                    {
                        BeginCheckpoint();
                    }

                    return;
                }
            }
        }
        catch (Exception exception)
        {
            Fail(exception);
        }
    }

    private bool IsCheckpointDue => _applied - _lastCheckpoint >= (_isCheckpointWanted ? 1 : CheckpointInterval);

    /// <summary>
    /// Bytes applied, or let go, that are worth a checkpoint. While space is short they are written more often, because only a checkpoint lets old segments go.
    /// </summary>
    private long CheckpointInterval => _isSpaceLow
        ? Math.Max(_options.CheckpointBytes / 16, _checkpointBytes / 8)
        : Math.Max(_options.CheckpointBytes, 2 * _checkpointBytes);

    /// <summary>Bytes that a checkpoint may take: the rest of the reserve is for the acknowledgements that make the next one shorter.</summary>
    private long RoomForCheckpoint =>
        _options.FreeBytesLow == 0 ? long.MaxValue : _runtime.Disk.FreeSpace(_options.Directory) - (_options.FreeBytesLow / 4);

    /// <summary>
    /// What nobody but the state machine keeps from being cleaned. While space is short, nothing is kept for replicas that are away: they get a copy of the journal later, and a broker that takes no
    /// messages serves nobody now. When half of the reserve is used up, nothing is kept for those that are behind either.
    /// </summary>
    private Position Releasable
    {
        get
        {
            var end = Volatile.Read(ref _end);
            var retained = _isSpaceLow ? end : Math.Max(Volatile.Read(ref _retention), end - _options.RetainedBytesMax);
            return new Position(_isSpaceExhausted ? end : Math.Min(retained, Volatile.Read(ref _hold)));
        }
    }

    /// <summary>What the next checkpoint could let go beyond what the last one did, if nothing were live in it.</summary>
    private long BytesBeforeCheckpoint =>
        Position.Min(Releasable, new Position(Volatile.Read(ref _published))).Value - Volatile.Read(ref _released);

    /// <summary>
    /// Whether a checkpoint now would let as much go as is applied between two of them otherwise. One is looked for now and then: when the last message in many segments is consumed, or copied
    /// forward, hardly anything is applied.
    /// </summary>
    private bool IsReleaseDue()
    {
        if (!_isReleaseAwaited)
        {
            return false;
        }

        _isReleaseAwaited = false;
        return _applied > _lastCheckpoint && BytesBeforeCheckpoint >= CheckpointInterval
            && Math.Min(_stateMachine.OldestLive(Applied).Value - _released, BytesBeforeCheckpoint) >= CheckpointInterval;
    }

    private bool TryBeginApplying()
    {
        lock (_gate)
        {
            var isFree = !_isApplying;
            _isApplying = true;
            return isFree;
        }
    }

    /// <returns>Whether there is more by now.</returns>
    private bool EndApplying()
    {
        lock (_gate)
        {
            _isApplying = false;
            return _failure is null && _committed > _applied;
        }
    }

    private void ApplyHere()
    {
        try
        {
            ApplyNext();
        }
        catch (Exception exception)
        {
            Fail(exception);
        }

        if (EndApplying() || _closing || IsCheckpointDue)
        {
            _applierWake.Set();
        }
    }

    /// <summary>Applies what is committed, a buffer at most.</summary>
    private bool ApplyNext()
    {
        var start = Applied;
        var committed = Committed;
        if (committed <= start)
        {
            return false;
        }

        var bytes = _applyBuffer.AsSpan(0, CopyBytes(start, _applyBuffer, committed));
        var at = start;
        while (TryTakeRecord(ref bytes, at, committed, out var header, out var body))
        {
            var end = at + header.RecordBytes;
            Apply(new JournalRecord(at, end, header.Kind, header.Flags, body));
            at = end;
        }

        if (at == start)
        {
            return true; // the buffer was too small for the record, and is large enough now
        }

        Volatile.Write(ref _applied, at.Value);
        _stateMachine.Flush(at);
        _observer.OnApplied(at);
        return true;
    }

    private bool TryTakeRecord(
        ref Span<byte> bytes, Position at, Position committed, out RecordHeader header, out ReadOnlySpan<byte> body)
    {
        header = default;
        body = default;
        if (bytes.Length < RecordFormat.HeaderBytes && at + bytes.Length < committed)
        {
            return false; // the buffer ends inside a header
        }

        var sound = bytes.Length >= RecordFormat.HeaderBytes && RecordFormat.TryReadHeader(bytes, at, out header);
        if (bytes.Length == 0)
        {
            return false;
        }

        if (sound && bytes.Length < header.RecordBytes && at + bytes.Length < committed)
        {
            if (_applyBuffer.Length < header.RecordBytes)
            {
                _applyBuffer = new byte[header.RecordBytes];
            }

            return false; // the buffer ends inside the record
        }

        if (!sound || !RecordFormat.TryReadRecord(bytes, at, out header))
        {
            throw new SegmentCorruptException(_options.Directory, at, "a committed record is not what was written");
        }

        body = bytes.Slice(RecordFormat.HeaderBytes, header.BodyBytes);
        bytes = bytes[header.RecordBytes..];
        return true;
    }

    private void Apply(in JournalRecord record)
    {
        try
        {
            _stateMachine.Apply(record);
        }
        catch (Exception exception)
        {
            throw new StoreException(
                $"the record at position {record.Position} (kind {record.Kind}) cannot be applied: {exception.Message}", exception);
        }
    }

    /// <summary>Writes the state as it is now, and leaves the rest to the keeper. A full disk costs this checkpoint only.</summary>
    private void BeginCheckpoint()
    {
        lock (_gate)
        {
            if (_checkpoint is not null)
            {
                return; // the keeper is not done with the last one
            }
        }

        _isCheckpointWanted = false;
        var applied = Applied;
        var previous = new Position(Volatile.Read(ref _published)); // should the next one rot, this one and what lies behind it are needed
        var cleaned = Position.Min(Position.Min(_stateMachine.OldestLive(applied), Releasable), previous);
        _cleaned = Position.Max(_cleaned, cleaned);
        _lastCheckpoint = applied.Value;
        var systemRecords = SystemRecords.Where(record => record.Position < applied).ToArray();
        try
        {
            var head = new CheckpointHead(applied, applied, _cleaned, systemRecords);
            var checkpoint = CheckpointFile.Write(_runtime.Disk, _options.Directory, head, RoomForCheckpoint, _stateMachine.WriteCheckpoint);
            _checkpointBytes = checkpoint.Length;
            lock (_gate)
            {
                _checkpoint = checkpoint;
            }

            _keeperWake.Set();
        }
        catch (IOException exception) when (StoreErrors.IsDiskFull(exception))
        {
            // The next one may be shorter, or find more room.
        }
    }
}
