using System.Globalization;
using Fabric.Oracles;

namespace Fabric.Cluster.Tests.Traffic;

/// <summary>A stock Java client that sends, each send confirmed before the next, and whose lines go into a history.</summary>
internal sealed class JavaProducer : IAsyncDisposable
{
    private readonly History _history;
    private readonly string _name;
    private readonly int _padding;
    private readonly string[] _queues;
    private RunningProgram? _program;

    private JavaProducer(History history, string name, int padding, string[] queues) =>
        (_history, _name, _padding, _queues) = (history, name, padding, queues);

    public Confirmations Confirmed { get; } = new();

    /// <summary>What it printed that no history wants: exceptions.</summary>
    public string Errors => _program!.Errors;

    /// <param name="history">Told what it does.</param>
    /// <param name="url">As the client takes it.</param>
    /// <param name="name">The producer.</param>
    /// <param name="rate">Sends a second.</param>
    /// <param name="padding">Characters added to each body.</param>
    /// <param name="queues">Sent to in turn.</param>
    public static async Task<JavaProducer> StartAsync(History history, string url, string name, int rate, int padding, string[] queues)
    {
        var producer = new JavaProducer(history, name, padding, queues);
        producer._program = await JavaPrograms.StartAsync("ConfirmedProducer", producer.Take, [url, name, $"{rate}", $"{padding}", .. queues]);
        return producer;
    }

    /// <summary>Ends it after the send that is under way.</summary>
    public Task FinishAsync(TimeSpan limit) => _program!.FinishAsync(limit);

    public async ValueTask DisposeAsync() => await _program!.DisposeAsync();

    private void Take(string line)
    {
        var parts = line.Split(' ', 4);
        var message = new MessageIdentity(_name, long.Parse(parts[1], CultureInfo.InvariantCulture));
        var at = Texts.Micros(parts[2]);
        switch (parts[0])
        {
            case "A":
                _history.SendAttempted(message, _queues[message.Number % _queues.Length], BodyHash.Of(Texts.Of(message, _padding)), at);
                break;
            case "C":
                _history.SendConfirmed(message, at);
                Confirmed.Add(at);
                break;
            case "R":
                _history.SendRefused(message, at);
                break;
            default:
                _history.SendUnknown(message, at);
                break;
        }
    }
}

/// <summary>A stock Java client that receives and acknowledges by itself.</summary>
internal sealed class JavaConsumer : IAsyncDisposable
{
    private readonly History _history;
    private readonly string _name;
    private readonly string _queue;
    private RunningProgram? _program;

    private JavaConsumer(History history, string name, string queue) => (_history, _name, _queue) = (history, name, queue);

    /// <param name="history">Told what it gets.</param>
    /// <param name="url">As the client takes it.</param>
    /// <param name="name">The consumer, in the history.</param>
    /// <param name="queue">Where it receives from.</param>
    /// <param name="idle">How long nothing must come before it ends, once it was asked to.</param>
    public static async Task<JavaConsumer> StartAsync(History history, string url, string name, string queue, TimeSpan idle)
    {
        var consumer = new JavaConsumer(history, name, queue);
        consumer._program = await JavaPrograms.StartAsync(
            "PrintingConsumer", consumer.Take, url, queue, idle.TotalMilliseconds.ToString(CultureInfo.InvariantCulture));
        return consumer;
    }

    /// <summary>Empties a queue.</summary>
    public static async Task DrainAsync(History history, string url, string name, string queue, TimeSpan idle, TimeSpan limit)
    {
        await using var consumer = await StartAsync(history, url, name, queue, idle);
        await consumer.FinishAsync(limit);
    }

    /// <summary>Lets it receive what is left, and ends it.</summary>
    public Task FinishAsync(TimeSpan limit) => _program!.FinishAsync(limit);

    public async ValueTask DisposeAsync() => await _program!.DisposeAsync();

    private void Take(string line)
    {
        var parts = line.Split(' ', 5);
        var (at, message) = (Texts.Micros(parts[1]), Texts.IdentityOf(parts[4]));
        _history.Delivered(
            _name, message, _queue, BodyHash.Of(parts[4]), at, parts[2] == "R", int.Parse(parts[3], CultureInfo.InvariantCulture));
        _history.AcknowledgeAttempted(_name, message, at);
    }
}
