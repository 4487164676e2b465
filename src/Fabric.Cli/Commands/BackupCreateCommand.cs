using System.CommandLine;
using System.Globalization;
using Fabric.Cli.Frame;
using Fabric.Runtime.Processes;
using Fabric.Store;
using Fabric.Store.Backup;

namespace Fabric.Cli.Commands;

/// <summary><c>backup-create</c>: a consistent copy of a journal, made beside the broker that uses it.</summary>
internal static class BackupCreateCommand
{
    private static readonly Argument<string> Directory = JournalText.CreateDirectoryArgument();
    private static readonly Argument<string> Backup = CreateBackupArgument("The backup's directory; absent or empty.");

    public static Command Create(FabricCommandLine line) => line.Create(
        "backup-create", "Back up a journal, of a running broker's master or slave too.", [Directory, Backup], RunAsync);

    /// <summary>The argument that names a backup.</summary>
    public static Argument<string> CreateBackupArgument(string description) => new("BACKUP") { Description = description };

    /// <summary>Prints what a backup holds.</summary>
    public static void Write(Invocation invocation, string directory, BackupManifest manifest)
    {
        if (invocation.IsJson)
        {
            invocation.WriteJson(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("directory", directory);
                writer.WriteString("id", manifest.Id.ToString("N"));
                writer.WriteString("created", manifest.Created.UtcDateTime);
                writer.WriteNumber("first", manifest.First.Value);
                writer.WriteNumber("end", manifest.End.Value);
                writer.WriteNumber("epoch", manifest.Epoch.Value);
                writer.WriteNumber("records", manifest.Records);
                writer.WriteNumber("bytes", manifest.Files.Sum(file => file.Bytes));
                writer.WriteEndObject();
            });
            return;
        }

        invocation.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{directory}: {manifest.Records} records, positions {manifest.First} to {manifest.End}, epoch {manifest.Epoch}, {manifest.Files.Sum(file => file.Bytes)} bytes, made {manifest.Created:u}"));
    }

    /// <summary>Runs what reads or writes a backup, and turns its failures into exit codes.</summary>
    public static async Task<T> GuardAsync<T>(Func<Task<T>> body)
    {
        try
        {
            return await body().ConfigureAwait(false);
        }
        catch (DirectoryNotEmptyException exception)
        {
            throw new CliException(ExitCode.Exists, exception.Message, advice: "name an empty or a new directory", innerException: exception);
        }
        catch (StoreException exception)
        {
            throw new CliException(ExitCode.BadData, exception.Message, innerException: exception);
        }
    }

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        Daemon.KeepFilesPrivate(); // messages are nobody else's business
        var source = JournalText.DirectoryOf(invocation, Directory);
        var destination = JournalText.DirectoryOf(invocation, Backup);
        var manifest = await GuardAsync(() => new JournalBackup(invocation.Context.Runtime).CreateAsync(source, destination, invocation.CancellationToken)).ConfigureAwait(false);
        Write(invocation, destination, manifest);
        return ExitCode.Done;
    }
}
