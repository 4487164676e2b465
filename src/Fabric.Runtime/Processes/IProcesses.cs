namespace Fabric.Runtime.Processes;

/// <summary>The processes of this machine, as far as a supervisor needs them. Thread-safe.</summary>
public interface IProcesses
{
    /// <summary>This process.</summary>
    ProcessIdentity Self { get; }

    /// <summary>Starts a program as a child of this process, with its standard streams and its environment.</summary>
    /// <exception cref="IOException">The program cannot be started; the message says why.</exception>
    ISupervisedProcess Start(ProcessStart start);

    /// <summary>Takes hold of a running process that need not be our child.</summary>
    /// <returns>Null when it has ended, also when its id belongs to another process by now.</returns>
    ISupervisedProcess? Find(ProcessIdentity identity);
}

/// <summary>A program to start.</summary>
/// <param name="Program">Path of the executable.</param>
/// <param name="Arguments">Passed as they are. Visible to every user of the machine, so no secrets.</param>
public sealed record ProcessStart(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Variables of our environment that it does not inherit.</summary>
    public IReadOnlyList<string> WithheldVariables { get; init; } = [];
}

/// <summary>A process that somebody watches over. Disposing lets go of it and does not end it.</summary>
public interface ISupervisedProcess : IDisposable
{
    ProcessIdentity Identity { get; }

    /// <summary>
    /// Ends when the process has ended, with its exit code (128 + signal number when a signal ended it); the code is null
    /// when the process is not our child, because then only its parent learns it.
    /// </summary>
    Task<int?> Ended { get; }

    /// <summary>Asks it to end (SIGTERM); does nothing when it has ended.</summary>
    void Terminate();

    /// <summary>Ends it at once (SIGKILL); does nothing when it has ended.</summary>
    void Kill();

    /// <summary>Sends it a signal; does nothing when it has ended.</summary>
    /// <param name="number">The system's number of the signal.</param>
    void Signal(int number);
}

/// <summary>A process, told apart from every other that has or had the same id.</summary>
/// <param name="Id">The system's process id, positive.</param>
/// <param name="StartMark">When it started, in a form that only makes sense to compare; no blanks in it.</param>
public readonly record struct ProcessIdentity(int Id, string StartMark);
