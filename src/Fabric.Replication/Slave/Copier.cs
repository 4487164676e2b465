using Fabric.Replication.Core;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Copy;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication.Slave;

/// <summary>What a copier needs of its replica.</summary>
/// <param name="Runtime">Disk, time, threads.</param>
/// <param name="Link">To the master.</param>
/// <param name="Journal">Of the journal that is to be replaced.</param>
/// <param name="Logger">For people.</param>
/// <param name="Events">Who is told.</param>
internal sealed record CopierTies(FabricRuntime Runtime, IReplicaLink Link, JournalOptions Journal, ILogger Logger, ICopierEvents Events);

/// <summary>What a copy must hold to take the journal's place.</summary>
/// <param name="Checkpoint">Its checkpoint is not before this.</param>
/// <param name="End">Its records reach this; zero when it is enough that they reach what the master has committed.</param>
internal readonly record struct CopyGoal(Position Checkpoint, Position End);

/// <summary>
/// One attempt to copy a master's journal, beside the stream that the same master is followed by. It writes to the side directory only; the replica's journal stays as it is.
/// </summary>
internal sealed class Copier : IDisposable
{
    private readonly CopierTies _ties;
    private readonly MasterAddress _master;
    private readonly CopyRequest _request;
    private readonly CopyGoal _goal;
    private readonly Task _previous;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationToken _stopping;
    private Task<JournalCopy>? _opening; // final when _running has ended
    private Task _running = Task.CompletedTask;

    /// <param name="ties">What it needs.</param>
    /// <param name="master">Whom to copy from.</param>
    /// <param name="request">Who asks, in which epoch.</param>
    /// <param name="goal">What the copy must hold.</param>
    /// <param name="previous">Ends when the attempt before this one has closed its files.</param>
    public Copier(CopierTies ties, MasterAddress master, CopyRequest request, CopyGoal goal, Task previous)
    {
        (_ties, _master, _request, _goal, _previous) = (ties, master, request, goal, previous);
        _stopping = _stop.Token;
    }

    /// <summary>Ends when its files are closed, which may be long after <see cref="StopAsync"/> when the disk is slow.</summary>
    public Task Closed { get; private set; } = Task.CompletedTask;

    public void Start()
    {
        _running = _ties.Runtime.Scheduler.StartThread($"copy of {_master.Container}", RunAsync);
        Closed = CloseAsync();
    }

    /// <summary>Ends the attempt.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync()
    {
        try
        {
            await _previous.WaitAsync(_stopping);
            _opening = JournalCopy.OpenAsync(_ties.Runtime, _ties.Journal, _request.StoreId, _goal.Checkpoint, _stopping);
            var copy = await _opening.WaitAsync(_stopping); // it reads what is there already, which may take a while
            try
            {
                _ties.Events.OnCopied(this, await CopyAsync(copy));
            }
            finally
            {
                await copy.DisposeAsync();
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Stopped by our own replica, which knows.
        }
        catch (Exception exception)
        {
            DiscardWhenFull(exception);
            _ties.Events.OnCopyEnded(this, exception.Message);
        }
    }

    private async Task<WholeCopy> CopyAsync(JournalCopy copy)
    {
        var to = Position.Zero;
        var has = copy.Checkpoint is { } checkpoint ? _request with { Checkpoint = checkpoint, End = copy.End } : _request;
        try
        {
            await foreach (var frame in _ties.Link.CopyAsync(_master.Address, has, _stopping))
            {
                switch (frame.Kind)
                {
                    case CopyFrameKind.Start:
                        RequireRoom(frame);
                        await BeginAsync(copy, frame);
                        to = frame.To;
                        break;
                    case CopyFrameKind.Checkpoint:
                        await copy.AppendCheckpointAsync(frame.Bytes);
                        break;
                    default:
                        await copy.AppendRecordsAsync(frame.Position, frame.Bytes, _stopping);
                        break;
                }
            }
        }
        finally
        {
            copy.DropPartialRecord();
        }

        if (to == Position.Zero)
        {
            throw new ReplicaLinkException("the stream of the copy ended before it began", refused: false);
        }

        var whole = await copy.FinishAsync(to);
        if (whole.Committed < _goal.Checkpoint)
        {
            throw new InvalidRecordsException(whole.Committed, $"its checkpoint is older than what is known to be committed here, {_goal.Checkpoint}");
        }

        return whole.End >= _goal.End
            ? whole
            : throw new InvalidRecordsException(whole.End, $"the copy ends here, and {_goal.End} is committed");
    }

    private async Task BeginAsync(JournalCopy copy, CopyFrame start)
    {
        _ties.Logger.LogInformation(
            "Copying the journal of {Container} from {From} to {To}, {What}", _master.Container, start.Position, start.To,
            start.Resumes ? "going on with what is here" : $"beginning with the checkpoint of {start.Checkpoint}, {start.CheckpointBytes} bytes");
        if (!start.Resumes)
        {
            await copy.BeginAsync(start.Position, start.Checkpoint, start.CheckpointBytes);
        }
    }

    /// <summary>The old journal stays until the copy is whole, and both lie on one disk.</summary>
    private void RequireRoom(CopyFrame start)
    {
        var needed = start.CheckpointBytes + (start.To - start.Position) + (2 * _ties.Journal.SegmentBytes) + _ties.Journal.FreeBytesLow;
        var free = _ties.Runtime.Disk.FreeSpace(_ties.Journal.Directory);
        if (free < needed)
        {
            throw new StoreUnavailableException(
                $"a copy of the journal of {_master.Container} needs {needed / 1024} KiB beside the old journal in {_ties.Journal.Directory}, and {free / 1024} KiB are free: "
                + "free some space, and it begins by itself");
        }
    }

    /// <summary>A part of a copy must not be what keeps the replica from writing its promises.</summary>
    private void DiscardWhenFull(Exception exception)
    {
        try
        {
            if (exception is StoreUnavailableException || StoreUnavailableException.IsDiskFull(exception))
            {
                JournalCopy.Discard(_ties.Runtime.Disk, _ties.Journal.Directory);
            }
        }
        catch (Exception other) when (other is IOException or UnauthorizedAccessException)
        {
            _ties.Logger.LogWarning("What was copied of the journal of {Container} could not be removed: {Reason}", _master.Container, other.Message);
        }
    }

    /// <summary>Sees to it that what was opened is closed, whether the attempt waited for it or not.</summary>
    private async Task CloseAsync()
    {
        await _previous;
        await _running;
        try
        {
            if (_opening is { } opening)
            {
                await (await opening).DisposeAsync();
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            // The attempt has told of it, or was stopped before it could.
        }
    }
}

/// <summary>Who is told what becomes of a copy.</summary>
internal interface ICopierEvents
{
    /// <summary>It is whole.</summary>
    void OnCopied(Copier copier, WholeCopy copy);

    /// <summary>It came to nothing this time; what was received stays.</summary>
    void OnCopyEnded(Copier copier, string reason);
}
