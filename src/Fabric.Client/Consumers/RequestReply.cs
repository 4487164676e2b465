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
    private readonly SemaphoreSlim _opening = new(1);
    private Destination? _answers;
    private Task _loop = Task.CompletedTask;
    private long _last;

    /// <summary>Sends a request and waits for its answer.</summary>
    /// <exception cref="TimeoutException">None came in time.</exception>
    public async Task<Incoming> RequestAsync(
        Func<MessageOptions, ValueTask<SendReceipt>> send, Destination to, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, connection.Runtime.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var id = Interlocked.Increment(ref _last).ToString(CultureInfo.InvariantCulture);
        var answer = new TaskCompletionSource<Incoming>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            var answers = await OpenAsync(both.Token).ConfigureAwait(false);
            _open[id] = answer;
            await send(new MessageOptions
            {
                CorrelationId = id,
                ReplyTo = answers,
                TimeToLive = timeout,
                Persistent = false,
            }).AsTask().WaitAsync(both.Token).ConfigureAwait(false);
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
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
        _opening.Dispose();
    }

    private async Task<Destination> OpenAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _answers) is { } known)
        {
            return known;
        }

        await _opening.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_answers is { } made)
            {
                return made;
            }

            var answers = await connection.CreateTemporaryQueueAsync(cancellationToken).ConfigureAwait(false);
            var consumer = new ConsumerCore(connection, answers, ConsumerOptions.Default, json);
            await consumer.OpenAsync(cancellationToken).ConfigureAwait(false);
            _loop = connection.Runtime.Scheduler.Start("client answers", () => ReceiveAsync(consumer));
            Volatile.Write(ref _answers, answers);
            return answers;
        }
        finally
        {
            _opening.Release();
        }
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
            Volatile.Write(ref _answers, null); // the next request opens it anew, or hears why not
            foreach (var answer in _open.Values)
            {
                answer.TrySetException(exception);
            }
        }
    }
}
