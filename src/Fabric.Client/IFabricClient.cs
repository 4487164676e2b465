namespace Fabric.Client;

/// <summary>
/// A connection to a fabric, an ActiveMQ broker, or a list of either. Thread-safe; make one per process and share it. It
/// connects at the first use, and again by itself whenever the URL allows it (<c>failover:</c> and <c>discovery:</c> do).
/// Disposing closes it: consumers end, what was not accepted goes back to its queue.
/// </summary>
public interface IFabricClient : IAsyncDisposable
{
    /// <summary>Where the connection stands now.</summary>
    ConnectionState State { get; }

    /// <summary>The broker that is connected, or that was last; null before the first connection.</summary>
    BrokerIdentity? Broker { get; }

    /// <summary>The connection broke and is being re-established. Handlers run one after the other, off the connection's own loops.</summary>
    event AsyncEventHandler<ConnectionInterrupted>? Interrupted;

    /// <summary>The connection is back, and what was unconfirmed has been sent again.</summary>
    event AsyncEventHandler<ConnectionResumed>? Resumed;

    /// <summary>Connects now; optional, to fail early. Returns at once when there is a connection.</summary>
    /// <exception cref="FabricSecurityException">The broker refuses the user or the password.</exception>
    /// <exception cref="FabricConnectionException">
    /// No broker could be reached. <c>failover:</c> and <c>discovery:</c> URLs try for ever unless their options say otherwise.
    /// </exception>
    ValueTask ConnectAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Sends a message and completes when the broker has confirmed it: for a persistent one, when it is as durable as the
    /// broker is configured to make it. Any number of sends may be awaited at a time; they leave in the order of the calls, and
    /// beyond <see cref="FabricClientOptions.MaxInFlight"/> they wait their turn. When the connection breaks before the
    /// confirmation, the message is sent again with the same identity, so that the broker stores it once.
    /// </summary>
    /// <typeparam name="T">
    /// <see cref="string"/> is sent as a text message; <c>byte[]</c> and <c>ReadOnlyMemory&lt;byte&gt;</c> (which must not change
    /// before the send completes) as a bytes message; a dictionary from string to object as a map message; anything else as the
    /// text of its JSON.
    /// </typeparam>
    /// <param name="to">Where to; a string converts.</param>
    /// <param name="body">The body.</param>
    /// <param name="options">Headers and properties; null for the defaults.</param>
    /// <param name="cancellationToken">
    /// Ends the wait. The message may already be on its way: whether it is stored is unknown then.
    /// </param>
    /// <exception cref="FabricException">The broker refused the message; the subclass and <c>Reason</c> say why.</exception>
    /// <exception cref="SendOutcomeUnknownException">The connection is lost for good and the message may or may not be stored.</exception>
    ValueTask<SendReceipt> SendAsync<T>(
        Destination to, T body, MessageOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Receives for as long as it is enumerated. Each delivery is to be settled: accepted, released or dead-lettered; one that is
    /// not settled when it is disposed is released. Leaving the loop closes the consumer.
    /// </summary>
    /// <typeparam name="T">What the body is read as; see <see cref="Delivery{T}.Body"/>.</typeparam>
    IAsyncEnumerable<Delivery<T>> ReceiveAllAsync<T>(
        Destination from, ConsumerOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Sends a request with a temporary queue as its reply-to, and waits for the first answer.</summary>
    /// <param name="to">Where the request goes.</param>
    /// <param name="body">Its body.</param>
    /// <param name="timeout">How long to wait for the answer; null means <see cref="FabricClientOptions.RequestTimeout"/>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="TimeoutException">No answer came in time.</exception>
    Task<TResponse> RequestAsync<TRequest, TResponse>(
        Destination to, TRequest body, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>A producer with an order and a duplicate window of its own. Nothing is sent before its first message.</summary>
    /// <param name="to">Where its messages go when a send names no other destination; null when each send names one.</param>
    FabricProducer CreateProducer(Destination? to = null);

    /// <summary>A consumer. It subscribes at the first receive or at <see cref="FabricConsumer{T}.OpenAsync"/>.</summary>
    FabricConsumer<T> CreateConsumer<T>(Destination from, ConsumerOptions? options = null);

    /// <summary>A local transaction: sends and accepted deliveries that take effect together or not at all.</summary>
    ValueTask<FabricTransaction> BeginTransactionAsync(CancellationToken cancellationToken = default);
}
