using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;

namespace Fabric.Cli.Commands;

/// <summary><c>journal-verify</c>: checks every byte of a journal that matters, and changes none.</summary>
internal static class JournalVerifyCommand
{
    private static readonly Argument<string> Directory = JournalText.CreateDirectoryArgument();

    public static Command Create(FabricCommandLine line) => line.Create(
        "journal-verify", "Check a journal's segments, records, marks and checkpoints, beside a running broker too.", [Directory], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var inspector = new JournalInspector(invocation.Context.Runtime, JournalText.DirectoryOf(invocation, Directory));
        var report = await inspector.RunAsync(Position.Zero, null, null, invocation.CancellationToken).ConfigureAwait(false);
        if (invocation.IsJson)
        {
            WriteJson(invocation, report);
        }
        else if (report.Segments > 0)
        {
            WriteText(invocation.Out, report);
        }

        return JournalText.ErrorFor(report) is { } error ? throw error : ExitCode.Done;
    }

    private static void WriteText(TextWriter output, JournalReport report)
    {
        Line("Directory:", report.Directory);
        Line("Positions:", $"{report.First} to {report.End}");
        Line("Committed:", $"{report.Committed}");
        Line("Checkpoint:", report.Checkpoint is { } checkpoint ? $"{checkpoint}, cleaned before {report.Cleaned}" : "none");
        Line("Last epoch:", $"{report.LastEpoch}");
        Line("Segments:", $"{report.Segments}");
        Line("Records:", $"{report.Records}");
        Line("End:", report.Damage is not null ? "damaged" : report.IsMoving ? "moving, a broker writes to it" : report.IsClosed ? "closed in order" : "as left by a crash, or in use");
        foreach (var fault in report.Faults)
        {
            Line("Note:", $"{JournalText.NameOf(fault.Kind)} at {fault.Position}: {fault.Detail}");
        }

        void Line(string name, string value) => output.WriteLine($"{name,-12} {value}");
    }

    private static void WriteJson(Invocation invocation, JournalReport report) => invocation.WriteJson(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("directory", report.Directory);
        writer.WriteBoolean("sound", report.Damage is null);
        writer.WriteNumber("first", report.First.Value);
        writer.WriteNumber("end", report.End.Value);
        writer.WriteNumber("committed", report.Committed.Value);
        if (report.Checkpoint is { } checkpoint)
        {
            writer.WriteNumber("checkpoint", checkpoint.Value);
            writer.WriteNumber("cleaned", report.Cleaned.Value);
        }

        writer.WriteNumber("lastEpoch", report.LastEpoch.Value);
        writer.WriteNumber("segments", report.Segments);
        writer.WriteNumber("records", report.Records);
        writer.WriteBoolean("closed", report.IsClosed);
        writer.WriteBoolean("moving", report.IsMoving);
        JournalText.WriteFaults(writer, report);
        writer.WriteEndObject();
    });
}
