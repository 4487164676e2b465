using Fabric.Client;
using Fabric.Registry;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Cli.Frame;

/// <summary>Turns what went wrong into the lines that a person reads and the exit code that a script reads.</summary>
internal static class ErrorReport
{
    /// <summary>Writes <c>error:</c>, <c>cause:</c> and <c>try:</c> lines.</summary>
    /// <returns>The exit code.</returns>
    public static ExitCode Write(TextWriter error, Exception exception)
    {
        var report = Translate(exception);
        error.WriteLine($"error: {OneLine(report.Message)}");
        if (report.Cause is { } cause)
        {
            error.WriteLine($"  cause: {OneLine(cause)}");
        }

        if (report.Advice is { } advice)
        {
            error.WriteLine($"  try: {advice}");
        }

        return report.Code;
    }

    private static CliException Translate(Exception exception) => exception switch
    {
        CliException known => known,
        RegistryUnavailableException away => new CliException(
            ExitCode.Unreachable, away.Message, null, "start the fabric with: fabric up, or name its registry with --zookeeper HOST:PORT"),
        RegistryPasswordException password => new CliException(
            ExitCode.PermissionDenied, password.Message, null, "--zookeeper-password-file FILE, or set FABRIC_ZOOKEEPER_PASSWORD"),
        RegistryContentException content => new CliException(ExitCode.BadData, content.Message),
        RegistryFencedException fenced => new CliException(ExitCode.Temporary, fenced.Message),
        ZooKeeperException { Error: ZooKeeperError.NoNode, Path: { } path } => new CliException(ExitCode.BadData, $"there is no znode {path}"),
        ZooKeeperException { Error: ZooKeeperError.NodeExists, Path: { } path } => new CliException(ExitCode.Exists, $"the znode {path} exists already"),
        ZooKeeperException { Error: ZooKeeperError.NotEmpty, Path: { } path } => new CliException(
            ExitCode.BadData, $"the znode {path} has children", null, "--recursive deletes them too"),
        ZooKeeperException other => new CliException(ExitCode.BadData, other.Message),
        FabricSecurityException refused => new CliException(ExitCode.PermissionDenied, refused.Message),
        FabricConnectionException away => new CliException(ExitCode.Unreachable, away.Message, away.InnerException?.Message),
        FabricException { IsTransient: true } later => new CliException(ExitCode.Temporary, later.Message),
        FabricException refused => new CliException(ExitCode.BadData, refused.Message),
        TimeoutException late => new CliException(ExitCode.Temporary, late.Message),
        OperationCanceledException => new CliException(ExitCode.Interrupted, "interrupted"),
        UnauthorizedAccessException local => new CliException(ExitCode.LocalFailure, local.Message),
        IOException local => new CliException(ExitCode.LocalFailure, local.Message),
        _ => new CliException(ExitCode.Defect, $"a defect of fabric: {exception.Message}", exception.ToString()),
    };

    private static string OneLine(string text) => string.Join(' ', text.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
