using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Election;
using Fabric.Registry.Membership;

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
        var listed = new List<ListedBroker>();
        foreach (var broker in brokers)
        {
            var overview = await ReplicaChange.ReadAsync(registry, group, broker, invocation.CancellationToken).ConfigureAwait(false);
            listed.Add(new ListedBroker(broker, overview, await ReasonsAsync(registry, broker, overview, invocation.CancellationToken).ConfigureAwait(false)));
        }

        if (invocation.IsJson)
        {
            invocation.WriteJson(writer => WriteJson(writer, listed));
        }
        else
        {
            WriteTable(invocation, listed);
        }

        return ExitCode.Done;
    }

    /// <summary>Why the replicas that are away are so, as far as the registry shows it; a replica that repairs its journal is one of them.</summary>
    private static async Task<IReadOnlyDictionary<Guid, string>> ReasonsAsync(
        FabricRegistry registry, string broker, ReplicaOverview overview, CancellationToken cancellationToken)
    {
        var containers = new ContainerDirectory(registry);
        var reasons = new Dictionary<Guid, string>();
        foreach (var replica in overview.Replicas.Where(replica => replica.Present is null))
        {
            var container = await containers.TryGetAsync(replica.Container, cancellationToken).ConfigureAwait(false);
            reasons[replica.Replica] = container switch
            {
                null => "there is no such container",
                { IsAlive: true, ProvisionError: { Length: > 0 } error } => error,
                { IsAlive: true } => $"its container runs, and does not run {broker} at the moment",
                _ => $"its container is {ContainerListCommand.StatusOf(container)}",
            };
        }

        return reasons;
    }

    private static void WriteTable(Invocation invocation, List<ListedBroker> listed)
    {
        var table = new PlainTable("broker", "container", "member", "state", "lag", "replica");
        foreach (var (broker, overview, _) in listed)
        {
            foreach (var replica in overview.Replicas)
            {
                table.Add(
                    broker, replica.Container, replica.IsMember ? "yes" : "no", StateOf(replica),
                    replica.Slave?.LagBytes is { } lag ? $"{lag.ToString(CultureInfo.InvariantCulture)} B" : "-", replica.Replica.ToString("N"));
            }
        }

        table.Write(invocation.Out);
        foreach (var (broker, overview, reasons) in listed)
        {
            foreach (var replica in overview.Replicas.Where(replica => reasons.ContainsKey(replica.Replica)))
            {
                invocation.Out.WriteLine($"{broker}: {replica.Container} is away: {reasons[replica.Replica]}");
            }

            if (overview.Change is { } change)
            {
                invocation.Out.WriteLine($"{broker}: {ReplicaChange.Describe(change, overview)} was asked for and is not done");
            }
        }
    }

    private static void WriteJson(Utf8JsonWriter writer, List<ListedBroker> listed)
    {
        writer.WriteStartArray();
        foreach (var (broker, overview, reasons) in listed)
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
                if (reasons.TryGetValue(replica.Replica, out var reason))
                {
                    writer.WriteString("reason", reason);
                }

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

    private sealed record ListedBroker(string Broker, ReplicaOverview Overview, IReadOnlyDictionary<Guid, string> Reasons);
}
