using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Election;

/// <summary>
/// One replica's part in the election of its broker's master: its candidate znode, the picture of the others, and the claim of epochs. It
/// decides nothing and starts nothing; whoever owns it does. While the registry is away nothing here fails for good: wishes are
/// remembered and carried out when it is back, also in a new session.
/// </summary>
/// <remarks>
/// Thread-safe. Two loops: "election view" reads and reports, "candidate" writes. Layout: <c>ZNODES.md</c>.
/// </remarks>
public sealed partial class BrokerElection : IAsyncDisposable
{
    /// <summary>Pause before the outcome of a lost request is asked for again.</summary>
    private static readonly TimeSpan LostPause = TimeSpan.FromMilliseconds(20);

    private readonly FabricRegistry _registry;
    private readonly ElectionOptions _options;
    private readonly string _epochPath;
    private readonly string _electionPath;
    private readonly string _setPath;
    private readonly string _changePath;
    private readonly WatchedReader _reader;
    private readonly Reconciler _viewLoop;
    private readonly Reconciler _candidateLoop;
    private int _joined;
    private int _disposed;
    private Action<ElectionView>? _changed;
    private volatile ElectionView _view = ElectionView.None;
    private volatile ReplicaSetRecord? _known;

    /// <param name="registry">Where the election is held.</param>
    /// <param name="options">Which replica of which broker.</param>
    public BrokerElection(FabricRegistry registry, ElectionOptions options)
    {
        (_registry, _options) = (registry, options);
        _epochPath = ZnodePaths.BrokerEpoch(options.Group, options.Broker);
        _electionPath = ZnodePaths.BrokerElection(options.Group, options.Broker);
        _setPath = ZnodePaths.BrokerReplicas(options.Group, options.Broker);
        _changePath = ZnodePaths.BrokerChange(options.Group, options.Broker);
        _candidateLoop = new Reconciler(registry, $"candidate of {options.Broker}", KeepCandidateAsync);
        _viewLoop = new Reconciler(registry, $"election view of {options.Broker}", RefreshAsync, OnAway);
        _reader = new WatchedReader(registry, _viewLoop.Wake);
    }

    /// <summary>The picture of the moment.</summary>
    public ElectionView View => _view;

    /// <summary>
    /// Makes the replica set known that this replica has from its disk: whenever the registry has none, because it was wiped or set back, it is written there, so that those who have not heard of
    /// it yet do not wait for ever. One that is there already, of whatever content, is left as it is: only a master replaces it (<see cref="ReplaceSetAsync"/>). Before <see cref="Join"/>.
    /// </summary>
    public void Know(ReplicaSetRecord set) => _known = set;

    /// <summary>
    /// Begins to watch. Returns at once, also while the registry is away.
    /// </summary>
    /// <param name="changed">
    /// Told every change of the picture, the loss and return of the connection included, milliseconds after it happened. It is quick and
    /// is not called concurrently.
    /// </param>
    /// <exception cref="InvalidOperationException">It was called before.</exception>
    public void Join(Action<ElectionView> changed)
    {
        if (Interlocked.Exchange(ref _joined, 1) == 1)
        {
            throw new InvalidOperationException("this replica has joined already");
        }

        _changed = changed;
        _candidateLoop.Start();
        _viewLoop.Start();
    }

    /// <summary>
    /// Claims an epoch by a versioned write of the <c>epoch</c> znode: of all who name the same version, one succeeds. When the answer is
    /// lost, waits until the registry is back and looks who owns the epoch.
    /// </summary>
    /// <param name="epoch">The epoch; higher than the one in the view.</param>
    /// <param name="expectedVersion">The view's version.</param>
    /// <param name="claimant">Our replica.</param>
    /// <param name="cancellationToken">Gives up; the outcome stays unknown.</param>
    /// <returns>Whether the epoch is ours.</returns>
    public async Task<bool> TryClaimEpochAsync(long epoch, int expectedVersion, Guid claimant, CancellationToken cancellationToken)
    {
        var view = _view;
        if (view.EpochVersion == expectedVersion && epoch <= view.Claim.Epoch)
        {
            return false; // epochs only rise
        }

        var claim = new EpochClaim(epoch, claimant, _options.Container, _registry.Runtime.Time.GetUtcNow());
        try
        {
            await _registry.SetAsync(_epochPath, ElectionJson.Write(claim), expectedVersion, cancellationToken);
            return true;
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.BadVersion or ZooKeeperError.NoNode)
        {
            return false;
        }
        catch (RegistryUnavailableException)
        {
            return await IsOwnerAsync(epoch, claimant, cancellationToken);
        }
    }

    /// <summary>The masterships that are remembered, oldest first, at most 100.</summary>
    public static async Task<IReadOnlyList<Mastership>> ReadHistoryAsync(
        FabricRegistry registry, string group, string broker, CancellationToken cancellationToken = default)
    {
        var path = ZnodePaths.BrokerHistory(group, broker);
        return await registry.TryGetAsync(path, cancellationToken) is { } content ? ElectionJson.ReadHistory(content.Data, path) : [];
    }

    /// <summary>The replica set of a broker; null while it has none.</summary>
    public static async Task<ReplicaSetRecord?> ReadReplicaSetAsync(
        FabricRegistry registry, string group, string broker, CancellationToken cancellationToken = default)
    {
        var path = ZnodePaths.BrokerReplicas(group, broker);
        return await registry.TryGetAsync(path, cancellationToken) is { } content ? ElectionJson.ReadSet(content.Data, path) : null;
    }

    /// <summary>Withdraws the candidate and ends the loops. Waits for a connected registry only, and no longer than two seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
        {
            return;
        }

        await _viewLoop.DisposeAsync();
        if (Volatile.Read(ref _joined) == 1)
        {
            await WithdrawAsync();
        }

        await _candidateLoop.DisposeAsync();
    }

    private async Task<bool> IsOwnerAsync(long epoch, Guid claimant, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _registry.ConnectedAsync(cancellationToken);
            try
            {
                // The lost request cannot arrive after this read: the server drops what the old connection still holds.
                await _registry.SyncAsync(_epochPath, cancellationToken);
                var content = await _registry.TryGetAsync(_epochPath, cancellationToken);
                var claim = content is null ? EpochClaim.None : ElectionJson.ReadClaim(content.Data, _epochPath);
                return claim.Epoch == epoch && claim.Owner == claimant;
            }
            catch (RegistryUnavailableException)
            {
                // Lost again, which the session says a moment later than the request: not to ask in a circle until then.
                await Task.Delay(LostPause, _registry.Runtime.Time, cancellationToken);
            }
        }
    }

    private void OnAway() => Report(_view with { IsConnected = false });

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        _reader.BeginPass();
        var listing = SequentialZnodes.ListAsync(_reader, _electionPath, cancellationToken);
        var reading = ReadOrShowSetAsync(cancellationToken);
        var asking = _reader.GetAsync(_changePath, cancellationToken);
        var epoch = await _reader.GetAsync(_epochPath, cancellationToken);
        var znodes = await listing;
        var set = await reading;
        var change = await asking;
        if (epoch is null)
        {
            await _registry.TryCreateAsync(_epochPath, ElectionJson.Write(EpochClaim.None), cancellationToken);
            await _registry.EnsureAsync(_electionPath, cancellationToken);
            return; // the watches wake us for what was created
        }

        CheckCandidate(znodes);
        Report(new ElectionView(true, ElectionJson.ReadClaim(epoch.Data, _epochPath), epoch.Stat.Version, [.. Candidates(znodes)], set, ChangeOf(change)));
    }

    private async Task<ReplicaSetRecord?> ReadOrShowSetAsync(CancellationToken cancellationToken)
    {
        if (await _reader.GetAsync(_setPath, cancellationToken) is { } content)
        {
            return SetOf(content);
        }

        if (_known is { } set && await _registry.TryCreateAsync(_setPath, ElectionJson.Write(set), cancellationToken))
        {
            _registry.Logger.LogInformation("The registry had lost the replica set of {Broker}; it is there again", _options.Broker);
        }

        return null; // what was created is announced
    }

    private ReplicaSetRecord? SetOf(ZnodeContent content)
    {
        try
        {
            return ElectionJson.ReadSet(content.Data, _setPath);
        }
        catch (RegistryContentException exception)
        {
            _registry.Logger.LogWarning("{Reason}; the master of {Broker} will write it anew", exception.Message, _options.Broker);
            return null;
        }
    }

    private ReplicaSetChangeRecord? ChangeOf(ZnodeContent? content)
    {
        try
        {
            return content is null ? null : ElectionJson.ReadChange(content.Data, _changePath);
        }
        catch (RegistryContentException exception)
        {
            _registry.Logger.LogWarning("{Reason}; the replica set of {Broker} is not changed", exception.Message, _options.Broker);
            return null;
        }
    }

    private IEnumerable<PublishedCandidateRecord> Candidates(IReadOnlyList<SequentialZnode> znodes)
    {
        foreach (var znode in znodes)
        {
            CandidateRecord record;
            try
            {
                record = ElectionJson.ReadCandidate(znode.Content.Data, znode.Path);
            }
            catch (RegistryContentException exception)
            {
                _registry.Logger.LogWarning("{Reason}; it takes no part in the election of {Broker}", exception.Message, _options.Broker);
                continue;
            }

            yield return new PublishedCandidateRecord(znode.Sequence, record);
        }
    }

    private void Report(ElectionView view)
    {
        var last = _view;
        if (view.IsConnected == last.IsConnected && view.Claim == last.Claim && view.EpochVersion == last.EpochVersion
            && view.Candidates.SequenceEqual(last.Candidates) && Equals(view.Set, last.Set) && view.Change == last.Change)
        {
            return;
        }

        _view = view;
        _changed?.Invoke(view);
    }
}
