using Fabric.Store;
using Fabric.Store.Copy;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>
/// What a replica does about a disk that does not answer. Calls to the disk block a thread for as long as they take, which may be for ever; so none is made on the
/// replica's loop, on a timer or under a lock, and nobody waits for one longer than the limit. The watch runs on the timer's thread, which needs nothing of the others. When the disk is
/// silent for too long, the journal is given up: the replica stops serving and following at once, confirms nothing of what it held, and retires.
/// </summary>
/// <remarks>
/// The calls that hang keep the directory locked until they return, so that no second life of the replica can be overtaken by a late write of the first one.
/// </remarks>
public sealed partial class Replica
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(100);

    private Task _stateWriting = Task.CompletedTask;
    private volatile bool _isStoreUnavailable;

    /// <summary>On the timer's thread; never blocks.</summary>
    private void WatchDisk()
    {
        if (_journal.Failure is not null)
        {
            return;
        }

        // A master whose writes make no progress gives way first (ReplicaCore.WatchLead), and retires if they still do not.
        var limit = _options.Times.DiskStallLimit;
        var silence = _disk.Silence;
        if (silence <= limit && _lead is null && _journal.PendingSince is { } since)
        {
            silence = _runtime.Time.GetElapsedTime(since);
        }

        if (silence > limit)
        {
            _journal.Abandon(Silent(silence));
        }
    }

    private async Task OpenStoreAsync(IStateMachine stateMachine, CancellationToken cancellationToken)
    {
        var mustExist = false;
        await WriteStateAsync(() => mustExist = ReplicaStateFile.WasInSet(_disk, _options.Journal.Directory), cancellationToken);
        var opening = Journal.OpenAsync(_runtime, _options.Journal with { MustExist = mustExist }, stateMachine, this, cancellationToken);
        try
        {
            await WhileDiskAnswersAsync(opening, cancellationToken);
        }
        catch (Exception exception) when (!opening.IsCompleted)
        {
            _logger.LogWarning("The store of {Broker} is left while it opens: {Reason}", _options.Broker, exception.Message);
            _ = CloseLateAsync(opening);
            throw;
        }

        _journal = await opening;
        await WriteStateAsync(
            () =>
            {
                _state = ReplicaStateFile.Open(_disk, _options.Journal.Directory, NewIdentity(), hasRecords: _journal.End > Position.Zero);
                _hasCopy = JournalCopy.IsThere(_disk, _options.Journal.Directory);
            },
            cancellationToken);
    }

    /// <summary>Changes the state file on a thread of its own.</summary>
    /// <exception cref="StoreUnavailableException">The disk is full, or silent; in the latter case the change may still happen.</exception>
    private async Task WriteStateAsync(Action write, CancellationToken cancellationToken)
    {
        await _stateWriting; // one at a time; one that hangs has ended the replica
        _stateWriting = _runtime.Scheduler.StartThread("replica state", () =>
        {
            write();
            return Task.CompletedTask;
        });
        try
        {
            await WhileDiskAnswersAsync(_stateWriting, cancellationToken);
        }
        catch (IOException exception) when (StoreUnavailableException.IsDiskFull(exception))
        {
            throw new StoreUnavailableException($"the state of this replica cannot be written: the disk that holds {_options.Journal.Directory} is full", exception);
        }
    }

    /// <summary>Waits for something that uses the disk, for as long as the disk answers.</summary>
    private async Task WhileDiskAnswersAsync(Task work, CancellationToken cancellationToken)
    {
        while (!work.IsCompleted)
        {
            var silence = _disk.Silence;
            if (silence > _options.Times.DiskStallLimit)
            {
                throw new StoreUnavailableException(Silent(silence));
            }

            cancellationToken.ThrowIfCancellationRequested();
            await WaitALittleAsync(work);
        }

        await work;
    }

    private async Task WaitALittleAsync(Task work)
    {
        using var enough = new CancellationTokenSource();
        await Task.WhenAny(work, Task.Delay(LookInterval, _runtime.Time, enough.Token));
        await enough.CancelAsync();
    }

    /// <summary>Waits for the end of something, unless the disk keeps it from ending; then it ends by itself later.</summary>
    private async Task LeaveHangingAsync(Task ending, string what)
    {
        try
        {
            await WhileDiskAnswersAsync(ending, CancellationToken.None);
        }
        catch (StoreUnavailableException exception) when (!ending.IsCompleted)
        {
            _logger.LogWarning("{What} of {Broker} is left behind: {Reason}", what, _options.Broker, exception.Message);
        }
    }

    private async Task CloseStoreAsync()
    {
        try
        {
            await _copyClosing; // before the directory is unlocked
            await _stateWriting;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Whoever asked for it knows.
        }

        await _journal.DisposeAsync();
    }

    private async Task CloseLateAsync(Task<Journal> opening)
    {
        try
        {
            await (await opening).DisposeAsync();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _logger.LogInformation("The store of {Broker} did not open: {Reason}", _options.Broker, exception.Message);
        }
    }

    private string Silent(TimeSpan silence) =>
        $"the disk that holds {_options.Journal.Directory} has not answered for {silence.TotalSeconds:0.#} s";
}
