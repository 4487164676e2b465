using System.Buffers;
using Fabric.Runtime;
using Fabric.Runtime.Scheduling;
using Fabric.Store.Journal;

namespace Fabric.Replication.Master;

/// <summary>Sends one slave what it lacks and then what comes, and takes in its acknowledgements, until either side ends it.</summary>
internal sealed class SlaveFeed(
    FabricRuntime runtime, ReplicaOptions options, Journal journal, Lead lead, AdmittedSlave slave, ISlaveStream stream)
{
    private readonly AsyncSignal _wake = new();

    /// <param name="common">Where the slave's journal and ours part: the first byte to send. Null for a slave that copies the journal first: it is only told that we are there.</param>
    /// <param name="clock">Monotonic time.</param>
    /// <param name="cancellationToken">Ends the feed.</param>
    public async Task RunAsync(Position? common, Func<TimeSpan> clock, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lead.Ended);
        lead.Attach(_wake);
        var acknowledgements = runtime.Scheduler.Start(
            $"acknowledgements of {slave.Replica}", () => ReadAcknowledgementsAsync(clock, ended.Token));
        try
        {
            await SendAsync(common, clock, acknowledgements, ended.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The mastership or the connection is over; the slave sees the stream end.
        }
        finally
        {
            lead.Detach(_wake);
            await ended.CancelAsync();
            await EndAsync(acknowledgements);
        }
    }

    private static async Task EndAsync(Task acknowledgements)
    {
        try
        {
            await acknowledgements;
        }
        catch (Exception exception) when (exception is OperationCanceledException or ReplicaLinkException)
        {
            // How the stream ended has been seen by the sender already.
        }
    }

    private async Task SendAsync(Position? common, Func<TimeSpan> clock, Task acknowledgements, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(options.BatchBytesMax);
        try
        {
            var reader = common is { } from ? journal.OpenReader(from) : null;
            var lastSent = TimeSpan.MinValue;
            while (!acknowledgements.IsCompleted && lead.Feeds(slave.Replica))
            {
                cancellationToken.ThrowIfCancellationRequested();
                var position = reader?.Position ?? Position.Zero;
                var count = reader?.Read(buffer.AsSpan(0, options.BatchBytesMax)) ?? 0;
                if (count > 0)
                {
                    await stream.WriteAsync(
                        lead.Frame(FollowFrameKind.Batch) with
                        {
                            Position = position,
                            Records = new ReadOnlySequence<byte>(buffer, 0, count),
                        },
                        cancellationToken);
                    lastSent = clock();
                    if (position + count < journal.Offered)
                    {
                        await Task.Yield(); // to catch up is not for the thread that brought the news
                    }
                }
                else if (lead.TakeHandOver(slave.Replica))
                {
                    await stream.WriteAsync(lead.Frame(FollowFrameKind.HandOver), cancellationToken);
                }
                else if (lastSent == TimeSpan.MinValue || clock() - lastSent >= options.HeartbeatInterval)
                {
                    await stream.WriteAsync(lead.Frame(FollowFrameKind.Heartbeat), cancellationToken);
                    lastSent = clock();
                }
                else
                {
                    await _wake.WaitAsync();
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task ReadAcknowledgementsAsync(Func<TimeSpan> clock, CancellationToken cancellationToken)
    {
        try
        {
            while (await stream.ReadAsync(cancellationToken) is { } ack && !lead.IsOutdated(slave.Replica, slave.Stream))
            {
                if (ack.Epoch == lead.Epoch && lead.OnAcknowledged(slave.Replica, slave.Stream, ack, clock()) is { } committed)
                {
                    journal.AdvanceCommitted(committed);
                }
            }
        }
        finally
        {
            _wake.Set();
        }
    }
}

/// <summary>A slave that was accepted.</summary>
/// <param name="Replica">Which.</param>
/// <param name="Stream">The number of the stream by which it follows (<see cref="Lead.Admit"/>).</param>
internal readonly record struct AdmittedSlave(ReplicaId Replica, long Stream);
