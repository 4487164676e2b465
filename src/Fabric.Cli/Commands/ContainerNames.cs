using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Client.Connections;
using Fabric.Registry.Membership;

namespace Fabric.Cli.Commands;

/// <summary>Arguments and options that the container commands share.</summary>
internal static class ContainerNames
{
    public static Argument<string[]> Argument { get; } = new("NAME")
    {
        Arity = ArgumentArity.OneOrMore,
        Description = "Containers; * and ? stand for any characters and any one.",
    };

    public static Option<bool> NoWait { get; } = new("--no-wait") { Description = "Return as soon as the registry has the request." };

    public static Option<int> Timeout { get; } = new("--timeout")
    {
        Description = "Seconds to wait for the outcome.",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 60,
    };

    /// <summary>How long to wait.</summary>
    /// <exception cref="CliException">The number is out of range.</exception>
    public static TimeSpan LimitOf(Invocation invocation) => invocation.Get(Timeout) is var seconds and > 0 and <= 86_400
        ? TimeSpan.FromSeconds(seconds)
        : throw new CliException(ExitCode.Usage, "--timeout is a number of seconds from 1 to 86400");

    /// <summary>The containers that names and patterns stand for, in the order of the line, each once.</summary>
    /// <exception cref="CliException">A name or pattern stands for none.</exception>
    public static IReadOnlyList<ContainerInfo> Resolve(IReadOnlyList<ContainerInfo> all, IEnumerable<string> patterns)
    {
        var found = new List<ContainerInfo>();
        foreach (var pattern in patterns)
        {
            var matches = all.Where(container => Glob.IsMatch(pattern, container.Name)).ToArray();
            if (matches.Length == 0)
            {
                throw Unknown(pattern, all);
            }

            found.AddRange(matches.Where(match => found.All(container => container.Name != match.Name)));
        }

        return found;
    }

    private static CliException Unknown(string pattern, IReadOnlyList<ContainerInfo> all)
    {
        var nearest = NearestName.Find(pattern, all.Select(container => container.Name));
        return new CliException(
            ExitCode.BadData,
            Glob.HasWildcard(pattern) ? $"no container is called like {pattern}" : $"container {pattern} does not exist",
            null,
            nearest ?? "fabric container-list");
    }
}
