namespace Fabric.Runtime.Scheduling;

/// <summary>Brings every continuation of one loop back to its thread, which sleeps in between.</summary>
internal sealed class LoopContext : SynchronizationContext
{
    private readonly Lock _gate = new();
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _work = new();
    private readonly ThreadAlarm _alarm;
    private bool _isAsleep;
    private bool _isOver;

    private LoopContext(ThreadAlarm alarm) => _alarm = alarm;

    /// <summary>Runs the loop on this thread until its task has ended.</summary>
    public static void Run(Func<Task> body, TaskCompletionSource done)
    {
        using var alarm = ThreadAlarm.Create();
        var context = new LoopContext(alarm);
        SetSynchronizationContext(context);
        Task task;
        try
        {
            task = body();
        }
        catch (Exception exception)
        {
            done.SetException(exception);
            return;
        }

        task.ContinueWith(_ => context.End(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        while (context.Take() is { Callback: { } callback, State: var state })
        {
            callback(state);
        }

        done.SetFromTask(task);
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        bool isOver;
        bool wake;
        lock (_gate)
        {
            isOver = _isOver;
            wake = !isOver && TakeSleep();
            if (!isOver)
            {
                _work.Enqueue((d, state));
            }
        }

        if (wake)
        {
            _alarm.Ring(); // outside the gate, which the woken thread takes first
        }
        else if (isOver)
        {
            ThreadPool.QueueUserWorkItem(_ => d(state)); // what still refers to the loop goes on elsewhere
        }
    }

    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("a loop is never blocked on from outside");

    /// <summary>The next piece of work, or nothing once the loop is over.</summary>
    private (SendOrPostCallback? Callback, object? State) Take()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_work.TryDequeue(out var next))
                {
                    return next;
                }

                if (_isOver)
                {
                    return default;
                }

                _isAsleep = true;
            }

            _alarm.Wait();
        }
    }

    private void End()
    {
        bool wake;
        lock (_gate)
        {
            _isOver = true;
            wake = TakeSleep();
        }

        if (wake)
        {
            _alarm.Ring();
        }
    }

    /// <summary>Whether the caller is the one to ring: one does per sleep, so the alarm outlives every ring.</summary>
    private bool TakeSleep()
    {
        var was = _isAsleep;
        _isAsleep = false;
        return was;
    }
}
