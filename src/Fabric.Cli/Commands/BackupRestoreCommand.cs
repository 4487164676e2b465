using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Replication;
using Fabric.Runtime.Processes;

namespace Fabric.Cli.Commands;

/// <summary><c>backup-restore</c>: a new replica out of a backup, for a broker that has lost all of its own.</summary>
internal static class BackupRestoreCommand
{
    private static readonly Argument<string> Backup = BackupCreateCommand.CreateBackupArgument("The backup's directory.");
    private static readonly Argument<string> Directory = new("DIR")
    {
        Description = "The journal's directory to be, absent or empty; DATA/data/BROKER unless the broker's profile says otherwise.",
    };

    public static Command Create(FabricCommandLine line) => line.Create(
        "backup-restore", "Make a new replica out of a backup, for a broker that has lost all of its replicas.", [Backup, Directory], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        Daemon.KeepFilesPrivate(); // messages are nobody else's business
        var backup = JournalText.DirectoryOf(invocation, Backup);
        var directory = JournalText.DirectoryOf(invocation, Directory);
        var (manifest, replica) = await BackupCreateCommand.GuardAsync(
            () => RestoredReplica.CreateAsync(invocation.Context.Runtime, backup, directory, invocation.CancellationToken)).ConfigureAwait(false);
        BackupCreateCommand.Write(invocation, directory, manifest);
        invocation.Error.WriteLine($"It is replica {replica} now. Restore the same backup for every replica of the broker before you start them.");
        return ExitCode.Done;
    }
}
