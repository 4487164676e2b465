namespace Fabric.Cli.Frame;

/// <summary>How <c>fabric</c> ends, after BSD's sysexits; scripts rely on the numbers.</summary>
internal enum ExitCode
{
    Done = 0,

    /// <summary>The answer to the question is no.</summary>
    No = 1,

    /// <summary>The command line is wrong.</summary>
    Usage = 64,

    /// <summary>Bad data, or no such object.</summary>
    BadData = 65,

    /// <summary>No broker or registry answers.</summary>
    Unreachable = 69,

    /// <summary>A defect of this program.</summary>
    Defect = 70,

    /// <summary>It exists already.</summary>
    Exists = 73,

    /// <summary>The local disk or a local port refused.</summary>
    LocalFailure = 74,

    /// <summary>Not now: a repetition may succeed.</summary>
    Temporary = 75,

    /// <summary>Authentication or permission refused.</summary>
    PermissionDenied = 77,

    /// <summary>The configuration cannot be used.</summary>
    BadConfiguration = 78,

    /// <summary>Ended by SIGINT.</summary>
    Interrupted = 130,
}

/// <summary>A command cannot do what it was asked, and the person who asked can do something about it.</summary>
internal sealed class CliException : Exception
{
    /// <param name="code">How the program is to end.</param>
    /// <param name="message">What is wrong, in one line.</param>
    /// <param name="cause">Why; may be null.</param>
    /// <param name="advice">What to try; may be null.</param>
    /// <param name="innerException">The cause below.</param>
    public CliException(ExitCode code, string message, string? cause = null, string? advice = null, Exception? innerException = null)
        : base(message, innerException) => (Code, Cause, Advice) = (code, cause, advice);

    public ExitCode Code { get; }

    public string? Cause { get; }

    public string? Advice { get; }
}
