using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Fabric.Client.Connections;

namespace Fabric.Client.Consumers;

/// <summary>
/// Requests and their answers: one temporary queue and one consumer for all requests of a client, made at the first. Answers are told
/// apart by their correlation id; one that comes too late is dropped.
/// </summary>
internal sealed class RequestReply(FailoverConnection connection, JsonSerializerOptions json) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<Incoming>> _open = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Task<Destination>? _opened; // guarded by _gate: the queue of answers, made once for all who wait for it
    private Task _loop = Task.CompletedTask;
    private long _last;

    /// <summary>Sends a request and waits for its answer.</summary>
    /// <exception cref="TimeoutException">None came in time.</exception>
    public async Task<Incoming> RequestAsync(
        Func<MessageOptions, CancellationToken, ValueTask<SendReceipt>> send, Destination to, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, connection.Runtime.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var id = Interlocked.Increment(ref _last).ToString(CultureInfo.InvariantCulture);
        var answer = new TaskCompletionSource<Incoming>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            var answers = await OpenAsync().WaitAsync(both.Token).ConfigureAwait(false);
            _open[id] = answer;
            await send(
                new MessageOptions
                {
                    CorrelationId = id,
                    ReplyTo = answers,
                    TimeToLive = timeout,
                    Persistent = false,
                },
                both.Token).ConfigureAwait(false); // ended with the request, it is not sent to a broker that comes back an hour later
            return await answer.Task.WaitAsync(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no answer from {to} within {timeout.TotalSeconds:0.###} s");
        }
        finally
        {
            _open.TryRemove(id, out _);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_opened is { } opened)
        {
            await opened.ContinueWith(static _ => { }, TaskScheduler.Default).ConfigureAwait(false);
        }

        await _loop.ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>The queue of answers; it is made once, however many requests give up waiting for it.</summary>
    private Task<Destination> OpenAsync()
    {
        lock (_gate)
        {
            if (_opened is null or { IsFaulted: true } or { IsCanceled: true })
            {
                _opened = OpenOnceAsync();
                _ = _opened.ContinueWith(
                    static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            }

            return _opened;
        }
    }

    private async Task<Destination> OpenOnceAsync()
    {
        var answers = await connection.CreateTemporaryQueueAsync(_stop.Token).ConfigureAwait(false);
        var consumer = new ConsumerCore(connection, answers, ConsumerOptions.Default, json);
        await consumer.OpenAsync(_stop.Token).ConfigureAwait(false);
        _loop = connection.Runtime.Scheduler.Start("client answers", () => ReceiveAsync(consumer));
        return answers;
    }

    private async Task ReceiveAsync(ConsumerCore consumer)
    {
        try
        {
            while (true)
            {
                var message = await consumer.ReceiveAsync(_stop.Token).ConfigureAwait(false);
                consumer.Accept(message);
                if (message.ReadHeaders().CorrelationId is { } id && _open.TryRemove(id, out var answer))
                {
                    answer.TrySetResult(message);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or FabricException or ObjectDisposedException)
        {
            lock (_gate)
            {
                _opened = null; // the next request opens it anew, or hears why not
            }

            foreach (var answer in _open.Values)
            {
                answer.TrySetException(exception);
            }
        }
    }
}
