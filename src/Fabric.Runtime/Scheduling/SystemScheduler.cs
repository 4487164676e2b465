using System.Collections.Concurrent;

namespace Fabric.Runtime.Scheduling;

/// <summary>Thread pool and threads of the process.</summary>
public sealed class SystemScheduler : IScheduler
{
    public Task Start(string name, Func<Task> body) => Task.Run(body);

    public Task StartThread(string name, Func<Task> body)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() => LoopContext.Run(body, done)) { Name = name, IsBackground = true };
        thread.Start();
        return done.Task;
    }

    /// <summary>Brings every continuation of one loop back to its thread.</summary>
    private sealed class LoopContext : SynchronizationContext
    {
        private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _work = [];

        public static void Run(Func<Task> body, TaskCompletionSource done)
        {
            var context = new LoopContext();
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

            task.ContinueWith(
                _ => context._work.CompleteAdding(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            foreach (var (callback, state) in context._work.GetConsumingEnumerable())
            {
                callback(state);
            }

            done.SetFromTask(task);
        }

        public override void Post(SendOrPostCallback d, object? state)
        {
            try
            {
                _work.Add((d, state));
            }
            catch (InvalidOperationException)
            {
                // The loop has ended; what still refers to it goes on elsewhere.
                ThreadPool.QueueUserWorkItem(_ => d(state));
            }
        }

        public override void Send(SendOrPostCallback d, object? state) =>
            throw new NotSupportedException("a loop is never blocked on from outside");
    }
}
