namespace Fabric.Client.Connections;

/// <summary>Where a fabric is found in ZooKeeper.</summary>
/// <param name="Group">Name of the group of brokers.</param>
/// <param name="ZooKeeper">Hosts, or null when the URL does not say.</param>
internal sealed record DiscoveryAddress(string Group, string? ZooKeeper);

/// <summary>A client's URL, understood.</summary>
internal sealed class ClientUrl
{
    /// <summary>The URL as it may be shown: without passwords.</summary>
    public required string Text { get; init; }

    /// <summary>The brokers it names; empty when they are discovered.</summary>
    public required IReadOnlyList<BrokerAddress> Brokers { get; init; }

    /// <summary>Null unless brokers are discovered.</summary>
    public DiscoveryAddress? Discovery { get; init; }

    /// <summary>False for the address of one broker, whose loss is final.</summary>
    public required bool Reconnects { get; init; }

    public required FailoverOptions Failover { get; init; }

    public required JmsOptions Jms { get; init; }

    /// <summary>Options for every broker, <c>nested.</c> or <c>discovered.</c> in the URL; also for those that are found later.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Nested { get; init; }

    /// <exception cref="UriFormatException">It is no URL of a known form, or an option is unknown or has a bad value.</exception>
    public static ClientUrl Parse(string text) => ClientUrlParser.Parse(text);

    /// <summary>Reads the address of a broker that was found by discovery or named by another broker.</summary>
    /// <exception cref="UriFormatException">It is no address.</exception>
    public BrokerAddress ParseFound(string address) => ClientUrlParser.ParseBroker(address, new JmsOptions(), Nested);

    public override string ToString() => Text;
}
