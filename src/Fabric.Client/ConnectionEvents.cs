namespace Fabric.Client;

/// <summary>Where the connection of a client stands.</summary>
public enum ConnectionState
{
    /// <summary>Nothing was asked of the client yet, or the first attempt failed and may be repeated.</summary>
    Disconnected,

    /// <summary>The first connection is being made.</summary>
    Connecting,

    /// <summary>There is a broker.</summary>
    Connected,

    /// <summary>The broker was lost; the next one is being looked for.</summary>
    Reconnecting,

    /// <summary>The connection is lost for good; every call throws the reason.</summary>
    Failed,

    /// <summary>The client was disposed.</summary>
    Closed,
}

/// <summary>The broker at the other end.</summary>
/// <param name="Name">Its name, as it says.</param>
/// <param name="Uri">The address that was connected to, without options.</param>
public sealed record BrokerIdentity(string Name, string Uri);

/// <summary>The connection broke.</summary>
/// <param name="Broker">The broker that was lost.</param>
/// <param name="Cause">Why.</param>
public sealed record ConnectionInterrupted(BrokerIdentity Broker, Exception Cause);

/// <summary>The connection is back.</summary>
/// <param name="Broker">The broker that answers now.</param>
/// <param name="Outage">Time between the two.</param>
/// <param name="RetriedSends">Sends whose confirmation was outstanding and which were repeated.</param>
public sealed record ConnectionResumed(BrokerIdentity Broker, TimeSpan Outage, int RetriedSends);

/// <summary>An event handler that may await.</summary>
public delegate ValueTask AsyncEventHandler<in TEvent>(object sender, TEvent e);
