namespace Fabric.ZooKeeper.Jute;

/// <summary>What happened to a znode; the numbers of the wire. Newer servers may send others.</summary>
public enum WatchEventType
{
    /// <summary>Nothing happened to a znode: the state of the connection changed. Made by the client.</summary>
    None = -1,
    NodeCreated = 1,
    NodeDeleted = 2,
    NodeDataChanged = 3,
    NodeChildrenChanged = 4,

    /// <summary>Made by the client after the watch was removed; so are the next two.</summary>
    DataWatchRemoved = 5,
    ChildWatchRemoved = 6,
    PersistentWatchRemoved = 7,
}

/// <summary>State of a client's connection as an event reports it. On the wire only <see cref="SyncConnected"/> occurs.</summary>
public enum KeeperState
{
    Disconnected = 0,
    SyncConnected = 3,
    AuthFailed = 4,
    ConnectedReadOnly = 5,
    SaslAuthenticated = 6,
    Closed = 7,
    Expired = -112,
}

/// <summary>Kinds of watches that stay after they fired.</summary>
public enum AddWatchMode
{
    /// <summary>Events of the znode and changes of its list of children.</summary>
    Persistent = 0,

    /// <summary>Events of the znode and of every znode below it.</summary>
    PersistentRecursive = 1,
}

/// <summary>Which watches to remove.</summary>
public enum WatcherType
{
    Children = 1,
    Data = 2,
    Any = 3,
}
