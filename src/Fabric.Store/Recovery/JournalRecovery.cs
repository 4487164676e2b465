using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Segments;

namespace Fabric.Store.Recovery;

/// <summary>A journal as it was found.</summary>
/// <param name="Checkpoint">The newest sound checkpoint; null when there is none.</param>
/// <param name="State">The state in it.</param>
/// <param name="End">Behind the last sound record; all before it is on disk.</param>
/// <param name="Committed">What is known to be committed.</param>
/// <param name="SystemRecords">All system records before <paramref name="End"/>.</param>
/// <param name="DamagedCheckpoints">Names of checkpoints that are newer than that one, and damaged.</param>
internal sealed record RecoveredJournal(
    CheckpointHead? Checkpoint,
    ReadOnlyMemory<byte> State,
    Position End,
    Position Committed,
    IReadOnlyList<SystemRecord> SystemRecords,
    IReadOnlyList<string> DamagedCheckpoints);

/// <summary>
/// Finds out what a journal's directory holds. Reads the newest checkpoint and scans all records behind it. A tail that was torn by a
/// crash is cut; anything else that does not check out is damage, and is reported, never cut or skipped.
/// </summary>
/// <remarks>
/// What distinguishes them: a batch is written only when the one before it is on disk. So a bad record is torn only if it belongs to the last
/// batch ever written. It does not when something behind it proves a later sync: another segment, a sync mark, a record further away than a
/// batch is long; or when it is known to be committed.
/// </remarks>
internal sealed class JournalRecovery(IDisk disk, JournalOptions options, SegmentSet segments, SegmentFiles files)
{
    private readonly string _directory = options.Directory;
    private readonly Position _begins = options.Begins;
    private readonly List<SystemRecord> _systemRecords = [];
    private readonly List<(string Path, Position First)> _headless = [];
    private Position _committed;
    private Position _lastRecord; // of those that were read

    /// <summary>Does all of it; the segments are in the set afterwards, the last one with its file open and pinned.</summary>
    /// <exception cref="SegmentCorruptException">Something is damaged or missing.</exception>
    /// <exception cref="StoreException">Something is of a newer format, or the disk failed.</exception>
    public RecoveredJournal Run()
    {
        var (checkpoint, state, damaged, isUnreadable) = CheckpointFile.ReadNewest(disk, _directory);
        var start = checkpoint?.Position ?? _begins;
        _committed = checkpoint?.Committed ?? _begins;
        _systemRecords.AddRange(checkpoint?.SystemRecords ?? []);
        disk.Delete(Path.Combine(_directory, StoreFileNames.CheckpointBeside));

        var cut = FindSegments();
        var needed = checkpoint is not null && damaged is [] ? checkpoint.Cleaned : start;
        RequireSegments(needed, start, cut?.Position, isUnreadable);
        if (checkpoint is not null && segments.First > checkpoint.Cleaned)
        {
            checkpoint = checkpoint with { Cleaned = segments.First }; // by the one that is damaged; the next one has to say so again
        }

        RemoveCleaned(checkpoint?.Cleaned ?? Position.Zero);
        if (segments.All is [])
        {
            segments.Add(files.Create(_begins, 0));
        }

        var end = cut is var (segment, position) ? FinishCut(segment, position, start) : ScanAll(start);
        RemoveHeadless(end, needed, wasCut: cut is not null);
        if (end < _committed)
        {
            throw new SegmentCorruptException(
                segments.All[^1].Path, end, $"the journal ends here, but everything up to {_committed} was on disk and committed");
        }

        Settle(Position.Max(start, Position.Min(_lastRecord, end + -BatchLimits.BytesMax)), end);
        return new RecoveredJournal(checkpoint, state, end, _committed, _systemRecords, damaged);
    }

    /// <summary>Takes in the files by their headers. Returns a cut that a crash interrupted.</summary>
    private (Segment Segment, Position Position)? FindSegments()
    {
        (Segment, Position)? cut = null;
        var found = StoreDirectory.Read(disk, _directory);
        if (found.FirstOrDefault(file => file.Kind == StoreFileKind.Damaged) is { Path: { } damaged } file)
        {
            throw new SegmentCorruptException(damaged, file.Named, "its header is damaged");
        }

        foreach (var (path, kind, header, named) in found)
        {
            switch (kind)
            {
                case StoreFileKind.Segment:
                    var segment = new Segment(path, header.First, header.Capacity);
                    segments.Add(segment);
                    files.Rename(segment);
                    cut ??= header.Cut is { } at ? (segment, at) : null;
                    break;
                case StoreFileKind.Spare:
                    files.AdoptSpare(path);
                    break;
                default:
                    _headless.Add((path, named));
                    break;
            }
        }

        return cut;
    }

    /// <summary>
    /// Everything that was not allowed to be cleaned must be there; what lies before may be there or not, and so may what lies behind a cut that was interrupted.
    /// </summary>
    private void RequireSegments(Position needed, Position start, Position? cut, bool isUnreadable)
    {
        var all = segments.All;
        var first = all is [] ? (Position?)null : all[0].First;
        if (first is null && options.MustExist)
        {
            throw new SegmentCorruptException($"{_directory} belongs to a replica and holds no segment of its journal");
        }

        if ((first is null && start > _begins) || first > needed)
        {
            throw new SegmentCorruptException(
                $"{_directory} lacks the segment that holds position {needed}"
                + (first is null ? "" : $"; the oldest one begins at {first}"))
            {
                IsUnreadable = isUnreadable, // by a checkpoint that the disk cannot read, it may not be needed
            };
        }

        for (var i = 1; i < all.Count; i++)
        {
            // Records before the checkpoint are not read, so a hole among them shows here or to the consumer of a message in it.
            if (all[i].First > needed && !(all[i].First > cut) && all[i].First - all[i - 1].First > all[i - 1].Capacity)
            {
                throw new SegmentCorruptException(
                    $"{_directory} lacks a segment: {all[i - 1].Path} cannot reach to {all[i].First}, where the next one begins");
            }
        }
    }

    /// <summary>Segments whose deletion a power loss undid: some of them may be back, others not.</summary>
    private void RemoveCleaned(Position cleaned)
    {
        foreach (var segment in segments.RemoveBefore(cleaned))
        {
            files.Retire(segment, segments.TryClose(segment));
        }
    }

    /// <summary>A crash interrupted the removal of a tail: do it again.</summary>
    private Position FinishCut(Segment segment, Position position, Position start)
    {
        // The later segments hold nothing but what is to go; they must not be scanned.
        segments.Pin(segment);
        try
        {
            files.Cut(segment, position, Position.Min(_committed, position), () => DeleteAfter(segment.First));
        }
        finally
        {
            segments.Release(segment);
        }

        return ScanAll(start);
    }

    private void DeleteAfter(Position first)
    {
        foreach (var later in segments.RemoveAfter(first))
        {
            segments.TryClose(later);
            files.Retire(later, unused: false);
        }
    }

    private Position ScanAll(Position start)
    {
        var all = segments.All;
        var at = start;
        for (var i = 0; i < all.Count; i++)
        {
            var next = i + 1 < all.Count ? all[i + 1].First : (Position?)null;
            if (next <= start)
            {
                continue; // its records are in the checkpoint
            }

            if (i > 0 && all[i].First > at)
            {
                throw new SegmentCorruptException(all[i - 1].Path, at, $"the next segment begins at {all[i].First} only");
            }

            var scan = new SegmentScan(segments, all[i]);
            at = scan.Run(at, Remember);
            if (next is not null && at != next)
            {
                throw new SegmentCorruptException(all[i].Path, at, $"a record cannot be read, and the next segment begins at {next}");
            }

            if (next is null)
            {
                // A batch that ends before a checkpoint was synced with its mark; what comes later only overwrites that.
                if (at == start && at > all[i].First && scan.IsZeroAt(at))
                {
                    throw new SegmentCorruptException(all[i].Path, at, "there is a checkpoint of this position, but nothing was written here");
                }

                ExamineTail(scan, all[i], at);
            }
        }

        return at;
    }

    /// <summary>Tells whether the last segment ends at the position, is torn there, or is damaged there.</summary>
    private void ExamineTail(SegmentScan scan, Segment last, Position end)
    {
        var tail = scan.ExamineTail(end, _committed);
        _committed = tail.Committed;
        if (tail.Damage is { } damage)
        {
            throw new SegmentCorruptException(last.Path, end, damage);
        }

        if (tail.IsTorn)
        {
            segments.Pin(last);
            try
            {
                files.Cut(last, end, Position.Min(_committed, end), static () => { });
            }
            finally
            {
                segments.Release(last);
            }
        }
    }

    private void Remember(Position position, RecordHeader header, ReadOnlySpan<byte> body)
    {
        _lastRecord = position;
        if (header.Kind <= SystemRecord.KindMax)
        {
            _systemRecords.Add(new SystemRecord(position, header.Kind, body.ToArray()));
        }
    }

    /// <summary>
    /// A file named like a segment whose header is all zeros was on its way to or from being a spare. That is so only outside of what
    /// the journal needs: before what was cleaned, or at its very end.
    /// </summary>
    private void RemoveHeadless(Position end, Position cleaned, bool wasCut)
    {
        foreach (var (path, first) in _headless)
        {
            if (first >= cleaned && (first < end || (!wasCut && HoldsWhatWasSynced(path, first))))
            {
                throw new SegmentCorruptException(path, first, "its header is gone");
            }

            disk.Delete(path);
        }
    }

    /// <summary>Whether more than one batch was written behind a header that is not there: then it was there, on disk, when the second one was written.</summary>
    private bool HoldsWhatWasSynced(string path, Position first)
    {
        long capacity;
        using (var file = disk.Open(path, DiskFileMode.Read))
        {
            capacity = Math.Max(0, file.Length - Segment.FileBytes(0));
        }

        var segment = new Segment(path, first, capacity);
        var remains = new SegmentScan(segments, segment).LookBehind(first);
        segments.TryClose(segment);
        return remains.Synced > first;
    }

    /// <summary>
    /// What was read may still be in the memory of the machine only: sync it before it counts as durable. After a sync that failed (on a full disk, say) the kernel takes bytes
    /// for written that never were, and a second sync does nothing about them; so what the last batch may have written is written again first. The mark of an orderly end goes, since
    /// something will be written behind it.
    /// </summary>
    private void Settle(Position lastBatch, Position end)
    {
        var last = segments.All[^1];
        segments.Pin(last);
        SegmentFiles.WriteHeader(last, cut: null); // it may have come with that batch
        WriteAgain(last, Position.Max(lastBatch, last.First), end);
        SegmentFiles.WriteMark(last, new SyncMark(end, end, Position.Min(_committed, end), Closed: false));
        last.File!.Sync();
        files.SyncDirectory();
        if (end > last.First)
        {
            SegmentFiles.MarkBefore(segments, last.First, end, Position.Min(_committed, last.First));
        }
    }

    private static void WriteAgain(Segment segment, Position from, Position end)
    {
        var buffer = new byte[(int)Math.Clamp(end - from, 0, BatchLimits.BytesMax)];
        for (var at = from; at < end;)
        {
            var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - at));
            if (segment.Read(piece, at) != piece.Length)
            {
                throw new SegmentCorruptException(segment.Path, at, "the file is too short");
            }

            segment.File!.Write(piece, segment.OffsetOf(at));
            at += piece.Length;
        }
    }
}
