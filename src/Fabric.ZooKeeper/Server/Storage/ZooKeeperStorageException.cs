namespace Fabric.ZooKeeper.Server.Storage;

/// <summary>
/// The data directory holds something that the server will not start on, damage or a newer format for example. Nothing was
/// changed; the message names the file and what to do.
/// </summary>
public sealed class ZooKeeperStorageException(string message, Exception? innerException = null)
    : IOException(message, innerException);
