namespace Fabric.Server.Connections;

/// <summary>Settings of one OpenWire connector. Immutable.</summary>
public sealed record OpenWireOptions
{
    /// <summary>Address to bind: a literal IP, a host name, or <c>0.0.0.0</c> for all. Default 127.0.0.1.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>0 to 65535; 0 lets the system choose. Default 61616, ActiveMQ's.</summary>
    public int Port { get; init; } = 61616;

    /// <summary>The name that clients see of the broker.</summary>
    public required string BrokerName { get; init; }

    /// <summary>
    /// Identity of the broker on the wire, the same on every replica: to a client the broker is one, whichever replica serves it.
    /// </summary>
    public required string BrokerId { get; init; }

    /// <summary>Connections at one time; more are closed at once. Default 1000, ActiveMQ's <c>maximumConnections</c>.</summary>
    public int ConnectionsMax { get; init; } = 1000;

    /// <summary>Largest frame accepted, in bytes. Default 104857600, what ActiveMQ's configuration sets.</summary>
    public long FrameBytesMax { get; init; } = 104_857_600;

    /// <summary>
    /// Largest frame accepted before the client has authenticated, in bytes. Default 64 KiB: room for any handshake, and a
    /// stranger cannot make us keep more.
    /// </summary>
    public long HandshakeFrameBytesMax { get; init; } = 64 * 1024;

    /// <summary>Silence after which a client is given up; zero never. Default 30 s, ActiveMQ's. Negotiated: the shorter one holds.</summary>
    public TimeSpan MaxInactivity { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a connection may take to authenticate. Default 30 s, ActiveMQ's.</summary>
    public TimeSpan HandshakeLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long a refused client may keep the socket, so that it can read why. Default 2 s, ActiveMQ's.
    /// </summary>
    public TimeSpan RefusalGrace { get; init; } = TimeSpan.FromSeconds(2);
}
