namespace Fabric.Broker.Live;

/// <summary>
/// A message that is not journalled. Its payload is never changed, so a writer may copy it without a lock even after
/// everybody else has forgotten the message.
/// </summary>
internal sealed class MemoryMessage(DestinationName destination, byte encoding, byte[] payload)
{
    /// <summary>What the object costs beside its payload, in bytes.</summary>
    private const int OverheadBytes = 200;

    public DestinationName Destination { get; } = destination;

    public byte Encoding { get; } = encoding;

    public byte[] Payload { get; } = payload;

    public int Bytes => Payload.Length + OverheadBytes;

    public long Sequence { get; set; }

    public long Expiration { get; init; }

    public long AcceptedAt { get; init; }

    public ulong Origin { get; init; }

    /// <summary>How many queues, windows and outbound lists hold it; its bytes count while there are any.</summary>
    public int Holders { get; set; }

    // ---- its place in one queue ----

    /// <summary>
    /// End of what was appended for the queue before it came. It is shown when that has committed, and goes before what was
    /// appended later: so a producer's order holds although this message never sees the disk.
    /// </summary>
    public long OrderAfter { get; set; }

    public MemoryMessage? Next { get; set; }

    public MemoryMessage? Previous { get; set; }

    public bool Locked { get; set; }

    public bool Removed { get; set; }

    public ushort Redeliveries { get; set; }
}
