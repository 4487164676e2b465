using Fabric.Cli.Frame;
using Fabric.Runtime.Processes;

namespace Fabric.Cli.Development;

/// <summary>Finds the program <c>fabricd</c> that belongs to this one.</summary>
internal static class FabricdProgram
{
    /// <summary>Names the program when it is in neither of the usual places.</summary>
    public const string Variable = "FABRICD";

    /// <summary>
    /// The program with arguments: the one that <see cref="Variable"/> names, else one beside us (as installed), else the one of the same
    /// build tree.
    /// </summary>
    /// <param name="environment">Reads a variable.</param>
    /// <param name="ownDirectory">Where our own program is.</param>
    /// <param name="exists">Whether a file exists.</param>
    /// <param name="arguments">Passed on.</param>
    /// <exception cref="CliException">It is nowhere.</exception>
    public static ProcessStart With(
        Func<string, string?> environment, string ownDirectory, Func<string, bool> exists, IReadOnlyList<string> arguments)
    {
        if (environment(Variable) is { Length: > 0 } named)
        {
            return exists(named)
                ? Of(named, arguments)
                : throw new CliException(ExitCode.BadConfiguration, $"{Variable} names {named}, which does not exist");
        }

        // src/Fabric.Cli/bin/CONFIGURATION/FRAMEWORK and src/Fabric.Server/bin/CONFIGURATION/FRAMEWORK.
        var own = new DirectoryInfo(ownDirectory.TrimEnd(Path.DirectorySeparatorChar));
        string?[] candidates =
        [
            Path.Combine(ownDirectory, "fabricd"),
            own.Parent?.Parent?.Parent?.Parent is { } sources
                ? Path.Combine(sources.FullName, "Fabric.Server", "bin", own.Parent.Name, own.Name, "fabricd")
                : null,
        ];
        return candidates.FirstOrDefault(candidate => candidate is not null && exists(candidate)) is { } found
            ? Of(found, arguments)
            : throw new CliException(
                ExitCode.BadConfiguration, "the program fabricd is missing", "it was not built, or was moved away from fabric",
                $"dotnet build, or set {Variable} to its path");
    }

    private static ProcessStart Of(string program, IReadOnlyList<string> arguments) =>
        program.EndsWith(".dll", StringComparison.Ordinal) ? new ProcessStart("dotnet", [program, .. arguments]) : new ProcessStart(program, arguments);
}
