using Fabric.Runtime.Scheduling;

namespace Fabric.Simulation.Kernel;

/// <summary>
/// A loop that blocks on disk calls. It has a thread of its own so that it can be stopped in the middle of a call, and runs only while the pump waits
/// for it: of all threads of a world, one runs.
/// </summary>
internal sealed class Fiber : SynchronizationContext
{
    [ThreadStatic]
    private static Fiber? _current;

    private readonly Process _process;
    private readonly Func<Task> _body;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _work = new();
    private readonly ThreadAlarm _turn = ThreadAlarm.Create();
    private readonly ThreadAlarm _handedBack = ThreadAlarm.Create();
    private System.Diagnostics.StackTrace? _blockedAt;
    private bool _isWaiting; // for work; otherwise it runs, is ready, or is in a disk call
    private bool _hasEnded;
    private bool _threadEnded;

    public Fiber(Process process, string name, Func<Task> body)
    {
        (_process, _body) = (process, body);
        process.Add(this);
        new Thread(Live, maxStackSize: 512 * 1024) { Name = name, IsBackground = true }.Start();
        MakeReady();
    }

    /// <summary>The fiber whose code is running, or null on the pump.</summary>
    public static Fiber? Running => _current;

    public Task Done => _done.Task;

    /// <summary>Where it is, for people who look for what waits for what.</summary>
    public override string ToString() => _isWaiting ? "waits for work" : $"runs, or is in a disk call: {_blockedAt}";

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (_process.IsDead)
        {
            return;
        }

        if (_threadEnded)
        {
            _process.Context.Post(d, state); // what still refers to the loop goes on elsewhere
            return;
        }

        _work.Enqueue((d, state));
        if (_isWaiting)
        {
            _isWaiting = false;
            MakeReady();
        }
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("nobody waits for a fiber");

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>The code of this fiber is in a call that takes a while. Others run meanwhile.</summary>
    /// <exception cref="ProcessDiedException">The process died meanwhile.</exception>
    public void Block(TimeSpan time)
    {
        _process.ThrowIfDead();
        _process.World.After(time, _process, MakeReady);
        _blockedAt = _process.World.Trace.IsOn ? new System.Diagnostics.StackTrace() : null;
        HandBack();
        _process.ThrowIfDead();
    }

    /// <summary>The process is dead: gets the thread off its stack and ends it.</summary>
    public void Unwind()
    {
        if (!_threadEnded)
        {
            Resume();
        }
    }

    private void MakeReady() => _process.World.MakeReady(new Ready(_process, Resume));

    /// <summary>Lets it run until it hands back. Called by the pump.</summary>
    private void Resume()
    {
        _turn.Ring();
        _handedBack.Wait();
        if (_threadEnded)
        {
            _turn.Dispose();
            _handedBack.Dispose();
        }
    }

    private void HandBack()
    {
        _handedBack.Ring();
        _turn.Wait();
    }

    private void Live()
    {
        _turn.Wait();
        _current = this;
        SetSynchronizationContext(this);
        if (!_process.IsDead)
        {
            RunBody();
        }

        _process.Remove(this);
        _threadEnded = true;
        _handedBack.Ring();
    }

    private void RunBody()
    {
        Task task;
        try
        {
            task = _body();
        }
        catch (Exception exception)
        {
            _done.SetException(exception);
            return;
        }

        task.ContinueWith(_ => End(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        while (!_process.IsDead)
        {
            if (_work.TryDequeue(out var next))
            {
                RunPiece(next.Callback, next.State);
            }
            else if (_hasEnded)
            {
                _done.SetFromTask(task);
                return;
            }
            else
            {
                _isWaiting = true;
                HandBack();
            }
        }
    }

    private void RunPiece(SendOrPostCallback callback, object? state)
    {
        try
        {
            callback(state);
        }
        catch (Exception exception)
        {
            if (!_process.IsDead)
            {
                _process.World.Fail(new InvalidOperationException($"{_process.Name}: nobody caught {exception.Message}", exception));
            }
        }
    }

    private void End()
    {
        _hasEnded = true;
        if (_isWaiting)
        {
            _isWaiting = false;
            MakeReady();
        }
    }
}
