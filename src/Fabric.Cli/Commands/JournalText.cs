using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Fabric.Broker;
using Fabric.Cli.Frame;
using Fabric.Replication;
using Fabric.Store;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;

namespace Fabric.Cli.Commands;

/// <summary>What the commands that look into a journal have in common: its directory, and how its parts are called.</summary>
internal static class JournalText
{
    public static Argument<string> CreateDirectoryArgument() => new("DIR")
    {
        Description = "The journal's directory, of a stopped or a running broker; DATA/data/BROKER unless its profile says otherwise.",
    };

    /// <summary>The absolute path of the directory that a person named.</summary>
    public static string DirectoryOf(Invocation invocation, Argument<string> argument) =>
        Path.GetFullPath(invocation.Get(argument)!, invocation.Context.WorkingDirectory);

    /// <summary>The exception for damage, so that all commands end alike; null for a journal that a start accepts.</summary>
    public static CliException? ErrorFor(JournalReport report) => report.Damage is not { } damage ? null : damage.Kind switch
    {
        JournalFaultKind.NoJournal => new CliException(ExitCode.BadData, $"{report.Directory} holds no journal", damage.Detail,
            "name the directory with the files journal-*.seg, such as DATA/data/BROKER"),
        JournalFaultKind.NewerFormat => new CliException(ExitCode.BadData, $"{report.Directory} is of a newer format", damage.Detail,
            "use the program of the version that wrote it, or a later one"),
        _ => new CliException(
            ExitCode.BadData,
            $"{report.Directory} is damaged at position {damage.Position}: {NameOf(damage.Kind)}",
            $"{damage.File}: {damage.Detail}",
            "leave the files as they are; replace this replica, or restore a backup if no other replica is left"),
    };

    /// <summary>The name of a fault in tables and JSON; frozen.</summary>
    public static string NameOf(JournalFaultKind kind) => kind switch
    {
        JournalFaultKind.NoJournal => "no-journal",
        JournalFaultKind.NewerFormat => "newer-format",
        JournalFaultKind.TornTail => "torn-tail",
        JournalFaultKind.CorruptRecord => "corrupt-record",
        JournalFaultKind.CorruptHeader => "corrupt-header",
        JournalFaultKind.MissingSegment => "missing-segment",
        JournalFaultKind.CorruptCheckpoint => "corrupt-checkpoint",
        JournalFaultKind.Contradiction => "contradiction",
        _ => kind.ToString(),
    };

    public static string NameOf(byte kind) => kind switch
    {
        EpochRecord.RecordKind => "Epoch",
        ReplicaSet.RecordKind => "ReplicaSet",
        _ => RecordDescription.NameOf(kind) ?? string.Create(CultureInfo.InvariantCulture, $"kind {kind}"),
    };

    /// <summary>What a record says, in one line that is safe to print: a name from the wire may hold anything.</summary>
    public static string Describe(in JournalRecord record)
    {
        var text = Read(record);
        return text.Any(char.IsControl) ? string.Concat(text.Select(character => char.IsControl(character) ? '?' : character)) : text;
    }

    private static string Read(in JournalRecord record)
    {
        try
        {
            switch (record.Kind)
            {
                case EpochRecord.RecordKind:
                    var epoch = EpochRecord.Decode(record.Body);
                    return $"epoch {epoch.Epoch}, master {epoch.Master}";
                case ReplicaSet.RecordKind:
                    var set = ReplicaSet.Decode(record.Body);
                    return $"store {set.StoreId:N}: {string.Join(", ", set.Members.Select(member => $"{member.Container} {member.Id}"))}";
                default:
                    return RecordDescription.Describe(record);
            }
        }
        catch (StoreException exception)
        {
            return $"cannot be read: {exception.Message}";
        }
    }

    public static void WriteFaults(Utf8JsonWriter writer, JournalReport report)
    {
        writer.WriteStartArray("faults");
        foreach (var fault in report.Faults)
        {
            writer.WriteStartObject();
            writer.WriteString("kind", NameOf(fault.Kind));
            writer.WriteNumber("position", fault.Position.Value);
            writer.WriteString("file", fault.File);
            writer.WriteString("detail", fault.Detail);
            writer.WriteBoolean("harmless", fault.IsHarmless);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
