using System.Diagnostics;
using Fabric.Broker.Index;
using Fabric.Runtime;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging;

namespace Fabric.Broker.Live;

/// <summary>
/// Everything that exists only while the broker serves: connections, consumers and what they hold, transactions, temporary
/// destinations, topics, messages in memory. One object per mastership, dropped whole when it ends. All state is guarded
/// by the broker's one lock (<see cref="Gate"/>); the lock is taken by <see cref="Turn"/>, never held across an await or a
/// disk read, and is above the journal's own lock: records are appended under it, so the journal must not call
/// the state machine while it holds a lock that appending needs.
/// </summary>
internal sealed partial class LiveBroker
{
    /// <summary>Sequences of messages in memory lie above all journal positions, and above those of earlier epochs.</summary>
    private const long MemorySequenceBase = 1L << 62;
    private const int MemorySequenceEpochShift = 42;
    private const long MemorySequenceEpochMask = (1L << (62 - MemorySequenceEpochShift)) - 1;

    private readonly BrokerIndex _index;
    private readonly List<LiveQueue> _dirty = [];
    private readonly List<LiveQueue> _applied = [];
    private readonly List<BrokerConnection> _awaitingConfirm = [];
    private readonly AcknowledgedRecord _acknowledged = new();
    private long _memorySequence;
    private long _confirmed;
    private bool _settling;
    private volatile bool _stopped;

    public LiveBroker(
        Lock gate, BrokerIndex index, IJournal journal, Epoch epoch, Position confirmed, BrokerSurroundings surroundings)
    {
        Gate = gate;
        _index = index;
        Journal = journal;
        Runtime = surroundings.Runtime;
        Options = surroundings.Options;
        Payloads = surroundings.Payloads;
        Logger = surroundings.Logger;
        Events = surroundings.Events;
        Confirmed = confirmed.Value;
        _memorySequence = MemorySequenceBase | ((epoch.Value & MemorySequenceEpochMask) << MemorySequenceEpochShift);
        _nextQueueId = index.NextQueueId;
        _clock = Runtime.Time.CreateTimer(_ => _clockSignal.Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _cleaner = new JournalCleaner(this);
        foreach (var queue in index.Queues)
        {
            queue.Entries.ResetLive();
            AddKnownQueue(queue);
        }

        index.QueueAdded = BindQueue;
    }

    public Lock Gate { get; }

    public IJournal Journal { get; }

    public FabricRuntime Runtime { get; }

    public BrokerOptions Options { get; }

    public IPayloadEditor Payloads { get; }

    public ILogger Logger { get; }

    public EventQueue Events { get; }

    /// <summary>Journal position up to which everything was applied and shown. May be read without the lock.</summary>
    public long Confirmed
    {
        get => Volatile.Read(ref _confirmed);
        private set => Volatile.Write(ref _confirmed, value);
    }

    /// <summary>Set once, under the lock; may be read without it.</summary>
    public bool Stopped => _stopped;

    /// <summary>Connections to wake when the lock is given up.</summary>
    public List<BrokerConnection>? Wakes { get; set; }

    /// <summary>The turn only shows what has been applied.</summary>
    public bool IsFlushing { get; set; }

    /// <summary>Connections whose transports are to be closed when the lock is given up; without a reason they are only held.</summary>
    public List<(BrokerConnection Connection, string? Reason)>? Closes { get; set; }

    private long Now => Runtime.Time.GetUtcNow().ToUnixTimeMilliseconds();

    public Turn Enter() => new(this);

    /// <summary>Shows what has been applied up to here: dispatches it, and wakes who waits for a confirmation.</summary>
    public void Flush(Position applied)
    {
        using var turn = Enter();
        if (Stopped)
        {
            return;
        }

        IsFlushing = true;
        Confirmed = applied.Value;
        foreach (var queue in _applied)
        {
            queue.Applied = false;
            MarkDirty(queue);
        }

        _applied.Clear();
        PublishDeferred();
        ForgetTracks();
        for (var i = _awaitingConfirm.Count - 1; i >= 0; i--)
        {
            var connection = _awaitingConfirm[i];
            Wake(connection);
            if (connection.ConfirmAfter <= applied.Value)
            {
                connection.AwaitsConfirm = false;
                _awaitingConfirm[i] = _awaitingConfirm[^1];
                _awaitingConfirm.RemoveAt(_awaitingConfirm.Count - 1);
            }
        }
    }

    /// <summary>Ends everything at once, without an answer to anybody. What the journal holds will be served by the next master.</summary>
    public void Stop()
    {
        using (Enter())
        {
            _stopped = true;
            _index.QueueAdded = null;
            foreach (var queue in _index.Queues)
            {
                queue.Observer = null;
                queue.Entries.ResetLive();
            }

            foreach (var connection in _connections.Values)
            {
                connection.Closed = true;
                (Closes ??= []).Add((connection, null));
            }

            _connections.Clear();
            _dirty.Clear();
            _applied.Clear();
            Events.Clear();
            ReleaseRoomWaiters();
        }

        _clockSignal.Set();
        _cleaner.Wake();
    }

    public void MarkDirty(LiveQueue queue)
    {
        if (!queue.Dirty)
        {
            queue.Dirty = true;
            _dirty.Add(queue);
        }
    }

    /// <summary>
    /// Notes that a queue has something new that may be shown when the batch has been applied, and not when somebody else's turn ends
    /// in between.
    /// </summary>
    public void MarkApplied(LiveQueue queue)
    {
        if (!queue.Applied)
        {
            queue.Applied = true;
            _applied.Add(queue);
        }
    }

    /// <summary>Notes that the connection's writer has something to do.</summary>
    public void Wake(BrokerConnection connection)
    {
        if (!connection.Woken)
        {
            connection.Woken = true;
            (Wakes ??= TakeSpareWakes()).Add(connection);
        }
    }

    /// <summary>Before the lock is given up: dispatches what the turn has made possible.</summary>
    public void Settle()
    {
        if (_settling || Stopped)
        {
            return;
        }

        _settling = true;
        for (var i = 0; i < _dirty.Count; i++)
        {
            var queue = _dirty[i];
            queue.Dirty = false;
            if (!queue.Removed)
            {
                Dispatch(queue);
            }
        }

        _dirty.Clear();
        _settling = false;
    }

    private List<BrokerConnection>? _spareWakes;

    /// <summary>Takes a list back that was emptied, so that waking allocates nothing.</summary>
    public void ReturnWakes(List<BrokerConnection> wakes) => _spareWakes = wakes;

    private List<BrokerConnection> TakeSpareWakes() => Interlocked.Exchange(ref _spareWakes, null) ?? [];

    private void AwaitConfirm(BrokerConnection connection, Position end)
    {
        connection.ConfirmAfter = Math.Max(connection.ConfirmAfter, end.Value);
        if (!connection.AwaitsConfirm)
        {
            connection.AwaitsConfirm = true;
            _awaitingConfirm.Add(connection);
        }
    }
}

/// <summary>What a broker is given by its owner.</summary>
internal sealed record BrokerSurroundings(
    FabricRuntime Runtime, BrokerOptions Options, IPayloadEditor Payloads, EventQueue Events, ILogger Logger);

/// <summary>
/// One possession of the broker's lock. Its end dispatches, gives up the lock, and only then announces what it
/// appended, wakes writers, closes transports and tells the events of the turn.
/// </summary>
internal readonly ref struct Turn
{
    private readonly LiveBroker _broker;

    public Turn(LiveBroker broker)
    {
        _broker = broker;
        broker.Gate.Enter();
    }

    public void Dispose()
    {
        List<BrokerConnection>? wakes = null;
        var here = false;
        List<(BrokerConnection Connection, string? Reason)>? closes = null;
        try
        {
            _broker.Settle();
            (wakes, _broker.Wakes) = (_broker.Wakes, null);
            (closes, _broker.Closes) = (_broker.Closes, null);
            here = _broker.IsFlushing && wakes is [{ Consumers.Count: 0 }];
            _broker.IsFlushing = false;
            if (wakes is not null)
            {
                foreach (var connection in wakes)
                {
                    connection.Woken = false;
                }
            }
        }
        finally
        {
            _broker.Gate.Exit();
        }

        Debug.Assert(!_broker.Gate.IsHeldByCurrentThread, "a turn inside of a turn");
        _broker.Journal.Announce();
        if (wakes is not null)
        {
            Wake(wakes, here);
        }

        if (closes is not null)
        {
            foreach (var (connection, reason) in closes)
            {
                if (reason is null)
                {
                    connection.Sink.Hold();
                }
                else
                {
                    connection.Sink.Close(reason);
                }
            }
        }

        _broker.Events.Drain();
    }

    private void Wake(List<BrokerConnection> connections, bool here)
    {
        foreach (var connection in connections)
        {
            connection.Sink.Wake(here);
        }

        connections.Clear();
        _broker.ReturnWakes(connections);
    }
}
