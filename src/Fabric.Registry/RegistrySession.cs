namespace Fabric.Registry;

/// <summary>The session behind a <see cref="FabricRegistry"/> at a moment.</summary>
/// <param name="Id">Its number at the server, which owns our ephemeral znodes; 0 before the first.</param>
/// <param name="IsConnected">Whether requests reach the server.</param>
/// <param name="Connection">Counts up with every connection, so that a short loss of it does not go unnoticed.</param>
public sealed record RegistrySession(long Id, bool IsConnected, int Connection)
{
    internal static RegistrySession None { get; } = new(0, false, 0);
}

/// <summary>A znode that was read.</summary>
/// <param name="Data">Its bytes; empty when it has none.</param>
/// <param name="Stat">Facts about it.</param>
public sealed record ZnodeContent(byte[] Data, Fabric.ZooKeeper.Jute.Stat Stat)
{
    /// <summary>The bytes as UTF-8.</summary>
    public string Text => System.Text.Encoding.UTF8.GetString(Data);
}
