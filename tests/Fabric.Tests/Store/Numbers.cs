using System.Buffers;
using System.Buffers.Binary;
using Fabric.Store;
using Fabric.Store.Journal;

namespace Fabric.Tests.Store;

/// <summary>A state machine that keeps, in order, the number at the start of each of the broker's records.</summary>
internal sealed class Numbers : IStateMachine
{
    public const byte Kind = 16;

    private readonly Lock _gate = new();
    private readonly List<int> _applied = [];
    private readonly List<Position> _positions = [];

    public IReadOnlyList<int> Applied
    {
        get
        {
            lock (_gate)
            {
                return [.. _applied];
            }
        }
    }

    /// <summary>Where they stand; only those applied since the start.</summary>
    public IReadOnlyList<Position> Positions
    {
        get
        {
            lock (_gate)
            {
                return [.. _positions];
            }
        }
    }

    /// <summary>What <see cref="OldestLive"/> answers; null for the applied position.</summary>
    public Position? Oldest { get; set; } = Position.Zero;

    /// <summary>A number whose record cannot be applied.</summary>
    public int? Poison { get; init; }

    public int Checkpoints { get; private set; }

    public void Apply(in JournalRecord record)
    {
        if (record.Kind != Kind)
        {
            return;
        }

        var number = BinaryPrimitives.ReadInt32LittleEndian(record.Body);
        if (number == Poison)
        {
            throw new InvalidOperationException($"{number} is poison");
        }

        lock (_gate)
        {
            _applied.Add(number);
            _positions.Add(record.Position);
        }
    }

    public void Flush(Position applied)
    {
    }

    public void WriteCheckpoint(IBufferWriter<byte> output)
    {
        Checkpoints++;
        foreach (var number in Applied)
        {
            BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), number);
            output.Advance(4);
        }
    }

    public void ReadCheckpoint(ReadOnlySpan<byte> input)
    {
        if (input.Length % 4 != 0)
        {
            throw new StoreException("not numbers");
        }

        lock (_gate)
        {
            _applied.Clear();
            for (; input.Length > 0; input = input[4..])
            {
                _applied.Add(BinaryPrimitives.ReadInt32LittleEndian(input));
            }
        }
    }

    public Position OldestLive(Position applied) => Oldest ?? applied;
}
