using System.Diagnostics;
using Fabric.Client;
using Fabric.Oracles;

namespace Fabric.Cluster.Tests.Traffic;

/// <summary>Our client, sending at a rate, each send confirmed before the next.</summary>
internal sealed class DotNetProducer : IAsyncDisposable
{
    private readonly History _history;
    private readonly string _name;
    private readonly int _rate;
    private readonly int _padding;
    private readonly string[] _queues;
    private readonly FabricClient _client;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _sending;

    /// <param name="history">Told what it does.</param>
    /// <param name="url">Where it connects.</param>
    /// <param name="name">The producer.</param>
    /// <param name="rate">Sends a second.</param>
    /// <param name="padding">Characters added to each body.</param>
    /// <param name="queues">Sent to in turn.</param>
    public DotNetProducer(History history, string url, string name, int rate, int padding, string[] queues)
    {
        (_history, _name, _rate, _padding, _queues) = (history, name, rate, padding, queues);
        _client = new FabricClient(url, new FabricClientOptions { UserName = "admin", Password = "admin" });
        _sending = Task.Run(SendAsync);
    }

    public Confirmations Confirmed { get; } = new();

    /// <summary>Ends it after the send that is under way: only then is it known whether it is confirmed.</summary>
    public async Task FinishAsync()
    {
        await _stop.CancelAsync();
        await _sending;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _client.DisposeAsync(); // fails a send that nobody answers
        await _sending;
        _stop.Dispose();
    }

    private async Task SendAsync()
    {
        var clock = Stopwatch.StartNew();
        for (long i = 0; !_stop.IsCancellationRequested; i++)
        {
            var message = new MessageIdentity(_name, i);
            var (queue, text) = (_queues[i % _queues.Length], Texts.Of(message, _padding));
            _history.SendAttempted(message, queue, BodyHash.Of(text), Texts.Now);
            try
            {
                await _client.SendAsync(Destination.Queue(queue), text);
                var now = Texts.Now;
                _history.SendConfirmed(message, now);
                Confirmed.Add(now);
            }
            catch (ResourceAllocationException)
            {
                _history.SendRefused(message, Texts.Now);
            }
            catch (Exception exception) when (exception is FabricException or ObjectDisposedException)
            {
                _history.SendUnknown(message, Texts.Now);
            }

            var wait = TimeSpan.FromSeconds((double)(i + 1) / _rate) - clock.Elapsed;
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait);
            }
        }
    }
}
