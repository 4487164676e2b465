using Fabric.Replication.Core;
using Fabric.Replication.Slave;
using Fabric.Runtime;
using Fabric.Store;
using Fabric.Store.Copy;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>
/// What a replica is while its journal is damaged (PROTOCOL.md, "Repair"). It has lost records that it acknowledged, so it takes part in nothing that relies on them: it listens to nobody, so it promises, publishes
/// and claims nothing and nobody can fetch from it; it acknowledges position 0. It keeps its identity and its promises, finds a master, has it forget what was acknowledged, copies its journal, and puts
/// the copy in the place of the damaged one. Then it ends, and the replica is started again.
/// </summary>
/// <remarks>
/// One loop owns everything; what touches the disk runs on threads of its own. The damage is on disk (<see cref="JournalDamage"/>) before anything else is done, and stays there until the copy has taken the
/// journal's place: whenever this ends, the next start comes here again. Thread-safe.
/// </remarks>
public sealed class ReplicaRepair : ICopierEvents, IAsyncDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly ReplicaOptions _options;
    private readonly IReplicaLink _link;
    private readonly ICoordinator _coordinator;
    private readonly ILogger _logger;
    private readonly string _damage;
    private readonly long _origin;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopping = new();

    private IDisposable? _directoryLock;
    private ReplicaStateFile _state = null!;
    private ReplicaSet _firstSet = null!;
    private Task _loop = Task.CompletedTask;
    private volatile RegistryView _view = RegistryView.None;
    private volatile string _doing = "looking for a master to repair it from";
    private volatile string? _master;
    private TimeSpan? _olderSince; // when a master was first seen that leads an epoch below our promise

    private volatile Copier? _copier;
    private volatile WholeCopy? _copied;
    private volatile string? _copyProblem;
    private Task _copyClosing = Task.CompletedTask;
    private TimeSpan _nextCopy;
    private int _disposed;

    private ReplicaRepair(FabricRuntime runtime, ReplicaOptions options, string damage, IReplicaLink link, ICoordinator coordinator, ILogger logger)
    {
        (_runtime, _options, _damage, _link, _coordinator, _logger) = (runtime, options, damage, link, coordinator, logger);
        _origin = runtime.Time.GetTimestamp();
    }

    /// <summary>
    /// Ends with a <see cref="JournalReplacedException"/> when the journal is sound again and the replica is to be started with it; cleanly when this is disposed; otherwise with the reason why it could not go on:
    /// a <see cref="StoreException"/> when there is no other replica or it belongs to other data, any other <see cref="IOException"/> when the disk failed or is full.
    /// </summary>
    public Task Completion => _completion.Task;

    /// <summary>What is damaged, and what is being done about it; for people.</summary>
    public string Problem => $"{_damage}; this replica takes no part until it is repaired: {_doing}";

    /// <summary>The container whose journal is copied, if there is one.</summary>
    public string? Master => _master;

    /// <summary>The epoch it has promised.</summary>
    public Epoch Promised => _state.Promised;

    private TimeSpan Now => _runtime.Time.GetElapsedTime(_origin);

    /// <summary>Writes down that the journal is damaged, and begins to look for a master. Owns link and coordinator from now on, also when it fails.</summary>
    /// <param name="runtime">The outside world.</param>
    /// <param name="options">Of the replica.</param>
    /// <param name="damage">What is lost where: the message of the <see cref="SegmentCorruptException"/>.</param>
    /// <param name="link">To the other replicas; nobody is listened to.</param>
    /// <param name="coordinator">To the registry; nothing is published.</param>
    /// <param name="logger">For people.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StoreUnavailableException">The disk is full or does not answer; the damage may not be written down.</exception>
    /// <exception cref="Fabric.Runtime.Disk.DirectoryInUseException">The replica's last life has not closed its files yet.</exception>
    /// <exception cref="StoreException">It cannot be repaired: its state is lost too, or contradicts the journal.</exception>
    /// <exception cref="JournalReplacedException">It has been in no set yet, so nothing is lost: the replica is to be started with an empty journal.</exception>
    public static async Task<ReplicaRepair> StartAsync(
        FabricRuntime runtime, ReplicaOptions options, string damage, IReplicaLink link, ICoordinator coordinator, ILogger logger, CancellationToken cancellationToken)
    {
        var repair = new ReplicaRepair(runtime, options, damage, link, coordinator, logger);
        try
        {
            await repair.OpenAsync(cancellationToken);
        }
        catch
        {
            await repair.DisposeAsync();
            throw;
        }

        logger.LogError("The journal of {Broker} on {Container} is damaged: {Damage}. It is copied from the master; until then this replica takes no part", options.Broker, options.Container, damage);
        repair._loop = runtime.Scheduler.Start($"repair of {options.Broker}", repair.RunAsync);
        return repair;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
        {
            return;
        }

        await _stopping.CancelAsync();
        var closing = CloseAsync();
        try
        {
            await closing.WaitAsync(_options.Times.DiskStallLimit, _runtime.Time);
        }
        catch (TimeoutException)
        {
            _logger.LogWarning("The repair of {Broker} is left behind: the disk that holds {Directory} does not answer", _options.Broker, _options.Journal.Directory);
        }

        await _link.DisposeAsync();
        await _coordinator.DisposeAsync();
    }

    void ICopierEvents.OnCopied(Copier copier, WholeCopy copy)
    {
        if (ReferenceEquals(copier, _copier))
        {
            _copied = copy;
        }
    }

    void ICopierEvents.OnCopyEnded(Copier copier, string reason)
    {
        if (ReferenceEquals(copier, _copier))
        {
            _copyProblem = reason;
        }
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        var opening = OnDiskAsync(Open);
        _loop = opening; // closing waits for it, however long it takes
        try
        {
            await opening.WaitAsync(_options.Times.DiskStallLimit, _runtime.Time, cancellationToken);
        }
        catch (TimeoutException exception)
        {
            throw new StoreUnavailableException($"the disk that holds {_options.Journal.Directory}, which is damaged, does not answer", exception);
        }
    }

    private void Open()
    {
        var directory = _options.Journal.Directory;
        _directoryLock = _runtime.Disk.LockDirectory(directory);
        _state = ReplicaStateFile.Open(_runtime.Disk, directory, Guid.Empty, hasRecords: true);
        if (_state.IsBlank)
        {
            if (!JournalSwitch.TryBeginAnew(_runtime.Disk, directory, out var sign))
            {
                throw new StoreException(
                    $"{_damage}, and the replica's identity says that nothing was ever stored in {directory}, where there is {sign}: one of the two is of another time. 'fabric journal-verify {directory}' says what is "
                    + "left of the journal. To let the replica be replaced, move the directory away");
            }

            _logger.LogWarning("The journal of {Broker} on {Container} is damaged, and an empty one takes its place, for nothing had been stored in it: {Damage}", _options.Broker, _options.Container, _damage);
            throw new JournalReplacedException(_options.Broker, "an empty journal");
        }

        _firstSet = _state.FirstSet ?? throw Alone();
        JournalDamage.Mark(_runtime.Disk, directory, _damage);
    }

    private StoreException Alone() => new(
        $"{_damage}, and broker {_options.Broker} has no other replica to repair it from: 'fabric journal-verify {_options.Journal.Directory}' says what is left of it, and 'fabric backup-restore' "
        + "brings the last backup back");

    private async Task RunAsync()
    {
        try
        {
            await _coordinator.JoinAsync(view => _view = view, _stopping.Token);
            await RequireOthersAsync();
            while (true)
            {
                if (FindMaster() is { } master)
                {
                    await AttemptAsync(master);
                }

                await Task.Delay(_options.Times.FollowRetry, _runtime.Time, _stopping.Token);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            _completion.TrySetResult();
        }
        catch (Exception exception)
        {
            _completion.TrySetException(exception);
        }
    }

    /// <summary>
    /// A broker that was formed with one replica may have more by now; the journal that would say so is damaged, so the registry is asked. When there is no other, a person has to put the journal right, and nothing may keep them from it.
    /// </summary>
    /// <remarks>A registry that says nothing may have been emptied just now, and another replica, if there is one, writes the set anew as soon as it is connected.</remarks>
    private async Task RequireOthersAsync()
    {
        TimeSpan? unknownSince = null;
        while (_firstSet.Members.Count == 1 && _view.Set is not { Members.Count: > 1 })
        {
            var view = _view;
            unknownSince = view.Connected && view.Set is null ? unknownSince ?? Now : null;
            if (view.Connected && (view.Set is not null || Now - unknownSince > 3 * _options.Times.StepLimit))
            {
                await OnDiskAsync(() => JournalDamage.Clear(_runtime.Disk, _options.Journal.Directory));
                throw Alone();
            }

            Say("asking the registry whether there are other replicas");
            await Task.Delay(_options.Times.FollowRetry, _runtime.Time, _stopping.Token);
        }
    }

    /// <summary>The newest master that the registry names. One of an epoch below our promise is told of the promise after a while, and gives way: R3 keeps us from it, and there may be no other.</summary>
    private MasterAddress? FindMaster()
    {
        var newest = _view.Candidates
            .Select(candidate => candidate.State)
            .Where(state => state.Role == ReplicaRole.Master && state.Replica != _state.Id)
            .MaxBy(state => state.Epoch);
        _olderSince = newest?.Epoch < _state.Promised ? _olderSince ?? Now : null;
        if (newest is null)
        {
            Say("waiting for a master to repair it from, which takes a majority of sound replicas");
        }

        return newest is null || Now - _olderSince < _options.Times.StepLimit
            ? null
            : new MasterAddress(newest.Replica, newest.Container, newest.Address, newest.Epoch);
    }

    private async Task AttemptAsync(MasterAddress master)
    {
        using var silence = new CancellationTokenSource(_options.Times.StepLimit, _runtime.Time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, _stopping.Token);
        try
        {
            var hello = new FollowHello(_firstSet.StoreId, _state.Id, _options.Container, _state.Promised, EpochTable.Empty, IsDamaged: true);
            await using var stream = await _link.FollowAsync(master.Address, hello, ending.Token);
            if (await stream.ReadAsync(ending.Token) is not { } answer)
            {
                Say($"{master.Container} ended the stream");
            }
            else if (answer.Kind == FollowFrameKind.Accepted && answer.Copies && answer.Epoch >= _state.Promised)
            {
                silence.CancelAfter(Timeout.InfiniteTimeSpan);
                await PromiseAsync(answer.Epoch);
                await FollowAsync(stream, master with { Epoch = answer.Epoch }, answer, silence, ending.Token);
                Say($"{master.Container} ended the stream");
            }
            else
            {
                RequireSameStore(master, answer);
                var remedy = answer is { Kind: FollowFrameKind.Refused, Refusal: FollowRefusal.NotMember } ? "; fabric replica-add or fabric replica-replace lets it in, with a copy" : "";
                Say($"{master.Container} does not take it yet: {answer.Reason ?? $"it leads epoch {answer.Epoch}"}{remedy}");
            }
        }
        catch (ReplicaLinkException exception)
        {
            Say($"{master.Container} cannot be followed: {exception.Message}");
        }
        catch (OperationCanceledException) when (!_stopping.IsCancellationRequested)
        {
            Say($"{master.Container} does not answer");
        }
        finally
        {
            _master = null;
            await StopCopierAsync();
        }
    }

    private void RequireSameStore(MasterAddress master, FollowFrame answer)
    {
        if (answer.Kind == FollowFrameKind.Refused && answer.Refusal == FollowRefusal.ForeignStore && _view.Set is { } shown && shown.StoreId != _firstSet.StoreId)
        {
            throw new StoreException($"{_damage}, and {master.Container} does not accept this replica: {answer.Reason}");
        }
    }

    /// <summary>R3: before anything of an epoch is taken.</summary>
    private async Task PromiseAsync(Epoch epoch)
    {
        if (epoch > _state.Promised)
        {
            await OnDiskAsync(() => _state.Promise(epoch));
        }
    }

    /// <summary>Hears the master and says that it is there, while the copy is made beside it.</summary>
    private async Task FollowAsync(IFollowStream stream, MasterAddress master, FollowFrame accepted, CancellationTokenSource silence, CancellationToken cancellationToken)
    {
        _master = master.Container;
        var reach = Position.Zero;
        for (FollowFrame? next = accepted; next is { } frame; next = await stream.ReadAsync(cancellationToken))
        {
            silence.CancelAfter(_options.Times.SuspectAfter);
            if (frame.Epoch != master.Epoch)
            {
                throw new ReplicaLinkException($"a frame of epoch {frame.Epoch} on a stream of epoch {master.Epoch}", refused: false);
            }

            await stream.AcknowledgeAsync(new FollowAck(frame.Epoch, Position.Zero, Position.Zero), cancellationToken);

            // The first committed position of this epoch that is heard after the master has forgotten us: all that we ever helped to commit lies before it.
            reach = reach > Position.Zero ? reach : frame.Committed;
            await GoOnCopyingAsync(master, reach);
            if (_copied is { } copy)
            {
                await SwitchAsync(copy);
            }
        }
    }

    private async Task GoOnCopyingAsync(MasterAddress master, Position reach)
    {
        if (reach == Position.Zero)
        {
            Say($"waiting until {master.Container} has committed something in epoch {master.Epoch}, which takes a majority of sound replicas");
        }
        else if (_copyProblem is { } problem)
        {
            await StopCopierAsync();
            _nextCopy = Now + _options.Times.CopyRetry;
            Say($"the journal of {master.Container} is not copied yet: {problem}");
        }
        else if (_copier is null && Now >= _nextCopy)
        {
            _copier = new Copier(
                new CopierTies(_runtime, _link, _options.Journal, _logger, this),
                master,
                new CopyRequest(_firstSet.StoreId, _state.Id, master.Epoch, Position.Zero, Position.Zero),
                new CopyGoal(Position.Zero, reach),
                _copyClosing);
            _copier.Start();
            _copyClosing = _copier.Closed;
            _doing = $"copying the journal of {master.Container} up to {reach}";
        }
    }

    private async Task StopCopierAsync()
    {
        if (_copier is { } copier)
        {
            _copier = null;
            await copier.StopAsync();
            copier.Dispose();
        }

        _copyProblem = null;
    }

    /// <exception cref="JournalReplacedException">Always, when it is decided.</exception>
    private async Task SwitchAsync(WholeCopy copy)
    {
        await StopCopierAsync();
        await _copyClosing;
        await OnDiskAsync(() => JournalSwitch.Commit(_runtime.Disk, _options.Journal.Directory, copy));
        _logger.LogWarning("The damaged journal of {Broker} is repaired: a copy of the master's up to {End} takes its place", _options.Broker, copy.End);
        throw new JournalReplacedException(_options.Broker);
    }

    /// <summary>Does something on a thread of its own.</summary>
    private Task OnDiskAsync(Action action) => _runtime.Scheduler.StartThread("repair", () =>
    {
        try
        {
            action();
            return Task.CompletedTask;
        }
        catch (IOException exception) when (StoreUnavailableException.IsDiskFull(exception))
        {
            throw new StoreUnavailableException($"the disk that holds {_options.Journal.Directory}, which is damaged, is full: free some space, and the repair goes on", exception);
        }
    });

    private void Say(string doing)
    {
        if (doing != _doing)
        {
            _doing = doing;
            _logger.LogWarning("The damaged journal of {Broker} on {Container}: {Doing}", _options.Broker, _options.Container, doing);
        }
    }

    private async Task CloseAsync()
    {
        try
        {
            await _loop;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JournalReplacedException)
        {
            // Whoever started it knows.
        }

        await _copyClosing;
        _directoryLock?.Dispose();
        _stopping.Dispose();
    }
}
