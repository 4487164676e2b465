namespace Fabric.Broker.Live;

/// <summary>A message that becomes visible later: in memory already, or as the body of a record to append.</summary>
internal readonly record struct PendingSend(
    LiveDestination Destination, byte[]? Body, MemoryMessage? Memory, ProducerTrack? Track, long Sequence, long Expiration)
{
    public int Bytes => Body?.Length ?? Memory!.Bytes;
}

/// <summary>An open local transaction of one connection.</summary>
internal sealed class LocalTransaction(long id)
{
    public long Id { get; } = id;

    public List<PendingSend> Sends { get; } = [];

    /// <summary>Queue consumers that hold messages which it acknowledged.</summary>
    public List<BrokerConsumer> Consumers { get; } = [];

    /// <summary>What it acknowledged of topics; it counts at the commit.</summary>
    public List<(BrokerConsumer Consumer, int Count)> TopicCounts { get; } = [];

    /// <summary>What it acknowledged and whose consumer has left, with the deliveries to count if it returns.</summary>
    public List<(Outstanding Held, int Deliveries)> Orphans { get; } = [];

    /// <summary>What its sends hold, in bytes.</summary>
    public long Bytes { get; set; }

    /// <summary>Why it can only be rolled back.</summary>
    public string? Failure { get; set; }
}
