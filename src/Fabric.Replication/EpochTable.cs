using Fabric.Store.Journal;

namespace Fabric.Replication;

/// <summary>Where an epoch begins in a journal.</summary>
public readonly record struct EpochStart(Epoch Epoch, Position Position);

/// <summary>
/// The epochs of a journal in order, with its end. Two journals with an epoch in common are identical up to where the first of
/// them leaves it; that is all a master and a slave need to know about each other's past.
/// </summary>
public sealed class EpochTable
{
    private readonly EpochStart[] _starts;

    /// <exception cref="ArgumentException">Epochs or positions do not grow, or an epoch starts at or beyond the end.</exception>
    public EpochTable(IEnumerable<EpochStart> starts, Position end)
    {
        _starts = [.. starts];
        End = end;
        for (var i = 0; i < _starts.Length; i++)
        {
            var grows = i == 0 || (_starts[i].Epoch > _starts[i - 1].Epoch && _starts[i].Position > _starts[i - 1].Position);
            if (!grows || _starts[i].Position >= end)
            {
                throw new ArgumentException($"epoch {_starts[i].Epoch} at position {_starts[i].Position} does not fit", nameof(starts));
            }
        }
    }

    public static EpochTable Empty { get; } = new([], Position.Zero);

    public IReadOnlyList<EpochStart> Starts => _starts;

    /// <summary>Where the journal ends.</summary>
    public Position End { get; }

    /// <summary>The epoch of the last record; <see cref="Epoch.None"/> for an empty journal.</summary>
    public Epoch Last => _starts.Length == 0 ? Epoch.None : _starts[^1].Epoch;

    /// <summary>Whether this journal is to be preferred: it has the later epoch, or the same one and reaches further.</summary>
    public bool IsBetterThan(EpochTable other) => Last > other.Last || (Last == other.Last && End > other.End);

    /// <summary>The position up to which this journal and the other hold the same bytes.</summary>
    public Position CommonEnd(EpochTable other)
    {
        for (int mine = _starts.Length - 1, theirs = other._starts.Length - 1; mine >= 0 && theirs >= 0;)
        {
            if (_starts[mine] == other._starts[theirs])
            {
                return Position.Min(EndOf(mine), other.EndOf(theirs));
            }

            // The later of the two last epochs cannot be in the other journal; look further back there.
            if (_starts[mine].Epoch >= other._starts[theirs].Epoch)
            {
                mine--;
            }
            else
            {
                theirs--;
            }
        }

        return Position.Zero;
    }

    private Position EndOf(int index) => index + 1 < _starts.Length ? _starts[index + 1].Position : End;
}
