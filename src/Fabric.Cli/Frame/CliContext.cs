using Fabric.Runtime;
using Fabric.Runtime.Processes;

namespace Fabric.Cli.Frame;

/// <summary>What a command may touch. Data goes to <see cref="Out"/>, everything else to <see cref="Error"/>.</summary>
internal sealed record CliContext
{
    public required TextWriter Out { get; init; }

    public required TextWriter Error { get; init; }

    public required FabricRuntime Runtime { get; init; }

    public required IProcesses Processes { get; init; }

    /// <summary>Reads an environment variable; null when it is not set.</summary>
    public required Func<string, string?> Environment { get; init; }

    /// <summary>Absolute; relative paths of the command line count from it.</summary>
    public required string WorkingDirectory { get; init; }
}
