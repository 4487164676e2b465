using Fabric.Oracles;

namespace Fabric.Tests.Oracles;

/// <summary>Writes a history line by line, a millisecond apart: one producer <c>p</c>, one queue <c>q</c>, one consumer <c>c</c> unless said.</summary>
internal sealed class Story
{
    private TimeSpan _now;

    public History History { get; } = new();

    public Story Sends(long number, string? transaction = null, string queue = "q")
    {
        History.SendAttempted(Id(number), queue, Hash(number), Next(), transaction);
        return this;
    }

    public Story Sent(long number, string? transaction = null)
    {
        Sends(number, transaction);
        History.SendConfirmed(Id(number), Next());
        return this;
    }

    public Story SentAll(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Sent(i);
        }

        return this;
    }

    public Story Refused(long number)
    {
        History.SendRefused(Id(number), Next());
        return this;
    }

    public Story Unknown(long number)
    {
        History.SendUnknown(Id(number), Next());
        return this;
    }

    public Story Seen(long number, bool redelivered = false, int count = 0, string consumer = "c", string queue = "q", ulong? hash = null)
    {
        History.Delivered(consumer, Id(number), queue, hash ?? Hash(number), Next(), redelivered, count);
        return this;
    }

    public Story Late(long number, string consumer = "c", string queue = "q")
    {
        History.Add(new HistoryEvent
        {
            Kind = HistoryEventKind.Delivered, Consumer = consumer, Message = Id(number), Queue = queue, BodyHash = Hash(number), At = Next(), IsLate = true,
        });
        return this;
    }

    public Story Acks(long number, string? transaction = null, string consumer = "c")
    {
        History.AcknowledgeAttempted(consumer, Id(number), Next(), transaction);
        return this;
    }

    public Story Acked(long number, string? transaction = null, string consumer = "c")
    {
        Acks(number, transaction, consumer);
        History.AcknowledgeConfirmed(consumer, Id(number), Next());
        return this;
    }

    public Story Consumed(params long[] numbers)
    {
        foreach (var number in numbers)
        {
            Seen(number).Acked(number);
        }

        return this;
    }

    public Story Commits(string transaction)
    {
        History.CommitAttempted(transaction, Next());
        return this;
    }

    public Story Committed(string transaction)
    {
        Commits(transaction);
        History.Committed(transaction, Next());
        return this;
    }

    public Story CommitUnknown(string transaction)
    {
        Commits(transaction);
        History.CommitUnknown(transaction, Next());
        return this;
    }

    public Story Aborted(string transaction)
    {
        History.Aborted(transaction, Next());
        return this;
    }

    public Story StillThere(params long[] numbers)
    {
        foreach (var number in numbers)
        {
            History.Browsed(Id(number), "q", Hash(number), Next());
        }

        return this;
    }

    public void IsRight(HistoryCheckerOptions? options = null) => Assert.That(HistoryChecker.Check(History, options), Is.Empty);

    /// <summary>Exactly these oracles are violated; the texts are for looking at.</summary>
    public IReadOnlyList<Violation> Violates(params Oracle[] oracles)
    {
        var violations = HistoryChecker.Check(History);
        Assert.That(violations.Select(violation => violation.Oracle), Is.EqualTo(oracles), string.Join('\n', violations));
        return violations;
    }

    private static MessageIdentity Id(long number) => new("p", number);

    private static ulong Hash(long number) => BodyHash.Of($"body {number}");

    private TimeSpan Next() => _now += TimeSpan.FromMilliseconds(1);
}
