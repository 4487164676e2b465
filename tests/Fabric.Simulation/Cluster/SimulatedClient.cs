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
        var isLate = Cluster.IsOutOfDate(fabric.Broker?.Uri);
        World.Trace.Line(
            World.Now, Host.Name, $"received {message} from {queue}, for the {delivery.DeliveryCount}. time{(isLate ? ", from a master that is none" : "")}");
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
            await WorkAsync(fabric, process);
        }

        ended.SetResult();
    }
}

/// <summary>Sends messages, some of them without waiting for the one before.</summary>
internal sealed class Producer(Host host, ClusterUnderTest cluster, History history, string queue, int count, TimeSpan pause, int inFlight)
    : SimulatedClient(host, cluster, history)
{
    private int _sent;

    protected override async Task WorkAsync(FabricClient fabric, Process process)
    {
        var name = Name;
        await using var producer = fabric.CreateProducer($"queue://{queue}");
        var open = new Queue<Task>();
        for (var number = 0; _sent < count && !IsEnding; number++, _sent++)
        {
            while (open.Count >= inFlight)
            {
                await open.Dequeue();
            }

            open.Enqueue(SendAsync(producer, new MessageIdentity(name, number)));
            await PauseAsync(process, pause);
        }

        while (open.TryDequeue(out var send))
        {
            await send;
        }
    }

    private async Task SendAsync(FabricProducer producer, MessageIdentity message)
    {
        var body = Bodies.Make(message, Random, Cluster.CleansSoon);
        History.SendAttempted(message, queue, BodyHash.Of(body), World.Now);
        await producer.SendAsync(body);
        History.SendConfirmed(message, World.Now);
        Cluster.Come(Moment.Confirm);
        World.Trace.Line(World.Now, Host.Name, $"confirmed {message}");
    }
}

/// <summary>Takes messages, and gives some of them back.</summary>
internal sealed class Consumer(Host host, ClusterUnderTest cluster, History history, string queue, TimeSpan pause) : SimulatedClient(host, cluster, history)
{
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
            if (Random.Next(20) == 0)
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

/// <summary>Moves messages from one queue to another, each in a transaction.</summary>
internal sealed class Mover(Host host, ClusterUnderTest cluster, History history, string from, string to, TimeSpan pause)
    : SimulatedClient(host, cluster, history)
{
    private CancellationTokenSource _end = new();

    protected override void OnEnding() => _end.Cancel();

    protected override async Task WorkAsync(FabricClient fabric, Process process)
    {
        var name = Name;
        _end = new CancellationTokenSource();
        await using var consumer = fabric.CreateConsumer<string>($"queue://{from}");
        for (var number = 0; !IsEnding; number++)
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

            var message = WriteDown(fabric, name, delivery, from);
            await PauseAsync(process, pause);
            await MoveAsync(fabric, delivery, message, new MessageIdentity(name, number), $"{name}-{number}");
        }
    }

    private async Task MoveAsync(FabricClient fabric, Delivery<string> delivery, MessageIdentity taken, MessageIdentity sent, string id)
    {
        var body = Bodies.Make(sent, Random, Cluster.CleansSoon);
        var isAsked = false;
        try
        {
            await using var transaction = await fabric.BeginTransactionAsync();
            History.SendAttempted(sent, to, BodyHash.Of(body), World.Now, id);
            await transaction.SendAsync($"queue://{to}", body);
            History.SendConfirmed(sent, World.Now);
            History.AcknowledgeAttempted(Name, taken, World.Now, id);
            await delivery.AcceptAsync(transaction);
            if (Random.Next(10) == 0)
            {
                await transaction.RollbackAsync();
                History.Aborted(id, World.Now);
                return;
            }

            History.CommitAttempted(id, World.Now);
            isAsked = true;
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
internal static class Bodies
{
    public static string Make(MessageIdentity message, Random random, bool isLong)
    {
        var padding = isLong || random.Next(20) == 0 ? random.Next(20_000) : random.Next(600);
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
