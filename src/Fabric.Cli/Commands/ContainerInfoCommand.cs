using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Frame;
using Fabric.Registry.Membership;

namespace Fabric.Cli.Commands;

/// <summary><c>container-info</c> (fabric.md §3.5).</summary>
internal static class ContainerInfoCommand
{
    private static readonly Argument<string[]> Names = new("NAME")
    {
        Arity = ArgumentArity.ZeroOrMore,
        Description = "Containers; * and ? stand for any characters and any one. All when none is named.",
    };

    public static Command Create(FabricCommandLine line) =>
        line.Create("container-info", "Show all that is known about containers.", [Names], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var directory = new ContainerDirectory(registry);
        var all = await directory.ListAsync(invocation.CancellationToken).ConfigureAwait(false);
        var names = invocation.Get(Names) is { Length: > 0 } given ? given : ["*"];
        var shown = ContainerNames.Resolve(all, names);
        if (invocation.IsJson)
        {
            invocation.WriteJson(writer => ContainerListCommand.WriteJson(writer, shown));
            return ExitCode.Done;
        }

        var ensemble = await directory.EnsembleAsync(invocation.CancellationToken).ConfigureAwait(false);
        foreach (var (container, index) in shown.Select((container, index) => (container, index)))
        {
            if (index > 0)
            {
                invocation.Out.WriteLine();
            }

            Write(invocation.Out, container, ensemble.Contains(container.Name));
        }

        return ExitCode.Done;
    }

    private static void Write(TextWriter output, ContainerInfo container, bool isInEnsemble)
    {
        Line("Name:", container.Name);
        Line("Version:", container.Version);
        Line("Alive:", container.IsAlive ? "true" : "false");
        Line("Root:", container.Parent is null ? "true" : "false");
        Line("Parent:", container.Parent);
        Line("Ensemble Server:", isInEnsemble ? "true" : "false");
        Line("Resolver:", container.Facts.GetValueOrDefault("resolver"));
        Line("Network Address:", container.Host);
        Line("Http Url:", container.Facts.GetValueOrDefault("http"));
        Line("Process ID:", container.IsAlive ? container.ProcessId?.ToString(CultureInfo.InvariantCulture) : null);
        Line("Profiles:", string.Join(' ', container.Profiles));
        Line("Provision Status:", ContainerListCommand.StatusOf(container));
        Line("Provision Error:", container.IsAlive ? container.ProvisionError : null);

        void Line(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                output.WriteLine($"{name,-30} {value}");
            }
        }
    }
}
