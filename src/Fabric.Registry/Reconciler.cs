using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry;

/// <summary>
/// A loop that brings the registry to what its owner wants, or its owner's picture to what the registry holds. It runs a pass whenever it is
/// woken (by a wish, a watch, a new or returning session) and again after a pause when a pass failed; so a pass looks at everything
/// and depends on no event. Passes never overlap.
/// </summary>
internal sealed class Reconciler : IAsyncDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(200);

    private readonly FabricRegistry _registry;
    private readonly string _name;
    private readonly Func<CancellationToken, Task> _pass;
    private readonly Action? _away;
    private readonly AsyncSignal _signal = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly ITimer _retry;
    private Task _loop = Task.CompletedTask;
    private readonly Lock _gate = new();
    private List<TaskCompletionSource> _waiting = [];
    private CancellationTokenSource? _current;
    private Exception? _dead;
    private string? _problem; // why the last pass failed, as people were told; owned by the loop

    /// <param name="registry">Whose session matters.</param>
    /// <param name="name">For people.</param>
    /// <param name="pass">One pass; only called while connected.</param>
    /// <param name="away">Called, never beside a pass, when the connection is lost.</param>
    public Reconciler(FabricRegistry registry, string name, Func<CancellationToken, Task> pass, Action? away = null)
    {
        (_registry, _name, _pass, _away) = (registry, name, pass, away);
        _retry = registry.Runtime.Time.CreateTimer(_ => _signal.Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Starts the loop with a pass. Apart from the constructor, so that who is woken by the first pass's watches is there.</summary>
    public void Start()
    {
        _registry.SessionChanged += OnSessionChanged;
        _signal.Set();
        _loop = _registry.Runtime.Scheduler.Start(_name, RunAsync);
    }

    /// <summary>Asks for a pass.</summary>
    public void Wake() => _signal.Set();

    /// <summary>Asks for a pass, and waits for one that began after this call.</summary>
    /// <exception cref="RegistryUnavailableException">The registry is away; the loop goes on trying without the caller.</exception>
    /// <exception cref="RegistryFencedException">The pass was refused.</exception>
    public async Task WakeAsync(CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            if (_dead is { } cause)
            {
                throw new InvalidOperationException($"{_name} has died", cause);
            }

            _waiting.Add(done);
        }

        _signal.Set();
        await done.Task.WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        _registry.SessionChanged -= OnSessionChanged;
        lock (_gate)
        {
            if (!_stopping.IsCancellationRequested)
            {
                _stopping.Cancel();
            }
        }

        _signal.Set();
        await _loop;
        await _retry.DisposeAsync();
        Answer(Take(), new RegistryUnavailableException($"{_name} has ended"));
    }

    /// <summary>A request that is made while there is no connection waits for one; a pass must not: its owner has to hear of the loss.</summary>
    private void OnSessionChanged(RegistrySession session)
    {
        if (!session.IsConnected)
        {
            lock (_gate)
            {
                _current?.Cancel();
            }
        }

        _signal.Set();
    }

    private async Task RunAsync()
    {
        try
        {
            await LoopAsync();
        }
        catch (Exception exception)
        {
            _registry.Logger.LogCritical(exception, "A defect ends {Name}", _name);
            lock (_gate)
            {
                _dead = exception;
            }

            Answer(Take(), exception);
        }
    }

    private async Task LoopAsync()
    {
        while (true)
        {
            await _signal.WaitAsync();
            if (_stopping.IsCancellationRequested)
            {
                return;
            }

            var waiting = Take();
            if (!_registry.Session.IsConnected)
            {
                _away?.Invoke();
                Answer(waiting, new RegistryUnavailableException($"the registry at {_registry.ConnectString} is away"));
                continue;
            }

            try
            {
                Answer(waiting, await TryPassAsync());
            }
            catch (Exception exception)
            {
                Answer(waiting, exception);
                throw;
            }
        }
    }

    /// <returns>Why it failed; null when it did not.</returns>
    private async Task<Exception?> TryPassAsync()
    {
        using var current = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        lock (_gate)
        {
            _current = current;
        }

        try
        {
            if (!_registry.Session.IsConnected)
            {
                current.Cancel(); // lost before the handler could know of this pass
            }

            await _pass(current.Token);
            _problem = null;
            return null;
        }
        catch (OperationCanceledException exception) when (current.IsCancellationRequested)
        {
            // The loss of the connection has woken us again, or we stop.
            return new RegistryUnavailableException($"the registry at {_registry.ConnectString} is away", exception);
        }
        catch (RegistryFencedException exception)
        {
            _registry.Logger.LogWarning("{Name}: {Reason}", _name, exception.Message);
            return exception;
        }
        catch (Exception exception) when (exception is RegistryUnavailableException or ZooKeeperException
            or RegistryPasswordException or RegistryContentException)
        {
            if (exception is not RegistryUnavailableException && exception.Message != _problem)
            {
                _problem = exception.Message; // once, not at every attempt
                _registry.Logger.LogWarning("{Name}: {Reason}", _name, exception.Message);
            }

            _retry.Change(RetryPause, Timeout.InfiniteTimeSpan);
            return exception;
        }
        finally
        {
            lock (_gate)
            {
                _current = null;
            }
        }
    }

    private List<TaskCompletionSource> Take()
    {
        lock (_gate)
        {
            var waiting = _waiting;
            _waiting = [];
            return waiting;
        }
    }

    private static void Answer(List<TaskCompletionSource> waiting, Exception? failure)
    {
        foreach (var done in waiting)
        {
            _ = failure is null ? done.TrySetResult() : done.TrySetException(failure);
        }
    }
}
