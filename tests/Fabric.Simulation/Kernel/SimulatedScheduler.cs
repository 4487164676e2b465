using Fabric.Runtime.Scheduling;

namespace Fabric.Simulation.Kernel;

/// <summary>Loops of a process: on the pump, or on fibers.</summary>
internal sealed class SimulatedScheduler(Process process) : IScheduler
{
    public Task Start(string name, Func<Task> body)
    {
        var started = new TaskCompletionSource<Task>(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Context.Post(_ => started.SetResult(Invoke(body)), null);
        return started.Task.Unwrap();
    }

    public Task StartThread(string name, Func<Task> body) =>
        process.IsDead ? new TaskCompletionSource().Task : new Fiber(process, name, body).Done;

    private static Task Invoke(Func<Task> body)
    {
        try
        {
            return body();
        }
        catch (Exception exception)
        {
            return Task.FromException(exception);
        }
    }
}
