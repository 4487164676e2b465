namespace Fabric.Store.Journal;

/// <summary>What a master does: records in, back-pressure out.</summary>
public sealed partial class Journal
{
    /// <summary>Ends of batches that are full, oldest first; the rest up to the end is the open batch.</summary>
    private readonly Queue<long> _fullBatches = new();
    private long _batchStart;

    /// <summary>
    /// Makes this journal take records from appenders. The given one is the first of them, whatever else wants to append: it is the one that opens the epoch.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is master already.</exception>
    /// <exception cref="StoreException">The journal has failed.</exception>
    public AppendedRecord BecomeMaster(byte kind, ReadOnlySpan<byte> body)
    {
        var state = Checksum.Append(Checksum.Start, body);
        AppendedRecord appended;
        lock (_gate)
        {
            ThrowIfFailed();
            if (_isMaster || _closing)
            {
                throw new InvalidOperationException(_closing ? "the journal is closed" : "the journal is master already");
            }

            _received = _end;
            (_isMaster, _master) = (true, null);
            appended = AppendUnderLock(kind, 0, body, default, state);
        }

        _writerWake.Set();
        return appended;
    }

    /// <summary>Takes no more records from appenders; those that wait for room get <see cref="NotMasterException"/>.</summary>
    /// <param name="master">Who is master now, if known, for the exception.</param>
    public void ResignMaster(string? master)
    {
        lock (_gate)
        {
            (_isMaster, _master) = (false, master);
        }

        ReleaseRoomWaiters();
    }

    /// <inheritdoc/>
    public AppendedRecord Append(byte kind, byte flags, ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail)
    {
        ArgumentOutOfRangeException.ThrowIfZero(kind);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)head.Length + tail.Length, JournalLimits.RecordBytesMax);

        // The body is checksummed before the lock; what depends on the position takes a few instructions inside it.
        var state = Checksum.Append(Checksum.Append(Checksum.Start, head), tail);
        AppendedRecord appended;
        bool wake;
        lock (_gate)
        {
            ThrowIfNotMaster();
            appended = AppendUnderLock(kind, flags, head, tail, state);
            wake = HandToIdleWriter();
        }

        if (wake)
        {
            _writerWake.Set();
        }

        return appended;
    }

    /// <inheritdoc/>
    public IReadOnlyList<AppendedRecord> AppendGroup(IReadOnlyList<PendingRecord> records)
    {
        var states = new uint[records.Count];
        for (var i = 0; i < states.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfZero(records[i].Kind);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(records[i].Body.Length, JournalLimits.RecordBytesMax);
            states[i] = Checksum.Append(Checksum.Start, records[i].Body.Span);
        }

        var appended = new AppendedRecord[records.Count];
        bool wake;
        lock (_gate)
        {
            ThrowIfNotMaster();
            for (var i = 0; i < appended.Length; i++)
            {
                var record = records[i];
                appended[i] = AppendUnderLock(record.Kind, record.Flags, record.Body.Span, default, states[i]);
            }

            wake = HandToIdleWriter();
        }

        if (wake)
        {
            _writerWake.Set();
        }

        return appended;
    }

    /// <inheritdoc/>
    public void Announce()
    {
        var offered = Volatile.Read(ref _offered);
        if (Volatile.Read(ref _end) > offered && Volatile.Read(ref _committed) >= offered)
        {
            lock (_gate)
            {
                OfferAhead();
            }
        }

        if (Volatile.Read(ref _unannounced) != 0)
        {
            TellOffered(here: true);
        }
    }

    /// <inheritdoc/>
    public ValueTask WaitForRoomAsync(CancellationToken cancellationToken)
    {
        if (HasRoom && _isMaster && _failure is null)
        {
            return ValueTask.CompletedTask;
        }

        return WaitForRoomSlowlyAsync(cancellationToken);
    }

    private bool HasRoom => !_isSpaceLow && Volatile.Read(ref _end) - Volatile.Read(ref _committed) <= _options.UncommittedBytesMax;

    private async ValueTask WaitForRoomSlowlyAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            TaskCompletionSource waiter;
            lock (_gate)
            {
                ThrowIfNotMaster();
                if (HasRoom)
                {
                    return;
                }

                waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _roomWaiters.Add(waiter);
            }

            await waiter.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Lets everybody who waits look again.</summary>
    private void ReleaseRoomWaiters()
    {
        TaskCompletionSource[] waiters;
        lock (_gate)
        {
            if (_roomWaiters.Count == 0)
            {
                return;
            }

            waiters = [.. _roomWaiters];
            _roomWaiters.Clear();
        }

        foreach (var waiter in waiters)
        {
            waiter.TrySetResult();
        }
    }

    private void ThrowIfNotMaster()
    {
        ThrowIfFailed();
        if (!_isMaster)
        {
            throw new NotMasterException(_master);
        }
    }

    private AppendedRecord AppendUnderLock(byte kind, byte flags, ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail, uint bodyState)
    {
        var position = new Position(_end);
        var bodyBytes = head.Length + tail.Length;
        Span<byte> header = stackalloc byte[RecordFormat.HeaderBytes];
        RecordFormat.WriteHeader(header, position, kind, flags, bodyBytes, bodyState);
        var onDisk = new Position(_durable);
        var body = position + RecordFormat.HeaderBytes;
        _tail.Write(position, header, onDisk);
        _tail.Write(body, head, onDisk);
        _tail.Write(body + head.Length, tail, onDisk);
        var end = body + bodyBytes;
        if (kind <= SystemRecord.KindMax)
        {
            AddSystemRecord(new SystemRecord(position, kind, (byte[])[.. head, .. tail]));
        }

        CompleteRecord(end);
        _received = end.Value;
        return new AppendedRecord(position, end);
    }

    /// <summary>A whole record lies before the position: it belongs to the open batch now.</summary>
    private void CompleteRecord(Position end)
    {
        var start = _end;
        if (start > _batchStart && end.Value - _batchStart > BatchLimits.BytesMax)
        {
            _fullBatches.Enqueue(start);
            _batchStart = start;
        }

        if (_pendingSince == 0)
        {
            Volatile.Write(ref _pendingSince, _runtime.Time.GetTimestamp());
        }

        Volatile.Write(ref _end, end.Value);
    }

    private void AddSystemRecord(SystemRecord record) => Volatile.Write(ref _systemRecords, [.. _systemRecords, record]);
}
