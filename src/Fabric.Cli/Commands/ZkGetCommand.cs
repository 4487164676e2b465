using System.CommandLine;
using System.Text;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary><c>zk-get</c>: a znode's data, as it is.</summary>
internal static class ZkGetCommand
{
    private static readonly Argument<string> Path = new("PATH") { Description = "The znode." };

    public static Command Create(FabricCommandLine line) => line.Create("zk-get", "Print the data of a znode.", [Path], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var path = ZkListCommand.PathOf(invocation, Path);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var content = await registry.TryGetAsync(path, invocation.CancellationToken).ConfigureAwait(false)
            ?? throw new CliException(ExitCode.BadData, $"there is no znode {path}");
        if (!invocation.IsJson)
        {
            invocation.Out.WriteLine(content.Text);
            return ExitCode.Done;
        }

        invocation.WriteJson(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("path", path);
            writer.WriteString("data", Encoding.UTF8.GetString(content.Data));
            writer.WriteNumber("version", content.Stat.Version);
            writer.WriteBoolean("ephemeral", content.Stat.EphemeralOwner != 0);
            writer.WriteNumber("children", content.Stat.NumChildren);
            writer.WriteEndObject();
        });
        return ExitCode.Done;
    }
}
