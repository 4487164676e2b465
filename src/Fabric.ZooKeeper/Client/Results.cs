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

/// <summary>One operation of a multi, which happens whole or not at all.</summary>
public abstract record MultiOperation
{
    private MultiOperation(string path) => Path = path;

    /// <summary>The znode it names.</summary>
    public string Path { get; }

    public static MultiOperation Create(string path, ReadOnlyMemory<byte> data, IReadOnlyCollection<Acl> acl, CreateMode mode) =>
        new CreateOperation(path, data, acl, mode);

    /// <param name="path">The znode.</param>
    /// <param name="version">Expected version of its data; -1 for any.</param>
    public static MultiOperation Delete(string path, int version = -1) => new VersionOperation(path, OpCode.Delete, version);

    /// <param name="path">The znode.</param>
    /// <param name="data">Its new data.</param>
    /// <param name="version">Expected version of its data; -1 for any.</param>
    public static MultiOperation SetData(string path, ReadOnlyMemory<byte> data, int version = -1) =>
        new SetDataOperation(path, data, version);

    /// <summary>Changes nothing and fails unless the znode has the version.</summary>
    public static MultiOperation Check(string path, int version) => new VersionOperation(path, OpCode.Check, version);

    internal abstract Jute.MultiOperation ToWire(string serverPath);

    private sealed record CreateOperation(string Name, ReadOnlyMemory<byte> Data, IReadOnlyCollection<Acl> Acl, CreateMode Mode)
        : MultiOperation(Name)
    {
        internal override Jute.MultiOperation ToWire(string serverPath) => new(
            Mode.ToOpCode(withStat: false), new CreateRequest(serverPath, Data.ToArray(), [.. Acl], (int)Mode));
    }

    private sealed record SetDataOperation(string Name, ReadOnlyMemory<byte> Data, int Version) : MultiOperation(Name)
    {
        internal override Jute.MultiOperation ToWire(string serverPath) =>
            new(OpCode.SetData, new SetDataRequest(serverPath, Data.ToArray(), Version));
    }

    private sealed record VersionOperation(string Name, OpCode Type, int Version) : MultiOperation(Name)
    {
        internal override Jute.MultiOperation ToWire(string serverPath) => new(Type, new PathVersionRequest(serverPath, Version));
    }
}
