using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Fabric.Cli.Frame;
using Fabric.Registry.Election;

namespace Fabric.Cli.Commands;

/// <summary><c>replica-list</c>: whose majority decides, who of them is there, and who waits to be one of them.</summary>
internal static class ReplicaListCommand
{
    private static readonly Argument<string?> Broker = new("BROKER") { Arity = ArgumentArity.ZeroOrOne, Description = "Default: all brokers of the group." };

    public static Command Create(FabricCommandLine line) => line.Create(
        "replica-list", "List the replicas of brokers: members of the set, and who waits to be one.", [Broker, ReplicaChange.Group], RunAsync);

    /// <summary>What a replica is, in a word or two.</summary>
    public static string StateOf(ReplicaInfo replica) => replica switch
    {
        { Present: null } => "away",
        { Present.Role: CandidateRole.Master, IsMember: true } => "master",
        { IsMember: false, Slave: not null } => "joining",
        { IsMember: false } => "waiting",
        { Slave.InSync: true } => "in sync",
        { Present.Role: CandidateRole.Slave } => "behind",
        _ => "electing",
    };

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var group = invocation.Get(ReplicaChange.Group)!;
        var brokers = invocation.Get(Broker) is { } one
            ? [one]
            : await ReplicaSetDirectory.BrokersAsync(registry, group, invocation.CancellationToken).ConfigureAwait(false);
        var overviews = new List<(string Broker, ReplicaOverview Overview)>();
        foreach (var broker in brokers)
        {
            overviews.Add((broker, await ReplicaChange.ReadAsync(registry, group, broker, invocation.CancellationToken).ConfigureAwait(false)));
        }

        if (invocation.IsJson)
        {
            invocation.WriteJson(writer => WriteJson(writer, overviews));
        }
        else
        {
            WriteTable(invocation, overviews);
        }

        return ExitCode.Done;
    }

    private static void WriteTable(Invocation invocation, List<(string Broker, ReplicaOverview Overview)> overviews)
    {
        var table = new PlainTable("broker", "container", "member", "state", "lag", "replica");
        foreach (var (broker, overview) in overviews)
        {
            foreach (var replica in overview.Replicas)
            {
                table.Add(
                    broker, replica.Container, replica.IsMember ? "yes" : "no", StateOf(replica),
                    replica.Slave?.LagBytes is { } lag ? $"{lag.ToString(CultureInfo.InvariantCulture)} B" : "-", replica.Replica.ToString("N"));
            }
        }

        table.Write(invocation.Out);
        foreach (var (broker, overview) in overviews.Where(entry => entry.Overview.Change is not null))
        {
            invocation.Out.WriteLine($"{broker}: {ReplicaChange.Describe(overview.Change!, overview)} was asked for and is not done");
        }
    }

    private static void WriteJson(Utf8JsonWriter writer, List<(string Broker, ReplicaOverview Overview)> overviews)
    {
        writer.WriteStartArray();
        foreach (var (broker, overview) in overviews)
        {
            writer.WriteStartObject();
            writer.WriteString("broker", broker);
            writer.WriteString("storeId", overview.Set.StoreId.ToString("N"));
            writer.WriteStartArray("replicas");
            foreach (var replica in overview.Replicas)
            {
                writer.WriteStartObject();
                writer.WriteString("container", replica.Container);
                writer.WriteString("replica", replica.Replica.ToString("N"));
                writer.WriteBoolean("member", replica.IsMember);
                writer.WriteString("state", StateOf(replica));
                if (replica.Slave?.LagBytes is { } lag)
                {
                    writer.WriteNumber("lagBytes", lag);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            if (overview.Change is { } change)
            {
                writer.WriteStartObject("change");
                writer.WriteString("add", change.Add);
                writer.WriteString("remove", change.Remove?.ToString("N"));
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
