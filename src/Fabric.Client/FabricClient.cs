using System.Text.Json;
using Fabric.Client.Connections;
using Fabric.Client.Consumers;
using Fabric.Client.Messages;
using Fabric.Client.Producers;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Client;

/// <summary>A client of a fabric or of ActiveMQ, over OpenWire. See <see cref="IFabricClient"/>.</summary>
public sealed class FabricClient : IFabricClient
{
    private readonly FabricClientOptions _options;
    private readonly FailoverConnection _connection;
    private readonly JsonSerializerOptions _json;
    private readonly Lazy<ProducerCore> _producer;
    private readonly RequestReply _requests;
    private int _isDisposed;

    /// <summary>Makes a client; it connects at the first use.</summary>
    /// <param name="url">
    /// <c>tcp://HOST:PORT</c>, <c>ssl://HOST:PORT</c>, <c>failover:(URL,URL,…)?OPTIONS</c> or <c>discovery:fabric:GROUP</c>, with the Java
    /// client's options under their names.
    /// </param>
    /// <param name="options">User, password and limits; null for the defaults.</param>
    /// <exception cref="UriFormatException">The URL or one of its options is not understood; the message names what may be meant.</exception>
    public FabricClient(string url, FabricClientOptions? options = null)
    {
        _options = options ?? new FabricClientOptions();
        _json = _options.Json ?? JsonSerializerOptions.Web;
        var logger = (_options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger("Fabric.Client");
        _connection = new FailoverConnection(_options.Runtime, ClientUrl.Parse(url), _options, RaiseAsync, logger);
        _producer = new Lazy<ProducerCore>(() => _connection.CreateProducer(destination: null));
        _requests = new RequestReply(_connection, _json);
    }

    /// <inheritdoc/>
    public event AsyncEventHandler<ConnectionInterrupted>? Interrupted;

    /// <inheritdoc/>
    public event AsyncEventHandler<ConnectionResumed>? Resumed;

    /// <inheritdoc/>
    public ConnectionState State => _connection.State;

    /// <inheritdoc/>
    public BrokerIdentity? Broker => _connection.Broker;

    /// <inheritdoc/>
    public async ValueTask ConnectAsync(CancellationToken cancellationToken = default) =>
        await _connection.ConnectAsync(cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public ValueTask<SendReceipt> SendAsync<T>(
        Destination to, T body, MessageOptions? options = null, CancellationToken cancellationToken = default) =>
        SendAsync(_producer.Value, to, body, options, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<Delivery<T>> ReceiveAllAsync<T>(
        Destination from, ConsumerOptions? options = null,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var consumer = CreateConsumer<T>(from, options);
        await using (consumer.ConfigureAwait(false))
        {
            while (true)
            {
                yield return await consumer.ReceiveAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public async Task<TResponse> RequestAsync<TRequest, TResponse>(
        Destination to, TRequest body, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        var answer = await _requests.RequestAsync(
            (headers, limit) => SendAsync(to, body, headers, limit), to, timeout ?? _options.RequestTimeout, cancellationToken)
            .ConfigureAwait(false);
        return BodyReader.Read<TResponse>(answer, _json);
    }

    /// <inheritdoc/>
    public FabricProducer CreateProducer(Destination? to = null) => new(this, _connection.CreateProducer(to), to);

    /// <inheritdoc/>
    public FabricConsumer<T> CreateConsumer<T>(Destination from, ConsumerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(from);
        return new FabricConsumer<T>(new ConsumerCore(_connection, from, options ?? ConsumerOptions.Default, _json), from);
    }

    /// <inheritdoc/>
    public ValueTask<FabricTransaction> BeginTransactionAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(new FabricTransaction(this, _connection, _connection.NewTransaction()));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _connection.DisposeAsync().ConfigureAwait(false);
        await _requests.DisposeAsync().ConfigureAwait(false);
    }

    internal ValueTask<SendReceipt> SendAsync<T>(
        ProducerCore producer, Destination to, T body, MessageOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(to);
        cancellationToken.ThrowIfCancellationRequested();
        var time = _options.Runtime.Time;
        var content = OutgoingBody.Create(body, _json);
        if (cancellationToken.CanBeCanceled || _connection.TimesSendsOut)
        {
            content = content.ToOwned(); // the call may end, and the caller's memory be used again, before it is written for the last time
        }

        var message = new OutgoingMessage(
            producer, to, content, options ?? MessageOptions.Default, time.GetUtcNow())
        {
            StartedAt = time.GetTimestamp(),
        };
        return Send(message, cancellationToken);
    }

    internal ValueTask<SendReceipt> SendAsync<T>(
        TransactionCore transaction, Destination to, T body, MessageOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(to);
        cancellationToken.ThrowIfCancellationRequested();
        var time = _options.Runtime.Time;

        // The transaction keeps its messages until the commit, longer than the caller lends the body.
        var message = new OutgoingMessage(
            transaction.Producer, to, OutgoingBody.Create(body, _json).ToOwned(), options ?? MessageOptions.Default, time.GetUtcNow())
        {
            StartedAt = time.GetTimestamp(),
            Transaction = transaction,
        };
        return Send(message, cancellationToken);
    }

    internal void Remove(ProducerCore producer) => _connection.RemoveProducer(producer);

    private ValueTask<SendReceipt> Send(OutgoingMessage message, CancellationToken cancellationToken)
    {
        var confirmation = message.Confirmation;
        message.CancelBy(cancellationToken);
        try
        {
            _connection.Send(message);
        }
        catch (Exception exception)
        {
            message.Fail(exception); // lets go of the token
            throw;
        }

        return confirmation;
    }

    private async ValueTask RaiseAsync(object notice)
    {
        var handlers = notice is ConnectionInterrupted ? Interrupted?.GetInvocationList() : Resumed?.GetInvocationList();
        foreach (var handler in handlers ?? [])
        {
            if (notice is ConnectionInterrupted interrupted)
            {
                await ((AsyncEventHandler<ConnectionInterrupted>)handler)(this, interrupted).ConfigureAwait(false);
            }
            else
            {
                await ((AsyncEventHandler<ConnectionResumed>)handler)(this, (ConnectionResumed)notice).ConfigureAwait(false);
            }
        }
    }
}
