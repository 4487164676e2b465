using Fabric.Client.Consumers;

namespace Fabric.Client;

/// <summary>
/// A subscription. It survives reconnections. Thread-safe: several tasks may receive at a time, each message goes to one of them.
/// Disposing unsubscribes; what is not settled goes back to its queue.
/// </summary>
/// <typeparam name="T">What bodies are read as; see <see cref="Delivery{T}.Body"/>.</typeparam>
public sealed class FabricConsumer<T> : IAsyncDisposable
{
    private readonly ConsumerCore _core;

    internal FabricConsumer(ConsumerCore core, Destination source)
    {
        _core = core;
        Source = source;
    }

    /// <summary>Where it receives from.</summary>
    public Destination Source { get; }

    /// <summary>Subscribes now, and completes when the broker has said yes: what is sent to a topic afterwards is not missed.</summary>
    /// <exception cref="FabricException">The broker refuses: the selector, the destination or the user's rights.</exception>
    public async ValueTask OpenAsync(CancellationToken cancellationToken = default) =>
        await _core.OpenAsync(cancellationToken).ConfigureAwait(false);

    /// <summary>Waits for the next message.</summary>
    /// <exception cref="FabricException">The consumer is closed or failed.</exception>
    public async ValueTask<Delivery<T>> ReceiveAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var incoming = await _core.ReceiveAsync(cancellationToken).ConfigureAwait(false);
        return new Delivery<T>(incoming, _core);
    }

    /// <summary>Waits for the next message, but not longer than this.</summary>
    /// <returns>Null when there was none in time.</returns>
    /// <exception cref="FabricException">The consumer is closed or failed.</exception>
    public async ValueTask<Delivery<T>?> TryReceiveAsync(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var limit = _core.CreateTimeout(timeout);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return new Delivery<T>(await _core.ReceiveAsync(both.Token).ConfigureAwait(false), _core);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>Receives until the token is cancelled, which ends the enumeration by <see cref="OperationCanceledException"/>.</summary>
    public async IAsyncEnumerable<Delivery<T>> ReceiveAllAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true)
        {
            yield return await ReceiveAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _core.Close();
        return ValueTask.CompletedTask;
    }
}
