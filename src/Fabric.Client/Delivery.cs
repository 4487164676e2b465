using Fabric.Client.Consumers;
using Fabric.Client.Messages;

namespace Fabric.Client;

/// <summary>
/// A message in the hands of the application, which settles it once: accepts, releases or dead-letters it. When the
/// connection breaks meanwhile and the new broker delivers the same message to the same consumer, it does not appear a
/// second time: this delivery stands for it, and settling it counts.
/// </summary>
/// <typeparam name="T">What the body is read as.</typeparam>
public sealed class Delivery<T> : IAsyncDisposable
{
    private readonly Incoming _incoming;
    private readonly ConsumerCore _consumer;
    private MessageHeaders? _headers;
    private T? _body;
    private int _bodyIsRead;
    private int _isSettled;

    internal Delivery(Incoming incoming, ConsumerCore consumer)
    {
        _incoming = incoming;
        _consumer = consumer;
        DeliveryCount = incoming.RedeliveryCounter + 1;
    }

    /// <summary>
    /// The body, read at the first access. A string takes text, or bytes as UTF-8; <c>byte[]</c> and
    /// <c>ReadOnlyMemory&lt;byte&gt;</c> take bytes, text as UTF-8, and what else there is as it came; a dictionary from string to object
    /// takes a map; <c>object</c> takes what the message is (string, byte[], dictionary, list or null); anything else is read from
    /// JSON.
    /// </summary>
    /// <exception cref="MessageFormatException">The body is no <typeparamref name="T"/>.</exception>
    public T Body
    {
        get
        {
            if (Volatile.Read(ref _bodyIsRead) == 0)
            {
                _body = BodyReader.Read<T>(_incoming, _consumer.Json);
                Volatile.Write(ref _bodyIsRead, 1);
            }

            return _body!;
        }
    }

    /// <summary>Headers and properties.</summary>
    public MessageHeaders Headers => _headers ??= _incoming.ReadHeaders();

    /// <summary>How often the message has been delivered, this time included: 1 at first.</summary>
    public int DeliveryCount { get; }

    /// <summary>
    /// Takes the message for good. Completes as soon as the acknowledgement is on its way; when the broker dies before it arrives,
    /// the message comes again, to this consumer silently (it is acknowledged again) or to another one.
    /// </summary>
    /// <exception cref="InvalidOperationException">The delivery was settled before.</exception>
    /// <exception cref="FabricException">The consumer is closed; the message went back to its queue.</exception>
    public ValueTask AcceptAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Settle();
        _consumer.Accept(_incoming);
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Takes the message as part of a transaction: for good when that commits, and to be delivered again to this consumer when it
    /// rolls back.
    /// </summary>
    /// <exception cref="InvalidOperationException">The delivery was settled before, or the transaction has ended.</exception>
    /// <exception cref="FabricException">The consumer is closed; the message went back to its queue.</exception>
    public ValueTask AcceptAsync(FabricTransaction transaction, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        cancellationToken.ThrowIfCancellationRequested();
        Settle();
        _consumer.Accept(_incoming, transaction);
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Gives the message back, to be delivered again to this consumer, behind what it has been given meanwhile. After the last redelivery
    /// that the policy allows, it goes to the dead letter queue instead. When the consumer closes first, the message returns to its
    /// queue.
    /// </summary>
    /// <param name="delay">Time until then; null means what the consumer's <see cref="RedeliveryPolicy"/> says.</param>
    /// <exception cref="InvalidOperationException">The delivery was settled before.</exception>
    public ValueTask ReleaseAsync(TimeSpan? delay = null)
    {
        Settle();
        _consumer.Release(_incoming, delay);
        return ValueTask.CompletedTask;
    }

    /// <summary>Gives the message up: the broker moves it to its dead letter queue.</summary>
    /// <param name="reason">Why; the broker keeps it with the message.</param>
    /// <exception cref="InvalidOperationException">The delivery was settled before.</exception>
    /// <exception cref="FabricException">The consumer is closed; the message went back to its queue.</exception>
    public ValueTask DeadLetterAsync(string reason)
    {
        ArgumentNullException.ThrowIfNull(reason);
        Settle();
        _consumer.DeadLetter(_incoming, reason);
        return ValueTask.CompletedTask;
    }

    /// <summary>Releases the message unless it was settled.</summary>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isSettled, 1) == 0)
        {
            _consumer.Release(_incoming, delay: null);
        }

        return ValueTask.CompletedTask;
    }

    private void Settle()
    {
        if (Interlocked.Exchange(ref _isSettled, 1) != 0)
        {
            throw new InvalidOperationException("the delivery was settled before");
        }
    }
}
