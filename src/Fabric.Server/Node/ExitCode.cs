namespace Fabric.Server.Node;

/// <summary>How <c>fabricd</c> ends, after BSD's sysexits; frozen, because service managers and supervisors act on them.</summary>
internal enum ExitCode
{
    /// <summary>Stopped in order.</summary>
    Done = 0,

    /// <summary>The command line is wrong.</summary>
    Usage = 64,

    /// <summary>The registry cannot be reached, and it was not to be waited for.</summary>
    RegistryUnreachable = 69,

    /// <summary>A defect of this program.</summary>
    Defect = 70,

    /// <summary>Disk, port or data directory refused.</summary>
    LocalFailure = 74,

    /// <summary>Did not happen in the time given; may work later.</summary>
    TimedOut = 75,

    /// <summary>The registry refused our password.</summary>
    PermissionDenied = 77,

    /// <summary>The configuration cannot be used as it is.</summary>
    BadConfiguration = 78,
}

/// <summary>The node cannot run, and the person who started it can do something about it. The message is one line for that person.</summary>
internal sealed class NodeException : Exception
{
    /// <param name="code">How the process is to end.</param>
    /// <param name="message">What is wrong.</param>
    /// <param name="advice">What to try; may be null.</param>
    /// <param name="innerException">The cause.</param>
    public NodeException(ExitCode code, string message, string? advice = null, Exception? innerException = null)
        : base(message, innerException) => (Code, Advice) = (code, advice);

    public ExitCode Code { get; }

    public string? Advice { get; }
}
