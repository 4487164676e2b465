using Fabric.Client.Producers;

namespace Fabric.Client;

/// <summary>
/// A producer of its own: its messages keep their order and are numbered by themselves, across reconnections. Thread-safe;
/// disposing it ends it once what it has sent is on its way.
/// </summary>
public sealed class FabricProducer : IAsyncDisposable
{
    private readonly FabricClient _client;
    private readonly ProducerCore _core;
    private readonly Destination? _destination;

    internal FabricProducer(FabricClient client, ProducerCore core, Destination? destination)
    {
        _client = client;
        _core = core;
        _destination = destination;
    }

    /// <summary>Sends to the producer's destination; see <see cref="IFabricClient.SendAsync"/>.</summary>
    /// <exception cref="InvalidOperationException">The producer was made without a destination.</exception>
    /// <exception cref="FabricException">The broker refused the message.</exception>
    public ValueTask<SendReceipt> SendAsync<T>(T body, MessageOptions? options = null, CancellationToken cancellationToken = default) =>
        _client.SendAsync(
            _core,
            _destination ?? throw new InvalidOperationException("the producer has no destination; name one with each send"),
            body, options, cancellationToken);

    /// <summary>Sends to any destination; see <see cref="IFabricClient.SendAsync"/>.</summary>
    /// <exception cref="InvalidOperationException">The producer was made for another destination.</exception>
    /// <exception cref="FabricException">The broker refused the message.</exception>
    public ValueTask<SendReceipt> SendToAsync<T>(
        Destination to, T body, MessageOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        return _destination is null || _destination.Equals(to)
            ? _client.SendAsync(_core, to, body, options, cancellationToken)
            : throw new InvalidOperationException($"the producer was made for {_destination}");
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _client.Remove(_core);
        return ValueTask.CompletedTask;
    }
}
