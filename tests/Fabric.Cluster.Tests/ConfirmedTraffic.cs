using System.Diagnostics;
using System.Globalization;
using Fabric.Client;

namespace Fabric.Cluster.Tests;

/// <summary>
/// A Java and a .NET producer that send to one queue at 200 messages a second each, every send confirmed before the next, with
/// the time of each confirmation kept.
/// </summary>
internal sealed class ConfirmedTraffic : IAsyncDisposable
{
    private const int Rate = 200;

    private readonly string _failoverUrl;
    private readonly string _queue;
    private readonly RunningProgram _java;
    private readonly FabricClient _client;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<long> _confirmedAt = [];
    private readonly Task _sending;

    private ConfirmedTraffic(string failoverUrl, string queue, RunningProgram java, FabricClient client)
    {
        (_failoverUrl, _queue, _java, _client) = (failoverUrl, queue, java, client);
        _sending = Task.Run(SendAsync);
    }

    public static async Task<ConfirmedTraffic> StartAsync(DevelopmentFabric fabric, string queue)
    {
        var java = await JavaPrograms.StartAsync("ConfirmedProducer", fabric.FailoverUrl, queue, "java", $"{Rate}");
        var client = new FabricClient(fabric.DiscoveryUrl, new FabricClientOptions { UserName = "admin", Password = "admin" });
        var traffic = new ConfirmedTraffic(fabric.FailoverUrl, queue, java, client);
        await traffic.ProgressAsync(TimeSpan.FromSeconds(30));
        return traffic;
    }

    /// <summary>Waits until both producers had some more sends confirmed.</summary>
    public async Task ProgressAsync(TimeSpan limit)
    {
        var (java, dotnet) = Counts();
        await Processes.EventuallyAsync(
            () => Task.FromResult(Counts()),
            now => now.Java >= java + 20 && now.DotNet >= dotnet + 20,
            limit,
            $"both producers go on from {java} and {dotnet}; Java says: {_java.Errors}");
    }

    /// <summary>The time from a moment to the next confirmation of each producer.</summary>
    public (TimeSpan Java, TimeSpan DotNet) PauseAfter(DateTimeOffset moment)
    {
        var milliseconds = moment.ToUnixTimeMilliseconds();
        lock (_confirmedAt)
        {
            return (After(JavaTimes()), After(_confirmedAt));
        }

        TimeSpan After(IEnumerable<long> times) => TimeSpan.FromMilliseconds(times.First(time => time > milliseconds) - milliseconds);
    }

    /// <summary>The longest time between two confirmations of each producer since a moment.</summary>
    public (TimeSpan Java, TimeSpan DotNet) LongestGapsSince(DateTimeOffset moment)
    {
        var milliseconds = moment.ToUnixTimeMilliseconds();
        lock (_confirmedAt)
        {
            return (Longest(JavaTimes()), Longest(_confirmedAt));
        }

        TimeSpan Longest(IEnumerable<long> times)
        {
            var recent = times.Where(time => time >= milliseconds).ToList();
            return TimeSpan.FromMilliseconds(recent.Zip(recent.Skip(1), (first, second) => second - first).DefaultIfEmpty().Max());
        }
    }

    public (int Java, int DotNet) Counts()
    {
        lock (_confirmedAt)
        {
            return (_java.Lines.Count, _confirmedAt.Count);
        }
    }

    /// <summary>Ends both producers, empties the queue by the stock Java client and compares.</summary>
    public async Task VerifyAsync()
    {
        await _stop.CancelAsync();
        await _sending;
        var java = await _java.FinishAsync(TimeSpan.FromSeconds(30));
        var drained = await JavaPrograms.RunAsync("Drain", TimeSpan.FromMinutes(2), _failoverUrl, _queue, "3000");
        Assert.That(drained.ExitCode, Is.Zero, drained.ToString());
        var texts = drained.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => line.Length > 2 && line[1] == ' ').Select(line => line[2..]).ToList();
        Ledger.AssertExactlyOnceInOrder("java", java.Count - 1, texts); // less its last line, "end"
        Ledger.AssertExactlyOnceInOrder("dotnet", _confirmedAt.Count, texts);
        TestContext.Out.WriteLine($"{java.Count - 1} + {_confirmedAt.Count} confirmed, {texts.Count} received");
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _sending;
        await _java.DisposeAsync();
        await _client.DisposeAsync();
        _stop.Dispose();
    }

    private IEnumerable<long> JavaTimes() => _java.Lines
        .Select(line => line.Split(' '))
        .Where(parts => parts.Length == 2)
        .Select(parts => long.Parse(parts[1], CultureInfo.InvariantCulture));

    private async Task SendAsync()
    {
        var clock = Stopwatch.StartNew();
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            // A send that has begun is waited for: only then is it known whether it is confirmed.
            await _client.SendAsync(Destination.Queue(_queue), $"dotnet:{i}");
            lock (_confirmedAt)
            {
                _confirmedAt.Add(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
            }

            var wait = TimeSpan.FromSeconds((double)(i + 1) / Rate) - clock.Elapsed;
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait);
            }
        }
    }
}
