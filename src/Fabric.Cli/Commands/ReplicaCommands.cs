using System.CommandLine;
using Fabric.Cli.Frame;

namespace Fabric.Cli.Commands;

/// <summary><c>replica-add</c>, <c>replica-remove</c>, <c>replica-replace</c>: one member of a broker's replica set at a time.</summary>
internal static class ReplicaCommands
{
    private static readonly Argument<string> Container = new("CONTAINER") { Description = "The container." };
    private static readonly Argument<string> Old = new("OLD") { Description = "The container whose replica leaves." };
    private static readonly Argument<string?> New = new("NEW")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "The container whose replica takes its place. Default: the same one, whose disk is new.",
    };

    public static Command CreateAdd(FabricCommandLine line) => line.Create(
        "replica-add", "Let a container keep one more copy of a broker's messages.",
        [ReplicaChange.Broker, Container, ReplicaChange.Group, ContainerNames.NoWait, ReplicaChange.Timeout],
        invocation => ReplicaChange.RunAsync(invocation, add: invocation.Get(Container)!, remove: null));

    public static Command CreateRemove(FabricCommandLine line) => line.Create(
        "replica-remove", "Keep no copy of a broker's messages in a container any more.",
        [ReplicaChange.Broker, Container, ReplicaChange.Group, ContainerNames.NoWait, ReplicaChange.Timeout],
        invocation => ReplicaChange.RunAsync(invocation, add: null, remove: invocation.Get(Container)!));

    public static Command CreateReplace(FabricCommandLine line) => line.Create(
        "replica-replace", "Let a new replica take the place of one that is lost, or of one that moves.",
        [ReplicaChange.Broker, Old, New, ReplicaChange.Group, ContainerNames.NoWait, ReplicaChange.Timeout],
        invocation => ReplicaChange.RunAsync(invocation, invocation.Get(New) ?? invocation.Get(Old)!, invocation.Get(Old)!));
}
