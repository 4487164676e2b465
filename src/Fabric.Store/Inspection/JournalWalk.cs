using System.Buffers.Binary;
using Fabric.Store.Journal;
using Fabric.Store.Recovery;
using Fabric.Store.Segments;

namespace Fabric.Store.Inspection;

/// <summary>How far an inspection is, and what it has seen, over all of its looks.</summary>
internal sealed class JournalWalk(Position from, Position? until, IJournalVisitor? visitor)
{
    /// <summary>Record kind of an epoch (FORMAT.md, "Record"); its body begins with the number.</summary>
    private const byte EpochKind = 1;

    private readonly List<JournalFault> _remarks = [];
    private readonly Dictionary<Position, SystemRecord> _systemRecords = [];
    private readonly Dictionary<string, CheckpointHead> _checkpoints = new(StringComparer.Ordinal);
    private Position? _started;
    private Position _segmentShown = new(-1);
    private long _records;

    /// <summary>Records that begin before it are not wanted.</summary>
    public Position From { get; } = from;

    /// <summary>Records that begin at it or later are not wanted.</summary>
    public Position? Until { get; } = until;

    /// <summary>Where the next record to be read begins; null before the first.</summary>
    public Position? At { get; private set; }

    /// <summary>The same; zero before the first.</summary>
    public Position Reached => At ?? Position.Zero;

    public Position Committed { get; set; }

    public CheckpointHead? Checkpoint { get; private set; }

    public int Segments { get; set; }

    public bool IsClosed { get; set; }

    public Epoch LastEpoch { get; private set; }

    /// <summary>Goes on at a position: the first one, or the oldest that is still there.</summary>
    public void Begin(Position position)
    {
        if (_started is null)
        {
            _started = position;
            var earlier = _systemRecords.Values.Where(record => record.Kind == EpochKind && record.Position < position);
            LastEpoch = earlier.OrderBy(record => record.Position).Select(EpochOf).LastOrDefault();
        }

        At = position;
    }

    public void Enter(Segment segment)
    {
        if (segment.First > _segmentShown && visitor is not null)
        {
            _segmentShown = segment.First;
            visitor.OnSegment(new SegmentInfo(segment.Path, segment.First, segment.Capacity));
        }
    }

    /// <summary>Takes in a sound record.</summary>
    /// <exception cref="ContradictionException">It contradicts what was read before.</exception>
    public void Take(Position position, RecordHeader header, ReadOnlySpan<byte> body)
    {
        if (header.Kind <= SystemRecord.KindMax)
        {
            TakeSystemRecord(new SystemRecord(position, header.Kind, body.ToArray()));
        }

        var end = position + header.RecordBytes;
        if (position >= From)
        {
            _records++;
            visitor?.OnRecord(new JournalRecord(position, end, header.Kind, header.Flags, body));
        }

        At = end;
    }

    /// <summary>A checkpoint that an earlier look read whole: published ones never change, and they are long.</summary>
    public CheckpointHead? FindCheckpoint(string name) => _checkpoints.GetValueOrDefault(name);

    /// <summary>Takes in a sound checkpoint.</summary>
    /// <returns>A record that it remembers otherwise than the journal has it; null when there is none.</returns>
    public Position? Take(CheckpointHead checkpoint, string name)
    {
        _checkpoints[name] = checkpoint;
        if (Checkpoint is null || checkpoint.Position > Checkpoint.Position)
        {
            Checkpoint = checkpoint;
        }

        Committed = Position.Max(Committed, checkpoint.Committed);
        foreach (var record in checkpoint.SystemRecords)
        {
            if (!_systemRecords.TryAdd(record.Position, record) && !AreSame(_systemRecords[record.Position], record))
            {
                return record.Position;
            }
        }

        return null;
    }

    /// <summary>Notes something that a start copes with.</summary>
    public void Remark(JournalFault remark)
    {
        if (!_remarks.Contains(remark))
        {
            _remarks.Add(remark);
        }
    }

    public JournalReport Report(string directory, JournalFault? fault, bool isMoving)
    {
        return new JournalReport
        {
            Directory = directory,
            First = Position.Min(Position.Max(_started ?? Position.Zero, From), Reached),
            End = Reached,
            Committed = Committed,
            Checkpoint = Checkpoint?.Position,
            Cleaned = Checkpoint?.Cleaned ?? Position.Zero,
            LastEpoch = LastEpoch,
            Segments = Segments,
            Records = _records,
            IsClosed = IsClosed,
            IsMoving = isMoving,
            Faults = [.. (fault is null ? _remarks : _remarks.Append(fault)).OrderBy(item => item.Position)],
        };
    }

    private void TakeSystemRecord(SystemRecord record)
    {
        if (!_systemRecords.TryAdd(record.Position, record) && !AreSame(_systemRecords[record.Position], record))
        {
            throw new ContradictionException(record.Position, "a checkpoint remembers another record of this position");
        }

        if (record.Kind == EpochKind)
        {
            var epoch = EpochOf(record);
            if (epoch <= LastEpoch)
            {
                throw new ContradictionException(record.Position, $"epoch {epoch} follows epoch {LastEpoch}");
            }

            LastEpoch = epoch;
        }
    }

    private static bool AreSame(SystemRecord one, SystemRecord other) =>
        one.Kind == other.Kind && one.Body.Span.SequenceEqual(other.Body.Span);

    private static Epoch EpochOf(SystemRecord record) => record.Body.Length >= sizeof(long)
        ? new Epoch(BinaryPrimitives.ReadInt64LittleEndian(record.Body.Span))
        : throw new ContradictionException(record.Position, "an epoch's record is too short");
}

/// <summary>Sound records contradict each other.</summary>
internal sealed class ContradictionException(Position position, string message) : Exception(message)
{
    public Position Position { get; } = position;
}
