using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.ZooKeeper.Jute;

namespace Fabric.Cli.Commands;

/// <summary><c>zk-list</c>: children of a znode.</summary>
internal static class ZkListCommand
{
    private static readonly Argument<string> Path = new("PATH") { Description = "Default: /.", DefaultValueFactory = _ => "/" };
    private static readonly Option<bool> Recursive = new("--recursive", "-r") { Description = "List everything below, as paths." };

    public static Command Create(FabricCommandLine line) => line.Create("zk-list", "List the children of a znode.", [Path, Recursive], RunAsync);

    /// <summary>A path as a person types it.</summary>
    /// <exception cref="CliException">It names no znode.</exception>
    public static string PathOf(Invocation invocation, Argument<string> argument)
    {
        var typed = invocation.Get(argument)!;
        var path = typed.Length > 1 ? typed.TrimEnd('/') : typed;
        return ZnodePath.IsValid(path, out var reason) ? path : throw new CliException(ExitCode.Usage, $"'{typed}' is no path of a znode: {reason}");
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var path = PathOf(invocation, Path);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var names = await registry.TryGetChildrenAsync(path, invocation.CancellationToken).ConfigureAwait(false)
            ?? throw new CliException(ExitCode.BadData, $"there is no znode {path}");
        var found = new List<string>();
        await AddAsync(registry, path, names, found, invocation).ConfigureAwait(false);
        if (invocation.IsJson)
        {
            invocation.WriteJson(writer =>
            {
                writer.WriteStartArray();
                found.ForEach(writer.WriteStringValue);
                writer.WriteEndArray();
            });
        }
        else
        {
            found.ForEach(invocation.Out.WriteLine);
        }

        return ExitCode.Done;
    }

    private static async Task AddAsync(
        FabricRegistry registry, string path, IReadOnlyList<string> names, List<string> found, Invocation invocation)
    {
        foreach (var name in names)
        {
            var child = path == "/" ? $"/{name}" : $"{path}/{name}";
            found.Add(invocation.Get(Recursive) ? child : name);
            if (invocation.Get(Recursive)
                && await registry.TryGetChildrenAsync(child, invocation.CancellationToken).ConfigureAwait(false) is { } below)
            {
                await AddAsync(registry, child, below, found, invocation).ConfigureAwait(false);
            }
        }
    }
}
