using Fabric.Client;
using Fabric.Oracles;
using Fabric.Simulation.Faults;
using Fabric.Simulation.Kernel;

namespace Fabric.Simulation.Cluster;

/// <summary>
/// An application on a host of its own: it works with a <see cref="FabricClient"/> until it is told to end, and writes down what it did and saw. When its
/// process is killed it can be started again, as somebody new.
/// </summary>
internal abstract class SimulatedClient(Host host, ClusterUnderTest cluster, History history)
{
    private int _lives;
    private TaskCompletionSource? _ended;
    private TimeSpan? _connectedSince;

    public Host Host { get; } = host;

    /// <summary>Whether it is to come to its end.</summary>
    protected bool IsEnding { get; private set; }

    protected World World => Host.World;

    protected History History { get; } = history;

    protected ClusterUnderTest Cluster { get; } = cluster;

    /// <summary>The name of its present life.</summary>
    protected string Name => $"{Host.Name}.{_lives}";

    protected Random Random { get; } = host.World.RandomFor($"client {host.Name}");

    public void Start()
    {
        var process = Host.Start();
        _lives++;
        var ended = _ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Context.Post(async _ => await LiveAsync(process, ended), null);
    }

    /// <summary>Ends it when it has done what it is about; ends when its connection is closed.</summary>
    public async Task EndAsync()
    {
        IsEnding = true;
        if (_ended is { } ended && Host.IsRunning)
        {
            OnEnding();
            await ended.Task;
        }
    }

    /// <summary>Told that it is to come to its end.</summary>
    protected virtual void OnEnding()
    {
    }

    protected abstract Task WorkAsync(FabricClient fabric, Process process);

    protected Task PauseAsync(Process process, TimeSpan most) => Task.Delay(most * Random.NextDouble(), process.Runtime.Time);

    /// <summary>Writes down what was received, unless it came from the past.</summary>
    protected MessageIdentity WriteDown(FabricClient fabric, string name, Delivery<string> delivery, string queue)
    {
        var message = Bodies.IdentityOf(delivery.Body);
        var uri = fabric.Broker?.Uri;
        var isLate = Cluster.IsOutOfDate(uri, _connectedSince) || (uri is not null && Host.Process?.Network.IsForgottenBy(uri[(uri.LastIndexOf('/') + 1)..]) == true);
        World.Trace.Line(
            World.Now, Host.Name, $"received {message} from {queue}, for the {delivery.DeliveryCount}. time{(isLate ? ", from a broker that has let go of it" : "")}");
        History.Add(new HistoryEvent
        {
            Kind = HistoryEventKind.Delivered, Consumer = name, Message = message, Queue = queue, BodyHash = BodyHash.Of(delivery.Body), At = World.Now,
            Redelivered = delivery.DeliveryCount > 1, DeliveryCount = delivery.DeliveryCount - 1, IsLate = isLate,
        });
        return message;
    }

    private async Task LiveAsync(Process process, TaskCompletionSource ended)
    {
        var options = new FabricClientOptions
        {
            Runtime = process.Runtime, UserName = "user", Password = "password", LoggerFactory = new TraceLoggers(process),
        };
        await using (var fabric = new FabricClient(Cluster.Url, options))
        {
            _connectedSince = null;
            fabric.Interrupted += (_, _) => NoteConnection(null);
            fabric.Resumed += (_, _) => NoteConnection(World.Now);
            _ = NoteFirstConnectionAsync(fabric);
            await WorkAsync(fabric, process);
        }

        ended.SetResult();
    }

    private ValueTask NoteConnection(TimeSpan? since)
    {
        _connectedSince = since;
        return default;
    }

    private async Task NoteFirstConnectionAsync(FabricClient fabric)
    {
        try
        {
            await fabric.ConnectAsync();
            _connectedSince = World.Now;
        }
        catch (FabricException)
        {
            // It ends without.
        }
    }
}

/// <summary>How much a producer sends, and how.</summary>
internal sealed record Pace
{
    /// <summary>Messages in all.</summary>
    public required int Count { get; init; }

    /// <summary>Messages that are on their way at a time.</summary>
    public required int InFlight { get; init; }

    /// <summary>Messages that are sent without a pause between them.</summary>
    public required int Burst { get; init; }

    /// <summary>How long all of it takes, about.</summary>
    public required TimeSpan Time { get; init; }
}

/// <summary>Sends messages, some of them without waiting for the one before.</summary>
internal sealed class Producer(Host host, ClusterUnderTest cluster, History history, Bodies bodies, string queue, Pace pace)
    : SimulatedClient(host, cluster, history)
{
    private int _sent;

    protected override async Task WorkAsync(FabricClient fabric, Process process)
    {
        var name = Name;
        await using var producer = fabric.CreateProducer($"queue://{queue}");
        var open = new Queue<Task>();
        for (var number = 0; _sent < pace.Count && !IsEnding; number++, _sent++)
        {
            while (open.Count >= pace.InFlight)
            {
                await open.Dequeue();
            }

            open.Enqueue(SendAsync(producer, new MessageIdentity(name, number)));
            if (number % pace.Burst == 0)
            {
                await PauseAsync(process, 2 * pace.Burst * pace.Time / pace.Count);
            }
        }

        while (open.TryDequeue(out var send))
        {
            await send;
        }
    }

    private async Task SendAsync(FabricProducer producer, MessageIdentity message)
    {
        var body = bodies.Make(message, Random);
        History.SendAttempted(message, queue, BodyHash.Of(body), World.Now);
        Cluster.Come(Moment.Send);
        await producer.SendAsync(body);
        History.SendConfirmed(message, World.Now);
        Cluster.Come(Moment.Confirm);
        World.Trace.Line(World.Now, Host.Name, $"confirmed {message}");
    }
}

/// <summary>Takes messages, and gives some of them back; on some seeds a few of them always, until they are dead letters.</summary>
internal sealed class Consumer(Host host, ClusterUnderTest cluster, History history, string queue, TimeSpan pause) : SimulatedClient(host, cluster, history)
{
    private const int PoisonedOneOf = 31;

    private readonly bool _meetsPoison = cluster.World.RandomFor("poison").Next(3) == 0;
    private CancellationTokenSource _end = new();

    protected override void OnEnding() => _end.Cancel();

    protected override async Task WorkAsync(FabricClient fabric, Process process)
    {
        var name = Name;
        _end = new CancellationTokenSource();
        await using var consumer = fabric.CreateConsumer<string>($"queue://{queue}");
        while (!IsEnding)
        {
            Delivery<string> delivery;
            try
            {
                delivery = await consumer.ReceiveAsync(_end.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            var message = WriteDown(fabric, name, delivery, queue);
            await PauseAsync(process, pause);
            if (Random.Next(20) == 0 || (_meetsPoison && message.Number % PoisonedOneOf == 7))
            {
                await delivery.ReleaseAsync();
            }
            else
            {
                History.AcknowledgeAttempted(name, message, World.Now);
                await delivery.AcceptAsync();
            }
        }
    }
}

/// <summary>Moves messages from one queue to another, some at a time in a transaction; now and then it closes its consumer before it ends one.</summary>
internal sealed class Mover(Host host, ClusterUnderTest cluster, History history, Bodies bodies, string from, string to, TimeSpan pause)
    : SimulatedClient(host, cluster, history)
{
    private const int ClosesOneOf = 8;
    private const int TakenMax = 3;
    private const int SentMax = 6;

    private CancellationTokenSource _end = new();
    private int _number;

    protected override void OnEnding() => _end.Cancel();

    protected override async Task WorkAsync(FabricClient fabric, Process process)
    {
        var name = Name;
        (_end, _number) = (new CancellationTokenSource(), 0);
        for (var transaction = 0; !IsEnding;)
        {
            await using var consumer = fabric.CreateConsumer<string>($"queue://{from}");
            while (!IsEnding && await TakeAsync(fabric, name, consumer, process) is { Count: > 0 } taken)
            {
                var closes = Random.Next(ClosesOneOf) == 0;
                await MoveAsync(fabric, taken, $"{name}-{transaction++}", closes ? consumer : null);
                if (closes)
                {
                    break;
                }
            }
        }
    }

    /// <returns>Nothing when it comes to its end.</returns>
    private async Task<List<(Delivery<string> Delivery, MessageIdentity Message)>> TakeAsync(
        FabricClient fabric, string name, FabricConsumer<string> consumer, Process process)
    {
        var taken = new List<(Delivery<string> Delivery, MessageIdentity Message)>();
        try
        {
            var delivery = await consumer.ReceiveAsync(_end.Token);
            taken.Add((delivery, WriteDown(fabric, name, delivery, from)));
        }
        catch (OperationCanceledException)
        {
            return taken;
        }

        while (taken.Count < Random.Next(TakenMax) + 1 && await consumer.TryReceiveAsync(TimeSpan.FromMilliseconds(10)) is { } more)
        {
            taken.Add((more, WriteDown(fabric, name, more, from)));
        }

        await PauseAsync(process, pause);
        return taken;
    }

    private async Task MoveAsync(
        FabricClient fabric, List<(Delivery<string> Delivery, MessageIdentity Message)> taken, string id, FabricConsumer<string>? closing)
    {
        var isAsked = false;
        try
        {
            await using var transaction = await fabric.BeginTransactionAsync();
            for (var sends = Random.Next(SentMax) + 1; sends > 0; sends--)
            {
                var sent = new MessageIdentity(Name, _number++);
                var body = bodies.Make(sent, Random);
                History.SendAttempted(sent, to, BodyHash.Of(body), World.Now, id);
                await transaction.SendAsync($"queue://{to}", body);
                History.SendConfirmed(sent, World.Now);
            }

            foreach (var (delivery, message) in taken)
            {
                History.AcknowledgeAttempted(Name, message, World.Now, id);
                await delivery.AcceptAsync(transaction);
            }

            if (closing is not null)
            {
                await closing.DisposeAsync(); // what it took is the transaction's all the same
            }

            if (Random.Next(10) == 0)
            {
                await transaction.RollbackAsync();
                History.Aborted(id, World.Now);
                return;
            }

            History.CommitAttempted(id, World.Now);
            isAsked = true;
            Cluster.Come(Moment.Commit);
            await transaction.CommitAsync();
            History.Committed(id, World.Now);
            Cluster.Come(Moment.Confirm);
        }
        catch (FabricException exception)
        {
            World.Trace.Line(World.Now, Host.Name, $"transaction {id}: {exception.Message}");
            if (isAsked)
            {
                History.CommitUnknown(id, World.Now);
            }
            else
            {
                History.Aborted(id, World.Now); // nobody has asked for its commit
            }
        }
    }
}

/// <summary>Bodies that tell who sent them.</summary>
/// <param name="large">The share of long ones.</param>
internal sealed class Bodies(double large)
{
    public string Make(MessageIdentity message, Random random)
    {
        var padding = random.NextDouble() < large ? random.Next(20_000) : random.Next(600);
        return $"{message.Producer} {message.Number} {new string((char)('a' + random.Next(26)), padding)}";
    }

    public static MessageIdentity IdentityOf(string body)
    {
        var parts = body.Split(' ', 3);
        return parts.Length == 3 && long.TryParse(parts[1], out var number)
            ? new MessageIdentity(parts[0], number)
            : new MessageIdentity("nobody", body.Length);
    }
}
