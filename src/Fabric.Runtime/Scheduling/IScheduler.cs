namespace Fabric.Runtime.Scheduling;

/// <summary>Where loops run. The caller keeps the returned task, awaits it when it stops the loop, and so sees its failure.</summary>
public interface IScheduler
{
    /// <summary>Runs a loop on the thread pool.</summary>
    /// <param name="name">What it is, for people: "connection reader 7".</param>
    /// <param name="body">The loop.</param>
    Task Start(string name, Func<Task> body);

    /// <summary>
    /// Runs a loop that blocks on disk calls on a thread of its own. What it awaits comes back to that thread.
    /// </summary>
    Task StartThread(string name, Func<Task> body);
}
