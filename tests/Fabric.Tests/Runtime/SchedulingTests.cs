using Fabric.Runtime.Scheduling;

namespace Fabric.Tests.Runtime;

/// <summary>Loops and what wakes them.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class SchedulingTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Test]
    public async Task A_loop_with_a_thread_of_its_own_stays_on_it_over_every_wait()
    {
        const int Rounds = 2_000;
        var (there, back) = (new AsyncSignal(), new AsyncSignal());
        var threads = new HashSet<int>();
        var loop = new SystemScheduler().StartThread("loop", async () =>
        {
            for (var i = 0; i < Rounds; i++)
            {
                await there.WaitAsync();
                threads.Add(Environment.CurrentManagedThreadId);
                back.Set();
            }
        });
        for (var i = 0; i < Rounds; i++)
        {
            there.Set();
            await back.WaitAsync();
        }

        await loop.WaitAsync(Limit);
        Assert.That(threads, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_loop_is_woken_by_many_at_once_and_misses_nothing()
    {
        const int Setters = 4;
        const int Rounds = 5_000;
        var (signal, counter, seen) = (new AsyncSignal(), 0, 0);
        var loop = new SystemScheduler().StartThread("loop", async () =>
        {
            while (seen < Setters * Rounds)
            {
                await signal.WaitAsync();
                seen = Volatile.Read(ref counter);
            }
        });
        await Task.WhenAll(Enumerable.Range(0, Setters).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < Rounds; i++)
            {
                Interlocked.Increment(ref counter);
                signal.Set();
            }
        })));
        await loop.WaitAsync(Limit);
        Assert.That(seen, Is.EqualTo(Setters * Rounds));
    }

    [Test]
    public async Task What_still_refers_to_a_loop_that_has_ended_goes_on_elsewhere()
    {
        var (late, ended) = (new TaskCompletionSource(), Task.CompletedTask);
        Task? straggler = null;
        ended = new SystemScheduler().StartThread("loop", () =>
        {
            straggler = AwaitAsync();
            return Task.CompletedTask;
        });
        await ended.WaitAsync(Limit);
        late.SetResult();
        await straggler!.WaitAsync(Limit);

        async Task AwaitAsync() => await late.Task;
    }

    [Test]
    public void The_failure_of_a_loop_is_that_of_its_task()
    {
        var scheduler = new SystemScheduler();
        Assert.That(
            async () => await scheduler.StartThread("loop", () => throw new InvalidOperationException("at once")).WaitAsync(Limit),
            Throws.InvalidOperationException.With.Message.EqualTo("at once"));
        Assert.That(
            async () => await scheduler.StartThread("loop", async () =>
            {
                await Task.Yield();
                throw new InvalidOperationException("later");
            }).WaitAsync(Limit),
            Throws.InvalidOperationException.With.Message.EqualTo("later"));
    }

    [Test]
    public void An_inline_signal_runs_its_waiter_inside_the_setter_and_leaves_it_no_context_to_come_back_to()
    {
        var signal = new AsyncSignal(inline: true);
        (int Thread, SynchronizationContext? Context) seen = default;
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            var waiting = WaitAsync();
            var own = new SynchronizationContext();
            SynchronizationContext.SetSynchronizationContext(own);
            signal.Set();
            Assert.That(waiting.IsCompleted, Is.True);
            Assert.That(seen, Is.EqualTo((Environment.CurrentManagedThreadId, (SynchronizationContext?)null)));
            Assert.That(SynchronizationContext.Current, Is.SameAs(own));
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }

        async Task WaitAsync()
        {
            await signal.WaitAsync();
            seen = (Environment.CurrentManagedThreadId, SynchronizationContext.Current);
        }
    }

    [Test]
    public async Task A_setter_may_choose_where_the_waiter_goes_on_whatever_the_signal_does_otherwise([Values] bool signalIsInline, [Values] bool inline)
    {
        var signal = new AsyncSignal(signalIsInline);
        var own = Environment.CurrentManagedThreadId;
        var waiting = WaitAsync();
        signal.Set(inline);
        var isDone = waiting.IsCompleted;
        if (inline)
        {
            Assert.That(isDone, Is.True);
        }

        Assert.That(await waiting.WaitAsync(Limit), inline ? Is.EqualTo(own) : Is.Not.EqualTo(own));

        async Task<int> WaitAsync()
        {
            await signal.WaitAsync();
            return Environment.CurrentManagedThreadId;
        }
    }
}
