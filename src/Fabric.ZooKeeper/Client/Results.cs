using Fabric.ZooKeeper.Jute;

namespace Fabric.ZooKeeper.Client;

/// <summary>What a watch reports.</summary>
/// <param name="Type">What happened; <see cref="WatchEventType.None"/> when only the connection's state changed.</param>
/// <param name="State">The connection's state.</param>
/// <param name="Path">The znode, without the chroot; null for a change of state.</param>
public sealed record WatchedEvent(WatchEventType Type, KeeperState State, string? Path);

/// <summary>A znode's data (never null; null on the server reads as empty) and facts.</summary>
public sealed record DataResult(byte[] Data, Stat Stat);

/// <summary>Names, not paths, of a znode's children, in no order, and its facts.</summary>
public sealed record ChildrenResult(IReadOnlyList<string> Children, Stat Stat);

/// <summary>A znode's access control list and facts.</summary>
public sealed record AclResult(IReadOnlyList<Acl> Acl, Stat Stat);

/// <summary>The result of one operation of a multi.</summary>
/// <param name="Path">Of a create: the path made, without the chroot.</param>
/// <param name="Stat">Of a setData.</param>
public sealed record MultiResult(string? Path, Stat? Stat);
