using Fabric.Registry.Election;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Membership;

/// <summary>Which broker process appears in which group, and how.</summary>
public sealed record MemberOptions
{
    /// <summary>The group, the last part of <c>discovery:fabric:GROUP</c>.</summary>
    public required string Group { get; init; }

    /// <summary>The broker's name; replicas of one broker share it.</summary>
    public required string Broker { get; init; }

    /// <summary>Who runs it; unique per broker process, so <c>c1/b2</c> for a second broker of container <c>c1</c> (REQ-06).</summary>
    public required string Container { get; init; }

    /// <summary>One per process.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>What is published at <c>fusemq/GROUP</c>. Default <see cref="MemberDialect.V60"/>.</summary>
    public MemberDialect FuseMq { get; init; } = MemberDialect.V60;

    /// <summary>What is published at <c>amq/GROUP</c>. Default <see cref="MemberDialect.V63"/>.</summary>
    public MemberDialect Amq { get; init; } = MemberDialect.V63;
}

/// <summary>
/// One broker process in a group, where clients look for it. It appears as a slave when it joins, with services while it is master, and
/// again in every new session. The master owns the lowest sequence of its broker in every dialect, because the ancestors' clients
/// only look at the first member of an id (REQ-09): in the transaction that publishes its services it removes the members before it, and
/// their owners make theirs anew behind it. That transaction also checks the broker's epoch, so that a deposed master changes nothing.
/// </summary>
/// <remarks>Thread-safe. One loop, "member of BROKER", writes.</remarks>
public sealed class GroupMember : IAsyncDisposable
{
    private static readonly TimeSpan WithdrawLimit = TimeSpan.FromSeconds(2);
    private readonly FabricRegistry _registry;
    private readonly MemberOptions _options;
    private readonly (string Directory, MemberDialect Dialect)[] _places;
    private readonly WatchedReader _reader;
    private readonly Reconciler _loop;
    private volatile Wish _wish = Wish.Slave;
    private int _started;

    // Owned by the loop: the session in which leftovers of earlier ones have been removed.
    private long _cleanedSession;

    /// <param name="registry">Where it appears.</param>
    /// <param name="options">As what.</param>
    public GroupMember(FabricRegistry registry, MemberOptions options)
    {
        (_registry, _options) = (registry, options);
        _places = [.. new[]
        {
            (ZnodePaths.FuseMqGroup(options.Group), options.FuseMq),
            (ZnodePaths.AmqGroup(options.Group), options.Amq),
        }.Where(place => place.Item2 != MemberDialect.Off)];
        _loop = new Reconciler(registry, $"member of {options.Broker}", PassAsync);
        _reader = new WatchedReader(registry, _loop.Wake);
    }

    /// <summary>Appears as a slave. Returns at once, also while the registry is away.</summary>
    public void Join()
    {
        if (Interlocked.Exchange(ref _started, 1) == 0)
        {
            _loop.Start();
        }
    }

    /// <summary>
    /// Publishes services, to be called when the connectors accept connections (REQ-11). They stay published over lost sessions until
    /// <see cref="WithdrawAsync"/>. Ends when clients can see them.
    /// </summary>
    /// <param name="services">At least one URL, <c>scheme://host:port</c>.</param>
    /// <param name="epoch">The epoch on whose behalf; null for a broker without epochs.</param>
    /// <param name="cancellationToken">Ends the wait, not the wish.</param>
    /// <exception cref="RegistryFencedException">A higher epoch has been claimed; this member stays a slave.</exception>
    /// <exception cref="RegistryUnavailableException">The registry is away; they will be published when it is back.</exception>
    public async Task PublishAsync(IReadOnlyList<string> services, long? epoch, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfZero(services.Count);
        var wish = new Wish([.. services], epoch);
        _wish = wish;
        await _loop.WakeAsync(cancellationToken);
        if (wish.Refusal is { } refusal)
        {
            throw refusal; // by a pass that began before this call waited
        }
    }

    /// <summary>Waits until another process offers services of this broker.</summary>
    /// <exception cref="OperationCanceledException">The token fired first.</exception>
    public async Task WaitForOtherMasterAsync(CancellationToken cancellationToken)
    {
        var found = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var watch = new RegistryWatch<MemberRecord[]>(
            _registry, $"successor of {_options.Broker}", ReadOtherMastersAsync, masters =>
            {
                if (masters.Length > 0)
                {
                    found.TrySetResult();
                }
            });
        await found.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Withdraws the services, to be called before connectors are closed (REQ-11); the member becomes a slave.</summary>
    /// <exception cref="RegistryUnavailableException">The registry is away; they will be withdrawn when it is back.</exception>
    public Task WithdrawAsync(CancellationToken cancellationToken)
    {
        _wish = Wish.Slave;
        return _loop.WakeAsync(cancellationToken);
    }

    /// <summary>Disappears (REQ-12). Waits for a connected registry only, and no longer than two seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Volatile.Read(ref _started) == 1)
        {
            _wish = Wish.Absent;
            using var limit = new CancellationTokenSource(WithdrawLimit, _registry.Runtime.Time);
            try
            {
                await _loop.WakeAsync(limit.Token);
            }
            catch (Exception exception) when (exception is RegistryUnavailableException or OperationCanceledException
                or ZooKeeperException or RegistryPasswordException or ObjectDisposedException)
            {
                _registry.Logger.LogInformation(
                    "The member of {Broker} disappears with its session: {Reason}", _options.Broker, exception.Message);
            }
        }

        await _loop.DisposeAsync();
    }

    private async Task PassAsync(CancellationToken cancellationToken)
    {
        _reader.BeginPass();
        while (true)
        {
            var wish = _wish;
            var session = _registry.Session;
            var fence = await FenceAsync(wish, cancellationToken);
            var operations = await PlanAsync(wish, session, cancellationToken);
            if (operations.Count == 0)
            {
                _cleanedSession = session.Id;
                return;
            }

            try
            {
                await _registry.MultiAsync([.. fence, .. operations], cancellationToken);
            }
            catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NoNode)
            {
                // A member left between our look and our step, or the group does not exist yet.
                foreach (var place in _places)
                {
                    await _registry.EnsureAsync(place.Directory, cancellationToken);
                }
            }
            catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.BadVersion)
            {
                // The epoch was claimed meanwhile: look at it again.
            }

            _reader.Clear();
        }
    }

    /// <returns>The check that makes the step ours; none for a slave.</returns>
    private async Task<MultiOperation[]> FenceAsync(Wish wish, CancellationToken cancellationToken)
    {
        if (wish.Epoch is not { } epoch)
        {
            return [];
        }

        var path = ZnodePaths.BrokerEpoch(_options.Group, _options.Broker);
        if (await _registry.TryGetAsync(path, cancellationToken) is not { } content)
        {
            return []; // an emptied registry knows no epoch that could be higher
        }

        var claimed = ElectionJson.ReadClaim(content.Data, path).Epoch;
        if (claimed <= epoch)
        {
            return [MultiOperation.Check(path, content.Stat.Version)];
        }

        var refusal = new RegistryFencedException(_options.Broker, epoch, claimed);
        wish.Refusal = refusal;
        Interlocked.CompareExchange(ref _wish, Wish.Slave, wish);
        _loop.Wake();
        throw refusal;
    }

    private async Task<MemberRecord[]> ReadOtherMastersAsync(WatchedReader reader, CancellationToken cancellationToken)
    {
        if (_places is not [var (directory, _), ..])
        {
            return []; // nobody is published anywhere
        }

        var znodes = await SequentialZnodes.ListAsync(reader, directory, cancellationToken);
        return [.. znodes.Select(znode => MemberRecord.TryDecode(znode.Content.Data)).OfType<MemberRecord>().Where(
            member => member.Id == _options.Broker && member.Container != _options.Container && member.Services.Count > 0)];
    }

    /// <summary>What leads from what is there to what is wished.</summary>
    private async Task<List<MultiOperation>> PlanAsync(Wish wish, RegistrySession session, CancellationToken cancellationToken)
    {
        var operations = new List<MultiOperation>();
        foreach (var (directory, dialect) in _places)
        {
            var own = new List<SequentialZnode>();
            var others = new List<SequentialZnode>();
            foreach (var znode in await SequentialZnodes.ListAsync(_reader, directory, cancellationToken))
            {
                if (MemberRecord.TryDecode(znode.Content.Data) is not { } member || member.Id != _options.Broker)
                {
                    continue;
                }

                if (member.Container != _options.Container)
                {
                    others.Add(znode);
                }
                else if (znode.IsOwnedBy(session))
                {
                    own.Add(znode);
                }
                else if (_cleanedSession != session.Id)
                {
                    // Left by an earlier session of this container. Only once per session: if another process
                    // uses our name, the two must not chase each other for ever.
                    operations.Add(MultiOperation.Delete(znode.Path));
                }
            }

            operations.AddRange(PlanOwn(wish, directory, dialect, own));
            if (wish.Services.Count > 0)
            {
                var sequence = own.Count > 0 ? own[0].Sequence : long.MaxValue;
                operations.AddRange(others
                    .Where(znode => znode.Sequence < sequence || MemberRecord.TryDecode(znode.Content.Data)!.Services.Count > 0)
                    .Select(znode => MultiOperation.Delete(znode.Path)));
            }
        }

        return operations;
    }

    /// <summary>Our own znode: one, with the right content. A second one is the fruit of a create whose answer was lost (REQ-13).</summary>
    private IEnumerable<MultiOperation> PlanOwn(Wish wish, string directory, MemberDialect dialect, List<SequentialZnode> own)
    {
        foreach (var surplus in wish.IsPresent ? own.Skip(1) : own)
        {
            yield return MultiOperation.Delete(surplus.Path);
        }

        if (!wish.IsPresent)
        {
            yield break;
        }

        var data = new MemberRecord(_options.Broker, _options.Container, wish.Services, _options.Uuid).Encode(dialect);
        if (own.Count == 0)
        {
            var path = $"{directory}/{ZnodePaths.SequencePrefix}";
            yield return MultiOperation.Create(path, data, RegistryAcls.For(path), CreateMode.EphemeralSequential);
        }
        else if (!own[0].Content.Data.AsSpan().SequenceEqual(data))
        {
            yield return MultiOperation.SetData(own[0].Path, data);
        }
    }

    private sealed class Wish(IReadOnlyList<string> services, long? epoch, bool isPresent = true)
    {
        private volatile RegistryFencedException? _refusal;

        public IReadOnlyList<string> Services => services;

        public long? Epoch => epoch;

        public bool IsPresent => isPresent;

        /// <summary>Set when a higher epoch stood against it.</summary>
        public RegistryFencedException? Refusal
        {
            get => _refusal;
            set => _refusal = value;
        }

        public static Wish Slave { get; } = new([], null);

        public static Wish Absent { get; } = new([], null, false);
    }
}
