using System.Buffers;
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Fabric.Cli.Frame;
using Fabric.Store.Inspection;
using Fabric.Store.Journal;

namespace Fabric.Cli.Commands;

/// <summary><c>journal-print</c>: the records of a journal, one a line; never what a message holds.</summary>
internal static class JournalPrintCommand
{
    private static readonly Argument<string> Directory = JournalText.CreateDirectoryArgument();
    private static readonly Option<long> From = new("--from") { Description = "Leave out records that begin before this position.", HelpName = "POSITION" };
    private static readonly Option<long?> To = new("--to") { Description = "Leave out records that begin at this position or later.", HelpName = "POSITION" };

    public static Command Create(FabricCommandLine line) => line.Create(
        "journal-print", "Print what a journal's records say, beside a running broker too.", [Directory, From, To], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var (from, to) = (invocation.Get(From), invocation.Get(To));
        if (from < 0 || to < from)
        {
            throw new CliException(ExitCode.Usage, "--from and --to are positions, 0 or more, and --from is not beyond --to");
        }

        var inspector = new JournalInspector(invocation.Context.Runtime, JournalText.DirectoryOf(invocation, Directory));
        Printer printer = invocation.IsJson ? new JsonPrinter(invocation.Out) : new TextPrinter(invocation.Out);
        printer.Begin();
        var report = await inspector
            .RunAsync(new Position(from), to is { } limit ? new Position(limit) : null, printer, invocation.CancellationToken).ConfigureAwait(false);
        printer.End();
        foreach (var fault in report.Faults.Where(fault => fault.IsHarmless))
        {
            invocation.Error.WriteLine($"note: {JournalText.NameOf(fault.Kind)} at {fault.Position}: {fault.Detail}");
        }

        if (report.IsMoving)
        {
            invocation.Error.WriteLine($"note: a broker writes to it; this is how far it was: {report.End}");
        }

        return JournalText.ErrorFor(report) is { } error ? throw error : ExitCode.Done;
    }

    private abstract class Printer : IJournalVisitor
    {
        public virtual void Begin()
        {
        }

        public virtual void End()
        {
        }

        public virtual void OnSegment(SegmentInfo segment)
        {
        }

        public abstract void OnRecord(in JournalRecord record);
    }

    private sealed class TextPrinter(TextWriter output) : Printer
    {
        public override void OnSegment(SegmentInfo segment) =>
            output.WriteLine($"# {Path.GetFileName(segment.File)}: from {segment.First}, room for {segment.Room} bytes");

        public override void OnRecord(in JournalRecord record) =>
            output.WriteLine($"{record.Position,-14} {record.End - record.Position,-8} {JournalText.NameOf(record.Kind),-20} {JournalText.Describe(record)}".TrimEnd());
    }

    /// <summary>An array, a record a line: a journal does not fit into memory.</summary>
    private sealed class JsonPrinter(TextWriter output) : Printer
    {
        private static readonly JsonWriterOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        private readonly ArrayBufferWriter<byte> _buffer = new();
        private bool _any;

        public override void Begin() => output.Write("[");

        public override void End() => output.WriteLine(_any ? "\n]" : "]");

        public override void OnRecord(in JournalRecord record)
        {
            _buffer.ResetWrittenCount();
            using (var writer = new Utf8JsonWriter(_buffer, OneLine))
            {
                writer.WriteStartObject();
                writer.WriteNumber("position", record.Position.Value);
                writer.WriteNumber("bytes", record.End - record.Position);
                writer.WriteString("kind", JournalText.NameOf(record.Kind));
                writer.WriteNumber("number", record.Kind);
                writer.WriteNumber("flags", record.Flags);
                writer.WriteString("content", JournalText.Describe(record));
                writer.WriteEndObject();
            }

            output.Write(string.Create(CultureInfo.InvariantCulture, $"{(_any ? "," : "")}\n  {Encoding.UTF8.GetString(_buffer.WrittenSpan)}"));
            _any = true;
        }
    }
}
