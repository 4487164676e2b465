using Fabric.Runtime;
using Fabric.Runtime.Processes;
using Fabric.Server.Node;
using Fabric.Server.Supervision;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Server;

[TestFixture]
internal sealed class SupervisedContainerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private ManualTime _time = null!;
    private FakePrograms _programs = null!;
    private SupervisedContainer _container = null!;

    [SetUp]
    public void Create()
    {
        _time = new ManualTime();
        _programs = new FakePrograms();
        _container = new SupervisedContainer(
            FabricRuntime.System with { Time = _time }, _programs, "broker1", NullLogger.Instance);
    }

    [TearDown]
    public async Task DisposeAsync() => await _container.DisposeAsync();

    [Test]
    public async Task A_wanted_container_is_started_once()
    {
        await WantAsync(running: true, 1);
        _container.Want(true, 1);
        Assert.That(_programs.Starts, Is.EqualTo(1));
        Assert.That(_container.Status, Has.Property("Activity").EqualTo(ContainerActivity.Running));
    }

    [Test]
    public async Task An_unwanted_container_is_asked_to_end()
    {
        await WantAsync(true, 1);
        var process = _programs.Current;
        _container.Want(false, 2);
        await UntilAsync(() => process.Terminated);
        Assert.That(_container.SettledAsync().IsCompleted, Is.False);
        process.End(0);
        await _container.SettledAsync().WaitAsync(Limit);
        Assert.That(_container.Status.Activity, Is.EqualTo(ContainerActivity.Stopped));
        Assert.That(process.Killed, Is.False);
    }

    [Test]
    public async Task A_container_that_does_not_stop_is_killed()
    {
        await WantAsync(true, 1);
        var process = _programs.Current;
        _container.Want(false, 2);
        await UntilAsync(() => process.Terminated);
        _time.Advance(SupervisedContainer.StopLimit - TimeSpan.FromMilliseconds(1));
        Assert.That(process.Killed, Is.False);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await UntilAsync(() => process.Killed);
    }

    [Test]
    public async Task A_container_that_does_not_stop_is_killed_though_the_timer_fires_early()
    {
        _time.Early = TimeSpan.FromMilliseconds(4);
        await WantAsync(true, 1);
        var process = _programs.Current;
        _container.Want(false, 2);
        await UntilAsync(() => process.Terminated);
        _time.Advance(SupervisedContainer.StopLimit - _time.Early);
        for (var i = 0; i < 20 && !process.Killed; i++)
        {
            await Task.Delay(10); // for the loop, which wakes up and has to set the timer anew
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.That(process.Killed);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task Whoever_cannot_look_looks_again(bool running)
    {
        _programs.CannotLook = true;
        _programs.Orphan = running ? null : new FakeProcess(77);
        var orphan = _programs.Orphan;
        _container.Want(running, 1);
        await UntilAsync(() => _container.Status.Activity == ContainerActivity.Pausing);
        Assert.That(_container.Status.LastExit, Does.Contain("too many open files"));
        _programs.CannotLook = false;
        _time.Advance(RestartPolicy.PauseMin);
        await UntilAsync(() => running ? _container.Status.Activity == ContainerActivity.Running : orphan!.Terminated);
    }

    [Test]
    public async Task An_end_that_cannot_be_looked_at_is_looked_at_again()
    {
        await WantAsync(true, 1);
        _programs.CannotLook = true;
        _programs.Current.End(null);
        await UntilAsync(() => _container.Status.Activity == ContainerActivity.Pausing);
        _programs.CannotLook = false;
        _time.Advance(RestartPolicy.PauseMin);
        await UntilAsync(() => _container.Status.LastExit == "ended without having been asked");
        _time.Advance(RestartPolicy.PauseMax);
        await UntilAsync(() => _programs.Starts == 2);
    }

    [Test]
    public async Task A_crashed_container_comes_back_after_growing_pauses()
    {
        await WantAsync(true, 1);
        var starts = 1;
        foreach (var pause in new[] { 1, 2, 4, 8, 16, 30, 30 })
        {
            _programs.Current.End(137);
            await UntilAsync(() => _container.Status.Activity == ContainerActivity.Pausing);
            _time.Advance(TimeSpan.FromSeconds(pause) - TimeSpan.FromMilliseconds(1));
            Assert.That(_programs.Starts, Is.EqualTo(starts));
            _time.Advance(TimeSpan.FromMilliseconds(1));
            starts++;
            await UntilAsync(() => _programs.Starts == starts && _container.Status.Activity == ContainerActivity.Running);
        }

        Assert.That(_container.Status.Restarts, Is.EqualTo(7));
        Assert.That(_container.Status.LastExit, Is.EqualTo("killed by signal 9"));
    }

    [Test]
    public async Task A_good_life_is_followed_by_the_short_pause()
    {
        await WantAsync(true, 1);
        for (var round = 0; round < 3; round++)
        {
            _time.Advance(RestartPolicy.GoodLife);
            _programs.Current.End(70);
            await UntilAsync(() => _container.Status.Activity == ContainerActivity.Pausing);
            _time.Advance(RestartPolicy.PauseMin);
            await UntilAsync(() => _container.Status.Activity == ContainerActivity.Running);
        }

        Assert.That(_programs.Starts, Is.EqualTo(4));
    }

    [Test]
    public async Task A_new_request_ends_the_pause()
    {
        await WantAsync(true, 1);
        _programs.Current.End(137);
        await UntilAsync(() => _container.Status.Activity == ContainerActivity.Pausing);
        await WantAsync(true, 2);
        Assert.That(_programs.Starts, Is.EqualTo(2));
    }

    [TestCase(0)]
    [TestCase((int)ExitCode.Usage)]
    [TestCase((int)ExitCode.PermissionDenied)]
    [TestCase((int)ExitCode.BadConfiguration)]
    public async Task What_a_restart_would_not_mend_waits_for_a_request(int code)
    {
        await WantAsync(true, 1);
        _programs.Current.End(code);
        await UntilAsync(() => _container.Status.Activity == ContainerActivity.Held);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.That(_programs.Starts, Is.EqualTo(1));
        await WantAsync(true, 2);
        Assert.That(_programs.Starts, Is.EqualTo(2));
    }

    [Test]
    public async Task A_container_that_cannot_be_started_is_tried_again()
    {
        _programs.Refuse = true;
        _container.Want(true, 1);
        await UntilAsync(() => _container.Status.Activity == ContainerActivity.Pausing);
        _programs.Refuse = false;
        _time.Advance(RestartPolicy.PauseMin);
        await UntilAsync(() => _container.Status.Activity == ContainerActivity.Running);
        Assert.That(_container.Status.LastExit, Does.Contain("no such program"));
    }

    [TestCase(true, ContainerActivity.Held)]
    [TestCase(false, ContainerActivity.Pausing)]
    public async Task The_directory_tells_how_an_adopted_container_ended(bool inOrder, ContainerActivity expected)
    {
        await WantAsync(true, 1);
        _programs.InOrder = inOrder;
        _programs.Current.End(null);
        await UntilAsync(() => _container.Status.Activity == expected);
    }

    [Test]
    public async Task A_start_during_a_stop_is_served_after_it()
    {
        await WantAsync(true, 1);
        var first = _programs.Current;
        _container.Want(false, 2);
        await UntilAsync(() => first.Terminated);
        _container.Want(true, 3);
        first.End(0);
        await UntilAsync(() => _programs.Starts == 2);
    }

    [TestCase(0, ExpectedResult = 2)]
    [TestCase(31, ExpectedResult = 1, Description = "that stop has another cause")]
    public async Task<int> A_start_is_served_when_the_process_turns_out_to_be_stopping_by_somebody_else_s_wish(int seconds)
    {
        await WantAsync(true, 1);
        await WantAsync(true, 2);
        _time.Advance(TimeSpan.FromSeconds(seconds));
        _programs.Current.End(0);
        await UntilAsync(() => _programs.Starts == 2 || _container.Status.Activity == ContainerActivity.Held);
        return _programs.Starts;
    }

    [Test]
    public async Task A_process_that_runs_already_is_taken_over()
    {
        _programs.Orphan = new FakeProcess(77);
        await WantAsync(true, 1);
        Assert.That((_programs.Starts, _container.Status.ProcessId), Is.EqualTo((0, 77)));
    }

    [Test]
    public async Task A_process_that_runs_already_and_is_not_wanted_is_asked_to_end()
    {
        var orphan = new FakeProcess(77);
        _programs.Orphan = orphan;
        _container.Want(false, 1);
        await UntilAsync(() => orphan.Terminated);
        orphan.End(null);
        await _container.SettledAsync().WaitAsync(Limit);
        Assert.That(_container.Status.Activity, Is.EqualTo(ContainerActivity.Stopped));
    }

    [Test]
    public async Task Before_anything_is_wanted_nothing_is_touched()
    {
        _programs.Orphan = new FakeProcess(77);
        await _container.DisposeAsync();
        Assert.That(_programs.Orphan, Is.Not.Null);
    }

    [Test]
    public async Task Disposing_leaves_the_process_running()
    {
        await WantAsync(true, 1);
        await _container.DisposeAsync();
        Assert.That(_programs.Current.Terminated || _programs.Current.Killed, Is.False);
    }

    private async Task WantAsync(bool running, long version)
    {
        _container.Want(running, version);
        await _container.SettledAsync().WaitAsync(Limit);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (!condition())
        {
            await Task.Delay(1, limit.Token);
        }
    }

    private sealed class FakePrograms : IContainerPrograms
    {
        private int _starts;

        public int Starts => Volatile.Read(ref _starts);

        public bool Refuse { get; set; }

        public bool InOrder { get; set; }

        public bool CannotLook { get; set; }

        public FakeProcess Current { get; private set; } = new(0);

        public FakeProcess? Orphan { get; set; }

        public ISupervisedProcess? Find(string container)
        {
            Look();
            var found = Orphan;
            Orphan = null;
            return found;
        }

        public ISupervisedProcess Start(string container)
        {
            if (Refuse)
            {
                throw new IOException("no such program");
            }

            Current = new FakeProcess(_starts + 1);
            Interlocked.Increment(ref _starts);
            return Current;
        }

        public bool StoppedInOrder(string container, ProcessIdentity process)
        {
            Look();
            return InOrder;
        }

        private void Look()
        {
            if (CannotLook)
            {
                throw new IOException("too many open files");
            }
        }
    }

    private sealed class FakeProcess(int id) : ISupervisedProcess
    {
        private readonly TaskCompletionSource<int?> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ProcessIdentity Identity => new(id, "mark");

        public Task<int?> Ended => _ended.Task;

        public bool Terminated { get; private set; }

        public bool Killed { get; private set; }

        public void Terminate() => Terminated = true;

        public void Kill() => Killed = true;

        public void Signal(int number) => throw new NotSupportedException();

        public void End(int? code) => _ended.SetResult(code);

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}
