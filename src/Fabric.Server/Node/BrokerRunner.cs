using Fabric.Replication;
using Fabric.Runtime.Disk;
using Fabric.Server.Admin;
using Fabric.Server.Supervision;
using Fabric.Store;
using Microsoft.Extensions.Logging;

namespace Fabric.Server.Node;

/// <summary>
/// Keeps one broker's replica running in this container. A replica that ends for a reason that may pass (a port in use, a directory
/// still locked, the registry's content not there yet, a disk that is full or silent) is started again after a pause; one whose journal is damaged is repaired from its master; one whose store failed
/// otherwise stays out until the container is started anew, because what the disk lost is not known by asking again.
/// </summary>
/// <remarks>One loop owns the replica; start, end and restart cannot overlap. Thread-safe.</remarks>
internal sealed class BrokerRunner : IAsyncDisposable
{
    private readonly NodeServices _services;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Action _changed;
    private readonly Task _loop;
    private volatile RunningReplica? _running;
    private volatile RepairingReplica? _repairing;
    private volatile string? _failure;
    private string? _damage; // owned by the loop: found in the journal, and perhaps not yet written down on its disk
    private readonly RepeatedTrouble _unreadable; // owned by the loop
    private string? _unavailable; // owned by the loop: why the store was not to be had the last time

    /// <param name="services">What the brokers of a node share.</param>
    /// <param name="configuration">What to run.</param>
    /// <param name="isFirst">Whether it is the container's first broker, which gets the container's port and name.</param>
    /// <param name="changed">Told when <see cref="Problem"/> or <see cref="IsUp"/> may have changed.</param>
    public BrokerRunner(NodeServices services, BrokerConfiguration configuration, bool isFirst, Action changed)
    {
        (_services, Configuration, IsFirst, _changed) = (services, configuration, isFirst, changed);
        _logger = services.Loggers.CreateLogger($"broker {configuration.Broker}");
        _unreadable = new RepeatedTrouble(services.Runtime.Time);
        foreach (var connector in configuration.UnknownConnectors)
        {
            _logger.LogWarning("The connector {Connector} is not known and is left out", connector);
        }

        _loop = services.Runtime.Scheduler.Start($"broker {configuration.Broker}", RunAsync);
    }

    public BrokerConfiguration Configuration { get; }

    /// <summary>Whether it is the container's first broker.</summary>
    public bool IsFirst { get; }

    /// <summary>Why it is out of order; null when it is not.</summary>
    public string? Problem => _repairing?.Repair.Problem ?? _failure ?? _running?.Host.Failure ?? _running?.Replica.Status.Failure;

    /// <summary>Whether its journal is damaged and being repaired.</summary>
    public bool IsRepairing => _repairing is not null;

    /// <summary>The replica's present life; null while there is none.</summary>
    public RunningReplica? Running => _running;

    /// <summary>Ends when it has ended for good, by itself or because it was asked to.</summary>
    public Task Completion => _loop;

    /// <summary>Whether it has ended for good.</summary>
    public bool IsOver => _loop.IsCompleted;

    /// <summary>Whether the replica takes part.</summary>
    public bool IsUp => _running is not null && Problem is null;

    /// <summary>Whether clients are served here.</summary>
    public bool IsServing => _running?.Host.Services.Count > 0;

    public Admin.BrokerStatus Status
    {
        get
        {
            var running = _running;
            var repair = _repairing?.Repair;
            var replica = running?.Replica.Status;
            return new Admin.BrokerStatus
            {
                Broker = Configuration.Broker,
                Group = Configuration.Group,
                Role = repair is not null ? "repairing" : replica is null ? (_failure is null ? "starting" : "failed") : replica.IsCopying ? "copying" : replica.Role.ToString().ToLowerInvariant(),
                Epoch = repair?.Promised.Value ?? replica?.Epoch.Value ?? 0,
                Master = repair?.Master ?? replica?.Master,
                Serving = IsServing,
                Services = running?.Host.Services ?? [],
                EndPosition = replica?.End.Value ?? 0,
                CommittedPosition = replica?.Committed.Value ?? 0,
                Slaves = replica is null ? [] : [.. replica.Slaves.Where(slave => slave.IsMember).Select(slave => new SlaveStatus(
                    slave.Member.Container, slave.Attached, slave.Attached ? Math.Max(0, replica.End - slave.Durable) : null))],
                Failure = Problem,
                Connections = running?.Host.Connections ?? 0,
                Destinations = running is null ? [] : [.. running.Broker.GetStatistics()
                    .Select(figures => new DestinationStatus(
                        figures.Name.ToString(), figures.Depth, figures.InFlight, figures.Consumers, figures.Enqueued, figures.Dequeued))
                    .OrderBy(figures => figures.Name, StringComparer.Ordinal)],
            };
        }
    }

    /// <summary>Hands over if it leads, and ends the replica.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_stopping.IsCancellationRequested)
        {
            await _stopping.CancelAsync();
        }

        await _loop;
    }

    private async Task RunAsync()
    {
        var policy = new RestartPolicy();
        while (!_stopping.IsCancellationRequested)
        {
            var since = _services.Runtime.Time.GetTimestamp();
            var end = await RunOnceAsync();
            if (end is null || _stopping.IsCancellationRequested)
            {
                return;
            }

            if (end.IsAtOnce)
            {
                continue;
            }

            _failure = end.Reason;
            _changed();
            if (end.IsFinal)
            {
                _logger.LogCritical("Broker {Broker} is out of order on this container: {Reason}", Configuration.Broker, end.Reason);
                return;
            }

            var pause = policy.PauseAfter(_services.Runtime.Time.GetElapsedTime(since));
            _logger.LogError("Broker {Broker} does not run: {Reason}; next attempt in {Pause} s", Configuration.Broker, end.Reason, pause.TotalSeconds);
            await Task.Delay(pause, _services.Runtime.Time, _stopping.Token).ContinueWith(
                _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    /// <summary>One life of the replica.</summary>
    /// <returns>Why it ended by itself; null when it was stopped.</returns>
    private async Task<EndOfReplica?> RunOnceAsync()
    {
        BrokerHost? opened = null;
        try
        {
            if (_damage is { } damage)
            {
                return await RepairAsync(damage);
            }

            await using var running = await RunningReplica.StartAsync(_services, Configuration, IsFirst, _logger, _changed, _stopping.Token);
            opened = running.Host;
            (_running, _failure, _unavailable) = (running, null, null);
            _changed();
            var stop = Task.Delay(Timeout.InfiniteTimeSpan, _services.Runtime.Time, _stopping.Token);
            if (await Task.WhenAny(running.Replica.Completion, stop) == stop)
            {
                await running.Replica.StopAsync();
                return null;
            }

            _running = null;
            _failure = running.Replica.Status.Failure; // its end may take long when a disk hangs
            _changed();
            await running.Replica.Completion;
            return new EndOfReplica(running.Host.Failure ?? "the replica ended", IsFinal: false);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            return null; // stopped while it waited for the other replicas
        }
        catch (JournalReplacedException exception)
        {
            _damage = null;
            _logger.LogInformation("{Reason}", exception.Message);
            return new EndOfReplica(exception.Message, IsFinal: false, IsAtOnce: true);
        }
        catch (SegmentCorruptException exception) when (exception.IsUnreadable && !_unreadable.IsLasting(exception.Message))
        {
            return new EndOfReplica(_unavailable = exception.Message, IsFinal: false);
        }
        catch (SegmentCorruptException exception)
        {
            _damage = exception.Message;
            return new EndOfReplica(exception.Message, IsFinal: false, IsAtOnce: true);
        }
        catch (StoreUnavailableException exception)
        {
            return new EndOfReplica(_unavailable = exception.Message, IsFinal: false);
        }
        catch (StoreException exception)
        {
            // What looks like the store's failure may be the port's: the replica ends for both.
            return new EndOfReplica(opened?.Failure ?? exception.Message, IsFinal: opened?.Failure is null);
        }
        catch (DirectoryInUseException) when (_unavailable is { } reason)
        {
            // It is our own last life that holds the lock: its calls to the disk have not returned.
            return new EndOfReplica($"{reason}; it still does not", IsFinal: false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new EndOfReplica(exception.Message, IsFinal: false);
        }
        catch (Exception exception)
        {
            _logger.LogCritical(exception, "A defect ended the replica of {Broker}", Configuration.Broker);
            return new EndOfReplica($"defect: {exception.Message}", IsFinal: false);
        }
        finally
        {
            _running = null;
        }
    }

    /// <summary>One life of a repair.</summary>
    /// <returns>Null when it was stopped; it ends by an exception otherwise.</returns>
    private async Task<EndOfReplica?> RepairAsync(string damage)
    {
        await using var repairing = await RepairingReplica.StartAsync(_services, Configuration, IsFirst, damage, _logger, _stopping.Token);
        _damage = null; // it is on disk now, and what comes next asks there
        (_repairing, _failure, _unavailable) = (repairing, null, null);
        _changed();
        try
        {
            var stop = Task.Delay(Timeout.InfiniteTimeSpan, _services.Runtime.Time, _stopping.Token);
            await await Task.WhenAny(repairing.Repair.Completion, stop);
            return null;
        }
        finally
        {
            _repairing = null;
        }
    }

    /// <param name="Reason">For people.</param>
    /// <param name="IsFinal">Another start would not help.</param>
    /// <param name="IsAtOnce">The next start is due at once: with a copied journal, or to repair a damaged one.</param>
    private sealed record EndOfReplica(string Reason, bool IsFinal, bool IsAtOnce = false);
}
