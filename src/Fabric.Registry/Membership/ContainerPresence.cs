using System.Globalization;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;

namespace Fabric.Registry.Membership;

/// <summary>What a container tells of itself.</summary>
public sealed record ContainerRegistration
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>The root that runs it; null for a root.</summary>
    public string? Parent { get; init; }

    /// <summary>Host name or address that others reach it by.</summary>
    public required string Host { get; init; }

    /// <summary>Its process.</summary>
    public required int ProcessId { get; init; }

    /// <summary>More facts: <c>http</c>, <c>bindaddress</c>…; values may hold <c>${zk:…}</c>.</summary>
    public IReadOnlyDictionary<string, string> Facts { get; init; } = new Dictionary<string, string>();
}

/// <summary>
/// A container's own entry in the registry: that it lives, where it is, how far it is with its profiles. Made anew in every session.
/// </summary>
/// <remarks>Thread-safe. One loop, "presence of NAME", writes.</remarks>
public sealed class ContainerPresence : IAsyncDisposable
{
    private static readonly TimeSpan WithdrawLimit = TimeSpan.FromSeconds(2);
    private readonly FabricRegistry _registry;
    private readonly ContainerRegistration _registration;
    private readonly WatchedReader _reader;
    private readonly Reconciler _loop;
    private volatile Provision _provision = new("analyzing", null);
    private volatile bool _withdrawn;

    // Owned by the loop: the sessions in which the facts were written and the name was taken.
    private long _registered;
    private long _alive;
    private Provision? _written;

    /// <summary>Begins to register; returns at once, also while the registry is away.</summary>
    public ContainerPresence(FabricRegistry registry, ContainerRegistration registration)
    {
        (_registry, _registration) = (registry, registration);
        _loop = new Reconciler(registry, $"presence of {registration.Name}", PassAsync);
        _reader = new WatchedReader(registry, _loop.Wake);
        _loop.Start();
    }

    /// <summary>Waits until the registry shows the container.</summary>
    /// <exception cref="RegistryUnavailableException">The registry is away; the container will be shown when it is back.</exception>
    public Task RegisteredAsync(CancellationToken cancellationToken) => _loop.WakeAsync(cancellationToken);

    /// <summary>Shows how far the container is. Does not wait.</summary>
    /// <param name="result"><c>success</c>, <c>error</c>, or a step on the way.</param>
    /// <param name="error">What failed.</param>
    public void SetProvision(string result, string? error = null)
    {
        _provision = new Provision(result, error);
        _loop.Wake();
    }

    /// <summary>The container stops in order. Waits for a connected registry only, and no longer than two seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        _withdrawn = true;
        using var limit = new CancellationTokenSource(WithdrawLimit, _registry.Runtime.Time);
        try
        {
            await _loop.WakeAsync(limit.Token);
        }
        catch (Exception exception) when (exception is RegistryUnavailableException or OperationCanceledException
            or ZooKeeperException or RegistryPasswordException or ObjectDisposedException)
        {
            _registry.Logger.LogInformation("Container {Container} disappears with its session: {Reason}", _registration.Name, exception.Message);
        }

        await _loop.DisposeAsync();
    }

    private async Task PassAsync(CancellationToken cancellationToken)
    {
        _reader.BeginPass();
        var session = _registry.Session;
        if (_withdrawn)
        {
            await WithdrawAsync(session, cancellationToken);
            return;
        }

        if (_registered != session.Id)
        {
            await WriteFactsAsync(cancellationToken);
            _registered = session.Id;
            _written = null;
        }

        var provision = _provision;
        if (_written != provision)
        {
            await _registry.PutAsync(ZnodePaths.ProvisionException(_registration.Name), provision.Error ?? "", cancellationToken);
            await _registry.PutAsync(ZnodePaths.ProvisionResult(_registration.Name), provision.Result, cancellationToken);
            _written = provision;
        }

        // Last, so that nobody takes what an earlier process of this name reported for the state of a living one.
        await TakeNameAsync(session, cancellationToken);
    }

    private async Task WriteFactsAsync(CancellationToken cancellationToken)
    {
        var name = _registration.Name;
        var facts = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["resolver"] = "localhostname",
            ["localhostname"] = _registration.Host,
            ["ip"] = $"${{zk:{name}/localhostname}}",
            ["parent"] = _registration.Parent ?? "",
            ["minimumport"] = "0",
            ["maximumport"] = "65535",
        };
        foreach (var (fact, value) in _registration.Facts)
        {
            facts[fact] = value;
        }

        foreach (var (fact, value) in facts)
        {
            await _registry.PutAsync(ZnodePaths.ContainerFact(name, fact), value, cancellationToken);
        }

        await _registry.PutAsync(
            ZnodePaths.ProcessId(name), _registration.ProcessId.ToString(CultureInfo.InvariantCulture), cancellationToken);
        await _registry.EnsureAsync(ZnodePaths.Alive, cancellationToken);
    }

    /// <summary>
    /// Owns the <c>alive</c> znode. One of an earlier session is taken over, once per session: when it is taken from us after that, another
    /// process has our name, and the two must not chase each other for ever.
    /// </summary>
    private async Task TakeNameAsync(RegistrySession session, CancellationToken cancellationToken)
    {
        var path = ZnodePaths.ContainerAlive(_registration.Name);
        if (await _reader.GetAsync(path, cancellationToken) is { } present)
        {
            if (present.Stat.EphemeralOwner == session.Id)
            {
                _alive = session.Id;
                return;
            }

            if (_alive == session.Id)
            {
                _registry.Logger.LogError(
                    "Another process registers itself as container {Container}; one of the two has to go", _registration.Name);
                return;
            }

            await _registry.TryDeleteAsync(path, -1, cancellationToken);
        }

        try
        {
            await _registry.CreateAsync(path, default, CreateMode.Ephemeral, cancellationToken);
        }
        catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NodeExists)
        {
            _reader.Clear(); // an attempt whose answer was lost; the next pass sees whose it is
            _loop.Wake();
            return;
        }

        _alive = session.Id;
    }

    private async Task WithdrawAsync(RegistrySession session, CancellationToken cancellationToken)
    {
        var path = ZnodePaths.ContainerAlive(_registration.Name);
        if (await _registry.ExistsAsync(path, cancellationToken) is { } stat && stat.EphemeralOwner == session.Id)
        {
            await _registry.TryDeleteAsync(ZnodePaths.ProcessId(_registration.Name), -1, cancellationToken);
            await _registry.TryDeleteAsync(path, -1, cancellationToken);
        }
    }

    private sealed record Provision(string Result, string? Error);
}
