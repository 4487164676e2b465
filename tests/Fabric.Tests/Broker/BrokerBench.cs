using System.Buffers;
using System.Globalization;
using System.Text;
using Fabric.Broker;
using Fabric.Broker.Security;
using Fabric.Runtime;
using Fabric.Store.Journal;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fabric.Tests.Broker;

/// <summary>A broker over a journal in memory, with a clock that the test moves, and short words for what tests do.</summary>
internal sealed class BrokerBench : IAsyncDisposable
{
    public static readonly DestinationName Q = DestinationName.Queue("Q");
    public static readonly DestinationName DeadLetters = DestinationName.Queue("ActiveMQ.DLQ");
    public static readonly DestinationName T = DestinationName.Topic("T");

    private int _connections;
    private long _epoch;

    public BrokerBench(BrokerOptions? options = null, IBrokerEvents? events = null)
    {
        Clock = new TestClock();
        var runtime = FabricRuntime.System with { Time = Clock };
        Broker = new MessageBroker(
            runtime, (options ?? new BrokerOptions()) with { Authenticator = options?.Authenticator is { } given
                && given != UserTable.Empty ? given : new Anybody() },
            new TextEditor(), events, NullLogger.Instance);
        Journal = new TestJournal(Broker);
        Serve();
    }

    public TestClock Clock { get; }

    public MessageBroker Broker { get; }

    public TestJournal Journal { get; }

    public void Serve()
    {
        Journal.BeginEpoch();
        Broker.StartServing(Journal, new Epoch(++_epoch), Journal.Applied);
    }

    public TestClient Connect(string? connectionId = null, bool suppressDuplicates = false, string? clientId = null)
    {
        connectionId ??= string.Create(CultureInfo.InvariantCulture, $"ID:c-{++_connections}");
        var client = new TestClient(this, connectionId);
        var result = Broker.Connect(
            new ConnectRequest
            {
                ConnectionId = connectionId,
                ClientId = clientId ?? connectionId,
                SuppressDuplicates = suppressDuplicates,
            },
            client, out var connection);
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted), result.Detail);
        client.Connection = connection!;
        client.Connection.AddSession(1);
        return client;
    }

    public DestinationStatistics Statistics(DestinationName name) =>
        Broker.GetStatistics().SingleOrDefault(statistics => statistics.Name == name);

    public ValueTask DisposeAsync() => Broker.DisposeAsync();

    /// <summary>Lets everybody in.</summary>
    private sealed class Anybody : IAuthenticator
    {
        public bool Authenticate(string? user, string? password) => true;
    }

    /// <summary>Payloads of these tests are text; the copies say what was done to them.</summary>
    private sealed class TextEditor : IPayloadEditor
    {
        public void DeadLetterCopy(in DeadLetterRequest request, ReadOnlySpan<byte> payload, IBufferWriter<byte> output)
        {
            if (payload.SequenceEqual("unreadable"u8))
            {
                throw new InvalidDataException("nobody can read it");
            }

            output.Write(Encoding.UTF8.GetBytes($"{Encoding.UTF8.GetString(payload)} dead from {request.From}: {request.Cause}"));
        }

        public void RedirectedCopy(
            byte encoding, DestinationName from, DestinationName to, ReadOnlySpan<byte> payload, IBufferWriter<byte> output) =>
            output.Write(Encoding.UTF8.GetBytes($"{Encoding.UTF8.GetString(payload)} for {to}"));
    }
}

/// <summary>A delivery as a client sees it.</summary>
internal sealed record Received(
    ConsumerKey Consumer, DestinationName Destination, MessageSequence Sequence, int Redeliveries, string? Text);

/// <summary>A client: one session, and what the broker sent it.</summary>
internal sealed class TestClient(BrokerBench bench, string connectionId) : IConnectionSink
{
    private long _sequence;
    private long _consumers;

    public BrokerConnection Connection { get; set; } = null!;

    public string ProducerId { get; init; } = connectionId + ":1:1";

    public int Wakes { get; private set; }

    public string? ClosedBecause { get; private set; }

    public bool IsHeld { get; private set; }

    public void Wake(bool here) => Wakes++;

    public void Close(string reason) => ClosedBecause = reason;

    public void Hold() => IsHeld = true;

    public BrokerResult Send(
        string text, DestinationName? to = null, bool persistent = true, long? sequence = null, long? transaction = null,
        long expiration = 0, string? producerId = null)
    {
        _sequence = sequence ?? _sequence + 1;
        return Connection.Publish(
            new PublishRequest
            {
                Destination = to ?? BrokerBench.Q,
                ProducerId = producerId ?? ProducerId,
                ProducerSequence = _sequence,
                Persistent = persistent,
                Transaction = transaction,
                Expiration = expiration,
                Encoding = 1,
            },
            Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Sends, commits, and requires that both worked.</summary>
    public void SendCommitted(string text, DestinationName? to = null, bool persistent = true, long expiration = 0)
    {
        var result = Send(text, to, persistent, expiration: expiration);
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted), result.Detail);
        bench.Journal.Commit();
    }

    public ConsumerKey Consume(
        DestinationName? from = null, int prefetch = 1000, int priority = 0, bool exclusive = false, bool noLocal = false,
        long session = 1)
    {
        var key = new ConsumerKey(session, ++_consumers);
        var result = TryConsume(new ConsumerRequest
        {
            Key = key,
            Destination = from ?? BrokerBench.Q,
            Prefetch = prefetch,
            Priority = priority,
            Exclusive = exclusive,
            NoLocal = noLocal,
        });
        Assert.That(result.Status, Is.EqualTo(BrokerStatus.Accepted), result.Detail);
        bench.Journal.CommitHorizons();
        return key;
    }

    public BrokerResult TryConsume(ConsumerRequest request) => Connection.AddConsumer(request, out _);

    /// <summary>Everything that was dispatched to this connection and not yet received.</summary>
    public IReadOnlyList<Received> Receive()
    {
        bench.Journal.CommitHorizons();
        var received = new List<Received>();
        while (Connection.TryTakeDelivery(out var delivery))
        {
            string? text = null;
            if (delivery.HasMessage)
            {
                var payload = new byte[delivery.PayloadBytes];
                if (!Connection.ReadPayload(delivery, payload))
                {
                    continue;
                }

                Assert.That(delivery.Encoding, Is.EqualTo(1));
                text = Encoding.UTF8.GetString(payload);
            }

            received.Add(new Received(
                delivery.Consumer.Key, delivery.Destination, delivery.Sequence, delivery.RedeliveryCounter, text));
        }

        return received;
    }

    public IReadOnlyList<string?> ReceiveTexts() => Receive().Select(received => received.Text).ToArray();

    public BrokerResult Ack(
        ConsumerKey consumer, AcknowledgeKind kind, Received? first, Received last, int count = 1, long? transaction = null,
        string? cause = null) =>
        Connection.Acknowledge(new AcknowledgeRequest
        {
            Consumer = consumer,
            Kind = kind,
            First = first?.Sequence,
            Last = last.Sequence,
            Count = count,
            Transaction = transaction,
            Cause = cause,
        });

    /// <summary>Acknowledges one message as an automatic client does.</summary>
    public BrokerResult Ack(Received message) => Ack(message.Consumer, AcknowledgeKind.Standard, message, message);
}

/// <summary>A clock that stands still until the test moves it. Timers fire in the thread that moves it.</summary>
internal sealed class TestClock : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<TestTimer> _timers = [];
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public long NowMilliseconds => GetUtcNow().ToUnixTimeMilliseconds();

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new TestTimer(this, callback, state);
        timer.Change(dueTime, period);
        lock (_lock)
        {
            _timers.Add(timer);
        }

        return timer;
    }

    public void Advance(TimeSpan span)
    {
        List<TestTimer> due;
        lock (_lock)
        {
            _now += span;
            due = _timers.FindAll(timer => timer.Due <= _now);
        }

        foreach (var timer in due)
        {
            timer.Fire();
        }
    }

    private sealed class TestTimer(TestClock clock, TimerCallback callback, object? state) : ITimer
    {
        public DateTimeOffset Due { get; private set; } = DateTimeOffset.MaxValue;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Due = dueTime == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : clock.GetUtcNow() + dueTime;
            return true;
        }

        public void Fire()
        {
            Due = DateTimeOffset.MaxValue;
            callback(state);
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                clock._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
