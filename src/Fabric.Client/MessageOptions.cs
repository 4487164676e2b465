namespace Fabric.Client;

/// <summary>Headers and properties of a message that is sent. Immutable; one instance may serve many sends.</summary>
public sealed record MessageOptions
{
    internal static MessageOptions Default { get; } = new();

    /// <summary>Whether the message survives a crash of the broker; default true.</summary>
    public bool Persistent { get; init; } = true;

    /// <summary>0 (least) to 9; default 4.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public int Priority
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 9);
            field = value;
        }
    }

    = 4;

    /// <summary>After this time the message is no longer delivered; zero, the default, means never. Whole milliseconds count.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public TimeSpan TimeToLive
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.Zero);
            field = value;
        }
    }

    /// <summary>Ties an answer to its request; any text.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>Where answers go.</summary>
    public Destination? ReplyTo { get; init; }

    /// <summary>JMSType: what kind of message it is, for selectors.</summary>
    public string? Type { get; init; }

    /// <summary>JMSXGroupID: the messages of a group go to one consumer, in order.</summary>
    public string? GroupId { get; init; }

    /// <summary>JMSXGroupSeq: the number within the group; -1 ends the group.</summary>
    public int GroupSequence { get; init; }

    /// <summary>
    /// Properties, which selectors can see. Values are null, bool, sbyte, short, int, long, float, double, char, string, byte[],
    /// and lists and dictionaries of these.
    /// </summary>
    public IReadOnlyDictionary<string, object?>? Properties { get; init; }
}
