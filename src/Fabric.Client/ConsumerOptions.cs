namespace Fabric.Client;

/// <summary>How a consumer subscribes. Immutable.</summary>
public sealed record ConsumerOptions
{
    /// <summary>The largest prefetch that OpenWire clients use.</summary>
    public const int PrefetchMax = 32767;

    internal static ConsumerOptions Default { get; } = new();

    /// <summary>
    /// Most messages that the broker hands over before they are settled, 1 to 32767. Null means ActiveMQ's default: 1000 for a
    /// queue, 100 for a durable subscription, 32767 for a topic, or what the URL says.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside the range.</exception>
    public int? Prefetch
    {
        get;
        init
        {
            if (value is < 1 or > PrefetchMax)
            {
                throw new ArgumentOutOfRangeException(nameof(Prefetch), value, $"1 to {PrefetchMax}");
            }

            field = value;
        }
    }

    /// <summary>An SQL-92 condition on headers and properties; the broker delivers only what matches.</summary>
    public string? Selector { get; init; }

    /// <summary>
    /// Makes a topic subscription durable under this name: the broker keeps messages while the consumer is away. Needs
    /// <see cref="FabricClientOptions.ClientId"/>, which together with the name identifies the subscription.
    /// </summary>
    public string? SubscriptionName { get; init; }

    /// <summary>True leaves out what this client itself sends.</summary>
    public bool NoLocal { get; init; }

    /// <summary>True asks to be the only consumer of the queue that gets messages, as long as it lives.</summary>
    public bool Exclusive { get; init; }

    /// <summary>True asks a topic for messages from before the subscription, as far as its recovery policy keeps them.</summary>
    public bool Retroactive { get; init; }

    /// <summary>-128 to 127; the broker serves consumers of higher priority first. Default 0.</summary>
    public sbyte Priority { get; init; }

    /// <summary>How released messages come again; null means what the client's URL says, else ActiveMQ's defaults.</summary>
    public RedeliveryPolicy? Redelivery { get; init; }
}
