using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Election;

/// <summary>What this replica writes: its candidate znode, and as master the state of the slaves, the epoch after a restore, and the history.</summary>
public sealed partial class BrokerElection
{
    private static readonly TimeSpan WithdrawLimit = TimeSpan.FromSeconds(2);

    private volatile CandidateRecord? _wanted;
    private volatile SlavesRecord? _report;
    private volatile CommittedSet? _committed;
    private volatile bool _withdrawn;
    private volatile bool _missing;

    // Owned by the candidate loop.
    private int _connection;
    private volatile string? _candidatePath;
    private long _candidateSession;
    private CandidateRecord? _written;
    private SlavesRecord? _reported;
    private CommittedSet? _replaced;
    private long _historyEpoch;

    /// <summary>
    /// Makes this the published state, and keeps it published over lost sessions; the newest call wins. Ends when it is written.
    /// </summary>
    /// <exception cref="RegistryUnavailableException">The registry is away; it will be published when it is back.</exception>
    public Task PublishAsync(CandidateRecord record, CancellationToken cancellationToken)
    {
        _wanted = record;
        return _candidateLoop.WakeAsync(cancellationToken);
    }

    /// <summary>
    /// Shows people which slaves are in sync; the newest call wins. A report of an epoch that is not the highest any more is dropped.
    /// </summary>
    /// <exception cref="RegistryUnavailableException">The registry is away; it will be published when it is back.</exception>
    public Task ReportSlavesAsync(long epoch, IReadOnlyList<SlaveRecord> slaves, CancellationToken cancellationToken)
    {
        _report = new SlavesRecord(epoch, slaves);
        return _candidateLoop.WakeAsync(cancellationToken);
    }

    /// <summary>
    /// As the master of an epoch, writes the replica set that is committed in the place of an older one of the same store, and removes the change that is done with it, if it is still that one. Dropped when a higher epoch
    /// was claimed. The newest call wins.
    /// </summary>
    /// <param name="epoch">The epoch that is led.</param>
    /// <param name="set">The committed set.</param>
    /// <param name="done">The id of the change that is done; null for none.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="RegistryUnavailableException">The registry is away; it will be written when it is back.</exception>
    public Task ReplaceSetAsync(long epoch, ReplicaSetRecord set, Guid? done, CancellationToken cancellationToken)
    {
        _known = set;
        _committed = new CommittedSet(epoch, set, done);
        return _candidateLoop.WakeAsync(cancellationToken);
    }

    private async Task WithdrawAsync()
    {
        _withdrawn = true;
        using var limit = new CancellationTokenSource(WithdrawLimit, _registry.Runtime.Time);
        try
        {
            await _candidateLoop.WakeAsync(limit.Token);
        }
        catch (Exception exception) when (exception is RegistryUnavailableException or OperationCanceledException
            or ZooKeeperException or RegistryPasswordException)
        {
            _registry.Logger.LogInformation(
                "The candidate of {Broker} disappears with its session: {Reason}", _options.Broker, exception.Message);
        }
    }

    /// <summary>Called by the view's loop: somebody may have removed our znode.</summary>
    private void CheckCandidate(IReadOnlyList<SequentialZnode> znodes)
    {
        if (_candidatePath is { } path && znodes.All(znode => znode.Path != path))
        {
            _missing = true;
            _candidateLoop.Wake();
        }
    }

    private async Task KeepCandidateAsync(CancellationToken cancellationToken)
    {
        ForgetAfterReconnection();
        if (_withdrawn)
        {
            if (_candidatePath is { } path)
            {
                await _registry.TryDeleteAsync(path, -1, cancellationToken);
                _candidatePath = null;
            }

            return;
        }

        if (_wanted is { } wanted)
        {
            await WriteCandidateAsync(wanted, cancellationToken);
            if (wanted.Role == CandidateRole.Master)
            {
                await RaiseEpochAsync(wanted, cancellationToken);
                await RememberAsync(wanted, cancellationToken);
            }
        }

        if (_report is { } report && !ReferenceEquals(report, _reported))
        {
            await WriteReportAsync(report, cancellationToken);
            _reported = report;
        }

        if (_committed is { } committed && !ReferenceEquals(committed, _replaced))
        {
            await WriteSetAsync(committed, cancellationToken);
            _replaced = committed;
        }
    }

    /// <summary>A server that was restored from a backup may know our session, and older contents than we have written in it: after every reconnection all is written again.</summary>
    private void ForgetAfterReconnection()
    {
        var connection = _registry.Session.Connection;
        if (connection != _connection)
        {
            _connection = connection;
            (_written, _reported, _replaced, _historyEpoch) = (null, null, null, 0);
        }
    }

    private async Task WriteCandidateAsync(CandidateRecord wanted, CancellationToken cancellationToken)
    {
        var session = _registry.Session;
        if (session.Id != _candidateSession)
        {
            (_candidatePath, _candidateSession) = (null, session.Id);
        }

        if (_missing)
        {
            // The listing that missed our znode may be older than the znode.
            _missing = false;
            if (_candidatePath is { } doubted && await _registry.ExistsAsync(doubted, cancellationToken) is null)
            {
                _candidatePath = null;
            }
        }

        var data = ElectionJson.Write(_options.Broker, wanted);
        while (true)
        {
            if (_candidatePath is not { } path)
            {
                _candidatePath = await FindOwnAsync(session, wanted.Replica, cancellationToken)
                    ?? await SequentialZnodes.CreateAsync(_registry, _electionPath, data, cancellationToken);
                _written = null;
            }
            else if (_written == wanted)
            {
                return;
            }
            else
            {
                try
                {
                    await _registry.SetAsync(path, data, -1, cancellationToken);
                    _written = wanted;
                    return;
                }
                catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode)
                {
                    _candidatePath = null;
                }
            }
        }
    }

    /// <summary>
    /// Our znode, when a create succeeded whose answer was lost; and removes what earlier sessions of this replica left. There can be no
    /// other process with our replica id: it is written in a locked directory.
    /// </summary>
    private async Task<string?> FindOwnAsync(RegistrySession session, Guid replica, CancellationToken cancellationToken)
    {
        string? own = null;
        foreach (var znode in await SequentialZnodes.ListAsync(_registry, _electionPath, cancellationToken))
        {
            if (!Candidates([znode]).Any(candidate => candidate.Record.Replica == replica))
            {
                continue;
            }

            if (own is null && znode.IsOwnedBy(session))
            {
                own = znode.Path;
            }
            else
            {
                await _registry.TryDeleteAsync(znode.Path, -1, cancellationToken);
            }
        }

        return own;
    }

    /// <summary>A registry that was restored from an old backup, or emptied, learns the epoch that is in force.</summary>
    private async Task RaiseEpochAsync(CandidateRecord master, CancellationToken cancellationToken)
    {
        var content = await _registry.TryGetAsync(_epochPath, cancellationToken);
        if (content is null || ElectionJson.ReadClaim(content.Data, _epochPath).Epoch >= master.Epoch)
        {
            return;
        }

        var claim = new EpochClaim(master.Epoch, master.Replica, master.Container, _registry.Runtime.Time.GetUtcNow());
        try
        {
            await _registry.SetAsync(_epochPath, ElectionJson.Write(claim), content.Stat.Version, cancellationToken);
            _registry.Logger.LogWarning("The registry knew only an older epoch of {Broker}; it was raised to {Epoch}", _options.Broker, master.Epoch);
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.BadVersion or ZooKeeperError.NoNode)
        {
            // Somebody claims; whoever may lead is decided by promises.
        }
    }

    private async Task RememberAsync(CandidateRecord master, CancellationToken cancellationToken)
    {
        if (_historyEpoch == master.Epoch)
        {
            return;
        }

        var path = ZnodePaths.BrokerHistory(_options.Group, _options.Broker);
        await _registry.EnsureAsync(path, cancellationToken);
        if (await _registry.TryGetAsync(path, cancellationToken) is not { } content)
        {
            return;
        }

        var history = ElectionJson.ReadHistory(content.Data, path);
        if (history.Count == 0 || history[^1].Epoch < master.Epoch)
        {
            var entry = new Mastership(master.Epoch, master.Container, master.Replica, _registry.Runtime.Time.GetUtcNow());
            await _registry.SetAsync(path, ElectionJson.Write([.. history, entry]), content.Stat.Version, cancellationToken);
        }

        _historyEpoch = master.Epoch;
    }

    private async Task WriteSetAsync(CommittedSet committed, CancellationToken cancellationToken)
    {
        while (await _registry.TryGetAsync(_epochPath, cancellationToken) is { } epoch && ElectionJson.ReadClaim(epoch.Data, _epochPath).Epoch <= committed.Epoch)
        {
            List<MultiOperation> operations = [MultiOperation.Check(_epochPath, epoch.Stat.Version)];
            var shown = await _registry.TryGetAsync(_setPath, cancellationToken);
            if (shown is not null && SetOf(shown) is { } present && present.StoreId != committed.Set.StoreId)
            {
                return; // somebody else's data: not ours to overwrite
            }

            operations.Add(shown is null
                ? MultiOperation.Create(_setPath, ElectionJson.Write(committed.Set), RegistryAcls.For(_setPath), CreateMode.Persistent)
                : MultiOperation.SetData(_setPath, ElectionJson.Write(committed.Set), shown.Stat.Version));
            if (committed.Done is not null && await _registry.TryGetAsync(_changePath, cancellationToken) is { } change && ChangeOf(change)?.Id == committed.Done)
            {
                operations.Add(MultiOperation.Delete(_changePath, change.Stat.Version));
            }

            try
            {
                await _registry.MultiAsync(operations, cancellationToken);
                return;
            }
            catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.BadVersion or ZooKeeperError.NoNode or ZooKeeperError.NodeExists)
            {
                // The epoch was claimed, or somebody else wrote, in between.
            }
        }
    }

    private async Task WriteReportAsync(SlavesRecord report, CancellationToken cancellationToken)
    {
        var path = ZnodePaths.BrokerSlaves(_options.Group, _options.Broker);
        await _registry.EnsureAsync(path, cancellationToken);
        while (await _registry.TryGetAsync(_epochPath, cancellationToken) is { } epoch)
        {
            if (ElectionJson.ReadClaim(epoch.Data, _epochPath).Epoch > report.Epoch)
            {
                return; // a later master reports
            }

            try
            {
                await _registry.MultiAsync(
                    [MultiOperation.Check(_epochPath, epoch.Stat.Version), MultiOperation.SetData(path, ElectionJson.Write(report))],
                    cancellationToken);
                return;
            }
            catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.BadVersion)
            {
                // The epoch was claimed in between.
            }
        }
    }

    private sealed record CommittedSet(long Epoch, ReplicaSetRecord Set, Guid? Done);
}
