using System.CommandLine;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary>The commands, in the order of the help.</summary>
internal static class CommandTable
{
    public static IReadOnlyList<Func<FabricCommandLine, Command>> All { get; } =
    [
        UpCommand.Create,
        DownCommand.Create,
        ClusterListCommand.Create,
        ContainerListCommand.Create,
        ContainerInfoCommand.Create,
        ContainerStartCommand.Create,
        ContainerStopCommand.Create,
        ContainerCreateCommand.Create,
        ContainerDeleteCommand.Create,
        MqCreateCommand.Create,
        ReplicaListCommand.Create,
        ReplicaCommands.CreateAdd,
        ReplicaCommands.CreateRemove,
        ReplicaCommands.CreateReplace,
        ProducerCommand.Create,
        ConsumerCommand.Create,
        BenchCommand.Create,
        JournalVerifyCommand.Create,
        JournalPrintCommand.Create,
        BackupCreateCommand.Create,
        BackupVerifyCommand.Create,
        BackupRestoreCommand.Create,
        ZkListCommand.Create,
        ZkGetCommand.Create,
        ZkSetCommand.Create,
        ZkCreateCommand.Create,
        ZkDeleteCommand.Create,
    ];
}
