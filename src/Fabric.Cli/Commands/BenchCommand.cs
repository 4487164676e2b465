using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Bench;
using Fabric.Cli.Frame;
using Fabric.Client;

namespace Fabric.Cli.Commands;

/// <summary><c>bench</c>: loads one queue and says how fast it was, and whether anything was lost or doubled.</summary>
internal static class BenchCommand
{
    private static readonly ClientOptions Client = new();
    private static readonly Option<int> Producers = Number("--producers", "-x", "Producers, each on a connection of its own.", 1);
    private static readonly Option<int> Consumers = Number("--consumers", "-y", "Consumers, each on a connection of its own.", 1);
    private static readonly Option<int> Size = Number("--size", "-s", "Bytes of a message's body; at least 12.", 1024);
    private static readonly Option<int> Duration = Number("--duration", "-t", "Seconds of sending that are measured.", 20);
    private static readonly Option<int> WarmUp = Number("--warmup", null, "Seconds of sending before that.", 5);
    private static readonly Option<int> InFlight = Number("--in-flight", "-f", "Unconfirmed sends of a producer; 1 waits for each.", 256);
    private static readonly Option<int> Rate = Number("--rate", "-r", "Messages a second of all producers, by schedule; 0 sends as fast as it goes.", 0);
    private static readonly Option<bool> Persistent = new("--persistent") { Description = "Whether messages survive a crash.", DefaultValueFactory = _ => true };

    public static Command Create(FabricCommandLine line) => line.Create(
        "bench", "Load a queue and measure.", [.. Client.All, Producers, Consumers, Size, Duration, WarmUp, InFlight, Rate, Persistent], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        ProducerCommand.NotNegative(invocation, Producers, Consumers, Size, Duration, WarmUp, InFlight, Rate);
        ProducerCommand.NotMore(invocation, Size, ProducerCommand.SizeMax);
        var plan = new BenchPlan
        {
            Destination = invocation.IsGiven(Client.Destination)
                ? Client.DestinationOf(invocation)
                : Destination.Queue($"bench.{Guid.NewGuid():N}"),
            Producers = invocation.Get(Producers),
            Consumers = invocation.Get(Consumers),
            BodyBytes = Math.Max(invocation.Get(Size), BenchPlan.BodyBytesMin),
            WarmUp = TimeSpan.FromSeconds(invocation.Get(WarmUp)),
            Duration = TimeSpan.FromSeconds(Math.Max(1, invocation.Get(Duration))),
            InFlight = Math.Max(1, invocation.Get(InFlight)),
            Rate = invocation.Get(Rate),
            Persistent = invocation.Get(Persistent),
        };
        var report = await new QueueBench(invocation.Context.Runtime.Time, plan, () => Client.CreateAsync(invocation), invocation.Error)
            .RunAsync(invocation.CancellationToken).ConfigureAwait(false);
        if (invocation.IsJson)
        {
            invocation.WriteJson(report.Write);
        }
        else
        {
            invocation.Out.WriteLine(report.ToString());
        }

        return report.IsCorrect ? ExitCode.Done : ExitCode.No;
    }

    private static Option<int> Number(string name, string? alias, string description, int value) =>
        new(name, alias is null ? [] : [alias])
        {
            Description = string.Create(CultureInfo.InvariantCulture, $"{description} Default {value}."), HelpName = "N", DefaultValueFactory = _ => value,
        };
}
