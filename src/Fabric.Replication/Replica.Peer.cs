using System.Buffers;
using System.Runtime.CompilerServices;
using Fabric.Replication.Core;
using Fabric.Replication.Master;
using Fabric.Replication.Slave;
using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>What other replicas, followers and the journal tell this replica.</summary>
public sealed partial class Replica
{
    private long _tokens;

    async Task<PromiseReply> IReplicaPeer.OnPromiseAsync(Guid storeId, PromiseRequest request, CancellationToken cancellationToken)
    {
        if (_retired || _log is null)
        {
            return new PromiseReply(_state.Id, false, _state.Promised, false, EpochTable.Empty);
        }

        if (storeId != _log.Set.StoreId)
        {
            return new PromiseReply(_state.Id, false, Epoch.None, false, EpochTable.Empty); // our epochs say nothing to another broker
        }

        return await AskAsync(_claims, token => now => _core.OnPromiseRequested(request, token, now), cancellationToken);
    }

    async Task IReplicaPeer.OnFollowAsync(FollowHello hello, ISlaveStream stream, CancellationToken cancellationToken)
    {
        var admission = await AskAsync(_hellos, token => now => _core.OnSlaveHello(token, hello, now), cancellationToken);
        if (admission.Lead is not { } lead)
        {
            await stream.WriteAsync(admission.Refusal with { Kind = FollowFrameKind.Refused }, cancellationToken);
            return;
        }

        var slave = new AdmittedSlave(hello.Replica, lead.Admit(hello.Replica, hello.IsDamaged));
        try
        {
            await stream.WriteAsync(
                lead.Frame(FollowFrameKind.Accepted) with { Position = admission.Common, Copies = admission.Copies, Master = _state.Id },
                cancellationToken);
            var feed = new SlaveFeed(_runtime, _options, _journal, lead, slave, stream);
            await feed.RunAsync(admission.Copies ? null : admission.Common, () => Now, cancellationToken);
        }
        finally
        {
            lead.Dismiss(slave.Replica, slave.Stream); // when its last acknowledgement has been taken in
        }
    }

    async IAsyncEnumerable<JournalChunk> IReplicaPeer.OnFetchAsync(
        FetchRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var buffer = new byte[_options.BatchBytesMax];
        var reader = _journal.OpenReader(request.From);
        while (reader.Position < request.To)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (request.StoreId != _log.Set.StoreId || _state.Promised != request.Epoch || _core.Master?.Replica != request.Candidate)
            {
                throw new Fabric.Store.NotMasterException(null);
            }

            await Task.Yield(); // the disk is not for the thread that serves the sockets
            var from = reader.Position;
            var count = reader.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, request.To - from)));
            if (count == 0)
            {
                yield break; // the claimant sees that it got less than it was promised, and gives up
            }

            yield return new JournalChunk(from, new ReadOnlySequence<byte>(buffer, 0, count));
        }
    }

    void IJournalObserver.OnOffered(Position end, bool here)
    {
        if (_lead is not { } lead)
        {
            return;
        }

        lead.Wake(here);
    }

    void IJournalObserver.OnWritten(Position written)
    {
        if (_lead is { } lead && !_options.Sync.HasFlag(SyncPolicy.LocalDisk))
        {
            Count(lead);
        }
    }

    void IJournalObserver.OnDurable(Position durable)
    {
        if (_lead is { } lead)
        {
            Count(lead);
        }

        _follower?.Acknowledge();
    }

    void IJournalObserver.OnApplied(Position applied)
    {
        if (_lead is { } lead && applied >= lead.EpochEnd && lead.TakeEpochCommitted())
        {
            Post(now => _core.OnEpochCommitted(lead.Epoch, now));
        }
    }

    void IJournalObserver.OnFailed(Exception cause)
    {
        _isStoreUnavailable |= cause is Fabric.Store.StoreUnavailableException;
        Post(now => _core.OnStoreFailed(cause.Message, now));
    }

    void IFollowerEvents.OnFollowAccepted(Follower follower, MasterAddress master, Position common, bool copies) => PostFrom(follower, now =>
    {
        _core.OnFollowAccepted(master, common, copies, now);
        LookForOthers();
    });

    void IFollowerEvents.OnFollowEnded(Follower follower, MasterAddress master, FollowEnd end, string reason) =>
        PostFrom(follower, now => _core.OnFollowEnded(master, end, reason, now));

    void IFollowerEvents.OnHandedOver(Follower follower, Epoch epoch) =>
        PostFrom(follower, now => _core.OnHandedOver(epoch, now));

    /// <summary>What a follower says counts only while it is the present one.</summary>
    private void PostFrom(Follower follower, Action<TimeSpan> input) => Post(now =>
    {
        if (ReferenceEquals(_follower, follower))
        {
            input(now);
        }
    });

    private async Task<T> AskAsync<T>(
        Dictionary<long, TaskCompletionSource<T>> waiting, Func<long, Action<TimeSpan>> input, CancellationToken cancellationToken)
    {
        var token = Interlocked.Increment(ref _tokens);
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (waiting)
        {
            waiting[token] = answer;
        }

        Post(input(token));
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
            return await answer.Task.WaitAsync(either.Token);
        }
        finally
        {
            lock (waiting)
            {
                waiting.Remove(token);
            }
        }
    }

    private void Count(Lead lead)
    {
        if (lead.OnLocal(_journal.Written, _journal.Durable) is { } committed)
        {
            _journal.AdvanceCommitted(committed);
        }
    }
}
