using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Store.Backup;

namespace Fabric.Cli.Commands;

/// <summary><c>backup-verify</c>: each file against its checksum, each record as in <c>journal-verify</c>.</summary>
internal static class BackupVerifyCommand
{
    private static readonly Argument<string> Backup = BackupCreateCommand.CreateBackupArgument("The backup's directory.");

    public static Command Create(FabricCommandLine line) => line.Create("backup-verify", "Check a backup.", [Backup], RunAsync);

    private static async Task<ExitCode> RunAsync(Invocation invocation)
    {
        var backup = JournalText.DirectoryOf(invocation, Backup);
        var manifest = await BackupCreateCommand.GuardAsync(
            () => new JournalBackup(invocation.Context.Runtime).VerifyAsync(backup, invocation.CancellationToken)).ConfigureAwait(false);
        BackupCreateCommand.Write(invocation, backup, manifest);
        return ExitCode.Done;
    }
}
