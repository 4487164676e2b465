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

    private Supervisor Supervise(IScheduler scheduler, NoProcesses processes, params string[] containers)
    {
        var runtime = FabricRuntime.System with { Scheduler = scheduler };
        var programs = new ContainerPrograms(runtime, processes, new NodeOptions { Name = "root", DataDirectory = _directory }, "localhost:2181", null);
        var supervisor = new Supervisor(runtime, programs, _ => Task.CompletedTask, NullLogger.Instance);
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
