using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client.Producers;

/// <summary>
/// A producer as the broker knows it: an id that stays the same over all connections and numbers its messages, which is what
/// the broker tells duplicates by. Guarded by the lock of <see cref="Connections.FailoverConnection"/>.
/// </summary>
internal sealed class ProducerCore(ProducerId id, WireDestination? destination)
{
    private long _sequence;

    public ProducerId Id { get; } = id;

    /// <summary>Announced to the broker, and again on each new connection.</summary>
    public bool IsRegistered { get; set; }

    /// <summary>True when the producer was closed; it sends nothing any more.</summary>
    public bool IsClosed { get; set; }

    public long NextSequence() => ++_sequence;

    public ProducerInfo CreateInfo() => new() { ProducerId = Id, Destination = destination };
}
