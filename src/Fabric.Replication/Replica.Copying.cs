using System.Buffers;
using System.Runtime.CompilerServices;
using Fabric.Replication.Core;
using Fabric.Replication.Master;
using Fabric.Replication.Slave;
using Fabric.Store;
using Fabric.Store.Copy;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Replication;

/// <summary>Full copies (PROTOCOL.md, "Full copy"): sent as master, taken as slave.</summary>
public sealed partial class Replica
{
    private const int CopyChunkBytes = 64 * 1024;

    private Copier? _copier;
    private Task _copyClosing = Task.CompletedTask; // of the last copier: its files may still be open
    private bool _hasCopy; // owned by the loop
    private bool _isReplaced;

    async IAsyncEnumerable<CopyFrame> IReplicaPeer.OnCopyAsync(CopyRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Hold(LeadFor(request), request.Replica, Position.Zero); // nothing is cleaned while it is looked what there is
        await Task.Yield(); // here and below: the disk is not for the thread that serves the sockets
        var resumes = request.Checkpoint > Position.Zero && request.End >= _journal.First && request.End <= _journal.End;
        using var checkpoint = resumes ? null : OpenCheckpoint();
        var start = CopyStart(request, checkpoint);
        yield return start;

        var buffer = new byte[CopyChunkBytes];
        for (long offset = 0; offset < start.CheckpointBytes;)
        {
            Hold(LeadFor(request), request.Replica, start.Position);
            await Task.Yield();
            var count = checkpoint!.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, start.CheckpointBytes - offset)), offset);
            yield return new CopyFrame(CopyFrameKind.Checkpoint) { Bytes = new ReadOnlySequence<byte>(buffer, 0, count) };
            offset += count;
        }

        var reader = _journal.OpenReader(start.Position);
        while (reader.Position < start.To)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Hold(LeadFor(request), request.Replica, start.Position);
            await Task.Yield();
            var from = reader.Position;
            var count = reader.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, start.To - from)));
            yield return new CopyFrame(CopyFrameKind.Records) { Position = from, Bytes = new ReadOnlySequence<byte>(buffer, 0, count) };
        }
    }

    private CheckpointReader OpenCheckpoint()
    {
        var checkpoint = _journal.OpenCheckpoint();
        if (checkpoint is not null && checkpoint.Cleaned >= _journal.First)
        {
            return checkpoint;
        }

        checkpoint?.Dispose(); // what has gone since, by a newer one that is damaged, is missing to who starts with this one
        _journal.WantCheckpoint();
        throw new StoreException("there is no sound checkpoint to copy yet; one is being written");
    }

    /// <summary>
    /// What there is for the slave. Only what is known to be committed: that is part of every later master's journal, so it stays true whoever leads when the slave is done.
    /// </summary>
    /// <param name="request">What it has.</param>
    /// <param name="checkpoint">What it begins anew with; null when it goes on with what it has.</param>
    private CopyFrame CopyStart(CopyRequest request, CheckpointReader? checkpoint) => new(CopyFrameKind.Start)
    {
        Resumes = checkpoint is null,
        Checkpoint = checkpoint?.Position ?? request.Checkpoint,
        CheckpointBytes = checkpoint?.Bytes ?? 0,
        Position = checkpoint is null ? request.End : _journal.First,
        To = checkpoint is null ? Position.Max(_journal.Committed, request.End) : _journal.Committed,
    };

    private Lead LeadFor(CopyRequest request) =>
        _lead is { } lead && lead.Epoch == request.Epoch && request.StoreId == _log.Set.StoreId && lead.Feeds(request.Replica)
            ? lead
            : throw new NotMasterException(null);

    private void Hold(Lead lead, ReplicaId slave, Position from)
    {
        lead.Hold(slave, from, Now + _options.Times.CopyGrace);
        SetHold(lead);
    }

    /// <summary>Keeps what slaves are being sent, while it leads.</summary>
    private void SetHold(Lead lead)
    {
        _journal.SetHold(lead.HeldFrom(Now, streamsOnly: _journal.IsSpaceLow));
        if (_lead != lead)
        {
            _journal.SetHold(null); // its end may have come first
        }
    }

    private void StartCopying(MasterAddress master)
    {
        _hasCopy = true;
        _copier = new Copier(
            new CopierTies(_runtime, _link, _options.Journal, _logger, this),
            master,
            new CopyRequest(_log.Set.StoreId, _state.Id, master.Epoch, Position.Zero, Position.Zero),
            new CopyGoal(_journal.Committed, Position.Zero),
            _copyClosing);
        _copier.Start();
        _copyClosing = _copier.Closed;
    }

    /// <summary>Nobody waits for its disk longer than for any other; what is left behind closes by itself, before the next attempt and before the directory is unlocked.</summary>
    private async Task StopCopyingAsync()
    {
        if (_copier is { } copier)
        {
            _copier = null;
            await LeaveHangingAsync(copier.StopAsync(), "the copy");
            copier.Dispose();
        }
    }

    /// <summary>A slave that follows needs none of what it copied earlier.</summary>
    private async Task DiscardCopyAsync()
    {
        if (_hasCopy && _copyClosing.IsCompleted)
        {
            _hasCopy = false;
            await WriteStateAsync(() => JournalCopy.Discard(_disk, _options.Journal.Directory), CancellationToken.None);
        }
    }

    private async Task SwitchJournalAsync(WholeCopy copy)
    {
        await WriteStateAsync(() => JournalSwitch.Commit(_disk, _options.Journal.Directory, copy), CancellationToken.None);
        _isReplaced = true;
        _logger.LogInformation("The copy of the journal up to {End} takes the place of what {Broker} had up to {Old}", copy.End, _options.Broker, _journal.End);
    }

    void ICopierEvents.OnCopied(Copier copier, WholeCopy copy) => PostFrom(copier, now => _core.OnCopied(copy, now));

    void ICopierEvents.OnCopyEnded(Copier copier, string reason) => PostFrom(copier, now => _core.OnCopyEnded(reason, now));

    /// <summary>What a copier says counts only while it is the present one.</summary>
    private void PostFrom(Copier copier, Action<TimeSpan> input) => Post(now =>
    {
        if (ReferenceEquals(_copier, copier))
        {
            input(now);
        }
    });
}
