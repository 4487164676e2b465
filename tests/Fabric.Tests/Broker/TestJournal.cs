using Fabric.Broker.Index;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Broker;

/// <summary>
/// A journal in memory. Records are kept as they would stand on disk; the test decides when they commit, and may keep only a
/// first part of them, as a crash does. Committed records go to the state machine and then count as applied.
/// </summary>
internal sealed class TestJournal(IStateMachine machine) : IJournal
{
    private readonly Lock _lock = new();
    private readonly List<Stored> _records = [];
    private readonly Dictionary<Position, Stored> _byPosition = [];
    private readonly Dictionary<Position, Position> _newestCopy = []; // by the position of the message
    private readonly HashSet<Position> _gone = [];
    private int _applied;
    private TaskCompletionSource? _noRoom;

    internal sealed record Stored(Position Position, Position End, byte Kind, byte Flags, byte[] Body);

    /// <summary>False: appending is refused, as after a loss of mastership.</summary>
    public bool IsMaster { get; set; } = true;

    public IReadOnlyList<Stored> Records
    {
        get
        {
            lock (_lock)
            {
                return _records.ToArray();
            }
        }
    }

    public Position End { get; private set; } = new(64);

    public Position Applied { get; private set; } = new(64);

    /// <summary>Nothing could be let go, until a test says otherwise.</summary>
    public JournalSpace Space { get; set; } = new(Position.Zero, 1024, false, false);

    /// <summary>What other threads do when a batch has been applied and not yet been flushed.</summary>
    public Action? BeforeFlush { get; set; }

    /// <summary>Reads of bodies that were asked for while a test forbids them.</summary>
    public Func<Position, bool>? ReadFails { get; set; }

    /// <summary>What others do just before a read fails.</summary>
    public Action? Failing { get; set; }

    public void Announce()
    {
    }

    public AppendedRecord Append(byte kind, byte flags, ReadOnlySpan<byte> head, ReadOnlySpan<byte> tail)
    {
        var body = new byte[head.Length + tail.Length];
        head.CopyTo(body);
        tail.CopyTo(body.AsSpan(head.Length));
        lock (_lock)
        {
            return AppendLocked(kind, flags, body);
        }
    }

    public IReadOnlyList<AppendedRecord> AppendGroup(IReadOnlyList<PendingRecord> records)
    {
        lock (_lock)
        {
            return records.Select(record => AppendLocked(record.Kind, record.Flags, record.Body.ToArray())).ToArray();
        }
    }

    public void ReadBody(Position record, int bodyOffset, Span<byte> destination)
    {
        Stored? stored;
        bool isGone;
        lock (_lock)
        {
            isGone = ReadFails?.Invoke(record) == true || _gone.Contains(record) || !_byPosition.ContainsKey(record);
            Assert.That(record, Is.LessThan(Applied), "a body was read before its record was applied");
            stored = _byPosition.GetValueOrDefault(record);
        }

        if (isGone || stored is null)
        {
            Failing?.Invoke();
            throw new StoreException("the segment is gone");
        }

        stored.Body.AsSpan(bodyOffset, destination.Length).CopyTo(destination);
    }

    public bool TryReadRecent(Position record, int bodyOffset, Span<byte> destination) => false;

    public ValueTask WaitForRoomAsync(CancellationToken cancellationToken) =>
        _noRoom is { } blocked ? new ValueTask(blocked.Task.WaitAsync(cancellationToken)) : ValueTask.CompletedTask;

    public void Block() => _noRoom = new TaskCompletionSource();

    public void Unblock()
    {
        _noRoom!.SetResult();
        _noRoom = null;
    }

    /// <summary>Commits and applies everything that was appended, and what its application appends.</summary>
    public void Commit()
    {
        do
        {
            Commit(int.MaxValue);
        }
        while (HasUncommitted);
    }

    /// <summary>
    /// Commits delivery horizons as long as nothing else is before them: tests that are about something else see deliveries as soon as there is a consumer.
    /// </summary>
    public void CommitHorizons()
    {
        while (NextKind == RecordKind.DeliveryHorizon)
        {
            Commit(1);
        }
    }

    private bool HasUncommitted => NextKind != 0;

    private byte NextKind
    {
        get
        {
            lock (_lock)
            {
                return _applied < _records.Count ? _records[_applied].Kind : (byte)0;
            }
        }
    }

    /// <summary>Commits and applies some of the records that were appended.</summary>
    public void Commit(int count)
    {
        for (; count > 0; count--)
        {
            Stored record;
            lock (_lock)
            {
                if (_applied == _records.Count)
                {
                    break;
                }

                record = _records[_applied++];
            }

            machine.Apply(new JournalRecord(record.Position, record.End, record.Kind, record.Flags, record.Body));
            lock (_lock)
            {
                Applied = record.End;
                LetGo(record);
            }
        }

        BeforeFlush?.Invoke();
        machine.Flush(Applied);
    }

    /// <summary>What was copied forward is read from the copy from now on: the segment that it was in may go at any time, and goes at once.</summary>
    private void LetGo(Stored copy)
    {
        if (copy.Kind == RecordKind.Relocated)
        {
            var message = new Position(BitConverter.ToInt64(copy.Body.AsSpan()[^8..]));
            _gone.Add(_newestCopy.GetValueOrDefault(message, message));
            _newestCopy[message] = copy.Position;
        }
    }

    /// <summary>Loses what was not committed and begins a new mastership over the same records.</summary>
    public void Crash(int keptUncommitted = 0)
    {
        lock (_lock)
        {
            var kept = Math.Min(_records.Count, _applied + keptUncommitted);
            _records.RemoveRange(kept, _records.Count - kept);
            End = _records.Count > 0 ? _records[^1].End : new Position(64);
        }
    }

    /// <summary>Copies any message forward that was ever stored, as cleaning does with one that lives: whether it does is for its application to see.</summary>
    public void RelocateAny(Random random)
    {
        lock (_lock)
        {
            var stored = _records.FindAll(record => record.Kind == RecordKind.Message);
            if (stored.Count > 0)
            {
                var original = stored[random.Next(stored.Count)];
                AppendLocked(RecordKind.Relocated, 0, [.. original.Body, .. BitConverter.GetBytes(original.Position.Value)]);
            }
        }
    }

    /// <summary>Appends and commits the store's record of a new mastership.</summary>
    public void BeginEpoch()
    {
        IsMaster = true;
        Append(1, 0, new byte[16], default);
        Commit();
    }

    private AppendedRecord AppendLocked(byte kind, byte flags, byte[] body)
    {
        if (!IsMaster)
        {
            throw new NotMasterException(null);
        }

        var record = new Stored(End, End + (JournalLimits.RecordHeaderBytes + body.Length), kind, flags, body);
        _records.Add(record);
        _byPosition[record.Position] = record;
        End = record.End;
        return new AppendedRecord(record.Position, record.End);
    }
}
