using Fabric.Runtime;
using Fabric.Simulation.Disk;
using Fabric.Simulation.Network;

namespace Fabric.Simulation.Kernel;

/// <summary>A machine: it has an address, a disk and clocks, and at most one process at a time.</summary>
internal sealed class Host(World world, string name, string address)
{
    private readonly List<Action> _frozen = [];
    private int _incarnations;

    public World World { get; } = world;

    public string Name { get; } = name;

    public string Address { get; } = address;

    /// <summary>Survives the processes.</summary>
    public DiskState Disk { get; } = new(world, name);

    /// <summary>What its wall clock is ahead of the world's.</summary>
    public TimeSpan WallOffset { get; set; }

    /// <summary>How fast its clocks run: 1 is right.</summary>
    public double ClockRate { get; set; } = 1;

    /// <summary>The process that runs, or that ran last.</summary>
    public Process? Process { get; private set; }

    public bool IsRunning => Process is { IsDead: false };

    /// <summary>Whether the machine has power.</summary>
    public bool IsUp { get; private set; } = true;

    public bool IsPaused { get; private set; }

    /// <summary>Starts a process, with nothing in it yet.</summary>
    public Process Start()
    {
        if (IsRunning)
        {
            throw new InvalidOperationException($"{Name} runs already");
        }

        IsUp = true;
        return Process = new Process(this, ++_incarnations);
    }

    /// <summary>Ends the process at once, as <c>kill -9</c> does: what was written stays, the kernel closes its sockets.</summary>
    public void Kill()
    {
        Process?.Die();
        Process?.Network.CloseAll();
        Disk.OnProcessEnded();
    }

    /// <summary>Takes the power away: what was not synced is lost or torn, and nobody is told.</summary>
    public void LosePower()
    {
        IsUp = false;
        Process?.Die();
        Disk.OnProcessEnded();
        Disk.LosePower();
    }

    /// <summary>Stops everything in it, as <c>SIGSTOP</c> does, until <see cref="Resume"/>.</summary>
    public void Pause() => IsPaused = true;

    public void Resume()
    {
        IsPaused = false;
        Action[] frozen = [.. _frozen];
        _frozen.Clear();
        foreach (var again in frozen)
        {
            again();
        }
    }

    /// <summary>Keeps what wants to run until the host goes on; false when it is not paused.</summary>
    public bool TryFreeze(Action again)
    {
        if (IsPaused)
        {
            _frozen.Add(again);
        }

        return IsPaused;
    }
}

/// <summary>
/// A process on a host, from its start to its end. When it is dead nothing of it runs any more: what is posted to its context is dropped, its timers
/// do not fire, its disk and network throw at whoever is left.
/// </summary>
internal sealed class Process
{
    private readonly List<Fiber> _fibers = [];

    public Process(Host host, int incarnation)
    {
        Host = host;
        Context = new ProcessContext(this);
        Network = new SimulatedNetwork(this);
        Runtime = new FabricRuntime(
            new SimulatedTime(this),
            new SimulatedDisk(this, host.Disk),
            Network,
            new SimulatedScheduler(this),
            host.World.RandomFor($"process {host.Name} {incarnation}"))
        {
            Secrets = bytes => Runtime!.Random.NextBytes(bytes.Span),
            MachineName = host.Name,
        };
        Name = host.Name;
    }

    public Host Host { get; }

    public World World => Host.World;

    public string Name { get; }

    public FabricRuntime Runtime { get; }

    public SimulatedNetwork Network { get; }

    public ProcessContext Context { get; }

    public bool IsDead { get; private set; }

    public IReadOnlyList<Fiber> Fibers => _fibers;

    public void Add(Fiber fiber) => _fibers.Add(fiber);

    public void Remove(Fiber fiber) => _fibers.Remove(fiber);

    /// <summary>Runs a piece of it on the pump.</summary>
    public void Run(Action piece)
    {
        SynchronizationContext.SetSynchronizationContext(Context);
        try
        {
            piece();
        }
        catch (Exception exception) when (!IsDead)
        {
            World.Fail(new InvalidOperationException($"{Name}: nobody caught {exception.GetType().Name}: {exception.Message}", exception));
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }
    }

    public void Die()
    {
        if (IsDead)
        {
            return;
        }

        IsDead = true;
        foreach (var fiber in _fibers.ToArray())
        {
            fiber.Unwind();
        }
    }

    /// <exception cref="ProcessDiedException">It is dead.</exception>
    public void ThrowIfDead()
    {
        if (IsDead)
        {
            throw new ProcessDiedException(Name);
        }
    }
}

/// <summary>Thrown at code of a process that is dead, to get it off its stack.</summary>
internal sealed class ProcessDiedException(string name) : IOException($"the process on {name} is dead");

/// <summary>Where the continuations of a process run: on the pump, when it is their turn.</summary>
internal sealed class ProcessContext(Process process) : SynchronizationContext
{
    public override void Post(SendOrPostCallback d, object? state)
    {
        if (!process.IsDead)
        {
            process.World.MakeReady(new Ready(process, () => process.Run(() => d(state))));
        }
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("nobody waits for a process");

    public override SynchronizationContext CreateCopy() => this;
}
