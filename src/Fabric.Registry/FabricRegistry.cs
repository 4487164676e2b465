using System.Text;
using Fabric.Runtime;
using Fabric.Runtime.Scheduling;
using Fabric.ZooKeeper.Client;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Registry;

/// <summary>
/// A process's connection to the registry, for as long as the process lives: when the session expires it makes a new one, and those who
/// keep something there (members, candidates, presence) are told and make it anew. Everything of one process shares one of these, so
/// that it appears and disappears together.
/// </summary>
/// <remarks>
/// Thread-safe. One loop, "registry session", owns the client and replaces it; requests use the client of the moment and fail with
/// <see cref="RegistryUnavailableException"/> while there is none. <see cref="SessionChanged"/> is raised by that loop, in order.
/// </remarks>
public sealed partial class FabricRegistry : IAsyncDisposable
{
    private static readonly TimeSpan RetryPauseMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RetryPauseMax = TimeSpan.FromSeconds(2);

    private readonly RegistryOptions _options;
    private readonly CancellationTokenSource _stopping = new();
    private readonly AsyncSignal _wake = new();
    private readonly Task _loop;
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ZooKeeperClient? _client;
    private volatile RegistrySession _session = RegistrySession.None;
    private int _connections;
    private int _disposed;

    private FabricRegistry(FabricRuntime runtime, RegistryOptions options, ILogger? logger)
    {
        (Runtime, _options, Logger) = (runtime, options, logger ?? NullLogger.Instance);
        _stopping.Token.Register(_wake.Set);
        _loop = runtime.Scheduler.Start("registry session", RunAsync);
    }

    /// <summary>Raised after every change of <see cref="Session"/>. Handlers are quick and do not throw.</summary>
    public event Action<RegistrySession>? SessionChanged;

    /// <summary>The session of the moment.</summary>
    public RegistrySession Session => _session;

    /// <summary>Hosts that are asked.</summary>
    public string ConnectString => _options.ConnectString;

    /// <summary>The session timeout that the server granted; zero before the first session.</summary>
    public TimeSpan SessionTimeout => _client?.NegotiatedSessionTimeout ?? TimeSpan.Zero;

    internal FabricRuntime Runtime { get; }

    internal ILogger Logger { get; }

    /// <summary>Connects and checks the password.</summary>
    /// <exception cref="RegistryUnavailableException">No server answered within <see cref="RegistryOptions.ConnectTimeout"/>.</exception>
    /// <exception cref="RegistryPasswordException">The password is wrong.</exception>
    public static async Task<FabricRegistry> ConnectAsync(
        FabricRuntime runtime, RegistryOptions options, ILogger? logger = null, CancellationToken cancellationToken = default)
    {
        var registry = new FabricRegistry(runtime, options, logger);
        try
        {
            await registry._opened.Task.WaitAsync(options.ConnectTimeout, runtime.Time, cancellationToken);
            return registry;
        }
        catch (TimeoutException exception)
        {
            await registry.DisposeAsync();
            throw new RegistryUnavailableException($"no registry answers at {options.ConnectString}", exception);
        }
        catch
        {
            await registry.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Begins to connect and returns at once: for a node that starts while the registry is away. Members, candidates and watchers can be
    /// made right away and begin to work when there is a session. A wrong password is retried and logged.
    /// </summary>
    public static FabricRegistry Open(FabricRuntime runtime, RegistryOptions options, ILogger? logger = null) =>
        new(runtime, options, logger);

    /// <summary>Waits until there has been a session with the right password.</summary>
    /// <exception cref="RegistryPasswordException">The password is wrong.</exception>
    public Task OpenedAsync(CancellationToken cancellationToken) => _opened.Task.WaitAsync(cancellationToken);

    /// <summary>Waits until requests reach the registry.</summary>
    public async Task ConnectedAsync(CancellationToken cancellationToken)
    {
        var connected = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        SessionChanged += OnSessionChanged;
        try
        {
            OnSessionChanged(_session);
            await connected.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            SessionChanged -= OnSessionChanged;
        }

        void OnSessionChanged(RegistrySession session)
        {
            if (session.IsConnected)
            {
                connected.TrySetResult();
            }
        }
    }

    /// <summary>Closes the session: everything ephemeral disappears at once. Owners of such things are disposed before.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _stopping.CancelAsync();
        }

        await _loop;
        _opened.TrySetCanceled();
    }

    private async Task RunAsync()
    {
        var pause = RetryPauseMin;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await using var client = await ConnectClientAsync();
                pause = RetryPauseMin;
                await FollowAsync(client);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (RegistryPasswordException exception)
            {
                _opened.TrySetException(exception);
                Logger.LogError("{Message}", exception.Message);
                pause = await PauseAsync(RetryPauseMax);
            }
            catch (ZooKeeperException exception)
            {
                Logger.LogInformation("The registry at {Hosts} cannot be reached: {Reason}", ConnectString, exception.Message);
                pause = await PauseAsync(pause);
            }
            finally
            {
                _client = null;
                Announce(_session with { IsConnected = false });
            }
        }
    }

    private async Task<ZooKeeperClient> ConnectClientAsync()
    {
        var client = new ZooKeeperClient(
            Runtime,
            new ZooKeeperClientOptions
            {
                ConnectString = _options.ConnectString,
                SessionTimeout = _options.SessionTimeout,
                Tls = _options.Tls,
            },
            Logger);
        try
        {
            await client.ConnectAsync(_stopping.Token);
            await client.AddAuthAsync(
                DigestAuthentication.Scheme, Encoding.UTF8.GetBytes($"{RegistryOptions.User}:{_options.Password}"), _stopping.Token);
            await CheckPasswordAsync(client);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>A session opens with any password; only the first read that an ACL guards tells (fabric.md §1.1).</summary>
    private async Task CheckPasswordAsync(ZooKeeperClient client)
    {
        try
        {
            await client.GetChildrenAsync(ZnodePaths.Fabric, _stopping.Token);
        }
        catch (ZooKeeperException exception) when (exception.Error == ZooKeeperError.NoNode)
        {
            // No fabric has been created yet, so no password is right or wrong.
        }
        catch (ZooKeeperException exception) when (exception.Error is ZooKeeperError.NoAuth or ZooKeeperError.AuthFailed)
        {
            throw new RegistryPasswordException($"the registry at {ConnectString} refuses the password", exception);
        }
    }

    /// <summary>Reports the client's states until its session ends or we stop.</summary>
    private async Task FollowAsync(ZooKeeperClient client)
    {
        client.StateChanged += OnStateChanged;
        try
        {
            Interlocked.Increment(ref _connections);
            _client = client;
            _opened.TrySetResult();
            while (!_stopping.IsCancellationRequested)
            {
                var state = client.State;
                if (state is KeeperState.Expired or KeeperState.Closed or KeeperState.AuthFailed)
                {
                    Logger.LogWarning("The registry session 0x{Session:x} has ended ({State}); a new one is made", client.SessionId, state);
                    return;
                }

                Announce(new RegistrySession(client.SessionId, state == KeeperState.SyncConnected, Volatile.Read(ref _connections)));
                await _wake.WaitAsync();
            }

            await CloseAsync(client);
        }
        finally
        {
            client.StateChanged -= OnStateChanged;
        }

        void OnStateChanged(KeeperState state)
        {
            if (state == KeeperState.SyncConnected)
            {
                Interlocked.Increment(ref _connections);
            }

            _wake.Set();
        }
    }

    private async Task CloseAsync(ZooKeeperClient client)
    {
        try
        {
            await client.CloseAsync();
        }
        catch (ZooKeeperException exception)
        {
            Logger.LogInformation("The registry session ends by its timeout: {Reason}", exception.Message);
        }
    }

    private async Task<TimeSpan> PauseAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, Runtime.Time, _stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // The loop's condition ends it.
        }

        return pause + pause > RetryPauseMax ? RetryPauseMax : pause + pause;
    }

    private void Announce(RegistrySession session)
    {
        if (session == _session)
        {
            return;
        }

        _session = session;
        Logger.LogInformation(
            "The registry at {Hosts} is {State}, session 0x{Session:x}", ConnectString, session.IsConnected ? "connected" : "away", session.Id);
        SessionChanged?.Invoke(session);
    }
}
