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
}
