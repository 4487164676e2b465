namespace Fabric.Broker;

/// <summary>Figures of one destination. Counters count since this broker began to serve.</summary>
/// <param name="Name">Which.</param>
/// <param name="Depth">Messages in the queue, those included that consumers hold; 0 for topics.</param>
/// <param name="Enqueued">Messages accepted.</param>
/// <param name="Dequeued">Messages consumed, expired or moved; for topics, deliveries made.</param>
/// <param name="InFlight">Messages of the queue that consumers hold.</param>
/// <param name="Consumers">Consumers at present.</param>
/// <param name="Producers">Producers bound to it at present.</param>
public readonly record struct DestinationStatistics(
    DestinationName Name, long Depth, long Enqueued, long Dequeued, long InFlight, int Consumers, int Producers);
