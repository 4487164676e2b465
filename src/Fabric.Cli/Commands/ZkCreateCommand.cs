using System.CommandLine;
using System.Text;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary><c>zk-create</c>: makes a persistent znode, with the ACL of its place.</summary>
internal static class ZkCreateCommand
{
    private static readonly Argument<string> Path = new("PATH") { Description = "The znode." };
    private static readonly Argument<string> Data = new("DATA") { Description = "Its data.", DefaultValueFactory = _ => "" };
    private static readonly Option<bool> Recursive = new("--recursive", "-r") { Description = "Create missing parents too." };

    public static Command Create(FabricCommandLine line) =>
        line.Create("zk-create", "Create a znode.", [Path, Data, Recursive], async invocation =>
        {
            var path = ZkListCommand.PathOf(invocation, Path);
            var data = Encoding.UTF8.GetBytes(invocation.Get(Data)!);
            await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
            if (!invocation.Get(Recursive))
            {
                await registry.CreateAsync(path, data, cancellationToken: invocation.CancellationToken).ConfigureAwait(false);
            }
            else if (!await registry.TryCreateAsync(path, data, invocation.CancellationToken).ConfigureAwait(false))
            {
                throw new CliException(ExitCode.Exists, $"the znode {path} exists already");
            }

            return ExitCode.Done;
        });
}
