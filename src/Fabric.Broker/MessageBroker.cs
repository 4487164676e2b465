using System.Buffers;
using Fabric.Broker.Index;
using Fabric.Broker.Live;
using Fabric.Runtime;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Broker;

/// <summary>
/// Messaging semantics over a journal, for any protocol. One per replica, as long as the process lives. In every role
/// it derives the index of queues from the journal's committed records; while it serves, it also has connections. A message
/// goes: <see cref="BrokerConnection.Publish"/> appends a record; when it has committed, the journal calls
/// <see cref="Apply"/>, which adds it to its queue, and <see cref="Flush"/>, which dispatches it; the consumer's connection takes it by
/// <see cref="BrokerConnection.TryTakeDelivery"/>; <see cref="BrokerConnection.Acknowledge"/> appends the record whose
/// application forgets it. Thread-safe.
/// </summary>
/// <remarks>Not called <c>Broker</c> because the namespace is, which hides such a class from everything named Fabric.</remarks>
public sealed class MessageBroker : IStateMachine, IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly BrokerIndex _index = new();
    private readonly BrokerSurroundings _surroundings;
    private volatile LiveBroker? _live;
    private long _confirmed;
    private Task _clock = Task.CompletedTask;
    private Task _cleaner = Task.CompletedTask;

    /// <param name="runtime">The outside world.</param>
    /// <param name="options">Settings; the same on all replicas of a broker.</param>
    /// <param name="payloads">Changes payloads that go to the dead letter queue or to several destinations.</param>
    /// <param name="events">Hears what comes and goes, null when nobody wants to.</param>
    /// <param name="logger">For what an operator should know.</param>
    public MessageBroker(
        FabricRuntime runtime, BrokerOptions options, IPayloadEditor payloads, IBrokerEvents? events, ILogger logger) =>
        _surroundings = new BrokerSurroundings(runtime, options, payloads, new EventQueue(events, _gate, logger), logger);

    public BrokerOptions Options => _surroundings.Options;

    /// <summary>Whether clients may connect.</summary>
    public bool IsServing => _live is not null;

    /// <summary>Everything before it is applied, in whatever role. Answers to clients go by <see cref="BrokerConnection.Confirmed"/>.</summary>
    internal Position Confirmed => new(Volatile.Read(ref _confirmed));

    /// <summary>Begins to accept connections. Everything that the journal holds has been applied.</summary>
    /// <param name="journal">Where to append.</param>
    /// <param name="epoch">Number of this mastership.</param>
    /// <param name="epochStart">Where its first record stands.</param>
    /// <exception cref="InvalidOperationException">It serves already.</exception>
    public void StartServing(IJournal journal, Epoch epoch, Position epochStart)
    {
        lock (_gate)
        {
            if (_live is not null)
            {
                throw new InvalidOperationException("the broker serves already");
            }

            var applied = Position.Max(journal.Applied, epochStart);
            Volatile.Write(ref _confirmed, applied.Value);
            var live = new LiveBroker(_gate, _index, journal, epoch, applied, _surroundings);
            var (clock, cleaner) = (_clock, _cleaner);
            _clock = _surroundings.Runtime.Scheduler.Start("broker clock", async () =>
            {
                await clock;
                await live.RunClockAsync();
            });
            _cleaner = _surroundings.Runtime.Scheduler.StartThread("journal cleaner", async () =>
            {
                await cleaner;
                await live.RunCleanerAsync();
            });
            _live = live;
        }
    }

    /// <summary>
    /// Drops all connections, without an answer to anybody, and what is in memory only. When it returns, no event is being told any
    /// more. Does nothing when it does not serve.
    /// </summary>
    public void StopServing()
    {
        LiveBroker? live;
        lock (_gate)
        {
            (live, _live) = (_live, null);
        }

        if (live is not null)
        {
            live.Stop();
            _surroundings.Events.AwaitSilence();
        }
    }

    /// <summary>Adds a connection. A live connection with the same id is closed first: its client has come back.</summary>
    /// <param name="request">Who connects.</param>
    /// <param name="sink">Its transport.</param>
    /// <param name="connection">The connection, when the result is Accepted.</param>
    /// <returns>Accepted, NotServing, NotAuthenticated, ClientIdInUse or LimitReached.</returns>
    public BrokerResult Connect(ConnectRequest request, IConnectionSink sink, out BrokerConnection? connection)
    {
        connection = null;
        if (!IsAllowedAnonymously(request) && !Options.Authenticator.Authenticate(request.User, request.Password))
        {
            return BrokerResult.Fail(
                BrokerStatus.NotAuthenticated, $"User name [{request.User}] or password is invalid.");
        }

        if (_live is not { } live)
        {
            return BrokerResult.NotServing;
        }

        using var turn = live.Enter();
        return live.Stopped ? BrokerResult.NotServing : live.Connect(request, sink, out connection);
    }

    /// <summary>
    /// Publishes a message of the broker itself, such as an advisory, to a topic; nobody waits for it, and when nobody reads the topic,
    /// nothing happens.
    /// </summary>
    /// <param name="topic">A topic that is not temporary.</param>
    /// <param name="encoding">Of the payload.</param>
    /// <param name="payload">Handed over: it must not be changed any more.</param>
    public void PublishInternal(DestinationName topic, byte encoding, byte[] payload)
    {
        if (_live is { } live)
        {
            using var turn = live.Enter();
            if (!live.Stopped)
            {
                live.PublishInternal(topic, encoding, payload);
            }
        }
    }

    /// <summary>Hands a message of the broker itself to one consumer of topics, before all that is published later.</summary>
    /// <param name="consumer">The only one to get it; nothing happens when it is gone.</param>
    /// <param name="topic">What the consumer sees as the destination.</param>
    /// <param name="encoding">Of the payload.</param>
    /// <param name="payload">Handed over: it must not be changed any more.</param>
    public void DeliverTo(BrokerConsumer consumer, DestinationName topic, byte encoding, byte[] payload)
    {
        if (_live is { } live)
        {
            using var turn = live.Enter();
            if (!live.Stopped)
            {
                live.DeliverTo(consumer, topic, encoding, payload);
            }
        }
    }

    /// <summary>Messages that were copied forward in the journal since the process started, so that old segments can go; in every role.</summary>
    public long Relocations
    {
        get
        {
            lock (_gate)
            {
                return _index.Relocations;
            }
        }
    }

    /// <summary>The oldest record that is live, and the bytes of all that are; of what is applied, in every role.</summary>
    internal (Position Oldest, long LiveBytes) Extent
    {
        get
        {
            lock (_gate)
            {
                return (_index.OldestLive(Confirmed), _index.LiveBytes);
            }
        }
    }

    /// <summary>Figures of all destinations, in no order; while not serving, of the queues' depth alone.</summary>
    public IReadOnlyList<DestinationStatistics> GetStatistics()
    {
        lock (_gate)
        {
            if (_live is { } live)
            {
                return live.GetStatistics();
            }

            var all = new List<DestinationStatistics>();
            foreach (var queue in _index.Queues)
            {
                all.Add(new DestinationStatistics(DestinationName.Queue(queue.Name), queue.Entries.Count, 0, 0, 0, 0, 0));
            }

            return all;
        }
    }

    /// <inheritdoc/>
    public void Apply(in JournalRecord record)
    {
        lock (_gate)
        {
            _index.Apply(record);
        }
    }

    /// <inheritdoc/>
    public void Flush(Position applied)
    {
        Volatile.Write(ref _confirmed, applied.Value);
        _live?.Flush(applied);
    }

    /// <inheritdoc/>
    public void WriteCheckpoint(IBufferWriter<byte> output) => _index.Save(output); // only Apply changes what it reads

    /// <inheritdoc/>
    public void ReadCheckpoint(ReadOnlySpan<byte> input)
    {
        lock (_gate)
        {
            if (_live is not null)
            {
                throw new InvalidOperationException("the broker serves");
            }

            _index.Load(input);
        }
    }

    /// <inheritdoc/>
    public Position OldestLive(Position applied)
    {
        lock (_gate)
        {
            return _index.OldestLive(applied);
        }
    }

    /// <summary>Stops serving and waits for its loops.</summary>
    public async ValueTask DisposeAsync()
    {
        StopServing();
        await _clock;
        await _cleaner;
    }

    private bool IsAllowedAnonymously(ConnectRequest request) =>
        Options.AnonymousFromLoopback && request.IsFromLoopback && string.IsNullOrEmpty(request.User) && string.IsNullOrEmpty(request.Password);
}
