using System.Buffers;

namespace Fabric.Broker;

/// <summary>
/// The transport side of a connection, implemented by a protocol adapter. Called by any thread, without a lock of the
/// broker; must return at once.
/// </summary>
public interface IConnectionSink
{
    /// <summary>
    /// There may be deliveries to take, or <see cref="BrokerConnection.Confirmed"/> has moved. Set a signal for the connection's
    /// writer; wake-ups coalesce.
    /// </summary>
    /// <param name="here">
    /// There are confirmations only, for nobody else, so the writer may go on inside this call: a change of threads less for a lone producer.
    /// </param>
    void Wake(bool here);

    /// <summary>
    /// The broker has dropped the connection because a newcomer took its place. Close the transport without another answer.
    /// </summary>
    /// <param name="reason">For the log.</param>
    void Close(string reason);

    /// <summary>
    /// The broker serves no more. Answer nothing from now on, and leave the transport open: whoever stopped the broker cuts it when a
    /// failover client finds the next master, and the client sends again what was not answered.
    /// </summary>
    void Hold();
}

/// <summary>Changes a payload whose encoding only an adapter knows. Thread-safe; called without a lock of the broker.</summary>
public interface IPayloadEditor
{
    /// <summary>Writes the copy of a message that goes to the dead letter queue.</summary>
    void DeadLetterCopy(in DeadLetterRequest request, ReadOnlySpan<byte> payload, IBufferWriter<byte> output);

    /// <summary>Writes the copy of a message that goes to one destination of a list.</summary>
    /// <param name="encoding">Of the payload.</param>
    /// <param name="from">The list.</param>
    /// <param name="to">The destination of this copy.</param>
    /// <param name="payload">The message as it came.</param>
    /// <param name="output">Takes the copy.</param>
    void RedirectedCopy(
        byte encoding, DestinationName from, DestinationName to, ReadOnlySpan<byte> payload, IBufferWriter<byte> output);
}

/// <summary>A message on its way to the dead letter queue.</summary>
/// <param name="Encoding">Of the payload.</param>
/// <param name="From">Where it was.</param>
/// <param name="To">The dead letter queue.</param>
/// <param name="Cause">Why, for people.</param>
/// <param name="Expiration">What its expiration was, in milliseconds since 1970; 0 for never.</param>
/// <param name="RedeliveryCounter">How often it had been delivered in vain.</param>
public readonly record struct DeadLetterRequest(
    byte Encoding, DestinationName From, DestinationName To, string Cause, long Expiration, int RedeliveryCounter);

/// <summary>
/// Hears what comes and goes while the broker serves, one call at a time and in order, before the call that caused it
/// returns. No lock on the broker's state is held, so the methods may publish and deliver; they must not wait for other
/// threads that call the broker.
/// </summary>
public interface IBrokerEvents
{
    void ConnectionAdded(BrokerConnection connection);

    void ConnectionRemoved(BrokerConnection connection);

    /// <summary>A queue or topic came into being.</summary>
    void DestinationAdded(DestinationName destination);

    void DestinationRemoved(DestinationName destination);

    void TemporaryAdded(BrokerConnection owner, DestinationName destination);

    void TemporaryRemoved(BrokerConnection owner, DestinationName destination);

    /// <summary>
    /// A consumer was added. What is delivered to it from here by <see cref="MessageBroker.DeliverTo"/> comes before
    /// everything that later events publish.
    /// </summary>
    void ConsumerAdded(BrokerConsumer consumer);

    void ConsumerRemoved(BrokerConsumer consumer);

    void ProducerAdded(BrokerProducer producer);

    void ProducerRemoved(BrokerProducer producer);
}
