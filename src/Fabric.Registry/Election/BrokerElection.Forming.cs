using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Election;

/// <summary>How a new broker gets its replica set: once, from the replicas that are there when enough are.</summary>
public sealed partial class BrokerElection
{
    /// <summary>
    /// The replica set of this broker. When it has none yet, waits until as many containers are present as it shall have replicas, and
    /// whoever sees that first writes the set, provided that all of them are still there; it is never written a second time.
    /// </summary>
    /// <param name="self">Our replica.</param>
    /// <param name="cancellationToken">Ends the wait; nothing of ours stays behind.</param>
    public Task<ReplicaSetRecord> FormAsync(Guid self, CancellationToken cancellationToken) => FormAsync(self, Guid.Empty, cancellationToken);

    /// <summary>
    /// The same for a replica that was restored from a backup: a set has members of one origin only, because one that begins with nothing could outvote what
    /// the others brought.
    /// </summary>
    /// <param name="self">Our replica.</param>
    /// <param name="origin">The backup; empty for none.</param>
    /// <param name="cancellationToken">Ends the wait; nothing of ours stays behind.</param>
    public async Task<ReplicaSetRecord> FormAsync(Guid self, Guid origin, CancellationToken cancellationToken)
    {
        var member = new ReplicaMemberRecord(self, _options.Container, origin == Guid.Empty ? null : origin);
        var formed = new TaskCompletionSource<ReplicaSetRecord>(TaskCreationOptions.RunContinuationsAsynchronously);
        WatchedReader reader = null!;
        var loop = new Reconciler(_registry, $"forming of {_options.Broker}", async ct =>
        {
            if (!formed.Task.IsCompleted && await TryFormAsync(member, reader, ct) is { } set)
            {
                formed.TrySetResult(set);
            }
        });
        reader = new WatchedReader(_registry, loop.Wake);
        loop.Start();
        try
        {
            return await formed.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            await loop.DisposeAsync();
            await LeaveFormingAsync(self);
        }
    }

    private async Task<ReplicaSetRecord?> TryFormAsync(ReplicaMemberRecord self, WatchedReader reader, CancellationToken cancellationToken)
    {
        var setPath = ZnodePaths.BrokerReplicas(_options.Group, _options.Broker);
        var formingPath = ZnodePaths.BrokerForming(_options.Group, _options.Broker);
        reader.BeginPass();
        if (await reader.GetAsync(setPath, cancellationToken) is { } written)
        {
            return ElectionJson.ReadSet(written.Data, setPath);
        }

        await EnterFormingAsync(formingPath, self, cancellationToken);
        var present = await reader.GetDirectoryAsync(formingPath, cancellationToken);
        var members = present
            .OrderBy(child => child.Content.Stat.Czxid)
            .Select(child => ElectionJson.ReadMember(child.Content.Data, $"{formingPath}/{child.Name}"))
            .ToArray();
        if (members.DistinctBy(member => member.Container).Count() != members.Length || members.Length < _options.ReplicaCount)
        {
            return null; // a container that is there twice lost its disk, and its old entry disappears with the old session
        }

        if (members.DistinctBy(member => member.Origin).Count() > 1)
        {
            _registry.Logger.LogWarning(
                "The replicas of {Broker} cannot be formed: {Containers} are restored from different backups, or from none. Restore the same backup for all of them",
                _options.Broker, string.Join(", ", members.Select(member => $"{member.Container} ({member.Origin?.ToString("N") ?? "empty"})")));
            return null;
        }

        var set = new ReplicaSetRecord(
            NewGuid(), [.. members.Take(_options.ReplicaCount).Select(member => member with { Origin = null }).OrderBy(member => member.Replica)]);
        List<MultiOperation> operations =
            [.. set.Members.Select(member => MultiOperation.Check($"{formingPath}/{member.Replica:N}", -1))];
        operations.Add(MultiOperation.Create(setPath, ElectionJson.Write(set), RegistryAcls.For(setPath), CreateMode.Persistent));
        try
        {
            await _registry.MultiAsync(operations, cancellationToken);
            _registry.Logger.LogInformation(
                "The replicas of {Broker} are {Containers}", _options.Broker, string.Join(", ", set.Members.Select(member => member.Container)));
            return set;
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NodeExists or ZooKeeperError.NoNode)
        {
            return null; // another was faster, or one of them left: both are announced
        }
    }

    private async Task EnterFormingAsync(string formingPath, ReplicaMemberRecord self, CancellationToken cancellationToken)
    {
        var path = $"{formingPath}/{self.Replica:N}";
        var session = _registry.Session;
        if (await _registry.ExistsAsync(path, cancellationToken) is { } stat)
        {
            if (stat.EphemeralOwner == session.Id)
            {
                return;
            }

            await _registry.TryDeleteAsync(path, -1, cancellationToken); // of an earlier session of ours, about to vanish
        }

        await _registry.EnsureAsync(formingPath, cancellationToken);
        try
        {
            await _registry.CreateAsync(
                path, ElectionJson.Write(self), CreateMode.Ephemeral, cancellationToken);
        }
        catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NodeExists)
        {
            // An earlier attempt whose answer was lost; its owner is checked at the next pass, which its creation causes.
        }
    }

    private async Task LeaveFormingAsync(Guid self)
    {
        using var limit = new CancellationTokenSource(WithdrawLimit, _registry.Runtime.Time);
        try
        {
            await _registry.TryDeleteAsync(
                $"{ZnodePaths.BrokerForming(_options.Group, _options.Broker)}/{self:N}", -1, limit.Token);
        }
        catch (Exception exception) when (exception is RegistryUnavailableException or OperationCanceledException or RegistryPasswordException)
        {
            _registry.Logger.LogDebug("The forming entry disappears with its session: {Reason}", exception.Message);
        }
    }

    private Guid NewGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        _registry.Runtime.Random.NextBytes(bytes);
        return new Guid(bytes);
    }
}
