using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Scheduling;
using Fabric.Store.Copy;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Journal;

/// <summary>
/// The journal of one replica: records in segments, byte-identical on all replicas, and the state machine that is fed with what is
/// committed. As master it takes records from appenders (<see cref="Append"/>), as slave the same bytes from the master
/// (<see cref="AppendReplicated"/>); everything behind that is one path.
/// </summary>
/// <remarks>
/// <para>
/// Positions, each at the end of a record, each only growing (but for <see cref="TruncateAsync"/>):
/// <c>Applied ≤ Committed ≤ End</c> and <c>Durable ≤ Written ≤ Offered ≤ End</c>. Committed may be ahead of Durable: a majority of others suffices.
/// </para>
/// <para>
/// Three loops of its own. The <i>writer</i> seals what was appended, writes and syncs it, one batch after the other; what arrives during
/// one sync is the next batch; what an idle writer is to write has been sealed by its appender, which may announce it. When a majority has done
/// with everything that was offered, the slaves get the next although the writer is still at work: a disk that hesitates for a moment holds up nobody. The <i>applier</i> feeds committed records to the state machine. The <i>keeper</i> finishes checkpoints, cleans,
/// and prepares spare segments. All state below is guarded by one short lock (<c>_gate</c>), held for copying a record at most; positions
/// are published with it and read without.
/// </para>
/// <para>
/// One failed write, sync or checksum poisons the journal: the observer is told once, and every later call throws the first cause. Nothing is
/// retried: after a failed sync the kernel may have dropped the bytes and would report success. Thread-safe.
/// </para>
/// </remarks>
public sealed partial class Journal : IJournal, IAsyncDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly JournalOptions _options;
    private readonly IStateMachine _stateMachine;
    private readonly IJournalObserver _observer;
    private readonly IDisposable _directoryLock;
    private readonly SegmentSet _segments;
    private readonly SegmentFiles _files;
    private readonly TailMemory _tail;
    private readonly Lock _gate = new();
    private readonly AsyncSignal _writerWake = new();
    private readonly AsyncSignal _applierWake = new();
    private readonly AsyncSignal _keeperWake = new();
    private readonly ITimer _markTimer;
    private readonly ITimer _spaceTimer;
    private readonly List<(Position Position, TaskCompletionSource Done)> _durableWaiters = [];
    private readonly List<TaskCompletionSource> _roomWaiters = [];

    // Guarded by _gate for writing; the positions are read without it.
    private long _received; // end of the bytes in memory, which may be inside a record
    private long _end;
    private long _sealed;
    private long _offered; // what slaves may have
    private long _written;
    private long _durable;
    private long _committed;
    private long _applied;
    private long _retention;
    private long _hold = long.MaxValue;
    private long _pendingSince; // timestamp; 0 when nothing is pending
    private SystemRecord[] _systemRecords;
    private bool _isMaster;
    private string? _master;
    private volatile StoreException? _failure;
    private volatile bool _closing;

    private Task _writing = Task.CompletedTask;
    private Task _applying = Task.CompletedTask;
    private Task _keeping = Task.CompletedTask;

    private Journal(
        FabricRuntime runtime,
        JournalOptions options,
        IStateMachine stateMachine,
        IJournalObserver observer,
        OpenedDirectory opened)
    {
        (_runtime, _options, _stateMachine, _observer) = (runtime, options, stateMachine, observer);
        (_directoryLock, _segments, _files, var recovered) = opened;
        _received = _end = _sealed = _offered = _written = _durable = recovered.End.Value;
        _committed = recovered.Committed.Value;
        _batchStart = recovered.End.Value;
        _applied = _lastCheckpoint = _published = (recovered.Checkpoint?.Position ?? options.Begins).Value;
        _cleaned = recovered.Checkpoint?.Cleaned ?? Position.Zero;
        _released = _cleaned.Value;
        _systemRecords = [.. recovered.SystemRecords];
        _damagedCheckpoints = recovered.DamagedCheckpoints;
        _tail = new TailMemory(recovered.End, options.TailBytes);
        _current = _segments.All[^1];
        _marked = recovered.End;
        _spaceTimer = runtime.Time.CreateTimer(_ => OnSpaceTimer(), null, SpaceInterval, SpaceInterval);
        _markTimer = runtime.Time.CreateTimer(_ => OnMarkDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public Position End => new(Volatile.Read(ref _end));

    /// <summary>Everything before it may be sent to slaves: it is written, being written, or a little that the slaves are to have before our own disk takes it.</summary>
    public Position Offered => new(Volatile.Read(ref _offered));

    /// <summary>Everything before it is in the files, and survives a crash of the process.</summary>
    public Position Written => new(Volatile.Read(ref _written));

    /// <summary>Everything before it survives a power loss.</summary>
    public Position Durable => new(Volatile.Read(ref _durable));

    /// <summary>Everything before it is known to be committed. After a start that is what was known before; it may lag behind the truth.</summary>
    public Position Committed => new(Volatile.Read(ref _committed));

    /// <inheritdoc/>
    public Position Applied => new(Volatile.Read(ref _applied));

    /// <summary>The oldest position that is still there.</summary>
    public Position First => _segments.First;

    /// <summary>All system records from the beginning of time to <see cref="End"/>, in order.</summary>
    public IReadOnlyList<SystemRecord> SystemRecords => Volatile.Read(ref _systemRecords);

    /// <summary>System records and end, as they were together at one moment.</summary>
    public (IReadOnlyList<SystemRecord> SystemRecords, Position End) Shape
    {
        get
        {
            lock (_gate)
            {
                return (_systemRecords, new Position(_end));
            }
        }
    }

    /// <summary>
    /// Since when something waits for the disk without any progress, as a timestamp of the runtime's clock; null when nothing waits.
    /// </summary>
    public long? PendingSince => Volatile.Read(ref _pendingSince) is var since && since == 0 ? null : since;

    /// <summary>Why the journal is out of order; null when it is not.</summary>
    public StoreException? Failure => _failure;

    /// <summary>
    /// Opens the journal of a directory, or begins an empty one. Finishes a switch to a copy (<see cref="JournalSwitch"/>). Cuts a torn tail; loads the newest checkpoint into the state machine. What is
    /// known to be committed behind it is applied soon after, what is not waits for <see cref="AdvanceCommitted"/>.
    /// </summary>
    /// <exception cref="DirectoryInUseException">It is open already, here or in another process.</exception>
    /// <exception cref="SegmentCorruptException">Something that had been synced is damaged or missing, or was found to be earlier (<see cref="JournalDamage"/>).</exception>
    /// <exception cref="StoreException">Files are of a newer format, or the disk failed.</exception>
    public static Task<Journal> OpenAsync(
        FabricRuntime runtime,
        JournalOptions options,
        IStateMachine stateMachine,
        IJournalObserver observer,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var opened = new TaskCompletionSource<Journal>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = runtime.Scheduler.StartThread("journal opening", () =>
        {
            try
            {
                opened.SetResult(Open(runtime, options, stateMachine, observer));
            }
            catch (Exception exception)
            {
                opened.SetException(exception);
            }

            return Task.CompletedTask;
        });
        return opened.Task;
    }

    /// <summary>
    /// Whether a file's sync may take long on a healthy disk: that of a checkpoint, which can be large. For <see cref="WatchedDisk"/>.
    /// </summary>
    public static bool IsSyncedLong(string path) => Path.GetFileName(path) == StoreFileNames.CheckpointBeside;

    /// <summary>
    /// Gives a journal up whose disk does not answer: whoever waits for it fails, and nothing is taken, sent, applied or counted any more. A call that hangs in the disk
    /// goes on hanging; <see cref="DisposeAsync"/> waits for it, and the directory stays locked until then. Never blocks.
    /// </summary>
    /// <param name="reason">For people.</param>
    public void Abandon(string reason) => Fail(new StoreUnavailableException(reason));

    /// <summary>
    /// Makes everything that was appended durable, writes a checkpoint, and closes the files. A journal that failed is closed as it is.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_closing)
            {
                return;
            }

            _closing = true;
            (_isMaster, _master) = (false, null);
        }

        ReleaseRoomWaiters();
        _writerWake.Set();
        await _writing;
        _applierWake.Set();
        await _applying;
        _keeperWake.Set();
        await _keeping;
        await _markTimer.DisposeAsync();
        await _spaceTimer.DisposeAsync();
        CloseFiles();
    }

    private static Journal Open(FabricRuntime runtime, JournalOptions options, IStateMachine stateMachine, IJournalObserver observer)
    {
        var disk = runtime.Disk;
        DurableDirectory.Create(disk, options.Directory);
        StoreDirectory.RefuseForeign(disk, options.Directory); // before the lock, which makes a file
        var directoryLock = disk.LockDirectory(options.Directory);
        var segments = new SegmentSet(disk);
        try
        {
            var files = new SegmentFiles(disk, options.Directory, options.SegmentBytes);
            JournalSwitch.Finish(disk, options.Directory);
            JournalDamage.ThrowIfFound(disk, options.Directory);
            var recovered = new JournalRecovery(disk, options, segments, files).Run();
            stateMachine.ReadCheckpoint(recovered.State.Span);
            var journal = new Journal(
                runtime, options, stateMachine, observer, new OpenedDirectory(directoryLock, segments, files, recovered with { State = default }));
            journal.Start();
            return journal;
        }
        catch (Exception exception)
        {
            segments.Dispose();
            directoryLock.Dispose();
            if (exception is IOException or UnauthorizedAccessException)
            {
                throw StoreErrors.Wrap(exception, disk, options.Directory);
            }

            throw;
        }
    }

    private void Start()
    {
        _writing = _runtime.Scheduler.StartThread("journal writer", WriteLoopAsync);
        _applying = _runtime.Scheduler.StartThread("journal applier", ApplyLoopAsync);
        _keeping = _runtime.Scheduler.StartThread("journal keeper", KeepLoopAsync);
        _applierWake.Set();
    }

    /// <summary>The first failure is the one; later ones are its consequences.</summary>
    private void Fail(Exception cause)
    {
        var failure = StoreErrors.Wrap(cause, _runtime.Disk, _options.Directory);
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            _failure = failure;
            (_isMaster, _master) = (false, null);
        }

        FailDurableWaiters(failure);
        ReleaseRoomWaiters();
        _writerWake.Set();
        _applierWake.Set();
        _keeperWake.Set();
        _observer.OnFailed(failure);
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } failure)
        {
            throw Again(failure);
        }
    }

    /// <summary>The same failure for another caller: an exception object is thrown once.</summary>
    private static StoreException Again(StoreException failure) => failure is StoreUnavailableException
        ? new StoreUnavailableException(failure.Message, failure)
        : new StoreException(failure.Message, failure);

    private void CloseFiles()
    {
        _segments.Dispose();
        _directoryLock.Dispose();
    }

    private sealed record OpenedDirectory(
        IDisposable Lock, SegmentSet Segments, SegmentFiles Files, RecoveredJournal Recovered);
}
