using Fabric.Runtime.Disk;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Inspection;

/// <summary>
/// One look at a directory: what is there, and the records from where the walk stands to the end. It decides as <see cref="JournalRecovery"/> does, by the
/// same parts, and leaves everything as it is.
/// </summary>
internal sealed class InspectionPass(IDisk disk, string directory, JournalWalk walk)
{
    private CheckpointHead? _checkpoint;
    private bool _newerDamaged;
    private Position? _cut;

    /// <returns>The fault that ends the journal before its end; null when there is none.</returns>
    public JournalFault? Run()
    {
        using var segments = new SegmentSet(disk, DiskFileMode.Read);
        try
        {
            return Look(segments);
        }
        catch (FileNotFoundException exception)
        {
            return Fault(JournalFaultKind.MissingSegment, walk.Reached, exception.FileName ?? directory, "a file went away while it was read");
        }
        catch (NewerFormatException exception)
        {
            return Fault(JournalFaultKind.NewerFormat, walk.Reached, exception.Path, exception.Message);
        }
        catch (SegmentCorruptException exception)
        {
            return Fault(JournalFaultKind.CorruptRecord, exception.Position ?? walk.Reached, directory, exception.Message);
        }
        catch (ContradictionException exception)
        {
            return Fault(JournalFaultKind.Contradiction, exception.Position, directory, exception.Message);
        }
    }

    private JournalFault? Look(SegmentSet segments)
    {
        if (!disk.DirectoryExists(directory))
        {
            return Fault(JournalFaultKind.NoJournal, Position.Zero, directory, "there is no such directory");
        }

        if (disk.FileExists(Path.Combine(directory, StoreFileNames.Switch)))
        {
            return Fault(JournalFaultKind.MissingSegment, Position.Zero, directory, "it is being replaced by a copy of the master's journal: start its replica, which finishes that");
        }

        // Segments first: a checkpoint that is published after they were listed only makes fewer of them necessary.
        if (FindSegments(segments) is { } header)
        {
            return header;
        }

        var checkpoints = ReadCheckpoints();
        if (checkpoints is not null)
        {
            return checkpoints;
        }

        var all = segments.All;
        walk.Segments = all.Count;
        if (all is [] && _checkpoint is null)
        {
            return Fault(JournalFaultKind.NoJournal, Position.Zero, directory, "it holds no segment and no checkpoint");
        }

        var start = _checkpoint?.Position ?? Position.Zero;
        var needed = _checkpoint is null ? Position.Zero : _newerDamaged ? start : _checkpoint.Cleaned;
        if (all is [] || all[0].First > needed)
        {
            return Fault(JournalFaultKind.MissingSegment, needed, directory,
                "no segment holds this position" + (all is [] ? "" : $"; the oldest one begins at {all[0].First}"));
        }

        return Scan(segments, all, needed, start);
    }

    private JournalFault? FindSegments(SegmentSet segments)
    {
        foreach (var (path, kind, header, named) in StoreDirectory.Read(disk, directory))
        {
            if (kind == StoreFileKind.Damaged)
            {
                return Fault(JournalFaultKind.CorruptHeader, named, path, "its header is damaged");
            }

            if (kind == StoreFileKind.Segment && _cut is null)
            {
                segments.Add(new Segment(path, header.First, header.Capacity));
                _cut = header.Cut; // what lies behind it is being removed
            }
        }

        return null;
    }

    private JournalFault? ReadCheckpoints()
    {
        JournalFault? newest = null;
        foreach (var name in disk.ListFiles(directory).Where(StoreFileNames.IsCheckpoint).Reverse())
        {
            var path = Path.Combine(directory, name);
            if ((walk.FindCheckpoint(name) ?? CheckpointFile.TryRead(disk, path)?.Head) is not { } head)
            {
                _newerDamaged |= _checkpoint is null;
                newest ??= Fault(JournalFaultKind.CorruptCheckpoint, Position.Zero, path, "its checksum is wrong");
                continue;
            }

            if (walk.Take(head, name) is { } other)
            {
                return Fault(JournalFaultKind.Contradiction, other, path, "it remembers another record of this position than the journal has");
            }

            _checkpoint ??= head;
        }

        if (newest is not null)
        {
            walk.Remark(newest with { Position = _checkpoint?.Position ?? Position.Zero, IsHarmless = true });
        }

        return null;
    }

    private JournalFault? Scan(SegmentSet segments, IReadOnlyList<Segment> all, Position needed, Position start)
    {
        var at = FirstToRead(all, needed);
        walk.Begin(at);
        for (var i = 0; i < all.Count; i++)
        {
            var segment = all[i];
            var next = i + 1 < all.Count ? all[i + 1].First : (Position?)null;
            if (next <= at)
            {
                continue;
            }

            if (at >= walk.Until)
            {
                return null;
            }

            if (segment.First > at)
            {
                return Fault(JournalFaultKind.MissingSegment, at, all[Math.Max(0, i - 1)].Path, $"the next segment begins at {segment.First} only");
            }

            walk.Enter(segment);
            var scan = new SegmentScan(segments, segment);
            var limit = walk.Until is { } until && _cut is { } cut ? Position.Min(until, cut) : walk.Until ?? _cut;
            at = scan.Run(at, walk.Take, limit);
            if (at >= walk.Until)
            {
                return null;
            }

            if (next is not null && at != next)
            {
                // The mark behind a segment's last record stays where it is when the journal goes on in the next one.
                return at < next && scan.MarkAt(at) is not null
                    ? Fault(JournalFaultKind.MissingSegment, at, segment.Path, $"the segment ends here, and the next one begins at {next}")
                    : Fault(JournalFaultKind.CorruptRecord, at, segment.Path, $"no record can be read here, and the next segment begins at {next}");
            }

            if (next is null && ExamineEnd(scan, segment, at, start) is { } fault)
            {
                return fault;
            }
        }

        return at < walk.Committed
            ? Fault(JournalFaultKind.MissingSegment, at, directory, $"the journal ends here, but everything up to {walk.Committed} was committed")
            : null;
    }

    /// <summary>Where the walk goes on: where it was, or at the start of the segment that holds what is wanted.</summary>
    private Position FirstToRead(IReadOnlyList<Segment> all, Position needed)
    {
        var wanted = Position.Max(needed, walk.From);
        var first = all.Last(segment => segment.First <= wanted || segment == all[0]).First;
        return walk.At is { } at && at > first ? at : first;
    }

    private JournalFault? ExamineEnd(SegmentScan scan, Segment last, Position end, Position start)
    {
        if (_cut is not null)
        {
            return end == _cut ? null : Fault(JournalFaultKind.CorruptRecord, end, last.Path, $"a tail is being removed from {_cut} on, and records end before");
        }

        if (end == start && end > last.First && scan.IsZeroAt(end))
        {
            return Fault(JournalFaultKind.CorruptRecord, end, last.Path, "there is a checkpoint of this position, but nothing was written here");
        }

        var tail = scan.ExamineTail(end, walk.Committed);
        (walk.Committed, walk.IsClosed) = (tail.Committed, tail.IsClosed);
        return tail.Damage is { } damage ? Fault(JournalFaultKind.CorruptRecord, end, last.Path, damage)
            : tail.IsTorn ? Fault(JournalFaultKind.TornTail, end, last.Path, "a batch that nobody was told of was torn; the next start cuts it") with { IsHarmless = true }
            : null;
    }

    private static JournalFault Fault(JournalFaultKind kind, Position position, string file, string detail) => new(kind, position, file, detail, IsHarmless: false);
}
