using Fabric.Oracles;

namespace Fabric.Cluster.Tests.Traffic;

/// <summary>
/// A Java and a .NET producer that send 200 messages a second each to three queues in turn: one is drained at the end, one is read by a Java consumer all
/// the while, and one is moved by a .NET client in transactions to a fourth. Everything they do and see is judged at the end.
/// </summary>
internal sealed class ConfirmedTraffic : IAsyncDisposable
{
    private const int Rate = 200;
    private const int ProgressCount = 20;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan DrainLimit = TimeSpan.FromMinutes(2);

    private readonly string _failoverUrl;
    private readonly string _queue;
    private readonly History _history = new();
    private readonly JavaProducer _java;
    private readonly DotNetProducer _dotNet;
    private readonly JavaConsumer _reader;
    private readonly Mover _mover;

    private ConfirmedTraffic(
        string failoverUrl, string discoveryUrl, string queue, History history, int padding, JavaProducer java, JavaConsumer reader)
    {
        (_failoverUrl, _queue, _history, _java, _reader) = (failoverUrl, queue, history, java, reader);
        _dotNet = new DotNetProducer(history, discoveryUrl, "dotnet", Rate, padding, QueuesOf(queue));
        _mover = new Mover(history, discoveryUrl, "mover", MovedFrom(queue), MovedTo(queue), Idle);
    }

    /// <summary>How many sends each producer had confirmed.</summary>
    public (int Java, int DotNet) Counts => (_java.Confirmed.Count, _dotNet.Confirmed.Count);

    public static Task<ConfirmedTraffic> StartAsync(DevelopmentFabric fabric, string queue) =>
        StartAsync(fabric.FailoverUrl, fabric.DiscoveryUrl, queue);

    /// <param name="failoverUrl">For the Java clients.</param>
    /// <param name="discoveryUrl">For ours.</param>
    /// <param name="queue">The first queue; the names of the others begin with it.</param>
    /// <param name="padding">Characters added to each body.</param>
    public static async Task<ConfirmedTraffic> StartAsync(string failoverUrl, string discoveryUrl, string queue, int padding = 0)
    {
        var history = new History();
        var java = await JavaProducer.StartAsync(history, failoverUrl, "java", Rate, padding, QueuesOf(queue));
        var reader = await JavaConsumer.StartAsync(history, failoverUrl, "reader", ReadFrom(queue), Idle);
        var traffic = new ConfirmedTraffic(failoverUrl, discoveryUrl, queue, history, padding, java, reader);
        await traffic.ProgressAsync(TimeSpan.FromSeconds(30));
        return traffic;
    }

    /// <summary>Waits until both producers had some more sends confirmed.</summary>
    public async Task ProgressAsync(TimeSpan limit)
    {
        var (java, dotNet) = Counts;
        await Processes.EventuallyAsync(
            () => Task.FromResult(Counts),
            now => now.Java >= java + ProgressCount && now.DotNet >= dotNet + ProgressCount,
            limit,
            () => $"both producers go on from {java} and {dotNet}; Java says: {_java.Errors}");
    }

    /// <summary>The time from a moment to the next confirmation of each producer.</summary>
    public (TimeSpan Java, TimeSpan DotNet) PauseAfter(TimeSpan moment) =>
        (_java.Confirmed.FirstAfter(moment) - moment, _dotNet.Confirmed.FirstAfter(moment) - moment);

    /// <summary>The longest time between two confirmations of each producer since a moment.</summary>
    public (TimeSpan Java, TimeSpan DotNet) LongestGapsSince(TimeSpan moment) =>
        (_java.Confirmed.LongestGapSince(moment), _dotNet.Confirmed.LongestGapSince(moment));

    /// <summary>Ends the producers, empties all queues, and judges what happened.</summary>
    public async Task VerifyAsync()
    {
        await _dotNet.FinishAsync();
        await _java.FinishAsync(TimeSpan.FromSeconds(30));
        await Task.WhenAll(
            _reader.FinishAsync(DrainLimit),
            _mover.FinishAsync(),
            JavaConsumer.DrainAsync(_history, _failoverUrl, "drain", _queue, Idle, DrainLimit));

        // The reader may have given up while it was still looking for a master; what it left is there all the same.
        await Task.WhenAll(
            JavaConsumer.DrainAsync(_history, _failoverUrl, "drain", MovedTo(_queue), Idle, DrainLimit),
            JavaConsumer.DrainAsync(_history, _failoverUrl, "rest", ReadFrom(_queue), Idle, DrainLimit));

        var violations = HistoryChecker.Check(_history);
        var events = _history.InOrder();
        var repeats = events.Count(item => item.Kind == HistoryEventKind.Delivered)
            - events.Where(item => item.Kind == HistoryEventKind.Delivered).Select(item => item.Message).Distinct().Count();
        await TestContext.Out.WriteLineAsync(
            $"{_java.Confirmed.Count} + {_dotNet.Confirmed.Count} confirmed, {_mover.Committed} transactions, {repeats} delivered again with a flag, "
            + $"{events.Count(item => item.Kind is HistoryEventKind.SendUnknown or HistoryEventKind.CommitUnknown)} outcomes unknown, {events.Count} events");
        Assert.That(violations, Is.Empty, () => $"{violations.Count} violations:\n{string.Join('\n', violations.Take(20))}");
    }

    public async ValueTask DisposeAsync()
    {
        await _dotNet.DisposeAsync();
        await _mover.DisposeAsync();
        await _java.DisposeAsync();
        await _reader.DisposeAsync();
    }

    private static string[] QueuesOf(string queue) => [queue, ReadFrom(queue), MovedFrom(queue)];

    private static string ReadFrom(string queue) => $"{queue}.read";

    private static string MovedFrom(string queue) => $"{queue}.move";

    private static string MovedTo(string queue) => $"{queue}.moved";
}
