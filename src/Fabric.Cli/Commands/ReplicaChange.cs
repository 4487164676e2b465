using System.CommandLine;
using Fabric.Cli.Frame;
using Fabric.Registry;
using Fabric.Registry.Election;
using Fabric.Registry.Membership;
using Fabric.Registry.Profiles;

namespace Fabric.Cli.Commands;

/// <summary>What <c>replica-add</c>, <c>replica-remove</c> and <c>replica-replace</c> share: the request to the broker's master, and the wait for it.</summary>
internal static class ReplicaChange
{
    private static readonly TimeSpan WithdrawalLimit = TimeSpan.FromSeconds(15);

    /// <summary>An interrupted program is ended by the command line's library 2 s later.</summary>
    private static readonly TimeSpan InterruptedWithdrawalLimit = TimeSpan.FromSeconds(1);

    public static Argument<string> Broker { get; } = new("BROKER") { Description = "The broker." };

    public static Option<string> Group { get; } = new("--group")
    {
        Description = "The broker's group.",
        HelpName = "GROUP",
        DefaultValueFactory = _ => "default",
    };

    public static Option<int> Timeout { get; } = new("--timeout")
    {
        Description = "Seconds to wait; then the request is taken back.",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 3600,
    };

    /// <summary>The replicas of a broker.</summary>
    /// <exception cref="CliException">It has none.</exception>
    public static async Task<ReplicaOverview> ReadAsync(FabricRegistry registry, string group, string broker, CancellationToken cancellationToken)
    {
        CheckName(group);
        CheckName(broker);
        return await new ReplicaSetDirectory(registry, group, broker).TryReadAsync(cancellationToken).ConfigureAwait(false)
            ?? throw new CliException(
                ExitCode.BadData, $"broker {broker} of group {group} has no replicas", "there is no such broker, or its containers have not found each other yet", "fabric cluster-list");
    }

    /// <summary>A change in words.</summary>
    public static string Describe(ReplicaSetChangeRecord change, ReplicaOverview overview)
    {
        var removed = change.Remove is { } id
            ? overview.Set.Members.FirstOrDefault(member => member.Replica == id)?.Container ?? id.ToString("N")
            : null;
        return (change.Add, removed) switch
        {
            ({ } add, null) => $"to add {add}",
            (null, { } remove) => $"to remove {remove}",
            var (add, remove) => $"to replace {remove} by {add}",
        };
    }

    /// <summary>Has the master change the set, and waits until it has.</summary>
    /// <param name="invocation">The command line.</param>
    /// <param name="add">The container that is to run a new member; null for none.</param>
    /// <param name="remove">The container whose member is to leave; null for none.</param>
    /// <exception cref="CliException">It cannot be asked for, or did not happen in time.</exception>
    public static async Task<ExitCode> RunAsync(Invocation invocation, string? add, string? remove)
    {
        var limit = LimitOf(invocation);
        var (group, broker) = (invocation.Get(Group)!, invocation.Get(Broker)!);
        await using var registry = await invocation.ConnectAsync().ConfigureAwait(false);
        var overview = await ReadAsync(registry, group, broker, invocation.CancellationToken).ConfigureAwait(false);
        var leaving = remove is null ? null : MemberOn(overview, broker, remove);
        if (add is not null)
        {
            await CheckNewcomerAsync(registry, overview, broker, add, leaving, invocation.CancellationToken).ConfigureAwait(false);
        }
        else if (overview.Set.Members.Count == 1)
        {
            throw new CliException(ExitCode.BadData, $"{remove} has the only replica of {broker}", "its messages would be lost", "fabric replica-add first, or delete the broker's container");
        }

        var profile = await ProfileOfAsync(registry, overview, broker, invocation.CancellationToken).ConfigureAwait(false);
        var directory = new ReplicaSetDirectory(registry, group, broker);

        // Before the request: nothing may fail between that and the wait, which takes it back.
        var isNewlyAssigned = add is not null && profile is not null
            && await new ProfileStore(registry).TryAssignAsync(add, profile, invocation.CancellationToken).ConfigureAwait(false);
        var change = await directory.TryRequestAsync(overview, add, leaving?.Replica, CancellationToken.None).ConfigureAwait(false);
        if (change is null)
        {
            if (isNewlyAssigned)
            {
                await new ProfileStore(registry).TryUnassignAsync(add!, profile!, invocation.CancellationToken).ConfigureAwait(false);
            }

            throw await UnderWayAsync(directory, overview, invocation.CancellationToken).ConfigureAwait(false);
        }

        if (invocation.Get(ContainerNames.NoWait))
        {
            invocation.Out.WriteLine($"Asked {Describe(change, overview)}; fabric replica-list shows how it goes");
            return ExitCode.Done;
        }

        await WaitAsync(invocation, directory, change, overview, limit, isNewlyAssigned ? add : null).ConfigureAwait(false);
        if (remove is not null && remove != add && profile is not null
            && await new ContainerDirectory(registry).ExistsAsync(remove, invocation.CancellationToken).ConfigureAwait(false)
            && await new ProfileStore(registry).TryUnassignAsync(remove, profile, invocation.CancellationToken).ConfigureAwait(false))
        {
            invocation.Error.WriteLine($"{remove} runs {broker} no more; what it had of it is still in its data directory");
        }

        invocation.Out.WriteLine(Done(broker, add, remove));
        return ExitCode.Done;
    }

    private static string Done(string broker, string? add, string? remove) => (add, remove) switch
    {
        ({ } container, null) => $"Replica of {broker} added on {container}",
        (null, { } container) => $"Replica of {broker} removed from {container}",
        var (to, from) when to == from => $"Replica of {broker} on {to} replaced",
        var (to, from) => $"Replica of {broker} on {from} replaced by one on {to}",
    };

    private static async Task WaitAsync(
        Invocation invocation, ReplicaSetDirectory directory, ReplicaSetChangeRecord change, ReplicaOverview overview, TimeSpan limit, string? assigned)
    {
        var isDone = false;
        try
        {
            isDone = await UntilAnsweredAsync(
                invocation, limit, () => directory.IsDoneAsync(change, invocation.CancellationToken), invocation.CancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (!isDone)
            {
                // Also when the person gives up: nobody would expect it to happen hours later.
                await WithdrawAsync(invocation, directory, change, overview).ConfigureAwait(false);
            }
        }

        if (!isDone)
        {
            var now = await directory.TryReadAsync(invocation.CancellationToken).ConfigureAwait(false);
            if (now is not null && Outcome(change, overview, now) is (not false, not false))
            {
                return; // before it could be taken back
            }

            var (what, hint) = TakenBack(invocation.Get(Broker)!, change, overview, now ?? overview, limit);
            throw new CliException(
                ExitCode.Temporary, what,
                now is null ? null : string.Join(", ", now.Replicas.Select(replica => $"{replica.Container} is {ReplicaListCommand.StateOf(replica)}")),
                hint ?? (assigned is null
                    ? "a majority of the replicas that would be left must be in sync; the master's log says what it waited for"
                    : $"{assigned} runs the broker now and waits: look at fabric container-info {assigned}, and try again"));
        }
    }

    /// <summary>
    /// Takes the request back unless it was done meanwhile. Which of the two shows in the set alone: the answer may be lost, and the second attempt finds nothing.
    /// </summary>
    /// <exception cref="CliException">The registry does not answer, and the request stands.</exception>
    private static async Task WithdrawAsync(Invocation invocation, ReplicaSetDirectory directory, ReplicaSetChangeRecord change, ReplicaOverview overview)
    {
        var limit = invocation.CancellationToken.IsCancellationRequested ? InterruptedWithdrawalLimit : WithdrawalLimit;
        if (!await UntilAnsweredAsync(invocation, limit, async () =>
        {
            await directory.TryWithdrawAsync(change, CancellationToken.None).ConfigureAwait(false);
            return true;
        }, CancellationToken.None).ConfigureAwait(false))
        {
            var (group, broker) = (invocation.Get(Group)!, invocation.Get(Broker)!);
            throw new CliException(
                ExitCode.Unreachable, $"the registry is away, so that the request {Describe(change, overview)} could not be taken back; it may still be carried out", null,
                $"when the registry is back: fabric replica-list {broker}, and to take it back fabric zk-delete {ZnodePaths.BrokerChange(group, broker)}");
        }
    }

    /// <summary>Asks until the answer is yes, also while the registry is away now and then: what was asked for is not its fault.</summary>
    private static Task<bool> UntilAnsweredAsync(Invocation invocation, TimeSpan limit, Func<Task<bool>> condition, CancellationToken cancellationToken) =>
        Waiting.UntilAsync(
            invocation.Context.Runtime, limit,
            async () =>
            {
                try
                {
                    return await condition().ConfigureAwait(false);
                }
                catch (RegistryUnavailableException)
                {
                    return false;
                }
            },
            cancellationToken);

    /// <summary>What is said of a request that was taken back: a replacement may have been done by half.</summary>
    /// <param name="broker">The broker.</param>
    /// <param name="change">What was asked for.</param>
    /// <param name="before">The replicas when it was.</param>
    /// <param name="now">The replicas since it was taken back.</param>
    /// <param name="limit">How long it was waited for.</param>
    /// <returns>What happened, and what to try; null for that when nothing happened.</returns>
    public static (string What, string? Try) TakenBack(
        string broker, ReplicaSetChangeRecord change, ReplicaOverview before, ReplicaOverview now, TimeSpan limit)
    {
        var (isAdded, isRemoved) = Outcome(change, before, now);
        var removed = before.Set.Members.FirstOrDefault(member => member.Replica == change.Remove);
        var within = $"within {limit.TotalSeconds:0} s";
        return (isAdded, isRemoved) switch
        {
            (true, false) => (
                $"the replica on {change.Add} was added, but the one on {removed!.Container} was not removed {within}; that part of the request was taken back",
                $"fabric replica-remove {broker} {removed.Container}, when a majority of the others is in sync"),
            (false, true) => (
                $"the replica on {removed!.Container} was removed, but none on {change.Add} was added {within}; that part of the request was taken back",
                $"fabric replica-add {broker} {change.Add}; fabric container-info {change.Add} says what it waits for"),
            _ => ($"it did not happen {within} {Describe(change, before)}; the request was taken back", null),
        };
    }

    /// <summary>Which parts of a change have been done.</summary>
    /// <returns>Null for a part that was not asked for.</returns>
    public static (bool? IsAdded, bool? IsRemoved) Outcome(ReplicaSetChangeRecord change, ReplicaOverview before, ReplicaOverview now) => (
        change.Add is null
            ? null
            : now.Set.Members.Any(member => member.Container == change.Add && before.Set.Members.All(old => old.Replica != member.Replica)),
        change.Remove is null ? null : now.Set.Members.All(member => member.Replica != change.Remove));

    private static ReplicaMemberRecord MemberOn(ReplicaOverview overview, string broker, string container)
    {
        var there = overview.Set.Members.Where(member => member.Container == container).ToArray();
        return there switch
        {
            [var one] => one,
            [] => throw new CliException(
                ExitCode.BadData, $"{container} has no replica of {broker} that is a member",
                $"its members are {string.Join(", ", overview.Set.Members.Select(member => member.Container))}", $"fabric replica-list {broker}"),
            _ => overview.Replicas.FirstOrDefault(replica => replica.IsMember && replica.Container == container && replica.Present is null) is { } gone
                ? there.Single(member => member.Replica == gone.Replica)
                : there[0],
        };
    }

    private static async Task CheckNewcomerAsync(
        FabricRegistry registry, ReplicaOverview overview, string broker, string container, ReplicaMemberRecord? leaving, CancellationToken cancellationToken)
    {
        if (!await new ContainerDirectory(registry).ExistsAsync(container, cancellationToken).ConfigureAwait(false))
        {
            throw new CliException(ExitCode.BadData, $"container {container} does not exist", null, $"fabric container-create {container}");
        }

        if (overview.Set.Members.Any(member => member.Container == container && member.Replica != leaving?.Replica))
        {
            throw new CliException(ExitCode.Exists, $"{container} has a replica of {broker} already", null, $"fabric replica-list {broker}");
        }

        var present = overview.Replicas.Where(replica => replica.Container == container && replica.Present is not null).ToArray();
        if (leaving is not null && leaving.Container == container && present.Length > 0 && Array.TrueForAll(present, replica => replica.IsMember))
        {
            throw new CliException(
                ExitCode.BadData, $"the replica of {broker} on {container} is there", "a replica is replaced in its own container when its disk was lost",
                $"to begin anew: fabric container-stop {container}, empty the broker's data directory, fabric container-start {container}, and repeat this");
        }

        if (overview.Set.Members.Count >= ReplicaSetRecord.MembersMax)
        {
            throw new CliException(ExitCode.BadData, $"{broker} has {ReplicaSetRecord.MembersMax} replicas, and more are not possible", null, "fabric replica-remove first");
        }
    }

    private static async Task<CliException> UnderWayAsync(ReplicaSetDirectory directory, ReplicaOverview overview, CancellationToken cancellationToken)
    {
        var other = await directory.TryReadChangeAsync(cancellationToken).ConfigureAwait(false);
        return new CliException(
            ExitCode.Temporary,
            other is null ? "another change was done just now" : $"somebody asked {Describe(other, overview)} at {other.RequestedAt:u}, and that is not done",
            "replicas change one at a time", "wait for it, or repeat this");
    }

    /// <summary>The profile that makes a container run the broker; null when no member's container has one.</summary>
    private static async Task<string?> ProfileOfAsync(FabricRegistry registry, ReplicaOverview overview, string broker, CancellationToken cancellationToken)
    {
        var (directory, profiles) = (new ContainerDirectory(registry), new ProfileStore(registry));
        foreach (var member in overview.Set.Members)
        {
            if (await directory.TryGetAsync(member.Container, cancellationToken).ConfigureAwait(false) is not { Version: { } version } container)
            {
                continue;
            }

            foreach (var profile in container.Profiles)
            {
                if (await profiles.TryReadPidAsync(version, profile, BrokerProfile.PidPrefix + broker, cancellationToken).ConfigureAwait(false) is not null)
                {
                    return profile;
                }
            }
        }

        return null;
    }

    private static void CheckName(string name)
    {
        if (!ZnodePaths.IsValidName(name))
        {
            throw new CliException(ExitCode.Usage, $"'{name}' is not a valid name", "names are made of letters, digits, dots, dashes and underscores, 64 at most");
        }
    }

    private static TimeSpan LimitOf(Invocation invocation) => invocation.Get(Timeout) is var seconds and > 0 and <= 86_400
        ? TimeSpan.FromSeconds(seconds)
        : throw new CliException(ExitCode.Usage, "--timeout is a number of seconds from 1 to 86400");
}
