using System.Globalization;

namespace Fabric.Store.Journal;

/// <summary>
/// A byte offset in a broker's journal. The same position names the same record on every replica. It counts record bytes
/// only, so segment headers do not disturb it.
/// </summary>
/// <param name="Value">0 or more; the first record of a journal stands at 0.</param>
public readonly record struct Position(long Value) : IComparable<Position>
{
    public static Position Zero => default;

    public int CompareTo(Position other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(Position left, Position right) => left.Value < right.Value;

    public static bool operator >(Position left, Position right) => left.Value > right.Value;

    public static bool operator <=(Position left, Position right) => left.Value <= right.Value;

    public static bool operator >=(Position left, Position right) => left.Value >= right.Value;

    public static Position operator +(Position position, long bytes) => new(position.Value + bytes);

    public static long operator -(Position left, Position right) => left.Value - right.Value;

    public static Position Min(Position left, Position right) => left < right ? left : right;

    public static Position Max(Position left, Position right) => left > right ? left : right;
}

/// <summary>The number of a mastership. Each epoch has at most one master; 0 means "before any mastership".</summary>
/// <param name="Value">0 or more, only ever growing.</param>
public readonly record struct Epoch(long Value) : IComparable<Epoch>
{
    public static Epoch None => default;

    public Epoch Next => new(Value + 1);

    public int CompareTo(Epoch other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(Epoch left, Epoch right) => left.Value < right.Value;

    public static bool operator >(Epoch left, Epoch right) => left.Value > right.Value;

    public static bool operator <=(Epoch left, Epoch right) => left.Value <= right.Value;

    public static bool operator >=(Epoch left, Epoch right) => left.Value >= right.Value;
}
