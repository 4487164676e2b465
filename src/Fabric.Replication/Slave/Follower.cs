using Fabric.Replication.Core;
using Fabric.Runtime;
using Fabric.Runtime.Scheduling;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Replication.Slave;

/// <summary>
/// One attempt to follow one master, from the connection to the end of the stream. It appends to the journal only between
/// <see cref="TakeStream"/> and the end of <see cref="StopAsync"/>; the replica's loop calls both.
/// </summary>
internal sealed class Follower : IDisposable
{
    private readonly FabricRuntime _runtime;
    private readonly IReplicaLink _link;
    private readonly Journal _journal;
    private readonly MasterAddress _master;
    private readonly ReplicaOptions _options;
    private readonly IFollowerEvents _events;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<Epoch> _taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly AsyncSignal _acknowledge = new(inline: true);
    private Task _running = Task.CompletedTask;
    private volatile bool _stopped;
    private long _heardTicks;

    public Follower(
        FabricRuntime runtime, IReplicaLink link, Journal journal, MasterAddress master, ReplicaOptions options, IFollowerEvents events)
    {
        (_runtime, _link, _journal, _master, _options, _events) = (runtime, link, journal, master, options, events);
        _heardTicks = events.Now.Ticks; // an attempt has its own limit; it must not look like silence before that
    }

    /// <summary>When the master was last heard, or could not be because nothing was read; monotonic.</summary>
    public TimeSpan Heard => TimeSpan.FromTicks(Volatile.Read(ref _heardTicks));

    public void Start(FollowHello hello) =>
        _running = _runtime.Scheduler.Start($"follower of {_master.Container}", () => RunAsync(hello));

    /// <summary>The stream that was accepted may now be taken: promise and journal are as they must be.</summary>
    public void TakeStream(Epoch epoch) => _taken.TrySetResult(epoch);

    /// <summary>The journal has synced more: tell the master.</summary>
    public void Acknowledge() => _acknowledge.Set();

    /// <summary>Ends the attempt; no byte enters the journal afterwards.</summary>
    public async Task StopAsync()
    {
        _stopped = true;
        await _stop.CancelAsync();
        _taken.TrySetCanceled();
        _acknowledge.Set();
        await _running;
    }

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync(FollowHello hello)
    {
        try
        {
            await FollowAsync(hello);
            _events.OnFollowEnded(this, _master, FollowEnd.Broken, "the master ended the stream");
        }
        catch (OperationCanceledException) when (_stopped)
        {
            // Stopped by our own replica, which knows.
        }
        catch (FollowRefusedException exception)
        {
            var end = exception.Refusal switch
            {
                FollowRefusal.NotMaster => FollowEnd.NotMaster,
                FollowRefusal.NotMember => FollowEnd.NotMember,
                _ => FollowEnd.Rejected,
            };
            _events.OnFollowEnded(this, _master, end, exception.Message);
        }
        catch (StoreException)
        {
            // The journal has told the replica itself.
        }
        catch (InvalidRecordsException exception)
        {
            // Trying again at once would bring the same bytes.
            _events.OnFollowEnded(this, _master, FollowEnd.Refused, exception.Message);
        }
        catch (ReplicaLinkException exception)
        {
            var end = exception.Refused || !_taken.Task.IsCompleted ? FollowEnd.Refused : FollowEnd.Broken;
            _events.OnFollowEnded(this, _master, end, exception.Message);
        }
        catch (OperationCanceledException)
        {
            _events.OnFollowEnded(this, _master, FollowEnd.Refused, "no answer in time");
        }
        catch (Exception exception)
        {
            _events.OnFollowEnded(this, _master, FollowEnd.Refused, $"{exception.GetType().Name}: {exception.Message}");
        }
        finally
        {
            _journal.DropPartialRecord();
        }
    }

    private async Task FollowAsync(FollowHello hello)
    {
        using var limit = new CancellationTokenSource(_options.Times.StepLimit, _runtime.Time);
        using var opening = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, limit.Token);
        await using var stream = await _link.FollowAsync(_master.Address, hello, opening.Token);
        var first = await stream.ReadAsync(opening.Token)
            ?? throw new ReplicaLinkException("the master ended the stream", refused: false);
        if (first.Kind == FollowFrameKind.Refused)
        {
            throw new FollowRefusedException(first.Refusal, first.Reason ?? "no reason given");
        }

        var heard = _events.Now;
        Volatile.Write(ref _heardTicks, heard.Ticks);
        _events.OnFollowAccepted(this, _master with { Epoch = first.Epoch, Replica = first.Master }, first.Position, first.Copies);
        var epoch = await _taken.Task;

        var acknowledging = _runtime.Scheduler.Start(
            $"acknowledger to {_master.Container}", () => AcknowledgeAsync(stream, epoch, first.Copies));
        try
        {
            await TakeAsync(stream, epoch, first.Copies);
        }
        finally
        {
            await _stop.CancelAsync();
            _acknowledge.Set();
            await acknowledging;
        }
    }

    /// <param name="stream">From the master.</param>
    /// <param name="epoch">Of the master.</param>
    /// <param name="copies">Our journal stays as it is while the master's is copied: what the master says of positions does not concern it.</param>
    private async Task TakeAsync(IFollowStream stream, Epoch epoch, bool copies)
    {
        var countsInMemory = !_options.Sync.HasFlag(SyncPolicy.RemoteDisk);
        TimeSpan? answered = null;
        while (await stream.ReadAsync(_stop.Token) is { } frame)
        {
            if (frame.Epoch != epoch)
            {
                throw new ReplicaLinkException($"a frame of epoch {frame.Epoch} on a stream of epoch {epoch}", refused: false);
            }

            var now = _events.Now;
            Volatile.Write(ref _heardTicks, now.Ticks);
            if (copies)
            {
                _acknowledge.Set();
                continue;
            }

            if (frame.Kind == FollowFrameKind.Batch)
            {
                _journal.AppendReplicated(frame.Position, frame.Records);
                await WaitForDiskAsync();
            }

            _journal.AdvanceCommitted(Position.Min(frame.Committed, _journal.End));
            _journal.SetRetention(frame.Everywhere);
            if (countsInMemory || frame.Kind != FollowFrameKind.Batch || answered is not { } last || now - last >= _options.HeartbeatInterval)
            {
                // A heartbeat too is answered: that is how the master knows it has a majority. A batch is answered when it is on disk, and
                // meanwhile as often as a heartbeat would be: a slow disk is not a slave that is gone.
                answered = now;
                _acknowledge.Set();
            }

            if (frame.Kind == FollowFrameKind.HandOver)
            {
                _events.OnHandedOver(this, epoch);
            }
        }
    }

    /// <summary>
    /// Takes no more while too much waits for the disk; the stream's flow control then holds the master back. Meanwhile the silence is ours and not the master's, and it has its answers: a slow disk
    /// makes neither of them give up the other. How long a disk may make no progress is the replica's affair (<see cref="ReplicaTimes.DiskStallLimit"/>).
    /// </summary>
    private async ValueTask WaitForDiskAsync()
    {
        if (_journal.End - _journal.Durable <= _options.UnsyncedBytesMax)
        {
            return;
        }

        var synced = _journal.WaitDurableAsync(_journal.End + (-_options.UnsyncedBytesMax / 2), _stop.Token);
        while (!synced.IsCompleted)
        {
            using var enough = new CancellationTokenSource();
            await Task.WhenAny(synced, Task.Delay(_options.HeartbeatInterval, _runtime.Time, enough.Token));
            await enough.CancelAsync();
            Volatile.Write(ref _heardTicks, _events.Now.Ticks);
            _acknowledge.Set();
        }

        await synced;
    }

    private async Task AcknowledgeAsync(IFollowStream stream, Epoch epoch, bool copies)
    {
        try
        {
            while (copies && !_stop.IsCancellationRequested)
            {
                await stream.AcknowledgeAsync(new FollowAck(epoch, Position.Zero, Position.Zero), _stop.Token); // we are there, and confirm nothing
                await _acknowledge.WaitAsync();
            }

            while (!_stop.IsCancellationRequested)
            {
                await stream.AcknowledgeAsync(new FollowAck(epoch, _journal.End, _journal.Durable, _journal.IsSpaceLow), _stop.Token);
                await _acknowledge.WaitAsync();
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ReplicaLinkException)
        {
            // The reader of the same stream reports its end.
        }
    }

    private sealed class FollowRefusedException(FollowRefusal refusal, string message) : Exception(message)
    {
        public FollowRefusal Refusal { get; } = refusal;
    }
}

/// <summary>Who is told what happens to a follower.</summary>
internal interface IFollowerEvents
{
    /// <summary>Monotonic time.</summary>
    TimeSpan Now { get; }

    void OnFollowAccepted(Follower follower, MasterAddress master, Position common, bool copies);

    void OnFollowEnded(Follower follower, MasterAddress master, FollowEnd end, string reason);

    void OnHandedOver(Follower follower, Epoch epoch);
}
