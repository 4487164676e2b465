using System.CommandLine;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary><c>zk-delete</c>: removes a znode.</summary>
internal static class ZkDeleteCommand
{
    private static readonly Argument<string> Path = new("PATH") { Description = "The znode." };
    private static readonly Option<bool> Recursive = new("--recursive", "-r") { Description = "Delete everything below it too." };

    public static Command Create(FabricCommandLine line) =>
        line.Create("zk-delete", "Delete a znode.", [Path, Recursive], async invocation =>
        {
            var path = ZkListCommand.PathOf(invocation, Path);
            if (path == "/")
            {
                throw new CliException(ExitCode.Usage, "the root znode cannot be deleted", null, "name a znode below it: fabric zk-list / lists them");
            }

            await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
            if (await registry.ExistsAsync(path, invocation.CancellationToken).ConfigureAwait(false) is null)
            {
                throw new CliException(ExitCode.BadData, $"there is no znode {path}");
            }

            if (invocation.Get(Recursive))
            {
                await registry.DeleteTreeAsync(path, invocation.CancellationToken).ConfigureAwait(false);
            }
            else
            {
                await registry.TryDeleteAsync(path, -1, invocation.CancellationToken).ConfigureAwait(false);
            }

            return ExitCode.Done;
        });
}
