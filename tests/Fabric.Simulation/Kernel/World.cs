using System.Runtime.ExceptionServices;
using Fabric.Simulation.Network;

namespace Fabric.Simulation.Kernel;

/// <summary>
/// One simulated world: its clock, what is going to happen, and who can run. Everything in it runs one at a time, on the only thread of the pool
/// or on a <see cref="Fiber"/> that the pool's thread waits for, in an order that the seed alone decides.
/// </summary>
/// <remarks>
/// What shipping code posts to its own contexts is run by the pump; what it posts to the pool runs before the pump goes on, because the pump puts
/// itself at the end of the pool's queue. Time passes only when nobody has anything to do.
/// </remarks>
internal sealed class World
{
    private readonly PriorityQueue<Happening, (long Time, long Order)> _happenings = new();
    private readonly List<Ready> _ready = [];
    private readonly PriorityQueue<Action, long> _atSteps = new();
    private readonly List<Host> _hosts = [];
    private readonly Random _scheduling;
    private readonly double _disorder;
    private readonly ManualResetEventSlim _over = new();
    private long _order;
    private long _steps;
    private ExceptionDispatchInfo? _failure;
    private bool _isEnding;

    /// <param name="seed">Decides everything.</param>
    /// <param name="trace">Told what happens.</param>
    public World(ulong seed, Trace trace)
    {
        (Seed, Trace) = (seed, trace);
        _scheduling = RandomFor("scheduling");
        _disorder = _scheduling.Next(3) switch { 0 => 0, 1 => 0.05, _ => 0.3 };
        Wires = new Wires(this);
        Control = Add("control", "10.0.1.1").Start();
    }

    public ulong Seed { get; }

    public Trace Trace { get; }

    /// <summary>The network between the hosts.</summary>
    public Wires Wires { get; }

    public IReadOnlyList<Host> Hosts => _hosts;

    /// <summary>The owner of the scenario itself; it never dies and is never paused.</summary>
    public Process Control { get; }

    /// <summary>Time since the world began.</summary>
    public TimeSpan Now { get; private set; }

    /// <summary>How many steps were made; somebody outside may look whether it grows.</summary>
    public long Steps => Volatile.Read(ref _steps);

    /// <summary>Called between steps, when no code of the world is running. May throw what it found.</summary>
    public Action? Inspect { get; set; }

    /// <summary>A source of randomness for one concern, so that one more draw in one does not shift the others.</summary>
    public Random RandomFor(string concern)
    {
        var state = Mix(Seed);
        foreach (var letter in concern)
        {
            state = Mix(state ^ letter);
        }

        return new Random((int)(state & int.MaxValue));
    }

    /// <summary>Adds a machine.</summary>
    public Host Add(string name, string address)
    {
        var host = new Host(this, name, address);
        _hosts.Add(host);
        return host;
    }

    /// <summary>Runs the scenario to its end. Blocks the caller, which is no thread of the world.</summary>
    public void Run(Func<Task> scenario)
    {
        Control.Context.Post(_ => Follow(scenario), null);
        ThreadPool.UnsafeQueueUserWorkItem(_ => Pump(), null);
        _over.Wait();
        _failure?.Throw();
    }

    /// <summary>Ends the world: something happened that must not happen.</summary>
    public void Fail(Exception cause)
    {
        _failure ??= ExceptionDispatchInfo.Capture(cause);
        _isEnding = true;
    }

    /// <summary>Lets something happen after a while.</summary>
    /// <param name="after">Not negative.</param>
    /// <param name="owner">It happens only if this one lives then, and later if it is paused.</param>
    /// <param name="what">What happens.</param>
    /// <returns>To take it back.</returns>
    public Happening After(TimeSpan after, Process owner, Action what)
    {
        var happening = new Happening(owner, what);
        _happenings.Enqueue(happening, ((Now + after).Ticks, _order++));
        return happening;
    }

    /// <summary>Lets the scenario do something after so many steps: in the middle of what others do at one moment, too.</summary>
    public void AfterSteps(int steps, Action what) => _atSteps.Enqueue(what, _steps + steps);

    /// <summary>Ends after a while, for the scenario.</summary>
    public Task DelayAsync(TimeSpan time)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        After(time, Control, done.SetResult);
        return done.Task;
    }

    /// <summary>Lets somebody run when it is his turn.</summary>
    public void MakeReady(Ready ready) => _ready.Add(ready);

    private async void Follow(Func<Task> scenario)
    {
        try
        {
            await scenario();
            _isEnding = true;
        }
        catch (Exception exception)
        {
            Fail(exception);
        }
    }

    /// <summary>Makes steps until something waits on the pool, which goes first then.</summary>
    private void Pump()
    {
        try
        {
            while (!_isEnding)
            {
                if (ThreadPool.PendingWorkItemCount > 0)
                {
                    ThreadPool.UnsafeQueueUserWorkItem(_ => Pump(), null);
                    return;
                }

                Step();
            }
        }
        catch (Exception exception)
        {
            Fail(exception);
        }

        foreach (var host in _hosts)
        {
            host.Process?.Die(); // ends the threads of its fibers
        }

        _over.Set();
    }

    private void Step()
    {
        Volatile.Write(ref _steps, _steps + 1);
        Inspect?.Invoke();
        while (_atSteps.TryPeek(out _, out var step) && step <= _steps)
        {
            Control.Run(_atSteps.Dequeue());
        }

        if (_ready.Count > 0)
        {
            RunReady();
            return;
        }

        if (!_happenings.TryDequeue(out var happening, out var when))
        {
            throw new InvalidOperationException($"at {Now} nothing is left to happen, and the scenario has not ended");
        }

        if (happening.IsOff || happening.Owner.IsDead)
        {
            return;
        }

        Now = TimeSpan.FromTicks(Math.Max(when.Time, Now.Ticks));
        if (!happening.Owner.Host.TryFreeze(() => Again(happening)))
        {
            happening.Owner.Run(happening.Run);
        }
    }

    private void Again(Happening happening) => _happenings.Enqueue(happening, (Now.Ticks, _order++));

    private void RunReady()
    {
        var index = _ready.Count > 1 && _scheduling.NextDouble() < _disorder ? _scheduling.Next(Math.Min(_ready.Count, 8)) : 0;
        var next = _ready[index];
        _ready.RemoveAt(index);
        if (!next.Owner.IsDead && !next.Owner.Host.TryFreeze(() => _ready.Add(next)))
        {
            next.Run();
        }
    }

    private static ulong Mix(ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB;
        return state ^ (state >> 31);
    }
}

/// <summary>Somebody who can run now.</summary>
internal readonly record struct Ready(Process Owner, Action Run);

/// <summary>Something that is going to happen.</summary>
internal sealed class Happening(Process owner, Action what)
{
    public Process Owner { get; } = owner;

    public bool IsOff { get; private set; }

    public void Run()
    {
        if (!IsOff)
        {
            what();
        }
    }

    public void TakeBack() => IsOff = true;
}
