using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Fabric.Cli.Frame;
using Fabric.Registry.Discovery;
using Fabric.Registry.Election;

namespace Fabric.Cli.Commands;

/// <summary><c>cluster-list</c>: who is master and who is slave of which broker (fabric.md §3.6, DESIGN §8).</summary>
internal static class ClusterListCommand
{
    private const string None = "-";
    private static readonly Argument<string?> Path = new("PATH")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "Below /fabric/registry/clusters, or an absolute path.",
    };

    private static readonly Option<bool> Verbose = new("--verbose", "-v") { Description = "Show one line per member, with znode, epoch and lag." };

    public static Command Create(FabricCommandLine line) =>
        line.Create("cluster-list", "List the clusters: masters, slaves, services.", [Path, Verbose], RunAsync);

    /// <summary>Writes the table of the ancestors: its columns and blanks are what scripts rely on.</summary>
    public static void WriteTable(TextWriter output, IReadOnlyList<Cluster> clusters)
    {
        if (clusters.Count == 0)
        {
            return;
        }

        WriteRow(output, "[cluster]", "[masters]", "[slaves]", "[services]");
        foreach (var cluster in clusters)
        {
            WriteRow(output, cluster.Name, "", "", "");
            foreach (var broker in cluster.Brokers)
            {
                WriteRow(output, $"   {broker.Id}", Join(broker.MasterContainers), Join(broker.SlaveContainers), Join(broker.Services));
            }
        }
    }

    /// <summary>Writes one object per broker.</summary>
    public static void WriteJson(Utf8JsonWriter writer, IReadOnlyList<Cluster> clusters)
    {
        writer.WriteStartArray();
        foreach (var cluster in clusters)
        {
            foreach (var broker in cluster.Brokers)
            {
                WriteBroker(writer, cluster, broker);
            }
        }

        writer.WriteEndArray();
    }

    /// <summary>Writes a line per member, with the columns that the short table has no room for.</summary>
    public static void WriteVerbose(TextWriter output, IReadOnlyList<Cluster> clusters)
    {
        var table = new PlainTable(
            "cluster", "masters", "slaves", "services", "zk path", "ready", "epoch", "lag", "in sync");
        foreach (var cluster in clusters)
        {
            table.Add(cluster.Name);
            foreach (var broker in cluster.Brokers)
            {
                var name = $"   {broker.Id}";
                foreach (var member in broker.Members)
                {
                    var isMaster = member.Services.Count > 0;
                    var slave = isMaster ? null : SlaveOf(broker, member.Container);
                    table.Add(
                        name,
                        isMaster ? member.Container : None,
                        isMaster ? None : member.Container,
                        Join(member.Services),
                        member.Path,
                        member.IsReady ? "true" : "false",
                        broker.Epoch?.ToString(CultureInfo.InvariantCulture) ?? None,
                        slave?.LagBytes is { } lag ? $"{lag.ToString(CultureInfo.InvariantCulture)} B" : None,
                        slave is null ? None : slave.InSync ? "yes" : "no");
                    name = "   ";
                }
            }
        }

        table.Write(output);
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var path = invocation.Get(Path);
        var all = await ClusterList.ReadAsync(registry, path, invocation.CancellationToken).ConfigureAwait(false);
        var shown = path is null && !invocation.Get(Verbose) ? ClusterList.WithoutMirrors(all) : all;
        if (invocation.IsJson)
        {
            invocation.WriteJson(writer => WriteJson(writer, path is null ? ClusterList.WithoutMirrors(all) : all));
        }
        else if (invocation.Get(Verbose))
        {
            WriteVerbose(invocation.Out, shown);
        }
        else
        {
            WriteTable(invocation.Out, shown);
        }

        return ExitCode.Done;
    }

    private static void WriteBroker(Utf8JsonWriter writer, Cluster cluster, ClusterBroker broker)
    {
        writer.WriteStartObject();
        writer.WriteString("cluster", cluster.Name);
        writer.WriteString("broker", broker.Id);
        WriteNumber(writer, "epoch", broker.Epoch);
        writer.WriteString("master", broker.MasterContainers.FirstOrDefault());
        writer.WriteStartArray("slaves");
        foreach (var container in broker.SlaveContainers)
        {
            var slave = SlaveOf(broker, container);
            writer.WriteStartObject();
            writer.WriteString("container", container);
            WriteNumber(writer, "lagBytes", slave?.LagBytes);
            writer.WriteBoolean("inSync", slave is { InSync: true });
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("services");
        foreach (var service in broker.Services)
        {
            writer.WriteStringValue(service);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>What the master says of a slave. Without a master its last report says nothing about now.</summary>
    private static SlaveRecord? SlaveOf(ClusterBroker broker, string container) => broker.MasterContainers.Any()
        ? broker.Slaves?.Slaves.FirstOrDefault(slave => slave.Container == container && !slave.IsLearner)
        : null;

    private static void WriteNumber(Utf8JsonWriter writer, string name, long? value)
    {
        if (value is { } number)
        {
            writer.WriteNumber(name, number);
        }
        else
        {
            writer.WriteNull(name);
        }
    }

    private static string Join(IEnumerable<string> items) => string.Join(", ", items) is { Length: > 0 } text ? text : None;

    private static void WriteRow(TextWriter output, string cluster, string masters, string slaves, string services) =>
        output.WriteLine($"{cluster,-30} {masters,-30} {slaves,-30} {services}");
}
