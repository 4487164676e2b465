using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Runtime.Scheduling;
using Fabric.Server.Node;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Supervision;

/// <summary>What a supervised container is doing.</summary>
internal enum ContainerActivity
{
    /// <summary>No process, and none wanted.</summary>
    Stopped,

    /// <summary>Its process runs.</summary>
    Running,

    /// <summary>Its process was asked to end.</summary>
    Stopping,

    /// <summary>It ended unasked and is started again after a pause.</summary>
    Pausing,

    /// <summary>It ended in a way that a restart would not mend, or of its own accord; a new request starts it.</summary>
    Held,
}

/// <summary>A container, as its supervisor sees it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Activity">What it is doing.</param>
/// <param name="ProcessId">While it has a process.</param>
/// <param name="Restarts">How often it was started again after an unasked end.</param>
/// <param name="LastExit">How the last process ended, for people; null before that.</param>
internal sealed record SupervisedStatus(string Name, ContainerActivity Activity, int? ProcessId, int Restarts, string? LastExit);

/// <summary>
/// Keeps one container as it is wanted: starts it, takes over a process that runs already (of an earlier root), restarts it after a
/// crash, ends it. One loop owns all of it; requests only leave a wish and wake the loop, so that a stop during a start, a second
/// start, or a crash during a stop cannot get in each other's way. Disposing ends the loop and leaves the process running.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class SupervisedContainer : IAsyncDisposable
{
    /// <summary>How long a container may take to stop in order before it is killed: a hand-over with room for a slow disk.</summary>
    public static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(20);

    /// <summary>What timers count in.</summary>
    private static readonly TimeSpan TimerStep = TimeSpan.FromMilliseconds(1);

    private const long NothingWished = -1;

    private readonly FabricRuntime _runtime;
    private readonly IContainerPrograms _programs;
    private readonly ILogger _logger;
    private readonly RestartPolicy _policy = new();
    private readonly AsyncSignal _wake = new();
    private readonly Lock _gate = new();
    private readonly ITimer _timer;
    private readonly Task _loop;
    private Wish _wish = new(false, NothingWished);
    private TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SupervisedStatus _status;
    private volatile bool _disposing;

    // Owned by the loop.
    private ISupervisedProcess? _process;
    private Wish _served = new(false, NothingWished);
    private long _started;
    private long? _askedAgain; // when a start was asked for while the process ran
    private long _pausedAt;
    private TimeSpan _pause;
    private long? _terminatedAt;
    private bool _killed;
    private ContainerActivity _activity = ContainerActivity.Stopped;
    private int _restarts;
    private string? _lastExit;

    /// <param name="runtime">Clock and scheduler.</param>
    /// <param name="programs">Starts or finds the container's process.</param>
    /// <param name="name">The container's name.</param>
    /// <param name="logger">Told what happens to it.</param>
    public SupervisedContainer(FabricRuntime runtime, IContainerPrograms programs, string name, ILogger logger)
    {
        (_runtime, _programs, Name, _logger) = (runtime, programs, name, logger);
        _status = new SupervisedStatus(name, ContainerActivity.Stopped, null, 0, null);
        _timer = runtime.Time.CreateTimer(_ => _wake.Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _loop = runtime.Scheduler.Start($"supervisor of {name}", RunAsync);
    }

    public string Name { get; }

    public SupervisedStatus Status => _status;

    /// <summary>Says what is wanted. A version not seen before is a new request: it ends a pause and lifts a hold.</summary>
    /// <param name="running">Whether it is to run.</param>
    /// <param name="version">Of the request.</param>
    public void Want(bool running, long version)
    {
        lock (_gate)
        {
            if (_wish == new Wish(running, version))
            {
                return;
            }

            _wish = new Wish(running, version);
            if (_settled.Task.IsCompleted)
            {
                _settled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        _wake.Set();
    }

    /// <summary>Ends when the last wish has been served: a process runs, or none does any more.</summary>
    public Task SettledAsync()
    {
        lock (_gate)
        {
            return _settled.Task;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _disposing = true;
        _wake.Set();
        await _loop;
        await _timer.DisposeAsync();
        _process?.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_disposing)
        {
            Wish wish;
            lock (_gate)
            {
                wish = _wish;
            }

            if (wish.Version != _served.Version)
            {
                _policy.Reset();
                _pause = TimeSpan.Zero;
                _activity = _activity is ContainerActivity.Held or ContainerActivity.Pausing ? ContainerActivity.Stopped : _activity;
                _askedAgain = wish.Running && _process is not null ? _runtime.Time.GetTimestamp() : null;
            }

            _served = wish;
            if (wish.Version != NothingWished)
            {
                TryStep(wish);
                Report(wish);
            }

            await _wake.WaitAsync();
        }
    }

    /// <summary>A step that fails, for want of descriptors or room, say, is tried again after a pause: nobody else looks after the container.</summary>
    private void TryStep(Wish wish)
    {
        try
        {
            Step(wish);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (_activity == ContainerActivity.Held)
            {
                return; // there was nothing to be done
            }

            _lastExit = exception.Message;
            Pause(TimeSpan.Zero);
            _logger.LogError("Container {Container} cannot be {Wish}: {Reason}; next attempt in {Pause} s",
                Name, wish.Running ? "started" : "stopped", exception.Message, _pause.TotalSeconds);
        }
    }

    /// <summary>One look at wish and reality, and the one thing that brings them closer. Sets the timer when time will tell.</summary>
    private void Step(Wish wish)
    {
        if (IsPausing())
        {
            return;
        }

        if (_process is { Ended.IsCompleted: true } ended)
        {
            Collect(ended, wish);
            if (IsPausing())
            {
                return;
            }
        }

        // Whoever started it: an earlier root, or a person. Two processes in one directory are not possible.
        if (_process is null && _programs.Find(Name) is { } running)
        {
            Hold(running, "Took over");
        }

        if (_process is not null)
        {
            if (!wish.Running || _terminatedAt is not null)
            {
                End(_process);
            }
        }
        else if (!wish.Running)
        {
            _activity = ContainerActivity.Stopped;
        }
        else if (_activity != ContainerActivity.Held)
        {
            Hold(_programs.Start(Name), "Started");
        }
    }

    /// <summary>Whether there is nothing to be done before a pause is over; sets the timer to its end.</summary>
    private bool IsPausing()
    {
        var left = _pause - _runtime.Time.GetElapsedTime(_pausedAt);
        if (_activity != ContainerActivity.Pausing || left <= TimeSpan.Zero)
        {
            return false;
        }

        Look(left);
        return true;
    }

    /// <summary>Looks again when a time is over. Timers can fire some milliseconds early: their clock is not the one that is asked.</summary>
    private void Look(TimeSpan left) => _timer.Change(left < TimerStep ? TimerStep : left, Timeout.InfiniteTimeSpan);

    private void Hold(ISupervisedProcess process, string how)
    {
        _process = process;
        _started = _runtime.Time.GetTimestamp();
        _activity = ContainerActivity.Running;
        _ = process.Ended.ContinueWith(
            _ => _wake.Set(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        _logger.LogInformation("{How} container {Container}, process {ProcessId}", how, Name, process.Identity.Id);
    }

    private void End(ISupervisedProcess process)
    {
        if (_terminatedAt is not { } terminatedAt)
        {
            _activity = ContainerActivity.Stopping;
            _terminatedAt = _runtime.Time.GetTimestamp();
            _timer.Change(StopLimit, Timeout.InfiniteTimeSpan);
            _logger.LogInformation("Stopping container {Container}, process {ProcessId}", Name, process.Identity.Id);
            process.Terminate();
        }
        else if (StopLimit - _runtime.Time.GetElapsedTime(terminatedAt) is { Ticks: > 0 } left)
        {
            Look(left);
        }
        else if (!_killed)
        {
            _killed = true;
            _logger.LogWarning("Container {Container} did not stop within {Limit} s and is killed", Name, StopLimit.TotalSeconds);
            process.Kill();
        }
    }

    private void Collect(ISupervisedProcess process, Wish wish)
    {
        var code = process.Ended.Result;
        var asked = _terminatedAt is not null;
        var inOrder = code is null ? _programs.StoppedInOrder(Name, process.Identity) : code == (int)ExitCode.Done;
        var life = _runtime.Time.GetElapsedTime(_started);
        process.Dispose();
        var wasStopping = _askedAgain is { } moment && _runtime.Time.GetElapsedTime(moment) < StopLimit;
        (_process, _terminatedAt, _killed, _askedAgain) = (null, null, false, null);
        _lastExit = Describe(code, inOrder);
        if (asked || !wish.Running)
        {
            _activity = ContainerActivity.Stopped;
            _logger.LogInformation("Container {Container} has stopped: {Exit}", Name, _lastExit);
        }
        else if (inOrder && wasStopping)
        {
            // It was already stopping by another's wish when the start was asked for.
            _activity = ContainerActivity.Stopped;
            _logger.LogInformation("Container {Container} has stopped, and was asked for meanwhile: {Exit}", Name, _lastExit);
        }
        else if (inOrder || code is (int)ExitCode.Usage or (int)ExitCode.PermissionDenied or (int)ExitCode.BadConfiguration)
        {
            _activity = ContainerActivity.Held;
            _logger.LogWarning("Container {Container} has ended: {Exit}; it stays down until it is asked for", Name, _lastExit);
        }
        else
        {
            _restarts++;
            Pause(life);
            _logger.LogWarning("Container {Container} has ended: {Exit}; it is started again in {Pause} s", Name, _lastExit, _pause.TotalSeconds);
        }
    }

    private void Pause(TimeSpan life)
    {
        _pause = _policy.PauseAfter(life);
        _pausedAt = _runtime.Time.GetTimestamp();
        _activity = ContainerActivity.Pausing;
        _timer.Change(_pause, Timeout.InfiniteTimeSpan);
    }

    private static string Describe(int? code, bool inOrder) => code switch
    {
        null => inOrder ? "stopped in order" : "ended without having been asked",
        0 => "stopped in order",
        > 128 and < 160 => $"killed by signal {code - 128}",
        _ => $"exit code {code}" + (Enum.IsDefined((ExitCode)code) ? $" ({(ExitCode)code})" : ""),
    };

    private void Report(Wish wish)
    {
        _status = new SupervisedStatus(Name, _activity, _process?.Identity.Id, _restarts, _lastExit);
        lock (_gate)
        {
            var served = wish.Running ? _activity is ContainerActivity.Running or ContainerActivity.Held : _activity == ContainerActivity.Stopped;
            if (served && _wish == wish)
            {
                _settled.TrySetResult();
            }
        }
    }

    private readonly record struct Wish(bool Running, long Version);
}

/// <summary>How containers of this machine become processes.</summary>
internal interface IContainerPrograms
{
    /// <summary>The container's process, if one runs; null otherwise.</summary>
    ISupervisedProcess? Find(string container);

    /// <summary>Starts a process.</summary>
    /// <exception cref="IOException">It was not possible.</exception>
    /// <exception cref="UnauthorizedAccessException">The container's directory is not ours.</exception>
    ISupervisedProcess Start(string container);

    /// <summary>Whether a process that has ended left its directory as one does that stops in order.</summary>
    bool StoppedInOrder(string container, ProcessIdentity process);
}
