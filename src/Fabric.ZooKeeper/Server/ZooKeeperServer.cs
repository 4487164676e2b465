using Fabric.Runtime;
using Fabric.Runtime.Disk;
using Fabric.Runtime.Network;
using Fabric.ZooKeeper.Server.Connections;
using Fabric.ZooKeeper.Server.Requests;
using Fabric.ZooKeeper.Server.Storage;
using Microsoft.Extensions.Logging;

namespace Fabric.ZooKeeper.Server;

/// <summary>
/// An embedded ZooKeeper server of one node, on ZooKeeper's own protocol. Acknowledged changes survive <c>kill -9</c> and
/// power loss; sessions and their ephemerals survive a restart and end afterwards when nobody comes back for them.
/// <para>
/// Who does what: a reader per connection hands frames to the <see cref="RequestExecutor"/>, which applies them under one
/// lock; the <see cref="LogWriter"/> makes them durable in groups; a writer per connection sends answers and events once
/// they are. One loop looks at the clock. The on-disk format is described in FORMAT.md.
/// </para>
/// Thread-safe.
/// </summary>
public sealed class ZooKeeperServer : IAsyncDisposable
{
    /// <summary>Looks at the sessions per tick: an expiry is noticed at most a quarter of a tick late.</summary>
    private const int ChecksPerTick = 4;

    /// <summary>Time that peers get to take their last answers when the server stops.</summary>
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(2);

    /// <summary>Pause after a failed accept, of too many open files for example.</summary>
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly FabricRuntime _runtime;
    private readonly ZooKeeperServerOptions _options;
    private readonly ILogger _logger;
    private readonly IDisposable _directoryLock;
    private readonly INetworkListener _listener;
    private readonly RequestExecutor _executor;
    private readonly LogWriter _logWriter;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _connections = [];
    private readonly Task _acceptLoop;
    private readonly Task _clockLoop;
    private readonly Task _failureWatch;
    private int _isDisposed;

    private ZooKeeperServer(
        FabricRuntime runtime,
        ZooKeeperServerOptions options,
        ILogger logger,
        IDisposable directoryLock,
        INetworkListener listener,
        StorageDirectory directory)
    {
        (_runtime, _options, _logger, _directoryLock, _listener) = (runtime, options, logger, directoryLock, listener);
        var (state, log) = new StorageRecovery(directory, runtime.Random, logger).Run();
        _executor = new RequestExecutor(runtime, options with { Port = listener.Port }, state, logger);
        _logWriter = new LogWriter(runtime, _executor, log, directory, options, logger);
        _acceptLoop = runtime.Scheduler.Start("zookeeper accept", AcceptLoopAsync);
        _clockLoop = runtime.Scheduler.Start("zookeeper clock", ClockLoopAsync);
        _failureWatch = runtime.Scheduler.Start("zookeeper failure watch", StopListeningWhenFailedAsync);
    }

    /// <summary>The port that is bound; the chosen one when the options say 0.</summary>
    public int Port => _listener.Port;

    /// <summary>
    /// Fails with an <see cref="IOException"/> when the server had to stop because it can no longer write its log; all
    /// clients are disconnected by then and nothing unwritten was acknowledged. It never ends otherwise. The owner still
    /// disposes the server.
    /// </summary>
    public Task Failed => _executor.Failed;

    /// <summary>Recovers the data directory, listens, and serves.</summary>
    /// <param name="runtime">The outside world.</param>
    /// <param name="options">How to run.</param>
    /// <param name="logger">Where to report.</param>
    /// <param name="cancellationToken">Gives the start up; the server is stopped by disposing it.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="Runtime.Disk.DirectoryInUseException">Another server has the data directory.</exception>
    /// <exception cref="ZooKeeperStorageException">The data directory is damaged, or of a newer format.</exception>
    /// <exception cref="IOException">The port is in use, the address is not ours, or the disk fails.</exception>
    public static async Task<ZooKeeperServer> StartAsync(
        FabricRuntime runtime, ZooKeeperServerOptions options, ILogger logger, CancellationToken cancellationToken = default)
    {
        options.Validate();
        cancellationToken.ThrowIfCancellationRequested();
        DurableDirectory.Create(runtime.Disk, Path.GetFullPath(options.DataDirectory));
        var directoryLock = runtime.Disk.LockDirectory(options.DataDirectory);
        INetworkListener? listener = null;
        try
        {
            listener = runtime.Network.Listen(options.Host, options.Port);
            var directory = new StorageDirectory(runtime.Disk, options.DataDirectory);
            var server = new ZooKeeperServer(runtime, options, logger, directoryLock, listener, directory);
            logger.LogInformation(
                "The ZooKeeper server listens on {Host}:{Port} with data in {Directory}",
                options.Host,
                server.Port,
                options.DataDirectory);
            return server;
        }
        catch
        {
            if (listener is not null)
            {
                await listener.DisposeAsync();
            }

            directoryLock.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Stops: accepts nothing more, sends the answers of what was executed, and closes the log. Sessions stay and go on
    /// when the server starts again.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _stopping.CancelAsync();
        await _listener.DisposeAsync();
        await _acceptLoop;
        await _clockLoop;
        await _failureWatch;
        _executor.Stop();
        await EndConnectionsAsync();
        await _logWriter.DisposeAsync();
        _executor.Dispose();
        _directoryLock.Dispose();
        _stopping.Dispose();
    }

    private async Task EndConnectionsAsync()
    {
        Task all;
        lock (_gate)
        {
            all = Task.WhenAll(_connections);
        }

        try
        {
            await all.WaitAsync(StopPatience, _runtime.Time);
        }
        catch (TimeoutException)
        {
            _executor.Abandon();
            await all;
        }
    }

    private async Task AcceptLoopAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await ServeAsync(await _listener.AcceptAsync(_stopping.Token));
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (IOException exception)
            {
                _logger.LogWarning("{Reason}", exception.Message);
                await Task.Delay(AcceptPause, _runtime.Time, CancellationToken.None);
            }
        }
    }

    /// <summary>A server that cannot write refuses connections, so that clients go to look for another.</summary>
    private async Task StopListeningWhenFailedAsync()
    {
        await Task.WhenAny(_executor.Failed, Task.Delay(Timeout.InfiniteTimeSpan, _runtime.Time, _stopping.Token));
        await _listener.DisposeAsync();
    }

    private async ValueTask ServeAsync(INetworkConnection network)
    {
        var connection = new ServerConnection(_runtime, network, _executor, _options, _logger);
        if (!_executor.Admit(connection))
        {
            _logger.LogInformation("Refusing a ZooKeeper connection from {Peer}: too many connections", network.RemoteEndPoint);
            await network.DisposeAsync();
            return;
        }

        var task = _runtime.Scheduler.Start("zookeeper connection reader", connection.RunAsync);
        lock (_gate)
        {
            _connections.Add(task);
            _connections.RemoveWhere(ended => ended.IsCompletedSuccessfully && ended != task);
        }
    }

    private async Task ClockLoopAsync()
    {
        var interval = _options.TickTime / ChecksPerTick;
        var reapedAt = _runtime.Time.GetTimestamp();
        try
        {
            while (true)
            {
                await Task.Delay(interval, _runtime.Time, _stopping.Token);
                _executor.CheckSessions((long)interval.TotalMilliseconds);
                if (_runtime.Time.GetElapsedTime(reapedAt) >= _options.ContainerCheckInterval)
                {
                    reapedAt = _runtime.Time.GetTimestamp();
                    _executor.Reap();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
        catch (Exception exception)
        {
            // Without a clock sessions would live for ever.
            _executor.Fail(exception);
        }
    }
}
