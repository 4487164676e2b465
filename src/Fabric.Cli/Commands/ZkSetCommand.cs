using System.CommandLine;
using System.Text;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary><c>zk-set</c>: changes a znode's data.</summary>
internal static class ZkSetCommand
{
    private static readonly Argument<string> Path = new("PATH") { Description = "The znode." };
    private static readonly Argument<string> Data = new("DATA") { Description = "Its new data." };

    public static Command Create(FabricCommandLine line) => line.Create("zk-set", "Set the data of a znode.", [Path, Data], async invocation =>
    {
        var path = ZkListCommand.PathOf(invocation, Path);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        await registry.SetAsync(path, Encoding.UTF8.GetBytes(invocation.Get(Data)!), -1, invocation.CancellationToken).ConfigureAwait(false);
        return ExitCode.Done;
    });
}
