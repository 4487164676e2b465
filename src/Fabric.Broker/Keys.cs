using System.Globalization;

namespace Fabric.Broker;

/// <summary>Names a consumer within its connection.</summary>
/// <param name="Session">The session's number.</param>
/// <param name="Value">The consumer's number within the session.</param>
public readonly record struct ConsumerKey(long Session, long Value)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Session}:{Value}");
}

/// <summary>Names a producer within its connection.</summary>
/// <param name="Session">The session's number.</param>
/// <param name="Value">The producer's number within the session.</param>
public readonly record struct ProducerKey(long Session, long Value)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Session}:{Value}");
}

/// <summary>
/// The broker's own number of a message: unique within the broker for ever, growing with acceptance. For a journalled
/// message it is the journal position; for one that is kept in memory only, a number above all positions.
/// </summary>
/// <param name="Value">Greater than 0.</param>
public readonly record struct MessageSequence(long Value)
{
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>
/// What a closing consumer, session or connection knows about the last message that reached the application. It decides
/// which of the returning messages count as delivered once more.
/// </summary>
/// <param name="Value">A message's sequence, <see cref="None"/> or <see cref="Unknown"/>. The numbers are OpenWire's.</param>
public readonly record struct LastDelivered(long Value)
{
    /// <summary>Nothing is known; all outstanding messages count as delivered. So does the loss of a connection.</summary>
    public static LastDelivered Unknown => new(-2);

    /// <summary>No message reached the application.</summary>
    public static LastDelivered None => new(-1);
}
