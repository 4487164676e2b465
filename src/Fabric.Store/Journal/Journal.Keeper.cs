using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Journal;

/// <summary>The keeper: what has to happen sometime, and must not hold up the writer or the applier.</summary>
public sealed partial class Journal
{
    private CheckpointFile? _checkpoint; // written, not yet published; guarded by _gate
    private IReadOnlyList<string> _damagedCheckpoints; // newer than the one that was read at the start; owned by the keeper
    private volatile bool _directoryChanged;
    private volatile bool _isSpaceLow;
    private volatile bool _isSpaceExhausted;
    private volatile bool _isReleaseAwaited; // the applier is to look whether a checkpoint would let segments go

    /// <summary>
    /// How often the free space is looked at, beside each new segment and checkpoint, since others may use the disk too, and free some; and what a checkpoint would let go, since
    /// what becomes dead need not append much.
    /// </summary>
    private static readonly TimeSpan SpaceInterval = TimeSpan.FromSeconds(1);

    /// <summary>Whether producers are held back because the disk is nearly full.</summary>
    public bool IsSpaceLow => _isSpaceLow;

    /// <inheritdoc/>
    public JournalSpace Space => new(Releasable, _options.SegmentBytes, _isSpaceLow, _isSpaceExhausted);

    private async Task KeepLoopAsync()
    {
        try
        {
            while (_failure is null)
            {
                await _keeperWake.WaitAsync();
                if (_directoryChanged)
                {
                    _directoryChanged = false;
                    _files.SyncDirectory();
                }

                await FinishCheckpointAsync();
                LookAtSpace();
                if (_closing)
                {
                    if (_applying.IsCompleted)
                    {
                        return;
                    }

                    _applierWake.Set(); // it may have waited for the checkpoint, to begin the last one
                }
                else if (_files.NeedsSpare && Durable - _segments.Newest.First > _options.SegmentBytes / 2)
                {
                    PrepareSpare();
                }
            }
        }
        catch (Exception exception)
        {
            Fail(exception);
        }
        finally
        {
            DiscardCheckpoint(delete: false); // the disk may have failed; the next start deletes it
        }
    }

    private void LookAtSpace()
    {
        if (_options.FreeBytesLow == 0)
        {
            return;
        }

        var free = _runtime.Disk.FreeSpace(_options.Directory);
        var wasLow = _isSpaceLow;
        _isSpaceLow = free < (wasLow ? _options.FreeBytesLow + (_options.FreeBytesLow / 4) : _options.FreeBytesLow);
        _isSpaceExhausted = free < _options.FreeBytesLow / 2;
        if (wasLow && HasRoom)
        {
            ReleaseRoomWaiters();
        }
        else if (_isSpaceLow && !wasLow)
        {
            _applierWake.Set(); // a checkpoint may be due now
        }
    }

    private void OnSpaceTimer()
    {
        _isReleaseAwaited = true;
        _keeperWake.Set();
        if (BytesBeforeCheckpoint >= CheckpointInterval)
        {
            _applierWake.Set();
        }
    }

    private async Task FinishCheckpointAsync()
    {
        if (PendingCheckpoint() is not { } checkpoint)
        {
            return;
        }

        try
        {
            // A slave may have been told that more is committed than it has synced itself.
            await WaitDurableAsync(checkpoint.Head.Position);
            _damagedCheckpoints = checkpoint.Publish(_damagedCheckpoints);
        }
        catch (IOException exception) when (StoreErrors.IsDiskFull(exception))
        {
            DiscardCheckpoint(delete: true);
            return;
        }

        lock (_gate)
        {
            _checkpoint = null;
        }

        checkpoint.Dispose();
        Volatile.Write(ref _published, checkpoint.Head.Position.Value);
        Volatile.Write(ref _released, checkpoint.Head.Cleaned.Value);
        Remove(_segments.RemoveBefore(checkpoint.Head.Cleaned), keepsFiles: true);
        _files.SyncDirectory();
    }

    private CheckpointFile? PendingCheckpoint()
    {
        lock (_gate)
        {
            return _checkpoint;
        }
    }

    private void DiscardCheckpoint(bool delete)
    {
        CheckpointFile? checkpoint;
        lock (_gate)
        {
            (checkpoint, _checkpoint) = (_checkpoint, null);
        }

        if (delete)
        {
            checkpoint?.Discard();
        }
        else
        {
            checkpoint?.Dispose();
        }
    }

    /// <summary>Without one the writer makes its next segment itself, and fails clearly if the disk is full then.</summary>
    private void PrepareSpare()
    {
        try
        {
            _files.PrepareSpare();
        }
        catch (IOException exception) when (StoreErrors.IsDiskFull(exception))
        {
            _directoryChanged = true; // cleaning may free space before it is needed
        }
    }
}
