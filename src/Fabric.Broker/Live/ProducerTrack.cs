namespace Fabric.Broker.Live;

/// <summary>
/// What a producer has appended, whether committed or not: a client that reconnects may repeat a message whose first copy is
/// still on its way to the disk. Shared by all connections that publish for the producer.
/// </summary>
internal sealed class ProducerTrack(string producerId, long sequence)
{
    public string ProducerId { get; } = producerId;

    /// <summary>Highest sequence appended.</summary>
    public long Sequence { get; set; } = sequence;

    /// <summary>End of the record appended last; once it has been applied the index knows as much.</summary>
    public long End { get; set; }

    /// <summary>Connections that refer to it.</summary>
    public int Users { get; set; }
}
