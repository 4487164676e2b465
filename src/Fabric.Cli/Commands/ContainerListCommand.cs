using System.CommandLine;
using System.Text.Json;
using Fabric.Cli.Frame;
using Fabric.Registry.Membership;

namespace Fabric.Cli.Commands;

/// <summary><c>container-list</c> (fabric.md §3.4, DESIGN §8).</summary>
internal static class ContainerListCommand
{
    private const int StatusMax = 100;

    private static readonly Argument<string?> Filter = new("FILTER")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "Part of a container's or a profile's name, or a pattern with * and ?.",
    };

    private static readonly Option<string?> Version = new("--version") { Description = "Only containers of this version.", HelpName = "VERSION" };
    private static readonly Option<bool> Verbose = new("--verbose", "-v") { Description = "Show process, host and management address too." };

    public static Command Create(FabricCommandLine line) =>
        line.Create("container-list", "List the containers.", [Filter, Version, Verbose], RunAsync);

    /// <summary>How a container is, in a word or two.</summary>
    public static string StatusOf(ContainerInfo container)
    {
        if (!container.IsAlive)
        {
            return container.Wish switch
            {
                ContainerWishState.Stopped => "stopped",
                ContainerWishState.Deleted => "deleting",
                _ => "down",
            };
        }

        if (container.Provision != "error")
        {
            return container.Provision ?? "";
        }

        var reason = container.ProvisionError?.Split('\n')[0].Trim() ?? "";
        return reason.Length == 0 ? "error" : $"error - {(reason.Length > StatusMax ? reason[..StatusMax] : reason)}";
    }

    /// <summary>Roots by name, each followed by its children.</summary>
    public static IReadOnlyList<(ContainerInfo Container, int Depth)> Order(IReadOnlyList<ContainerInfo> containers)
    {
        var ordered = new List<(ContainerInfo, int)>();
        var names = containers.Select(container => container.Name).ToHashSet(StringComparer.Ordinal);
        Add(containers.Where(container => container.Parent is null || !names.Contains(container.Parent)), 0);
        return ordered;

        void Add(IEnumerable<ContainerInfo> siblings, int depth)
        {
            foreach (var container in siblings.OrderBy(container => container.Name, StringComparer.Ordinal))
            {
                ordered.Add((container, depth));
                if (depth < containers.Count)
                {
                    Add(containers.Where(child => child.Parent == container.Name), depth + 1);
                }
            }
        }
    }

    public static void WriteTable(TextWriter output, IReadOnlyList<ContainerInfo> containers, bool isVerbose)
    {
        string[] headers = ["id", "version", "alive", "profiles", "provision status"];
        var table = new PlainTable(isVerbose ? [.. headers, "pid", "host", "http"] : headers) { Gap = 1, WidthsMin = [30, 9, 7, 30] };
        foreach (var (container, depth) in Order(containers))
        {
            string[] cells =
            [
                new string(' ', depth * 2) + container.Name + (container.Parent is null ? "*" : ""),
                container.Version ?? "",
                container.IsAlive ? "true" : "false",
                string.Join(", ", container.Profiles),
                StatusOf(container),
            ];
            table.Add(isVerbose
                ? [.. cells, $"{container.ProcessId}", container.Host ?? "", container.Facts.GetValueOrDefault("http") ?? ""]
                : cells);
        }

        table.Write(output);
    }

    public static void WriteJson(Utf8JsonWriter writer, IReadOnlyList<ContainerInfo> containers)
    {
        writer.WriteStartArray();
        foreach (var (container, _) in Order(containers))
        {
            writer.WriteStartObject();
            writer.WriteString("container", container.Name);
            writer.WriteString("parent", container.Parent);
            writer.WriteString("version", container.Version);
            writer.WriteBoolean("alive", container.IsAlive);
            writer.WriteStartArray("profiles");
            foreach (var profile in container.Profiles)
            {
                writer.WriteStringValue(profile);
            }

            writer.WriteEndArray();
            writer.WriteString("provision", StatusOf(container));
            if (container is { IsAlive: true, ProcessId: { } pid })
            {
                writer.WriteNumber("pid", pid);
            }
            else
            {
                writer.WriteNull("pid");
            }

            writer.WriteString("host", container.Host);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var all = await new ContainerDirectory(registry).ListAsync(invocation.CancellationToken).ConfigureAwait(false);
        var shown = all.Where(container => IsWanted(container, invocation.Get(Filter), invocation.Get(Version))).ToArray();
        if (invocation.IsJson)
        {
            invocation.WriteJson(writer => WriteJson(writer, shown));
        }
        else
        {
            WriteTable(invocation.Out, shown, invocation.Get(Verbose));
        }

        return ExitCode.Done;
    }

    private static bool IsWanted(ContainerInfo container, string? filter, string? version) =>
        (version is null || container.Version == version)
        && (filter is null || container.Profiles.Prepend(container.Name).Any(name => Glob.HasWildcard(filter)
            ? Glob.IsMatch(filter, name)
            : name.Contains(filter, StringComparison.Ordinal)));
}
