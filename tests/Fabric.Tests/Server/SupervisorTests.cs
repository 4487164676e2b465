using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Runtime.Scheduling;
using Fabric.Server.Node;
using Fabric.Server.Supervision;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class SupervisorTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private string _directory = null!;

    [SetUp]
    public void Create() => _directory = Directory.CreateTempSubdirectory("fabric-supervisor-").FullName;

    [TearDown]
    public void Delete() => Directory.Delete(_directory, recursive: true);

    /// <summary>Whoever makes b1, b2 and b3 finds them at the ports in that order, whichever of them happens to start first.</summary>
    [Test]
    public async Task Containers_that_are_made_together_get_their_ports_in_the_order_of_their_names()
    {
        var scheduler = new BackwardScheduler();
        var processes = new NoProcesses();
        await using (Supervise(scheduler, processes, "b3", "b1", "b2"))
        {
            scheduler.Go();
            await processes.StartedAsync(3);
        }

        Assert.That(processes.PortsByContainer(), Is.EqualTo(new Dictionary<string, string> { ["b1"] = "61616", ["b2"] = "61617", ["b3"] = "61618" }));
    }

    [Test]
    public async Task A_container_keeps_its_ports_when_another_comes_before_it()
    {
        await using (Supervise(FabricRuntime.System.Scheduler, new NoProcesses(), "b2"))
        {
        }

        var processes = new NoProcesses();
        await using (Supervise(FabricRuntime.System.Scheduler, processes, "b1", "b2"))
        {
            await processes.StartedAsync(2);
        }

        Assert.That(processes.PortsByContainer(), Is.EqualTo(new Dictionary<string, string> { ["b1"] = "61617", ["b2"] = "61616" }));
    }

    [Test]
    public async Task What_is_wanted_while_a_container_is_being_removed_is_done_after_it()
    {
        var processes = new NoProcesses();
        var (removing, removed) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var supervisor = new Supervisor(
            FabricRuntime.System, Programs(FabricRuntime.System, processes),
            _ =>
            {
                removing.SetResult();
                return removed.Task;
            },
            NullLogger.Instance);
        supervisor.Apply([new WantedContainer("b1", WantedState.Removed, 1)]);
        await removing.Task.WaitAsync(Limit);

        supervisor.Apply([new WantedContainer("b1", WantedState.Running, 2)]);
        removed.SetResult();

        await processes.StartedAsync(1);
    }

    [Test]
    public async Task A_removal_that_failed_is_done_again_and_one_that_is_done_is_not()
    {
        var time = new ManualTime();
        var runtime = FabricRuntime.System with { Time = time };
        var attempts = 0;
        await using var supervisor = new Supervisor(
            runtime, Programs(runtime, new NoProcesses()),
            _ => Interlocked.Increment(ref attempts) < 3 ? Task.FromException(new IOException("the registry is away")) : Task.CompletedTask,
            NullLogger.Instance);
        supervisor.Apply([new WantedContainer("b1", WantedState.Removed, 1)]);

        using var limit = new CancellationTokenSource(Limit);
        while (Volatile.Read(ref attempts) < 3)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1, limit.Token);
        }

        supervisor.Apply([new WantedContainer("b1", WantedState.Removed, 1)]);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.That(Volatile.Read(ref attempts), Is.EqualTo(3));
    }

    private ContainerPrograms Programs(FabricRuntime runtime, NoProcesses processes) =>
        new(runtime, processes, new NodeOptions { Name = "root", DataDirectory = _directory }, "localhost:2181", null);

    private Supervisor Supervise(IScheduler scheduler, NoProcesses processes, params string[] containers)
    {
        var runtime = FabricRuntime.System with { Scheduler = scheduler };
        var supervisor = new Supervisor(runtime, Programs(runtime, processes), _ => Task.CompletedTask, NullLogger.Instance);
        supervisor.Apply([.. containers.Select(name => new WantedContainer(name, WantedState.Running, 1))]);
        return supervisor;
    }

    /// <summary>Runs loops that are started before <see cref="Go"/> one after the other, the last one first.</summary>
    private sealed class BackwardScheduler : IScheduler
    {
        private readonly Stack<(Func<Task> Body, TaskCompletionSource Ended)> _waiting = new();

        public void Go()
        {
            while (_waiting.TryPop(out var loop))
            {
                _ = RunAsync(loop.Body, loop.Ended);
            }
        }

        public Task Start(string name, Func<Task> body)
        {
            var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Push((body, ended));
            return ended.Task;
        }

        public Task StartThread(string name, Func<Task> body) => throw new NotSupportedException();

        private static async Task RunAsync(Func<Task> body, TaskCompletionSource ended)
        {
            await body();
            ended.SetResult();
        }
    }

    /// <summary>Notes what is to be started and starts nothing.</summary>
    private sealed class NoProcesses : IProcesses
    {
        private readonly List<IReadOnlyList<string>> _started = [];

        public ProcessIdentity Self => new(1, "self");

        public ISupervisedProcess Start(ProcessStart start)
        {
            lock (_started)
            {
                _started.Add(start.Arguments);
                Monitor.PulseAll(_started);
            }

            throw new IOException("nothing is started here");
        }

        public ISupervisedProcess? Find(ProcessIdentity identity) => null;

        public Task StartedAsync(int count) => Task.Run(() =>
        {
            lock (_started)
            {
                while (_started.Count < count)
                {
                    Assert.That(Monitor.Wait(_started, TimeSpan.FromSeconds(10)), $"{_started.Count} of {count} were to be started");
                }
            }
        });

        public Dictionary<string, string> PortsByContainer()
        {
            lock (_started)
            {
                return _started.ToDictionary(arguments => After(arguments, "--name"), arguments => After(arguments, "--openwire-port"));
            }
        }

        private static string After(IReadOnlyList<string> arguments, string option) => arguments[arguments.ToList().IndexOf(option) + 1];
    }
}
