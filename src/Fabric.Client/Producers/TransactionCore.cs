using Fabric.Client.Consumers;
using Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client.Producers;

/// <summary>
/// The state of a local transaction. Guarded by the lock of <see cref="Connections.FailoverConnection"/>, except the failure, which is
/// set once.
/// </summary>
internal sealed class TransactionCore(LocalTransactionId id, ProducerCore producer)
{
    private Exception? _failure;

    public LocalTransactionId Id { get; } = id;

    /// <summary>
    /// A producer that no other transaction and no plain send uses meanwhile: the broker remembers one highest number per producer,
    /// so messages that are stored at commit must not be overtaken by later numbers of the same producer.
    /// </summary>
    public ProducerCore Producer { get; } = producer;

    /// <summary>The broker has been told of the transaction.</summary>
    public bool HasBegun { get; set; }

    /// <summary>Commit, rollback or loss: no more work is taken.</summary>
    public bool HasEnded { get; set; }

    /// <summary>Everything sent, in order; sent again when the connection breaks before the commit.</summary>
    public List<OutgoingMessage> Sends { get; } = [];

    /// <summary>Deliveries accepted, with their consumers. They cannot be replayed: the broker takes them back with the connection.</summary>
    public List<(ConsumerCore Consumer, Incoming Message)> Accepts { get; } = [];

    /// <summary>Why the transaction cannot commit, or null.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>What who still uses it after its end gets to hear.</summary>
    public Exception CreateEnded() => Failure is { } failure
        ? new TransactionRolledBackException($"the transaction was rolled back: {failure.Message}", failure)
        : new InvalidOperationException("the transaction has ended");

    public void SendFailed(Exception cause) => Interlocked.CompareExchange(ref _failure, cause, null);
}
