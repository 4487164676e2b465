namespace Fabric.ZooKeeper.Jute;

/// <summary>Bytes that are not what the protocol allows at this place. A server answers -5, a client drops the connection.</summary>
internal sealed class JuteException(string message) : Exception(message);
