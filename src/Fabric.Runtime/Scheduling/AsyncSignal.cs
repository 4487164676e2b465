using System.Threading.Tasks.Sources;

namespace Fabric.Runtime.Scheduling;

/// <summary>
/// A wake-up that coalesces: any number of <see cref="Set()"/> before a wait give one wake-up. One waiter at a time, any
/// number of setters. The waiter looks at the state it cares about after each wake-up; the signal carries none.
/// </summary>
/// <param name="inline">
/// The waiter goes on inside <see cref="Set()"/>, on the setter's thread: one switch of threads less. Only for a waiter that never blocks, and setters
/// that hold no lock.
/// </param>
public sealed class AsyncSignal(bool inline = false) : IValueTaskSource
{
    private const int Idle = 0;
    private const int IsSet = 1;
    private const int Waiting = 2;

    private ManualResetValueTaskSourceCore<bool> _source;
    private int _state;

    /// <summary>Wakes the waiter, now or at its next wait.</summary>
    public void Set() => Set(inline);

    /// <summary>Wakes the waiter; this time it goes on inside this call, or on another thread, whatever the signal does otherwise.</summary>
    public void Set(bool inline)
    {
        if (Interlocked.Exchange(ref _state, IsSet) != Waiting)
        {
            return;
        }

        _source.RunContinuationsAsynchronously = !inline; // nobody else is here: one setter finds the waiter
        var context = inline ? SynchronizationContext.Current : null;
        if (context is null)
        {
            _source.SetResult(true);
            return;
        }

        // The waiter borrows the setter's thread until it awaits something; what it awaits then must not come back to that thread.
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            _source.SetResult(true);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    /// <summary>Ends at the next <see cref="Set()"/>, at once when one has happened since the last wait.</summary>
    public ValueTask WaitAsync()
    {
        _source.Reset();
        var version = _source.Version;
        return Interlocked.CompareExchange(ref _state, Waiting, Idle) == IsSet
            ? Consume()
            : new ValueTask(this, version);
    }

    void IValueTaskSource.GetResult(short token)
    {
        _source.GetResult(token);
        Interlocked.Exchange(ref _state, Idle); // a full fence: what the waiter reads next is not older
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private ValueTask Consume()
    {
        Interlocked.Exchange(ref _state, Idle); // a full fence: what the waiter reads next is not older
        return ValueTask.CompletedTask;
    }
}
