using Fabric.Client.Consumers;
using Fabric.Client.Producers;
using Fabric.Protocols.OpenWire;
using Fabric.Protocols.OpenWire.Commands;
using Fabric.Runtime;
using Microsoft.Extensions.Logging;
using WireCommands = Fabric.Protocols.OpenWire.Commands;

namespace Fabric.Client.Connections;

/// <summary>
/// The connection as the application sees it: one that lasts, over any number of transports. It knows everything the broker
/// has been told (producers, consumers, transactions, temporary destinations) and every command without an answer, and tells
/// the next broker all of it again, in the order that brokers expect of a failover client (reference/openwire.md §4.23).
/// </summary>
/// <remarks>
/// One lock, <c>_gate</c>, guards all of this; it is never held across an await, a callback or an encoding. Consumers have a lock
/// of their own, which is never taken while this one is held, nor the other way round. What must never happen: a message with a
/// higher number of its producer reaching a broker before one with a lower number that is unconfirmed, because the broker takes the
/// lower one for a duplicate then.
/// </remarks>
internal sealed partial class FailoverConnection : ITransportOwner, IAsyncDisposable
{
    private const int FillBytesMax = 64 * 1024;
    private const long SessionValue = 1;
    private const int WaitingMaxMin = 256;

    private readonly FabricRuntime _runtime;
    private readonly ClientUrl _url;
    private readonly ILogger _logger;
    private readonly int _inFlightMax;
    private readonly BrokerList _brokers;
    private readonly BrokerConnector _connector;
    private readonly FabricDiscovery? _discovery;
    private readonly ConnectionNotices _notices;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly Dictionary<int, PendingCommand> _pending = [];
    private readonly Queue<OutgoingMessage> _waiting = new();
    private readonly Queue<IDataStructure> _outgoing = new();
    private readonly List<ProducerCore> _producers = [];
    private readonly Dictionary<long, ConsumerCore> _consumers = [];
    private readonly List<TransactionCore> _transactions = [];
    private readonly Stack<ProducerCore> _transactionProducers = new();
    private readonly List<WireDestination> _temporaries = [];
    private List<ConsumerCore> _acknowledgers = [];
    private OpenWireTransport? _transport;
    private TaskCompletionSource _connected = NewSource();
    private Task? _loop;
    private Exception? _failure;
    private ConnectionState _state;
    private BrokerIdentity? _broker;
    private long _order;
    private int _inFlight;
    private int _waitingMax = WaitingMaxMin; // with as many it is looked which of them have ended
    private long _lostAt; // timestamp of the last loss
    private long _lastProducer;
    private long _lastConsumer;
    private long _lastTransaction;
    private long _lastTemporary;

    /// <param name="runtime">Clock, network, scheduler.</param>
    /// <param name="url">Where to connect.</param>
    /// <param name="options">User and limits.</param>
    /// <param name="raise">Tells the application of interruptions and resumptions.</param>
    /// <param name="logger">For what happens to the connection.</param>
    public FailoverConnection(
        FabricRuntime runtime, ClientUrl url, FabricClientOptions options, Func<object, ValueTask> raise, ILogger logger)
    {
        _runtime = runtime;
        _url = url;
        _logger = logger;
        _inFlightMax = options.MaxInFlight;
        _brokers = new BrokerList(url.Brokers);
        Id = CreateId(runtime);
        ClientId = options.ClientId ?? url.Jms.ClientId ?? $"{Id.Value}-client";
        HasOwnClientId = (options.ClientId ?? url.Jms.ClientId) is not null;
        var login = new ConnectionInfo
        {
            CommandId = NextCommandId(out _),
            ResponseRequired = true,
            ConnectionId = Id,
            ClientId = ClientId,
            UserName = options.UserName ?? url.Jms.UserName,
            Password = options.Password ?? url.Jms.Password,
            Manageable = true,
            ClientMaster = true,
        };
        _connector = new BrokerConnector(runtime, url, _brokers, login, logger);
        _discovery = url.Discovery is null ? null : new FabricDiscovery(runtime, url, options, _brokers, logger);
        _notices = new ConnectionNotices(runtime.Scheduler, raise, logger);
    }

    public ConnectionId Id { get; }

    public string ClientId { get; }

    /// <summary>True when the application chose the client id, which durable subscriptions need.</summary>
    public bool HasOwnClientId { get; }

    public JmsOptions Jms => _url.Jms;

    /// <summary>Whether a send can end by itself while its message is still to be written.</summary>
    public bool TimesSendsOut => (_url.Failover.SendTimeout ?? _url.Jms.SendTimeout) is not null;

    public FabricRuntime Runtime => _runtime;

    public ILogger Logger => _logger;

    public ConnectionState State
    {
        get
        {
            lock (_gate)
            {
                return _state;
            }
        }
    }

    public BrokerIdentity? Broker
    {
        get
        {
            lock (_gate)
            {
                return _broker;
            }
        }
    }

    private SessionId SessionId => new(Id.Value, SessionValue);

    /// <summary>Waits until there is a connection.</summary>
    /// <exception cref="FabricException">There is none, for good.</exception>
    public async Task ConnectAsync(CancellationToken cancellationToken)
    {
        Task connected;
        lock (_gate)
        {
            EnsureStarted();
            connected = _connected.Task;
        }

        await connected.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public ProducerCore CreateProducer(Destination? destination)
    {
        lock (_gate)
        {
            ThrowIfUnusable();
            return NewProducer(destination);
        }
    }

    /// <summary>Closes a producer, once what it has sent is on its way.</summary>
    public void RemoveProducer(ProducerCore producer)
    {
        lock (_gate)
        {
            producer.IsClosed = true;
            if (_producers.Remove(producer))
            {
                Post(new RemoveInfo { ObjectId = producer.Id });
            }
        }
    }

    /// <summary>Takes a message over. It completes by itself.</summary>
    /// <exception cref="FabricException">The connection is closed or lost for good.</exception>
    public void Send(OutgoingMessage message)
    {
        OpenWireTransport? idle = null;
        lock (_gate)
        {
            EnsureStarted();
            if (message.Producer.IsClosed)
            {
                throw new FabricException("the producer is closed");
            }

            message.Sequence = message.Producer.NextSequence();
            if (message.Transaction is { } transaction)
            {
                Begin(transaction);
                transaction.Sends.Add(message);
            }

            if (_inFlight < _inFlightMax && _waiting.Count == 0)
            {
                idle = _inFlight == 0 ? _transport : null;
                Admit(message, wake: idle is null);
            }
            else
            {
                DropFinished();
                _waiting.Enqueue(message);
            }
        }

        // Alone on its way, it saves a change of threads; among others it is written with them.
        idle?.WriteHere();
    }

    /// <summary>Sends a command and waits for its answer.</summary>
    /// <exception cref="FabricException">The broker refused, or the connection is lost for good.</exception>
    public async Task RequestAsync(Command command, AfterLoss afterLoss, CancellationToken cancellationToken)
    {
        var request = new PendingRequest(command) { AfterLoss = afterLoss };
        lock (_gate)
        {
            EnsureStarted();
            Enlist(request);
            Post(request.Frame);
        }

        await request.Done.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes acknowledgements of this consumer at the next opportunity.</summary>
    public void QueueAcknowledgements(ConsumerCore consumer)
    {
        lock (_gate)
        {
            _acknowledgers.Add(consumer);
            _transport?.Wake();
        }
    }

    /// <summary>Sends a command that needs no answer; it is dropped when there is no connection.</summary>
    public void PostCommand(Command command)
    {
        lock (_gate)
        {
            Post(command);
        }
    }

    /// <summary>Makes a temporary queue, which lasts as long as this client and over reconnections.</summary>
    public async Task<Destination> CreateTemporaryQueueAsync(CancellationToken cancellationToken)
    {
        WireDestination destination;
        lock (_gate)
        {
            EnsureStarted();
            destination = new(WireCommands.DestinationKind.TempQueue, $"{Id.Value}:{++_lastTemporary}");
            _temporaries.Add(destination);
        }

        await RequestAsync(CreateInfo(destination), AfterLoss.SendAgain, cancellationToken).ConfigureAwait(false);
        return Destination.FromWire(destination);
    }

    private DestinationInfo CreateInfo(WireDestination temporary) =>
        new() { ConnectionId = Id, Destination = temporary };

    private ProducerCore NewProducer(Destination? destination) =>
        new(new ProducerId(Id.Value, ++_lastProducer, SessionValue), destination?.WireForm);

    /// <summary>Now and then, lets go of waiting sends that have ended by themselves: while nothing is sent nobody else does, and an outage is long.</summary>
    private void DropFinished()
    {
        if (_waiting.Count < _waitingMax)
        {
            return;
        }

        for (var left = _waiting.Count; left > 0; left--)
        {
            var message = _waiting.Dequeue();
            if (!message.IsFinished)
            {
                _waiting.Enqueue(message);
            }
        }

        _waitingMax = Math.Max(WaitingMaxMin, 2 * _waiting.Count);
    }

    /// <summary>Puts a message on the wire, or where the next connection finds it.</summary>
    private void Admit(OutgoingMessage message, bool wake = true)
    {
        _inFlight++;
        Enlist(message);
        if (_transport is null)
        {
            return;
        }

        Register(message.Producer);
        Post(message, wake);
    }

    private void Register(ProducerCore producer)
    {
        if (!producer.IsRegistered)
        {
            producer.IsRegistered = true;
            _producers.Add(producer);
            Post(producer.CreateInfo());
        }
    }

    private void Enlist(PendingCommand command)
    {
        command.CommandId = NextCommandId(out var order);
        command.Order = order;
        _pending.Add(command.CommandId, command);
    }

    private void Post(IDataStructure frame, bool wake = true)
    {
        if (_transport is not null)
        {
            if (frame is Command { CommandId: 0 } command)
            {
                command.CommandId = NextCommandId(out _);
            }

            _outgoing.Enqueue(frame);
            if (wake)
            {
                _transport.Wake();
            }
        }
    }

    /// <summary>Command ids count from 1 and start over when a 31-bit number ends; the order does not.</summary>
    private int NextCommandId(out long order)
    {
        do
        {
            order = ++_order;
        }
        while ((order & int.MaxValue) == 0 || _pending.ContainsKey((int)(order & int.MaxValue)));
        return (int)(order & int.MaxValue);
    }

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(_state == ConnectionState.Closed, typeof(FabricClient));
        if (_failure is FabricSecurityException refusal)
        {
            throw new FabricSecurityException(refusal.Message, refusal) { Reason = refusal.Reason };
        }

        if (_failure is not null)
        {
            throw new FabricConnectionException($"the connection to {_url} is lost: {_failure.Message}", _failure);
        }
    }

    private static TaskCompletionSource NewSource()
    {
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = source.Task.ContinueWith(
            static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return source;
    }

    /// <summary>Java's shape, <c>ID:host-…:1</c>, with a random part: unique without asking anybody.</summary>
    private static ConnectionId CreateId(FabricRuntime runtime)
    {
        var host = runtime.MachineName;
        var millis = runtime.Time.GetUtcNow().ToUnixTimeMilliseconds();
        return new ConnectionId($"ID:{host[..Math.Min(host.Length, 32)]}-{millis:x}-{runtime.Random.NextInt64():x16}:1");
    }
}
