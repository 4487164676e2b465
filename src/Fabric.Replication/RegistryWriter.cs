using Fabric.Replication.Core;
using Fabric.Runtime;
using Fabric.Runtime.Scheduling;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>
/// Tells the registry what this replica is, newest state only, one write at a time, and remembers where the others are. A registry
/// that is away costs nothing but the delay: the coordinator publishes again when it is back.
/// </summary>
internal sealed class RegistryWriter
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly AsyncSignal _wake = new();
    private readonly ICoordinator _coordinator;
    private readonly ILogger _logger;
    private readonly CancellationToken _stopping;
    private readonly Dictionary<ReplicaId, string> _addresses = [];
    private CandidateState? _next;
    private SlaveReport? _nextReport;
    private SlaveReport? _lastReport;
    private string? _refused; // the last reason that people were told of; owned by the loop
    private (Epoch Epoch, ReplicaSet Set, Guid? Done)? _nextSet;

    public RegistryWriter(FabricRuntime runtime, ICoordinator coordinator, ILogger logger, CancellationToken stopping)
    {
        (_coordinator, _logger, _stopping) = (coordinator, logger, stopping);
        stopping.Register(_wake.Set);
        Completion = runtime.Scheduler.Start("registry writer", RunAsync);
    }

    public Task Completion { get; }

    public void Publish(CandidateState state)
    {
        lock (_gate)
        {
            _next = state;
        }

        _wake.Set();
    }

    /// <summary>Shows how far the slaves are: at once when one joins, leaves or catches up, and now and then for the lag.</summary>
    public void Report(Epoch epoch, IReadOnlyList<SlaveProgress> slaves, Position end, TimeSpan now)
    {
        var report = new SlaveReport(epoch, [.. slaves.Select(slave => new SlaveState(
            slave.Member.Container, slave.IsInSync(end), slave.Attached ? end - slave.Durable : null, IsLearner: !slave.IsMember))], now);
        lock (_gate)
        {
            if (_lastReport is { } last && last.Epoch == epoch && now - last.At < ReportInterval
                && last.Slaves.Select(Shape).SequenceEqual(report.Slaves.Select(Shape)))
            {
                return;
            }

            _lastReport = _nextReport = report;
        }

        _wake.Set();
    }

    /// <summary>Shows the committed set, and which change is done.</summary>
    public void ShowSet(Epoch epoch, ReplicaSet set, Guid? done)
    {
        lock (_gate)
        {
            _nextSet = (epoch, set, done);
        }

        _wake.Set();
    }

    /// <summary>Learns addresses; the newest znode of a replica counts.</summary>
    public void OnView(RegistryView view)
    {
        lock (_gate)
        {
            foreach (var candidate in view.Candidates.OrderBy(candidate => candidate.Sequence))
            {
                _addresses[candidate.State.Replica] = candidate.State.Address;
            }
        }
    }

    public string? AddressOf(ReplicaId replica)
    {
        lock (_gate)
        {
            return _addresses.GetValueOrDefault(replica);
        }
    }

    private async Task RunAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            await _wake.WaitAsync();
            CandidateState? state;
            SlaveReport? report;
            (Epoch Epoch, ReplicaSet Set, Guid? Done)? set;
            lock (_gate)
            {
                (state, _next) = (_next, null);
                (report, _nextReport) = (_nextReport, null);
                (set, _nextSet) = (_nextSet, null);
            }

            if (state is not null)
            {
                await WriteAsync($"{state.Role}", () => _coordinator.PublishAsync(state, _stopping));
            }

            if (set is { } shown)
            {
                await WriteAsync("the replica set", () => _coordinator.ShowSetAsync(shown.Epoch, shown.Set, shown.Done, _stopping));
            }

            if (report is not null)
            {
                await WriteAsync("the state of the slaves", () => _coordinator.ReportSlavesAsync(report.Epoch, report.Slaves, _stopping));
            }
        }
    }

    private static (string Container, bool InSync, bool IsLearner) Shape(SlaveState slave) => (slave.Container, slave.InSync, slave.IsLearner);

    private async Task WriteAsync(string what, Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Stopping: the coordinator withdraws the znode itself.
        }
        catch (IOException exception)
        {
            _logger.LogInformation("The registry is away ({Reason}): {What} is published when it is back", exception.Message, what);
        }
        catch (Exception exception)
        {
            // This loop has to be there for what comes next, whatever it was.
            if (exception.Message != _refused)
            {
                _refused = exception.Message; // once, and not with each report
                _logger.LogWarning("The registry does not take {What}: {Reason}", what, exception.Message);
            }
        }
    }

    private sealed record SlaveReport(Epoch Epoch, IReadOnlyList<SlaveState> Slaves, TimeSpan At);
}
