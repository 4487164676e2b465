using System.Threading.Channels;
using Fabric.Runtime;
using Fabric.ZooKeeper.Jute;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.ZooKeeper.Client;

/// <summary>
/// One ZooKeeper session. It connects to one of the servers at once, goes to another when the connection breaks, and keeps its
/// watches and identities over that. Requests are carried out in the order of the calls. Thread-safe.
/// </summary>
/// <remarks>
/// <para>A request that was under way when the connection broke fails with <see cref="ZooKeeperError.ConnectionLoss"/>: a write may
/// have happened or not, and is never repeated by itself. Requests made while there is no connection wait for one. A request that could
/// not be sent at all fails with <see cref="ArgumentException"/> (not valid, or larger than a server takes) or with
/// <see cref="ZooKeeperError.ThrottledOperation"/> (too many wait already). A cancellation ends the waiting, not the request.</para>
/// <para>When the session has expired (only a server says so), been refused or been closed, the object is of no further use: every call
/// fails, and its owner makes a new one.</para>
/// <para>Handlers of watches and <see cref="StateChanged"/> run one after the other on a loop of the client, never under a lock, in the
/// order in which the server sent the events; a slow one delays other handlers and nothing else. The server sends an event before any
/// answer that shows the change, and the client passes it to that loop before the answer reaches its caller. Every handler
/// of a watch also hears of changes of the connection's state (<see cref="WatchEventType.None"/>), which use up no watch. After a
/// re-connection the server reports at once what one-shot watches have missed, but nothing to persistent ones: their handlers take
/// <see cref="KeeperState.SyncConnected"/> as the hint to read again. What they read then is not older than their watch.</para>
/// </remarks>
public sealed partial class ZooKeeperClient : IAsyncDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly ZooKeeperClientOptions _options;
    private readonly ILogger _logger;
    private readonly ConnectString _servers;
    private readonly WatchTable _watches = new();
    private readonly Channel<(WatchedEvent Event, IReadOnlyList<Action<WatchedEvent>> Handlers)> _events =
        Channel.CreateUnbounded<(WatchedEvent, IReadOnlyList<Action<WatchedEvent>>)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly CancellationTokenSource _closing = new();
    private readonly long _origin;
    private readonly Task _session;
    private readonly Task _telling;

    // Guarded by _gate.
    private readonly Lock _gate = new();
    private readonly Queue<PendingRequest> _waiting = new();
    private readonly List<Identity> _identities = [];
    private readonly List<TaskCompletionSource> _connectWaiters = [];
    private readonly List<Task> _sweeps = [];
    private Attachment? _attachment;
    private ZooKeeperError? _final;
    private Exception? _cause;
    private KeeperState _state = KeeperState.Disconnected;
    private Task? _close;
    private int _lastXid;
    private int _requests;
    private long _requestsBytes;

    // Owned by the session loop and the connection's reader, which never run at the same time; read by anybody.
    private long _sessionId;
    private byte[] _password = new byte[16];
    private long _negotiatedTicks;
    private long _lastZxid;

    /// <summary>Starts connecting.</summary>
    /// <exception cref="FormatException">The connect string is none.</exception>
    public ZooKeeperClient(FabricRuntime runtime, ZooKeeperClientOptions options, ILogger? logger = null)
    {
        (_runtime, _options, _logger) = (runtime, options, logger ?? NullLogger.Instance);
        _servers = ConnectString.Parse(options.ConnectString);
        _origin = runtime.Time.GetTimestamp();
        _telling = runtime.Scheduler.Start("ZooKeeper events", TellAsync);
        _session = runtime.Scheduler.Start("ZooKeeper session", RunAsync);
    }

    /// <summary>
    /// The state of the connection changed: SyncConnected, Disconnected, and at the end Expired, AuthFailed or Closed. Called in order
    /// on the client's event loop.
    /// </summary>
    public event Action<KeeperState>? StateChanged;

    /// <summary>State of the connection at this moment.</summary>
    public KeeperState State
    {
        get
        {
            lock (_gate)
            {
                return _state;
            }
        }
    }

    /// <summary>Id of the session, 0 before the first connection; it may be negative.</summary>
    public long SessionId => Volatile.Read(ref _sessionId);

    /// <summary>Session timeout that the server granted; the requested one before the first connection.</summary>
    public TimeSpan NegotiatedSessionTimeout =>
        Volatile.Read(ref _negotiatedTicks) is var ticks and > 0 ? TimeSpan.FromTicks(ticks) : _options.SessionTimeout;

    private TimeSpan Now => _runtime.Time.GetElapsedTime(_origin);

    /// <summary>Ends when the client is connected; it tries for as long as the caller waits.</summary>
    /// <exception cref="ZooKeeperException">The session is over: expired, refused or closed.</exception>
    public async Task ConnectAsync(CancellationToken cancellationToken)
    {
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            ThrowIfOver(null);
            if (_attachment is not null)
            {
                return;
            }

            _connectWaiters.Add(waiter);
        }

        try
        {
            await waiter.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            lock (_gate)
            {
                _connectWaiters.Remove(waiter);
            }
        }
    }

    /// <summary>
    /// Closes the session: the server deletes its ephemeral znodes at once, or, when it is out of reach, at the session's timeout. What
    /// was asked before is carried out first. Idempotent. Not to be waited for by a handler of this client's events, which it
    /// waits for.
    /// </summary>
    public Task CloseAsync()
    {
        lock (_gate)
        {
            return _close ??= CloseOnceAsync(_attachment?.Close());
        }
    }

    /// <inheritdoc cref="CloseAsync"/>
    public async ValueTask DisposeAsync() => await CloseAsync();

    private async Task CloseOnceAsync(PendingRequest<bool>? close)
    {
        await Task.Yield(); // out of the lock that the caller holds
        if (close is not null)
        {
            try
            {
                await close.WaitAsync(CancellationToken.None).WaitAsync(NegotiatedSessionTimeout / 3, _runtime.Time);
            }
            catch (Exception exception) when (exception is ZooKeeperException or TimeoutException)
            {
                // The server closed the socket instead of answering, or is out of reach: then the session ends by its timeout.
                _logger.LogDebug("The session was closed without an answer: {Reason}", exception.Message);
            }
        }

        await _closing.CancelAsync();
        await _session;
        await _telling;
        await Task.WhenAll(_sweeps); // no more are added: the session is over
        _closing.Dispose();
    }

    /// <summary>Tells handlers what happened, in order.</summary>
    private async Task TellAsync()
    {
        await foreach (var (watched, handlers) in _events.Reader.ReadAllAsync())
        {
            if (watched.Type == WatchEventType.None)
            {
                Tell(() => StateChanged?.Invoke(watched.State));
            }

            foreach (var handler in handlers)
            {
                Tell(() => handler(watched));
            }
        }
    }

    private void Tell(Action handler)
    {
        try
        {
            handler();
        }
        catch (Exception exception)
        {
            // A handler's fault is its owner's; the others must hear of their events all the same.
            _logger.LogError(exception, "A handler of ZooKeeper events failed");
        }
    }

    /// <summary>Refuses what can no longer be done. Under the gate.</summary>
    private void ThrowIfOver(string? path)
    {
        if (_final is { } error)
        {
            throw new ZooKeeperException(error, path, innerException: _cause);
        }

        if (_close is not null)
        {
            throw new ZooKeeperException(ZooKeeperError.SessionExpired, path);
        }
    }

    /// <summary>An identity that is added to every connection.</summary>
    private sealed record Identity(string Scheme, byte[] Secret, TaskCompletionSource Added)
    {
        public override string ToString() => Scheme; // the secret stays out of logs
    }
}
