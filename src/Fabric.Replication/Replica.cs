using Fabric.Replication.Core;
using Fabric.Replication.Master;
using Fabric.Replication.Slave;
using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Scheduling;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>
/// One replica of a broker: the journal, the core that decides, and the loop that carries its decisions out. Everything that
/// changes the role happens on that one loop, in order; the paths of bytes and acknowledgements run beside it (journal writer,
/// <see cref="SlaveFeed"/>, <see cref="Follower"/>) and are started and ended by it.
/// </summary>
/// <remarks>Thread-safe. A failure of the loop itself ends the replica: <see cref="Completion"/> carries it.</remarks>
public sealed partial class Replica : IJournalObserver, IReplicaPeer, IFollowerEvents, ICopierEvents, IAsyncDisposable
{
    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(50);

    private readonly WatchedDisk _disk;
    private readonly FabricRuntime _runtime; // with the watched disk
    private readonly ReplicaOptions _options;
    private readonly IReplicaLink _link;
    private readonly ICoordinator _coordinator;
    private readonly IBrokerHost _host;
    private readonly ILogger _logger;
    private readonly long _origin;
    private readonly Lock _inputGate = new();
    private readonly Queue<Action<TimeSpan>> _inputs = new();
    private readonly AsyncSignal _wake = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopping = new();

    private Journal _journal = null!;
    private ReplicaStateFile _state = null!;
    private ReplicaLog _log = null!;
    private ReplicaCore _core = null!;
    private RegistryWriter _registryWriter = null!;
    private volatile RoleSnapshot _snapshot = new(ReplicaRole.Electing, Epoch.None, null, null);
    private ITimer? _ticker;
    private int _tickWaits;
    private Task _loop = Task.CompletedTask;
    private volatile Lead? _lead;
    private volatile Follower? _follower;
    private volatile string? _failure;
    private volatile string? _serveProblem;
    private volatile bool _retired;

    private Replica(
        FabricRuntime runtime, ReplicaOptions options, IReplicaLink link, ICoordinator coordinator, IBrokerHost host, ILogger logger)
    {
        _disk = new WatchedDisk(runtime.Disk, runtime.Time, Fabric.Store.Journal.Journal.IsSyncedLong);
        _runtime = runtime with { Disk = _disk };
        (_options, _link, _coordinator, _host, _logger) = (options, link, coordinator, host, logger);
        _origin = runtime.Time.GetTimestamp();
    }

    /// <summary>
    /// Ends when the replica is out: cleanly after <see cref="StopAsync"/>, otherwise with the reason; with a <see cref="Fabric.Store.StoreUnavailableException"/> when the
    /// replica may be started again as it is, once the disk answers or has room; with a <see cref="JournalReplacedException"/> when it is to be started again at once; with a
    /// <see cref="Fabric.Store.SegmentCorruptException"/> when its journal was found to be damaged, and is to be repaired (<see cref="ReplicaRepair"/>).
    /// </summary>
    public Task Completion => _completion.Task;

    /// <summary>The journal, for the broker.</summary>
    public Journal Journal => _journal;

    /// <summary>What it is doing at present.</summary>
    public ReplicaStatus Status
    {
        get
        {
            var (role, epoch, master, problem) = _snapshot;
            return new ReplicaStatus(
                role, epoch, master, _journal.End, _journal.Committed, _lead?.Progress().Slaves ?? [], _failure ?? _serveProblem ?? problem,
                _state.Promised, IsCopying: _copier is not null);
        }
    }

    /// <inheritdoc/>
    public TimeSpan Now => _runtime.Time.GetElapsedTime(_origin);

    /// <summary>
    /// Opens the store, learns or forms the replica set, and starts to take part. The state machine is fed with what is
    /// committed as soon as that is known.
    /// </summary>
    /// <exception cref="Fabric.Runtime.Disk.DirectoryInUseException">Another process has the store open.</exception>
    /// <exception cref="Fabric.Store.SegmentCorruptException">The journal is damaged; <see cref="ReplicaRepair"/> is what to start in its place.</exception>
    /// <exception cref="Fabric.Store.StoreException">The store is not ours, or the disk failed.</exception>
    public static async Task<Replica> StartAsync(
        FabricRuntime runtime,
        ReplicaOptions options,
        IStateMachine stateMachine,
        IReplicaLink link,
        ICoordinator coordinator,
        IBrokerHost host,
        ILogger logger,
        CancellationToken cancellationToken)
    {
        var replica = new Replica(runtime, options, link, coordinator, host, logger);
        await replica.OpenAsync(stateMachine, cancellationToken);
        return replica;
    }

    /// <summary>Hands over if it leads, and ends. Returns when clients are closed and another replica has taken over, or the limit passed.</summary>
    public async Task StopAsync()
    {
        Post(now => _core.OnStop(now));
        await _completion.Task.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _ticker?.Dispose();
        _wake.Set();
        await _loop;
        await AbandonAsync("the replica is closed");
        await _registryWriter.Completion;
        await Task.WhenAll(Steps());
        await LeaveHangingAsync(_link.DisposeAsync().AsTask(), "the link to the other replicas"); // it may be sending what it reads from the disk
        await _coordinator.DisposeAsync();
        await LeaveHangingAsync(CloseStoreAsync(), "the store");
        _stopping.Dispose();
    }

    private async Task OpenAsync(IStateMachine stateMachine, CancellationToken cancellationToken)
    {
        try
        {
            await OpenStoreAsync(stateMachine, cancellationToken);
            var address = await _link.ListenAsync(this, cancellationToken);
            _log = new ReplicaLog(_journal, await FindFirstSetAsync(cancellationToken));
            _coordinator.Know(_log.Set);
            var identity = new ReplicaIdentity(_state.Id, _options.Container, address, _options.Weight);
            _core = new ReplicaCore(identity, _state.Promised, _log, _options.Times);
            _registryWriter = new RegistryWriter(_runtime, _coordinator, _logger, _stopping.Token);
            await _coordinator.JoinAsync(OnView, cancellationToken);
        }
        catch
        {
            await CloseUnopenedAsync();
            throw;
        }

        _loop = _runtime.Scheduler.StartThread($"replica {_options.Broker}", RunAsync);
        _ticker = _runtime.Time.CreateTimer(_ => Tick(), null, TickInterval, TickInterval);
    }

    /// <summary>Gives back what was taken before something did not open.</summary>
    private async Task CloseUnopenedAsync()
    {
        await _stopping.CancelAsync();
        if (_registryWriter is { } writer)
        {
            await writer.Completion;
        }

        await _link.DisposeAsync();
        await _coordinator.DisposeAsync();
        if (_journal is not null)
        {
            await LeaveHangingAsync(CloseStoreAsync(), "the store");
        }
    }

    /// <summary>From the runtime's randomness, so that a simulation repeats itself; not a secret.</summary>
    private Guid NewIdentity()
    {
        Span<byte> bytes = stackalloc byte[16];
        _runtime.Random.NextBytes(bytes);
        return new Guid(bytes);
    }

    /// <summary>The set that this replica was formed with, or learned of when it came later; remembered in the state file.</summary>
    private async Task<ReplicaSet> FindFirstSetAsync(CancellationToken cancellationToken)
    {
        if (_state.FirstSet is not { } set)
        {
            set = await _coordinator.FormAsync(_state.Id, _state.Origin, cancellationToken);
            if (!set.Contains(_state.Id) && _state.Origin != Guid.Empty)
            {
                throw new Fabric.Store.StoreException(
                    $"this replica ({_state.Id}) is not in the replica set of broker {_options.Broker}: {string.Join(", ", set.Members.Select(member => member.Container))}. "
                    + "It was restored from a backup beside a broker that still has its replicas; a backup is restored only when all of them are lost. "
                    + "To make this container one of them, empty its journal's directory first.");
            }

            await WriteStateAsync(() => _state.Form(set), cancellationToken);
        }

        return set;
    }

    private void Post(Action<TimeSpan> input)
    {
        lock (_inputGate)
        {
            _inputs.Enqueue(input);
        }

        _wake.Set();
    }

    private void OnView(RegistryView view)
    {
        _registryWriter.OnView(view);
        Post(now =>
        {
            _view = view;
            _core.OnRegistry(view, now);
            LookForOthers();
        });
    }

    private void Tick()
    {
        WatchDisk();
        if (_lead is { } lead)
        {
            lead.Wake(here: false);
            var (slaves, everywhere) = lead.Progress();
            _journal.SetRetention(everywhere);
            SetHold(lead);
            _registryWriter.Report(lead.Epoch, slaves, _journal.End, Now);
        }

        if (Interlocked.Exchange(ref _tickWaits, 1) == 0)
        {
            Post(now =>
            {
                Volatile.Write(ref _tickWaits, 0);
                _core.OnTick(now, Heard(now));
            });
        }
    }

    private Heard Heard(TimeSpan now)
    {
        var heardMaster = _follower?.Heard ?? default;
        var stalled = _journal.PendingSince is { } since ? _runtime.Time.GetElapsedTime(since) : TimeSpan.Zero;
        return _lead is { } lead
            ? lead.Heard(now - _options.Times.Lease, stalled, _journal.Space, _journal.End) with { Master = heardMaster }
            : new Heard(heardMaster, false, stalled, false, false, null, []);
    }

    private async Task RunAsync()
    {
        try
        {
            _core.Start(Now);
            await ExecuteAsync();
            while (!_stopping.IsCancellationRequested)
            {
                while (TakeInput() is { } input)
                {
                    input(Now);
                    await ExecuteAsync();
                }

                await _wake.WaitAsync();
            }
        }
        catch (Exception exception)
        {
            // Nothing may go on without the loop: stop serving at once and say why.
            _retired = true;
            _failure = exception.Message;
            _logger.LogCritical(exception, "The replica of {Broker} failed", _options.Broker);
            await AbandonAsync("the replica failed");
            _completion.TrySetException(exception);
        }
    }

    private Action<TimeSpan>? TakeInput()
    {
        lock (_inputGate)
        {
            return _inputs.TryDequeue(out var input) ? input : null;
        }
    }

    private sealed record RoleSnapshot(ReplicaRole Role, Epoch Epoch, string? Master, string? Problem);
}
