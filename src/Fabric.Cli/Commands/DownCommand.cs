using System.CommandLine;
using Fabric.Cli.Development;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary><c>down</c>: stops what <c>up</c> started, by its pid files, whether its registry answers or not (DESIGN §8).</summary>
internal static class DownCommand
{
    private static readonly Option<bool> Wipe = new("--wipe") { Description = "Remove the fabric's data too." };
    private static readonly Option<int> Timeout = new("--timeout")
    {
        Description = "Seconds until what does not stop in order is killed.",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 30,
    };

    public static Command Create(FabricCommandLine line) => line.Create(
        "down", "Stop the development fabric of this machine.", [UpCommand.DataDirectory, Wipe, Timeout], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        if (invocation.Get(Timeout) is not (>= 1 and <= 3600) and var seconds)
        {
            throw new CliException(ExitCode.Usage, $"--timeout {seconds} is not a number from 1 to 3600");
        }

        var directory = DevelopmentFabric.DirectoryOf(invocation.Get(UpCommand.DataDirectory), invocation.Context, AppContext.BaseDirectory);
        var settings = DevelopmentSettings.Read(invocation.Context.Runtime.Disk, directory);
        var fabric = new DevelopmentFabric(invocation.Context, directory, settings ?? new DevelopmentSettings(0, 0, null));
        if (invocation.Get(Wipe) && settings is null && fabric.HoldsAnything)
        {
            // A container, a root or somebody's project, whose entries only have the names of ours: not to be stopped for that either.
            throw new CliException(
                ExitCode.BadConfiguration, $"{directory} was not made by fabric up, so it is not wiped", null, $"remove it yourself: {directory}");
        }

        if (fabric.Running().Count == 0)
        {
            invocation.Error.WriteLine($"nothing runs in {directory}");
        }
        else
        {
            var code = await fabric.StopAsync(AppContext.BaseDirectory, TimeSpan.FromSeconds(invocation.Get(Timeout))).ConfigureAwait(false);
            if (fabric.Running() is { Count: > 0 } left)
            {
                throw new CliException(
                    ExitCode.Temporary, $"still running: {string.Join(", ", left.Select(process => process.Id))}", $"fabricd stop ended with {code}");
            }
        }

        if (invocation.Get(Wipe))
        {
            fabric.Wipe();
            invocation.Error.WriteLine($"wiped {directory}");
        }

        return ExitCode.Done;
    }
}
